package xrayhtml

import (
	"fmt"
	"slices"
)

// Lengths are CSS pixels; y grows downwards.

type point struct{ X, Y int }

type rect struct{ X, Y, W, H int }

func (r rect) right() int  { return r.X + r.W }
func (r rect) bottom() int { return r.Y + r.H }
func (r rect) midX() int   { return r.X + r.W/2 }
func (r rect) midY() int   { return r.Y + r.H/2 }

func (r rect) overlaps(o rect) bool {
	return r.X < o.right() && o.X < r.right() && r.Y < o.bottom() && o.Y < r.bottom()
}

func (r rect) contains(o rect) bool {
	return r.X <= o.X && r.Y <= o.Y && o.right() <= r.right() && o.bottom() <= r.bottom()
}

// A label is one line of text; X, Y is where its baseline begins, or ends.
type label struct {
	point
	Face string // of the faces in measure.go; a class of the stylesheet
	Tone string // another class: its colour
	Text string // cut to the room that it has
	Full string // the whole, where it was cut
	End  bool
}

// bounds is the room that a label takes at most.
func (l label) bounds() rect {
	w := measure(l.Face, l.Text)
	x := l.X
	if l.End {
		x -= w
	}
	return rect{x, l.Y - 11, w, 14}
}

// A badge counts the findings of a status.
type badge struct {
	rect
	Status string
	Text   string
}

// MidX and Baseline are where its text goes.
func (b badge) MidX() int     { return b.midX() }
func (b badge) Baseline() int { return b.Y + 12 }

// A box is a part of the cluster. A box inside another belongs to the same link.
type box struct {
	rect
	ID     string // "" where no wire ends
	Class  string
	Href   string // the evidence about it
	Name   string // for those who do not see it
	Labels []label
	Badges []badge
	Inner  []box
	Wires  []wire
}

// Nested is so where boxes inside have links of their own: there is no link in a link.
func (b box) Nested() bool {
	return slices.ContainsFunc(b.Inner, func(in box) bool { return in.Href != "" })
}

// move shifts a box with all that is in it.
func (b *box) move(dx, dy int) {
	b.X, b.Y = b.X+dx, b.Y+dy
	for i := range b.Labels {
		b.Labels[i].X, b.Labels[i].Y = b.Labels[i].X+dx, b.Labels[i].Y+dy
	}
	for i := range b.Badges {
		b.Badges[i].X, b.Badges[i].Y = b.Badges[i].X+dx, b.Badges[i].Y+dy
	}
	for i := range b.Inner {
		b.Inner[i].move(dx, dy)
	}
	for i := range b.Wires {
		for j, p := range b.Wires[i].Points {
			b.Wires[i].Points[j] = point{p.X + dx, p.Y + dy}
		}
	}
}

// find returns the box of an ID, or nil.
func find(boxes []box, id string) *box {
	for i := range boxes {
		if boxes[i].ID == id {
			return &boxes[i]
		}
		if b := find(boxes[i].Inner, id); b != nil {
			return b
		}
	}
	return nil
}

// A wire says who talks to whom. It has a tip at its last point if To is one.
type wire struct {
	From, To string
	Kind     string // client, pods, etcd, peers
	State    string // "", down, presumed
	Points   []point
}

// Path is the wire as SVG path data.
func (w wire) Path() string {
	text := ""
	for i, p := range w.Points {
		switch {
		case i == 0:
			text = fmt.Sprintf("M%d %d", p.X, p.Y)
		case p.Y == w.Points[i-1].Y:
			text += fmt.Sprintf("H%d", p.X)
		default:
			text += fmt.Sprintf("V%d", p.Y)
		}
	}
	return text
}

// Tip is the head of its arrow as SVG path data; "" where it has none.
func (w wire) Tip() string {
	n := len(w.Points)
	if w.To == "" || n < 2 {
		return ""
	}
	const long, half = 8, 4
	a, b := w.Points[n-2], w.Points[n-1]
	if a.X == b.X {
		back := long * sign(a.Y-b.Y)
		return fmt.Sprintf("M%d %dl%d %dh%dz", b.X, b.Y, -half, back, 2*half)
	}
	back := long * sign(a.X-b.X)
	return fmt.Sprintf("M%d %dl%d %dv%dz", b.X, b.Y, back, -half, 2*half)
}

// Cross marks the middle of its last stretch where nothing gets through.
func (w wire) Cross() string {
	if w.State != "down" || len(w.Points) < 2 {
		return ""
	}
	a, b := w.Points[len(w.Points)-2], w.Points[len(w.Points)-1]
	const arm = 5
	return fmt.Sprintf("M%d %dl%d %dm0 %dl%d %d", (a.X+b.X)/2-arm, (a.Y+b.Y)/2-arm, 2*arm, 2*arm, -2*arm, -2*arm, 2*arm)
}

func sign(n int) int {
	if n < 0 {
		return -1
	}
	return 1
}
