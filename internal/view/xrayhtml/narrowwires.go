package xrayhtml

import "slices"

// along leads out of the lower part of a box, along a lane, and into its targets.
func (d *narrowDrawing) along(f flow, far []target) {
	l := d.lane(f.kind)
	from := d.at(f.from)
	y := l.exit(from)
	end := y
	var drops []wire
	for _, t := range far {
		to := d.at(t.id)
		at := l.entry(to)
		end = max(end, at)
		drops = append(drops, wire{From: f.from, To: t.id, Kind: f.kind, State: t.state, Points: []point{{l.x, at}, {l.edge(to), at}}})
	}
	trunk := wire{From: f.from, Kind: f.kind, State: trunkState(far), Points: []point{{l.edge(from), y}, {l.x, y}, {l.x, end}}}
	d.bundle(append([]wire{trunk}, drops...)...)
}

// gather leads from all nodes that ask the same etcd members down to these.
func (d *narrowDrawing) gather(g flow) {
	l := d.lane(g.kind)
	lo, hi := d.H, 0
	var wires []wire
	for _, f := range d.flows {
		if f.kind == g.kind && slices.Equal(f.to, g.to) {
			from := d.at(f.from)
			y := l.exit(from)
			lo, hi = min(lo, y), max(hi, y)
			wires = append(wires, wire{From: f.from, Kind: f.kind, Points: []point{{l.edge(from), y}, {l.x, y}}})
		}
	}
	for _, t := range g.to {
		to := d.at(t.id)
		lo, hi = min(lo, l.entry(to)), max(hi, l.entry(to))
		wires = append(wires, wire{From: g.from, To: t.id, Kind: g.kind, State: t.state, Points: []point{{l.x, l.entry(to)}, {l.edge(to), l.entry(to)}}})
	}
	d.bundle(append(wires, wire{From: g.from, Kind: g.kind, Points: []point{{l.x, lo}, {l.x, hi}}})...)
}

// A sideLane is where a flow runs: x of its lane, the edge of boxes on that side,
// and how far its ends are from those of others.
type sideLane struct {
	x, shift int
	edge     func(rect) int
}

// entry is the height at which a lane ends in a box: in its upper part.
func (l sideLane) entry(r rect) int { return r.Y + 14 + l.shift }

// exit is the height at which it begins: in the lower part.
func (l sideLane) exit(r rect) int { return r.bottom() - 12 - l.shift }

// lane takes the next lane of the side that a kind of flow runs on. Lanes are as
// far apart as there is room.
func (d *narrowDrawing) lane(kind string) sideLane {
	l := d.side(kind)
	shift := 6 * l.taken
	l.taken++
	out := 2 + (side-6)*l.taken/max(l.all, 3)
	if kind == "client" {
		return sideLane{side - out, shift, func(r rect) int { return r.X }}
	}
	return sideLane{narrowWidth - side + out, shift, rect.right}
}
