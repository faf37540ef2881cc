package parse

import "strings"

// haproxyWords splits a line at blanks outside of quotes, up to a comment.
func haproxyWords(line string) []string {
	var out []string
	var word strings.Builder
	var quote byte
	begun := false
	for i := 0; i <= len(line); i++ {
		switch {
		case i == len(line) || quote == 0 && strings.IndexByte(" \t\r\n#", line[i]) >= 0:
			if begun {
				out = append(out, word.String())
			}
			word.Reset()
			begun = false
			if i < len(line) && line[i] == '#' {
				return out
			}
		case line[i] == '\\' && quote != '\'' && i+1 < len(line):
			i++
			word.WriteByte(line[i])
			begun = true
		case line[i] == quote:
			quote = 0
		case quote == 0 && (line[i] == '"' || line[i] == '\''):
			quote, begun = line[i], true
		default:
			word.WriteByte(line[i])
			begun = true
		}
	}
	return out
}
