package xrayhtml

import (
	"fmt"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/haplane/haplane/internal/view/xrayhtml/xrayhtmltest"
)

func TestWiresHaveTheirPlace(t *testing.T) {
	each(t, func(t *testing.T, d drawing) {
		for _, w := range slices.Concat(d.Bundles...) {
			for i, p := range w.Points {
				if p.X < 0 || p.Y < 0 || p.X > d.W || p.Y > d.H {
					t.Errorf("%s leaves the drawing at %v", told(w), p)
				}
				if i > 0 && p.X != w.Points[i-1].X && p.Y != w.Points[i-1].Y {
					t.Errorf("%s is askew: %v", told(w), w.Points)
				}
			}
			if to := find(d.Boxes, w.To); w.To != "" && (to == nil || !touches(to.rect, w.Points[len(w.Points)-1])) {
				t.Errorf("%s ends at %v, not at the edge of %v", told(w), w.Points, to)
			}
			for _, s := range w.segments() {
				passes(t, d.Boxes, w, s)
			}
		}
	})
}

func told(w wire) string { return fmt.Sprintf("wire %s from %s to %q", w.Kind, w.From, w.To) }

// segments are the stretches of a wire as rectangles, as wide as a line.
func (w wire) segments() []rect {
	var out []rect
	for i := 1; i < len(w.Points); i++ {
		a, b := w.Points[i-1], w.Points[i]
		out = append(out, rect{min(a.X, b.X), min(a.Y, b.Y), max(a.X, b.X) - min(a.X, b.X) + 1, max(a.Y, b.Y) - min(a.Y, b.Y) + 1})
	}
	return out
}

// touches reports whether a point is on the edge of a rectangle.
func touches(r rect, p point) bool {
	inX, inY := r.X <= p.X && p.X <= r.right(), r.Y <= p.Y && p.Y <= r.bottom()
	return inX && inY && (p.X == r.X || p.X == r.right() || p.Y == r.Y || p.Y == r.bottom())
}

// passes fails the test where a wire runs through a box in which it neither begins
// nor ends, or over text.
func passes(t *testing.T, boxes []box, w wire, s rect) {
	t.Helper()
	for _, b := range boxes {
		inside := rect{b.X + 1, b.Y + 1, b.W - 2, b.H - 2}
		if !inside.overlaps(s) {
			continue
		}
		ends := []point{w.Points[0], w.Points[len(w.Points)-1]}
		own := slices.ContainsFunc(ends, func(p point) bool { return inside.contains(rect{p.X, p.Y, 0, 0}) })
		if len(b.Inner) == 0 || !own {
			t.Errorf("%s runs through %s %v", told(w), named(b), b.rect)
		}
		for _, l := range b.Labels {
			if l.bounds().overlaps(s) {
				t.Errorf("%s runs over %q", told(w), l.Text)
			}
		}
		for _, g := range b.Badges {
			if g.overlaps(s) {
				t.Errorf("%s runs over the badge %q", told(w), g.Text)
			}
		}
		passes(t, b.Inner, w, s)
	}
}

// A wire begins at a box or at another one of its bundle: nothing hangs in the air.
func TestWiresMeet(t *testing.T) {
	each(t, func(t *testing.T, d drawing) {
		for _, bundle := range d.Bundles {
			for i, w := range bundle {
				others := slices.Concat(bundle[:i], bundle[i+1:])
				at := rect{w.Points[0].X, w.Points[0].Y, 1, 1}
				meets := slices.ContainsFunc(others, func(o wire) bool { return slices.ContainsFunc(o.segments(), at.overlaps) })
				if !meets && !edged(d.Boxes, w.Points[0]) {
					t.Errorf("%s begins in the air, at %v", told(w), w.Points[0])
				}
			}
		}
	})
}

// edged reports whether a point is on the edge of any box.
func edged(boxes []box, p point) bool {
	return slices.ContainsFunc(boxes, func(b box) bool { return touches(b.rect, p) || edged(b.Inner, p) })
}

