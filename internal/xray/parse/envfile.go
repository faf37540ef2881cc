package parse

import "strings"

// An envFile reads an EnvironmentFile as systemd does (env-file.c): values in
// single quotes are literal, those in double quotes know a few escapes, and both may
// span lines. Quotes within a bare value are part of it.
type envFile struct {
	text string
	at   int
}

// environmentFile returns the assignments of a file, in their order.
func environmentFile(text string) [][2]string {
	f := envFile{text: text}
	var out [][2]string
	for f.at < len(f.text) {
		key, ok := f.key()
		if !ok {
			continue
		}
		value := f.value()
		if key != "" && !strings.ContainsAny(key, " \t\"'$\\") {
			out = append(out, [2]string{key, value})
		}
	}
	return out
}

// key reads up to the = of a line; false for a comment or a line without one, which
// it passes over.
func (f *envFile) key() (string, bool) {
	line := f.text[f.at:]
	if i := strings.IndexAny(line, "\n\r"); i >= 0 {
		line = line[:i]
	}
	key, _, ok := strings.Cut(line, "=")
	key = strings.TrimSpace(key)
	if !ok || strings.HasPrefix(key, "#") || strings.HasPrefix(key, ";") {
		f.at += len(line) + 1
		return "", false
	}
	f.at += strings.IndexByte(line, '=') + 1
	return key, true
}

// value reads parts up to the end of the line: quoted ones, and at last a bare one.
func (f *envFile) value() string {
	var b strings.Builder
	for f.at < len(f.text) {
		switch c := f.text[f.at]; c {
		case '\n', '\r':
			f.at++
			return b.String()
		case ' ', '\t':
			f.at++
		case '\'', '"':
			f.at++
			f.quoted(&b, c)
		default:
			f.bare(&b)
			return b.String()
		}
	}
	return b.String()
}

func (f *envFile) quoted(b *strings.Builder, quote byte) {
	for ; f.at < len(f.text); f.at++ {
		c := f.text[f.at]
		if c == quote {
			f.at++
			return
		}
		if c == '\\' && quote == '"' && f.at+1 < len(f.text) {
			f.at++
			switch next := f.text[f.at]; {
			case strings.IndexByte("\"\\`$", next) >= 0:
				b.WriteByte(next)
			case next != '\n': // a line that goes on
				b.WriteString(string([]byte{c, next}))
			}
			continue
		}
		b.WriteByte(c)
	}
}

func (f *envFile) bare(b *strings.Builder) {
	kept := b.Len() // up to the last byte that is not a blank at the end
	for ; f.at < len(f.text); f.at++ {
		c := f.text[f.at]
		if c == '\n' || c == '\r' {
			f.at++
			break
		}
		if c == '\\' {
			if f.at++; f.at < len(f.text) && f.text[f.at] != '\n' {
				b.WriteByte(f.text[f.at])
				kept = b.Len()
			}
			continue
		}
		b.WriteByte(c)
		if !blank(c) {
			kept = b.Len()
		}
	}
	value := b.String()[:kept]
	b.Reset()
	b.WriteString(value)
}
