package parse

import (
	"strconv"
	"strings"
)

// Words splits a command line as systemd does: at blanks outside of quotes, with
// C-style escapes. An unclosed quote ends with the text.
func Words(text string) []string {
	var out []string
	for _, w := range split(text) {
		out = append(out, w.text)
	}
	return out
}

// A word is bare where none of it was quoted or escaped: only such a ; ends a command.
type word struct {
	text string
	bare bool
}

func split(text string) []word {
	var out []word
	var b strings.Builder
	var quote byte
	begun, bare := false, true
	end := func() {
		if begun {
			out = append(out, word{b.String(), bare})
		}
		b.Reset()
		begun, bare = false, true
	}
	for i := 0; i < len(text); i++ {
		c := text[i]
		switch {
		case c == '\\' && i+1 < len(text):
			decoded, n := escape(text[i+1:])
			b.WriteString(decoded)
			bare = bare && strings.HasPrefix(decoded, `\`)
			i += n
			begun = true
		case quote != 0 && c == quote:
			quote = 0
		case quote == 0 && (c == '"' || c == '\''):
			quote, begun, bare = c, true, false
		case quote == 0 && blank(c):
			end()
		default:
			b.WriteByte(c)
			begun = true
		}
	}
	end()
	return out
}

func blank(c byte) bool { return c == ' ' || c == '\t' || c == '\n' || c == '\r' }

var escapes = map[byte]string{
	'a': "\a", 'b': "\b", 'f': "\f", 'n': "\n", 'r': "\r", 't': "\t", 'v': "\v", 's': " ", '\\': `\`, '"': `"`, '\'': "'",
}

// escape decodes what follows a backslash, and how many bytes of it that took. An
// unknown escape stays as it is, backslash included, as systemd has it.
func escape(text string) (string, int) {
	if s, ok := escapes[text[0]]; ok {
		return s, 1
	}
	switch text[0] {
	case 'x':
		return number(text, 1, 2, 16, false)
	case 'u':
		return number(text, 1, 4, 16, true)
	case 'U':
		return number(text, 1, 8, 16, true)
	case '0', '1', '2', '3', '4', '5', '6', '7':
		return number(text, 0, 3, 8, false)
	}
	return `\` + text[:1], 1
}

// number decodes an escape of so many digits after a letter: a byte, or a character.
func number(text string, letter, digits, base int, character bool) (string, int) {
	if len(text) >= letter+digits {
		n, err := strconv.ParseUint(text[letter:letter+digits], base, 32)
		switch {
		case err != nil || n == 0:
		case character && n <= 0x10ffff:
			return string(rune(n)), letter + digits
		case !character && n <= 0xff:
			return string([]byte{byte(n)}), letter + digits
		}
	}
	return `\` + text[:1], 1
}

// quoted is a word as Words reads it back.
func quoted(text string) string {
	if text != "" && !strings.ContainsAny(text, " \t\r\n\"'\\") {
		return text
	}
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(text) + `"`
}