func TestBundlesCrossOnly(t *testing.T) {
	each(t, func(t *testing.T, d drawing) {
		for i, bundle := range d.Bundles {
			for _, other := range slices.Concat(d.Bundles[i+1:]...) {
				for _, w := range bundle {
					alongside(t, w, other)
				}
			}
		}
	})
}

// alongside fails the test where two wires run along each other.
func alongside(t *testing.T, a, b wire) {
	t.Helper()
	for _, s := range a.segments() {
		for _, o := range b.segments() {
			crossing := rect{max(s.X, o.X), max(s.Y, o.Y), min(s.right(), o.right()) - max(s.X, o.X), min(s.bottom(), o.bottom()) - max(s.Y, o.Y)}
			if crossing.W > 0 && crossing.H > 0 && (crossing.W > 1 || crossing.H > 1) {
				t.Errorf("%s and %s share %v", told(a), told(b), crossing)
			}
		}
	}
}

func TestWhoTalksToWhom(t *testing.T) {
	for name, want := range map[string][]string{
		"shared": {"clients > endpoint client", "clients > service pods", "endpoint > node-0 client", "endpoint > node-1 client",
			"endpoint > node-2 client", "node-0 > etcd-0 etcd", "node-1 > etcd-1 etcd", "node-2 > etcd-2 etcd", "service > endpoint pods"},
		"single": {"clients > node-0 client", "clients > service pods", "node-0 > etcd-0 etcd", "service > node-0 pods"},
		"by-api": {"clients > endpoint client", "clients > service pods", "endpoint > node-0 client presumed",
			"endpoint > node-1 client presumed", "endpoint > node-2 client presumed", "service > endpoint pods"},
		"many-faults": {"clients > endpoint client", "clients > node-1 client", "clients > service pods", "endpoint > node-0 client",
			"endpoint > node-1 client", "endpoint > node-2 client down", "node-0 > etcd-0 etcd", "node-1 > etcd-1 etcd",
			"node-2 > etcd-2 etcd", "service > node-0 pods", "service > node-1 pods"},
		"ghosts": {"clients > endpoint client", "clients > service pods", "endpoint > node-0 client", "endpoint > node-2 client",
			"endpoint > node-3 client down", "node-0 > etcd-0 etcd", "node-1 > etcd-1 etcd", "node-2 > etcd-2 etcd",
			"service > node-0 pods", "service > node-1 pods", "service > node-2 pods", "service > node-4 pods"},
		"two-balancers": {"clients > endpoint client", "clients > service pods", "lb-0 > node-0 client", "lb-0 > node-1 client",
			"lb-0 > node-2 client", "lb-1 > node-0 client", "lb-1 > node-1 client", "node-0 > etcd-0 etcd",
			"node-1 > etcd-1 etcd", "node-2 > etcd-2 etcd", "service > endpoint pods"},
	} {
		for _, d := range drawings(caseOf(t, name)) {
			if diff := cmp.Diff(want, tipped(d)); diff != "" {
				t.Errorf("%s, %s: wires (-want +got):\n%s", name, d.Name, diff)
			}
		}
	}
}

// tipped are the wires with an arrow, as text, sorted.
func tipped(d drawing) []string {
	wires := slices.Concat(d.Bundles...)
	for _, b := range d.Boxes {
		wires = append(wires, b.Wires...)
	}
	var out []string
	for _, w := range wires {
		if w.To != "" {
			text := w.From + " > " + w.To + " " + w.Kind
			if w.State != "" {
				text += " " + w.State
			}
			out = append(out, text)
		}
	}
	slices.Sort(out)
	return out
}

func caseOf(t *testing.T, name string) xrayhtmltest.Case {
	t.Helper()
	for _, c := range cases() {
		if c.Name == name {
			return c
		}
	}
	t.Fatalf("no case %s", name)
	return xrayhtmltest.Case{}
}
