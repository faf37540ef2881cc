package spec

import (
	"bytes"
	"strings"
)

// flowEnd returns the end of the flow mapping or list that opens at start, and
// that of the last thing in it that is neither space nor comment: its opening
// bracket where it is empty. It returns 0, 0 where it is not closed.
func flowEnd(text []byte, start int) (end, last int) {
	depth := 0
	for i := start; i < len(text); i++ {
		before := byte(' ')
		if i > start {
			before = text[i-1]
		}
		switch c := text[i]; {
		case strings.IndexByte(" \t\r\n", c) >= 0:
			continue
		case c == '#' && strings.IndexByte(" \t\r\n", before) >= 0:
			i = lineEnd(text, i) - 1
			continue
		case (c == '"' || c == '\'') && strings.IndexByte(" \t\r\n{[,:", before) >= 0:
			i = quotedEnd(text, i) - 1
		case c == '{' || c == '[':
			depth++
		case c == '}' || c == ']':
			if depth--; depth == 0 {
				return i + 1, last
			}
		}
		last = i + 1
	}
	return 0, 0
}

// quotedEnd returns the end of the quoted scalar at start.
func quotedEnd(text []byte, start int) int {
	quote := text[start]
	for i := start + 1; i < len(text); i++ {
		switch {
		case quote == '"' && text[i] == '\\':
			i++
		case text[i] == quote && quote == '\'' && i+1 < len(text) && text[i+1] == quote:
			i++
		case text[i] == quote:
			return i + 1
		}
	}
	return len(text)
}

// lineStart and lineEnd are the bounds of a line, its end without the line break's \n.
func lineStart(text []byte, at int) int { return bytes.LastIndexByte(text[:at], '\n') + 1 }

func lineEnd(text []byte, at int) int {
	if i := bytes.IndexByte(text[at:], '\n'); i >= 0 {
		return at + i
	}
	return len(text)
}

// content reports whether a line is neither blank nor a comment.
func content(line []byte) bool {
	line = bytes.TrimSpace(line)
	return len(line) > 0 && line[0] != '#'
}

func indentOf(line []byte) int { return len(line) - len(bytes.TrimLeft(line, " ")) }
