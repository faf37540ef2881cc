package xrayhtml

import (
	"fmt"
	"strings"
	"unicode"
)

// A stack fills a box with lines from the top down.
type stack struct {
	*box
	pad int
	y   int // the top of the next line
}

func newStack(b *box, pad int) *stack { return &stack{b, pad, b.Y + pad - 2} }

// line is the height of a line of text.
const line = 17

// text writes a line: left, and right at its end.
func (s *stack) text(face, tone, left string, right ...label) {
	room := s.ends(measure(face, plain(left)), s.W-2*s.pad, right)
	if left != "" {
		s.put(face, tone, left, s.X+s.pad, room)
	}
	s.y += line
}

// ends writes labels at the end of a line and returns the room that is left. What
// the beginning of the line needs, they leave to it, up to half of the line.
func (s *stack) ends(needed, room int, right []label) int {
	for _, r := range right {
		if r.Text == "" {
			continue
		}
		r.point, r.End = point{s.right() - s.pad, s.y + 13}, true
		full := plain(r.Text)
		if r.Text = cut(r.Face, full, room-8-min(needed, room/2)); r.Text != full {
			r.Full = full
		}
		room -= measure(r.Face, r.Text) + 8
		s.Labels = append(s.Labels, r)
	}
	return room
}

// put writes a label and returns where it ends.
func (s *stack) put(face, tone, text string, x, room int) int {
	l := label{point: point{x, s.y + 13}, Face: face, Tone: tone, Text: plain(text)}
	if short := cut(face, l.Text, room); short != l.Text {
		l.Full, l.Text = l.Text, short
	}
	s.Labels = append(s.Labels, l)
	return x + measure(face, l.Text)
}

// heading writes a name with its badges behind it, leaving spare on the right, and
// labels at the end of the line.
func (s *stack) heading(face, tone, name string, counts []count, spare int, right ...label) {
	badges := badgesOf(counts)
	for len(badges) > 1 && widthOf(badges) > (s.W-2*s.pad-spare)*2/3 {
		badges = badges[:len(badges)-1] // the worst stay
	}
	need := widthOf(badges)
	room := s.ends(measure(face, plain(name))+need, s.W-2*s.pad-spare, right)
	x := s.put(face, tone, name, s.X+s.pad, room-need) + badgeGap
	for _, b := range badges {
		b.X, b.Y = x, s.y+1
		s.Badges = append(s.Badges, b)
		x += b.W + 4
	}
	s.y += line + 1
}

const badgeGap = 6 // before the first

// widthOf is the room that badges take behind a name.
func widthOf(badges []badge) int {
	if len(badges) == 0 {
		return 0
	}
	width := badgeGap - 4
	for _, b := range badges {
		width += b.W + 4
	}
	return width
}

// below puts a box under what is there.
func (s *stack) below(b box, gap int) {
	b.move(s.X+s.pad-b.X, s.y+gap-b.Y)
	s.Inner = append(s.Inner, b)
	s.y = b.bottom()
}

// row puts boxes of equal width side by side, equally high.
func (s *stack) row(boxes []box) {
	top, height := s.y+4, 0
	for _, b := range boxes {
		height = max(height, b.H)
	}
	for i, b := range boxes {
		b.move(s.X+s.pad+i*(b.W+8)-b.X, top-b.Y)
		b.H = height
		s.Inner = append(s.Inner, b)
	}
	s.y = top + height + 2
}

// close makes the box as high as what is in it.
func (s *stack) close() { s.H = s.y + s.pad - s.Y }

// badgesOf shows what somebody has to look at.
func badgesOf(counts []count) []badge {
	var out []badge
	for _, c := range counts {
		text := fmt.Sprintf("%s %d", c.Sign, c.N)
		for _, t := range troubles {
			if c.Status == t {
				out = append(out, badge{rect{W: measure("badge", text) + 10, H: 16}, string(c.Status), text})
			}
		}
	}
	return out
}

// plain is a text without what moves other text about: control characters and
// those that change the direction of writing.
func plain(text string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\n' || r == '\t':
			return ' '
		case unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r):
			return unicode.ReplacementChar
		}
		return r
	}, strings.ToValidUTF8(text, string(unicode.ReplacementChar)))
}
