package view

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// Sequences that select how a terminal shows what follows.
const (
	reset   = "\x1b[0m"
	bold    = "\x1b[1m"
	faint   = "\x1b[2m"
	red     = "\x1b[1;31m"
	green   = "\x1b[32m"
	yellow  = "\x1b[33m"
	magenta = "\x1b[1;35m"
)

// clean takes from a text what a terminal would obey and XML cannot hold: it may come
// from a machine that nobody knows.
func clean(text string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\n' || r == '\t':
			return ' '
		case unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r) || r == 0xFFFE || r == 0xFFFF:
			return utf8.RuneError
		}
		return r
	}, text)
}

// wrap breaks a text between words into lines of a width. A word that is wider has a
// line of its own. There is one line at least.
func wrap(text string, width int) []string {
	lines := []string{""}
	for _, word := range strings.Fields(text) {
		last := &lines[len(lines)-1]
		switch {
		case *last == "":
			*last = word
		case utf8.RuneCountInString(*last)+1+utf8.RuneCountInString(word) <= width:
			*last += " " + word
		default:
			lines = append(lines, word)
		}
	}
	return lines
}
