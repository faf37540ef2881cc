package spec

import (
	"bytes"
	"strings"

	"go.yaml.in/yaml/v3"
)

// entry returns the bounds of the i-th entry: in a list of lines these are its
// lines, from that of its dash on, without comments around it.
func (l *layout) entry(i int) (start, end int, err error) {
	list := l.list()
	item := list.Content[i]
	if inFlow(list) {
		return l.span(item)
	}
	dash := list.Column - 1
	for start = lineStart(l.text, l.offset(item)); !bytes.HasPrefix(l.text[start:], []byte(strings.Repeat(" ", dash)+"-")); {
		if start == 0 {
			return 0, 0, errLayout
		}
		start = lineStart(l.text, start-1)
	}
	if item.Kind == yaml.MappingNode && !inFlow(item) {
		return start, l.blockEnd(start, dash+1), nil
	}
	if _, end, err = l.span(item); err != nil {
		return 0, 0, err
	}
	return start, min(lineEnd(l.text, end)+1, len(l.text)), nil
}

// insertAfter writes a new entry below, or beside, the i-th, in its style.
func (l *layout) insertAfter(i int, n Node) ([]byte, error) {
	list := l.list()
	item := list.Content[i]
	start, end, err := l.entry(i)
	if err != nil {
		return nil, err
	}
	if inFlow(list) {
		return l.insertInFlow(start, end, flowEntry(n, asJSON(item))), nil
	}
	dash := strings.Repeat(" ", list.Column-1) + "- "
	if item.Kind != yaml.MappingNode || inFlow(item) {
		return l.withLines(end, dash+flowEntry(n, asJSON(item))), nil
	}
	indent := strings.Repeat(" ", max(item.Column-1, len(dash)))
	var lines []string
	for _, p := range pairs(n) {
		lines = append(lines, indent+p.text(asJSON(item)))
	}
	lines[0] = dash + lines[0][len(dash):]
	return l.withLines(end, lines...), nil
}

// insertInFlow keeps lists with one entry to a line that way, with the comments
// behind the entries.
func (l *layout) insertInFlow(start, end int, entry string) []byte {
	comma := l.comma(end)
	if !l.alone(start, end) {
		return l.with(end, end, ", "+entry)
	}
	line := string(l.text[lineStart(l.text, start):start]) + entry
	next := min(lineEnd(l.text, end)+1, len(l.text))
	if comma > 0 {
		return l.withLines(next, line+",")
	}
	out := l.withLines(next, line)
	return append(append(append([]byte{}, out[:end]...), ','), out[end:]...)
}

// comma returns the end of the comma that follows, or 0.
func (l *layout) comma(at int) int {
	for at < len(l.text) {
		switch c := l.text[at]; {
		case c == ',':
			return at + 1
		case c == '#':
			at = lineEnd(l.text, at)
		case c != ' ' && c != '\t' && c != '\r' && c != '\n':
			return 0
		default:
			at++
		}
	}
	return 0
}

// alone reports whether nothing else is in the lines of an entry of a flow list,
// but a comma and a comment behind it.
func (l *layout) alone(start, end int) bool {
	rest := bytes.TrimLeft(l.text[end:lineEnd(l.text, end)], ", \t")
	return !content(rest) && !content(l.text[lineStart(l.text, start):start])
}

// remove takes an entry out, and the comment behind it; comments above it stay.
func (l *layout) remove(i int) ([]byte, error) {
	list := l.list()
	start, end, err := l.entry(i)
	if err != nil {
		return nil, err
	}
	if !inFlow(list) {
		return l.with(start, end, ""), nil
	}
	comma := l.comma(end)
	whole := l.alone(start, end)
	if whole {
		start, end = lineStart(l.text, start), min(lineEnd(l.text, end)+1, len(l.text))
	}
	switch {
	case comma > 0 && !whole:
		for end = comma; end < len(l.text) && l.text[end] == ' '; {
			end++
		}
	case comma == 0 && i > 0: // the one before becomes the last
		_, before, err := l.entry(i - 1)
		if err != nil {
			return nil, err
		}
		if after := l.comma(before); after > 0 {
			between := l.text[after:start]
			if !whole {
				between = bytes.TrimLeft(between, " ")
			}
			return l.with(after-1, end, string(between)), nil
		}
	}
	return l.with(start, end, ""), nil
}

// set writes a field of an entry, anew or in place of what is there.
func (l *layout) set(i int, p pair) ([]byte, error) {
	item := l.list().Content[i]
	if item.Kind != yaml.MappingNode {
		return nil, errLayout
	}
	if key, value := find(item, p.key); key != nil {
		return l.setValue(key, value, p.written(asJSON(item)))
	}
	if inFlow(item) {
		return l.addToFlow(item, p.text(asJSON(item)))
	}
	_, end, err := l.entry(i)
	if err != nil {
		return nil, err
	}
	return l.withLines(end, strings.Repeat(" ", item.Column-1)+p.text(asJSON(item))), nil
}
