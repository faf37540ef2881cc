package spec

import (
	"bytes"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"
)

// noText tells what makes a file none that somebody wrote by hand, or is "". UTF-16 says so
// at its start, and YAML may be written in it.
func noText(data []byte) string {
	if bytes.HasPrefix(data, []byte("\xff\xfe")) || bytes.HasPrefix(data, []byte("\xfe\xff")) {
		return ""
	}
	for i, line := range bytes.Split(data, []byte("\n")) {
		if !utf8.Valid(line) {
			return fmt.Sprintf("is not text in UTF-8: save it as such (line %d)", i+1)
		}
		for _, c := range string(line) {
			if c < ' ' && c != '\t' && c != '\r' || c == 0x7f {
				return fmt.Sprintf("has the control character %U in it; remove it (line %d)", c, i+1)
			}
		}
	}
	return ""
}

var (
	lineNumber    = regexp.MustCompile(`^line (\d+): `)
	unknownAnchor = regexp.MustCompile(`^unknown anchor '(.*)' referenced$`)
)

// meanings are what people do when the YAML library says this.
var meanings = map[string]string{
	"mapping values are not allowed in this context": `there is a colon where none can be: the line is indented too far, or a text with ": " in it needs quotes`,
	"found character that cannot start any token":    "a text that begins with one of %, @ and ` needs quotes",
}

// syntax says in one line what the YAML library says, where, and of tabs that they are it.
func syntax(err error, data []byte) string {
	said := strings.Join(strings.Fields(strings.TrimPrefix(err.Error(), "yaml: ")), " ")
	lines := bytes.Split(data, []byte("\n"))
	if m := unknownAnchor.FindStringSubmatch(said); m != nil {
		return fmt.Sprintf("line %d has *%s, and no &%[2]s stands before it", 1+lineWith(lines, "*"+m[1]), m[1])
	}
	at := 1 // of the first line the library tells no number
	if m := lineNumber.FindStringSubmatch(said); m != nil {
		at, _ = strconv.Atoi(m[1])
		said = strings.TrimPrefix(said, m[0])
	}
	if strings.Contains(said, " tab ") || strings.Contains(said, "cannot start any token") {
		if problem := tabs(lines, at); problem != "" {
			return problem
		}
	}
	if meaning, ok := meanings[said]; ok {
		said = meaning
	}
	return fmt.Sprintf("line %d: %s", at, said)
}

func lineWith(lines [][]byte, word string) int {
	for i, line := range lines {
		if bytes.Contains(line, []byte(word)) {
			return i
		}
	}
	return 0
}

// tabs finds the tab that the library stumbled on, in the line that it names or the one behind.
func tabs(lines [][]byte, at int) string {
	for i := at - 1; i < min(at+1, len(lines)); i++ {
		if indent := lines[i][:len(lines[i])-len(bytes.TrimLeft(lines[i], " \t"))]; bytes.ContainsRune(indent, '\t') {
			return fmt.Sprintf("line %d is indented with a tab; use spaces", i+1)
		}
	}
	if at <= len(lines) && bytes.ContainsRune(lines[at-1], '\t') {
		return fmt.Sprintf("line %d has a tab between its words; use spaces", at)
	}
	return ""
}
