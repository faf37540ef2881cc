package xrayhtml

import (
	"fmt"
	"sync"
	"testing"

	"github.com/haplane/haplane/internal/view/xrayhtml/xrayhtmltest"
)

// cases are made once: no test changes them.
var cases = sync.OnceValue(xrayhtmltest.Cases)

// drawings are both pictures of a report.
func drawings(c xrayhtmltest.Case) []drawing { return newPage(c.Report).Drawings }

// each runs a test for both pictures of all cases.
func each(t *testing.T, test func(t *testing.T, d drawing)) {
	t.Helper()
	for _, c := range cases() {
		for _, d := range drawings(c) {
			t.Run(c.Name+"/"+d.Name, func(t *testing.T) { test(t, d) })
		}
	}
}

func TestBoxesHaveTheirPlace(t *testing.T) {
	each(t, func(t *testing.T, d drawing) {
		apart(t, "the drawing", rect{0, 0, d.W, d.H}, d.Boxes)
	})
}

// apart fails the test unless boxes lie in another and none lies over the next.
func apart(t *testing.T, name string, around rect, boxes []box) {
	t.Helper()
	for i, b := range boxes {
		me := named(b)
		if !around.contains(b.rect) {
			t.Errorf("%s %v is not within %s %v", me, b.rect, name, around)
		}
		for _, other := range boxes[i+1:] {
			if b.overlaps(other.rect) {
				t.Errorf("%s %v overlaps %s %v", me, b.rect, named(other), other.rect)
			}
		}
		apart(t, me, b.rect, b.Inner)
	}
}

func named(b box) string {
	text := "box " + b.ID
	if len(b.Labels) > 0 {
		text += fmt.Sprintf(" (%s)", b.Labels[0].Text)
	}
	return text
}

func TestTextHasItsPlace(t *testing.T) {
	each(t, func(t *testing.T, d drawing) { legible(t, d.Boxes) })
}

// legible fails the test where a text or a badge leaves its box, or lies over
// another or over an inner box.
func legible(t *testing.T, boxes []box) {
	t.Helper()
	for _, b := range boxes {
		var taken []rect
		for _, in := range b.Inner {
			taken = append(taken, in.rect)
		}
		place := func(what string, r rect) {
			t.Helper()
			if !b.contains(r) {
				t.Errorf("%q %v leaves its %s %v", what, r, named(b), b.rect)
			}
			for _, o := range taken {
				if r.overlaps(o) {
					t.Errorf("%q %v lies over %v in %s", what, r, o, named(b))
				}
			}
			taken = append(taken, r)
		}
		for _, l := range b.Labels {
			place(l.Text, l.bounds())
		}
		for _, g := range b.Badges {
			place(g.Text, g.rect)
		}
		legible(t, b.Inner)
	}
}

func TestCut(t *testing.T) {
	for _, test := range []struct {
		text  string
		width int
		want  string
	}{
		{"controller-manager", 200, "controller-manager"},
		{"controller-manager", 100, "control…manager"},
		{"controller-manager", 12, "…"},
		{"controller-manager", -3, "…"},
		{"", 0, ""},
	} {
		if got := cut("note", test.text, test.width); got != test.want {
			t.Errorf("cut to %d: %q, want %q", test.width, got, test.want)
		}
	}
}
