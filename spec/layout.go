package spec

import (
	"bytes"
	"errors"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

// A layout is the text of a cluster file and where its parts are. Edits cut and
// paste in the text, and read it anew: what they do not touch stays, byte for byte.
type layout struct {
	text []byte
	root *yaml.Node
	// newline is the line break that the file has.
	newline string
}

var errLayout = errors.New("its layout is none that haplane can edit; write spec.nodes as a list with one entry to a line")

func readLayout(text []byte) (*layout, error) {
	var doc yaml.Node
	if err := yaml.Unmarshal(text, &doc); err != nil {
		return nil, err
	}
	l := &layout{text: text, newline: "\n"}
	if len(doc.Content) == 0 || doc.Content[0].Kind != yaml.MappingNode {
		return nil, errLayout
	}
	l.root = doc.Content[0]
	if bytes.Contains(text, []byte("\r\n")) {
		l.newline = "\r\n"
	}
	return l, nil
}

// find returns key and value of a mapping's field, or nil.
func find(m *yaml.Node, name string) (key, value *yaml.Node) {
	if m == nil || m.Kind != yaml.MappingNode {
		return nil, nil
	}
	for i := 0; i+1 < len(m.Content); i += 2 {
		if m.Content[i].Value == name {
			return m.Content[i], m.Content[i+1]
		}
	}
	return nil, nil
}

func (l *layout) spec() (key, value *yaml.Node) { return find(l.root, "spec") }

// list is spec.nodes, or nil where it is left out or empty.
func (l *layout) list() *yaml.Node {
	_, spec := l.spec()
	if _, list := find(spec, "nodes"); list != nil && list.Kind == yaml.SequenceNode && len(list.Content) > 0 {
		return list
	}
	return nil
}

func inFlow(n *yaml.Node) bool { return n.Style&yaml.FlowStyle != 0 }

// asJSON reports whether the keys of a mapping are in double quotes.
func asJSON(m *yaml.Node) bool {
	return m.Kind == yaml.MappingNode && len(m.Content) > 0 && m.Content[0].Style&yaml.DoubleQuotedStyle != 0
}

// offset is where a node begins; lines and columns of the library count from 1,
// and columns count characters.
func (l *layout) offset(n *yaml.Node) int {
	at := 0
	for range n.Line - 1 {
		at = min(lineEnd(l.text, at)+1, len(l.text))
	}
	for range n.Column - 1 {
		_, size := utf8.DecodeRune(l.text[at:])
		at += size
	}
	return at
}

// span is where a scalar, an alias or a flow mapping or list is written.
func (l *layout) span(n *yaml.Node) (start, end int, err error) {
	start = l.offset(n)
	rest, written := l.text[start:], n.Value
	if n.Kind == yaml.AliasNode {
		written = "*" + n.Value
	}
	switch {
	case inFlow(n):
		end, _ = flowEnd(l.text, start)
	case len(rest) > 0 && (rest[0] == '"' || rest[0] == '\''):
		end = quotedEnd(l.text, start)
	case (n.Kind == yaml.ScalarNode || n.Kind == yaml.AliasNode) && bytes.HasPrefix(rest, []byte(written)):
		end = start + len(written)
	}
	if end == 0 {
		return 0, 0, errLayout
	}
	return start, end, nil
}

// blockEnd returns the end, line break included, of the last line with content of
// the block that begins in the line at start and is indented by at least indent.
func (l *layout) blockEnd(start, indent int) int {
	end := lineEnd(l.text, start)
	for at := end + 1; at < len(l.text); at = lineEnd(l.text, at) + 1 {
		line := l.text[at:lineEnd(l.text, at)]
		if !content(line) {
			continue
		}
		if indentOf(line) < indent || marker(line) {
			break
		}
		end = lineEnd(l.text, at)
	}
	return min(end+1, len(l.text))
}

// marker reports whether a line ends the document.
func marker(line []byte) bool {
	return bytes.HasPrefix(line, []byte("---")) || bytes.HasPrefix(line, []byte("..."))
}

// with returns the text with a part replaced.
func (l *layout) with(start, end int, text string) []byte {
	out := append([]byte{}, l.text[:start]...)
	out = append(out, text...)
	return append(out, l.text[end:]...)
}

// withLines returns the text with lines put in at the beginning of a line.
func (l *layout) withLines(at int, lines ...string) []byte {
	text := strings.Join(lines, l.newline)
	if at == len(l.text) && at > 0 && l.text[at-1] != '\n' { // the last line has no line break: so it stays
		return l.with(at, at, l.newline+text)
	}
	return l.with(at, at, text+l.newline)
}
