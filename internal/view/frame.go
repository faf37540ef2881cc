package view

import (
	"fmt"
	"io"
	"slices"
	"strings"
)

// A row is a line of a frame. Its text may be cut short.
type row struct{ head, text string }

// A frame is the last lines of a terminal, which are written over again and again.
type frame struct {
	w     io.Writer
	size  func() (width, height int, err error) // asked each time: a window changes
	lines int                                   // that are shown
}

func newFrame(w io.Writer, size func() (int, int, error)) *frame { return &frame{w: w, size: size} }

// show replaces the lines. None is wider than the terminal, and they are fewer
// than it is high: what scrolled away cannot be written over.
func (f *frame) show(lines []row) {
	width, height, err := f.size()
	if err != nil || width < 2 || height < 2 {
		return
	}
	if most := height - 1; len(lines) > most {
		lines = append(lines[:most-1:most-1], row{head: fmt.Sprintf("  and %d more", len(lines)-most+1)})
	}
	var text strings.Builder
	for _, l := range lines {
		text.WriteString(l.fit(width-1) + "\n")
	}
	fmt.Fprint(f.w, f.erase()+text.String()) // at once, or it flickers
	f.lines = len(lines)
}

// clear takes the lines away, and leaves the cursor where the first of them began.
func (f *frame) clear() {
	fmt.Fprint(f.w, f.erase())
	f.lines = 0
}

func (f *frame) erase() string {
	if f.lines == 0 {
		return ""
	}
	return fmt.Sprintf("\x1b[%dA\r\x1b[J", f.lines)
}

// fit leaves out the middle of a text that is too long: of an error, the beginning
// says what was done and the end why it did not work.
func (r row) fit(width int) string {
	head := []rune(r.head)
	text, room := []rune(strings.ReplaceAll(r.text, "\n", " ")), width-len(head)
	const least = 10 // fewer letters say nothing
	switch {
	case room < least:
		text = nil
	case len(text) > room:
		half := room / 2
		text = slices.Concat(text[:room-half-1], []rune("…"), text[len(text)-half:])
	}
	return strings.TrimRight(string(head[:min(len(head), width)])+string(text), " ")
}
