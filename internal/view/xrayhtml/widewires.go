package xrayhtml

import "slices"

// route draws the flows. What goes from one row to the next goes down to a lane,
// along it, and down to each of its targets.
func (d *wideDrawing) route() {
	lane := 0
	for _, f := range d.flows {
		if len(d.nodesOf(f)) > 0 && d.has(f.from) {
			d.fan(f, lane)
			lane++
		}
		d.direct(f)
	}
	for i, g := range d.etcdGroups() {
		d.gather(g, i)
	}
	d.peers()
}

// direct draws the wires between the upper rows: from clients down, from the
// Service to the endpoint on its left.
func (d *wideDrawing) direct(f flow) {
	for _, t := range f.to {
		from, to := d.at(f.from), d.at(t.id)
		w := wire{From: f.from, To: t.id, Kind: f.kind, State: t.state}
		switch {
		case t.id == "endpoint" && f.from == "service":
			y := min(from.Y+30, to.Y+30)
			w.Points = []point{{from.X, y}, {to.right(), y}}
		case t.id == "endpoint", t.id == "service":
			w.Points = []point{{to.midX(), from.bottom()}, {to.midX(), to.Y}}
		default:
			continue
		}
		d.bundle(w)
	}
}

// fan leads from one box to nodes below. The lowest lane is of those that start
// rightmost, so that fewer wires cross.
func (d *wideDrawing) fan(f flow, lane int) {
	y := d.at("at node-0").Y - 16 - laneHeight*(d.lanes-1-lane)
	start, nodes := d.startOf(f), d.nodesOf(f)
	lo, hi := start.X, start.X
	var drops []wire
	for _, t := range nodes {
		x := d.entry(t.id, lane)
		lo, hi = min(lo, x), max(hi, x)
		drops = append(drops, wire{From: f.from, To: t.id, Kind: f.kind, State: t.state, Points: []point{{x, y}, {x, d.at(t.id).Y}}})
	}
	trunk := wire{From: f.from, Kind: f.kind, State: trunkState(nodes)}
	along := trunk
	trunk.Points, along.Points = []point{start, {start.X, y}}, []point{{lo, y}, {hi, y}}
	d.bundle(append([]wire{trunk, along}, drops...)...)
}

// trunkState is that of what all targets share.
func trunkState(to []target) string {
	if slices.ContainsFunc(to, func(t target) bool { return t.state != presumed }) {
		return ""
	}
	return presumed
}

// startOf is where a fan leaves its box. That of clients passes the endpoint on its left.
func (d *wideDrawing) startOf(f flow) point {
	from := d.at(f.from)
	x := from.midX()
	if f.from == "clients" {
		x = d.at("at node-0").midX()
		if e := d.at("endpoint"); e.W > 0 {
			x = e.X - 24
		}
		if s := d.at("service"); s.W > 0 {
			x = min(x, s.X-24)
		}
	}
	return point{x, from.bottom()}
}

// entry is where a lane ends in a node.
func (d *wideDrawing) entry(id string, lane int) (x int) {
	return d.at(id).right() - 12 - 16*(d.lanes-1-lane)
}

// etcdGroups are flows to members that several API servers share.
func (c *cluster) etcdGroups() []flow {
	var out []flow
	for _, f := range c.flows {
		if f.kind == "etcd" && !slices.ContainsFunc(out, func(o flow) bool { return slices.Equal(o.to, f.to) }) {
			out = append(out, f)
		}
	}
	return out
}

// gather leads from all nodes that ask the same members down to these.
func (d *wideDrawing) gather(g flow, lane int) {
	y := d.at("at node-0").bottom() + 16 + laneHeight*lane
	lo, hi := d.W, 0
	var wires []wire
	for _, f := range d.flows {
		if f.kind != "etcd" || !slices.Equal(f.to, g.to) {
			continue
		}
		from := d.at(f.from)
		x := from.right() - gutter/2
		lo, hi = min(lo, x), max(hi, x)
		wires = append(wires, wire{From: f.from, Kind: "etcd", Points: []point{{x, from.bottom()}, {x, y}}})
	}
	for _, t := range g.to {
		to := d.at(t.id)
		x := to.midX() + 12*lane
		lo, hi = min(lo, x), max(hi, x)
		wires = append(wires, wire{From: g.from, To: t.id, Kind: "etcd", State: t.state, Points: []point{{x, y}, {x, to.Y}}})
	}
	d.bundle(append(wires, wire{From: g.from, Kind: "etcd", Points: []point{{lo, y}, {hi, y}}})...)
}

// peers joins the etcd members of the lowest row that has any.
func (d *wideDrawing) peers() {
	members := d.allMembers(d.cluster)
	if len(members) < 2 {
		return
	}
	bottom := 0
	for _, m := range members {
		bottom = max(bottom, m.bottom())
	}
	members = slices.DeleteFunc(members, func(m rect) bool { return m.bottom() < bottom })
	like := wire{From: "peers", Kind: "peers"}
	if len(d.EtcdMembers) == 0 {
		like.State = presumed
	}
	y := d.at("peers").Y - 6
	var wires []wire
	for _, m := range members {
		like.Points = []point{{m.midX(), m.bottom()}, {m.midX(), y}}
		wires = append(wires, like)
	}
	like.Points = []point{{members[0].midX(), y}, {members[len(members)-1].midX(), y}}
	d.bundle(append(wires, like)...)
}
