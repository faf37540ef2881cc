package parse

import "strings"

// A directive of nginx: words, and what is in its braces.
type directive struct {
	words []string
	block []directive
}

func (d directive) name() string { return d.words[0] }

// arg is the first argument, "" where there is none.
func (d directive) arg() string {
	if len(d.words) < 2 {
		return ""
	}
	return d.words[1]
}

// A block is what is in braces, by the names of directives.
type block map[string][]directive

func index(directives ...[]directive) block {
	out := block{}
	for _, all := range directives {
		for _, d := range all {
			out[d.name()] = append(out[d.name()], d)
		}
	}
	return out
}

// setting is the first argument of the last directive of a name.
func (b block) setting(name string) (string, bool) {
	all := b[name]
	if len(all) == 0 {
		return "", false
	}
	return all[len(all)-1].arg(), true
}

// nested is how deep blocks may be in one another; nginx has no deeper ones.
const nested = 20

// directives reads a configuration. A file that is cut off or not nginx's gives
// what could be read.
func directives(text string) []directive {
	r := nginxReader{text: text}
	return r.block(0)
}

type nginxReader struct {
	text string
	at   int
}

// block reads directives up to the closing brace.
func (r *nginxReader) block(depth int) []directive {
	var out []directive
	var words []string
	for {
		word, special := r.word()
		switch {
		case special == 0:
			words = append(words, word)
		case special == ';':
			if len(words) > 0 {
				out = append(out, directive{words: words})
			}
			words = nil
		case special == '{' && depth < nested:
			inner := r.block(depth + 1)
			if len(words) > 0 {
				out = append(out, directive{words, inner})
			}
			words = nil
		default: // the end of the block, or of the text
			return out
		}
	}
}

// end is the special character of the end of the text.
const end = 0xff

// word returns the next word, or what is special: ; { } or the end.
func (r *nginxReader) word() (word string, special byte) {
	r.skip()
	if r.at >= len(r.text) {
		return "", end
	}
	c := r.text[r.at]
	if strings.IndexByte(";{}", c) >= 0 {
		r.at++
		return "", c
	}
	var b strings.Builder
	var quote byte
	variable := false
	if c == '"' || c == '\'' {
		quote = c
		r.at++
	}
	for ; r.at < len(r.text); r.at++ {
		c := r.text[r.at]
		switch {
		case c == '\\' && r.at+1 < len(r.text):
			r.at++
			b.WriteByte(r.text[r.at])
		case quote != 0 && c == quote:
			r.at++
			return b.String(), 0
		case quote == 0 && c == '{' && strings.HasSuffix(b.String(), "$"): // ${NAME}
			variable = true
			b.WriteByte(c)
		case quote == 0 && c == '}' && variable:
			variable = false
			b.WriteByte(c)
		case quote == 0 && strings.IndexByte(" \t\r\n;{}", c) >= 0:
			return b.String(), 0
		default:
			b.WriteByte(c)
		}
	}
	return b.String(), 0
}

// skip passes over blanks and comments.
func (r *nginxReader) skip() {
	for r.at < len(r.text) {
		switch c := r.text[r.at]; {
		case c == '#':
			end := strings.IndexByte(r.text[r.at:], '\n')
			if end < 0 {
				r.at = len(r.text)
				return
			}
			r.at += end
		case strings.IndexByte(" \t\r\n", c) >= 0:
			r.at++
		default:
			return
		}
	}
}
