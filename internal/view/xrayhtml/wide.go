package xrayhtml

import "slices"

// The wide picture has rows: clients, their endpoint and the Service, control-plane
// nodes, etcd on machines of its own, and machines of which little is known. Wires
// between two rows run in lanes of their own height.
const (
	pageWidth   = 1064
	leastNode   = 176
	mostNode    = 252
	leastMember = 140
	serviceW    = 214
	laneHeight  = 14
)

type wideDrawing struct {
	drawing
	*cluster
	node  int // width of a control-plane node
	lanes int // that end at control-plane nodes
}

func (c *cluster) wide() drawing {
	d := &wideDrawing{drawing: drawing{Name: "wide", H: margin}, cluster: c, lanes: c.lanesToNodes()}
	n := max(len(c.columns), 1)
	d.node = min(max((pageWidth-2*margin-(n-1)*gap)/n, leastNode), mostNode)
	d.W = max(n*d.node+(n-1)*gap, len(c.members)*(leastMember+gap)-gap, d.topWidth(), 5*chipWidth) + 2*margin
	d.topRows()
	d.nodeRow()
	d.etcdRow()
	d.otherRow()
	d.route()
	d.drawing.H += margin
	return d.drawing
}

// lanesToNodes counts flows that end at control-plane nodes.
func (c *cluster) lanesToNodes() int {
	n := 0
	for _, f := range c.flows {
		if len(c.nodesOf(f)) > 0 {
			n++
		}
	}
	return n
}

// nodesOf are those targets of a flow that are control-plane nodes.
func (c *cluster) nodesOf(f flow) []target {
	var out []target
	for _, t := range f.to {
		if slices.ContainsFunc(c.columns, func(col column) bool { return t.id == col.id }) {
			out = append(out, t)
		}
	}
	return out
}

func (d *wideDrawing) endpointWidth() int {
	if !d.hasEndpoint() {
		return 0
	}
	n := max(len(d.LoadBalancers), 1)
	return max(n*balancerSize+(n-1)*8+2*pad, min(measure("id", d.Endpoint), 300)+2*pad+60)
}

const (
	besides = 64 // between the endpoint and the Service
	roundIt = 32 // left of the endpoint, for clients that go round it
)

func (d *wideDrawing) topWidth() int {
	w := d.endpointWidth()
	if d.hasService() {
		w += besides + serviceW
	}
	return w + roundIt
}

// topRows are the clients, and below them the endpoint, in the middle if there is
// room, and the Service at the right.
func (d *wideDrawing) topRows() {
	y := margin
	if d.hasClients() {
		y = d.add(d.clientsBox(d.W-2*margin), margin, y).bottom() + 40
	}
	w := d.endpointWidth()
	if w > 0 {
		x := (d.W - w) / 2
		if d.hasService() {
			x = min(x, d.W-margin-serviceW-besides-w)
		}
		d.add(d.endpointBox(w), x, y)
	}
	if d.hasService() {
		d.add(d.serviceBox(serviceW), d.W-margin-serviceW, y)
	}
}

// nodeRow has the nodes equally high, with their etcd members in line.
func (d *wideDrawing) nodeRow() {
	if len(d.columns) == 0 {
		return
	}
	y := d.H - margin
	if y > margin {
		y += 30 + laneHeight*max(d.lanes, 1)
	}
	width := len(d.columns)*d.node + (len(d.columns)-1)*gap
	x := (d.W - width) / 2
	var boxes []box
	for _, col := range d.columns {
		boxes = append(boxes, d.nodeBox(col, d.node, 16*d.lanes))
	}
	d.align(boxes)
	for i, b := range boxes {
		d.add(b, x+i*(d.node+gap), y)
	}
}

func (d *wideDrawing) align(boxes []box) {
	lowest, height := 0, 0
	for i, col := range d.columns {
		if col.etcd != nil {
			lowest = max(lowest, find(boxes[i].Inner, col.etcd.id).Y)
		}
	}
	for i, col := range d.columns {
		if col.etcd != nil {
			etcd := find(boxes[i].Inner, col.etcd.id)
			by := lowest - etcd.Y
			etcd.move(0, by)
			boxes[i].H += by
			for _, w := range boxes[i].Wires {
				w.Points[len(w.Points)-1].Y += by
			}
		}
		height = max(height, boxes[i].H)
	}
	for i := range boxes {
		boxes[i].H = height
	}
}

func (d *wideDrawing) etcdRow() {
	if len(d.members) > 0 {
		n := len(d.members)
		width := min(max((d.W-2*margin-(n-1)*gap)/n, leastMember), 200)
		y := d.H - margin + 30 + laneHeight*max(len(d.etcdGroups()), 1)
		x := (d.W - n*width - (n-1)*gap) / 2
		for i, m := range d.members {
			d.add(d.machineBox(m, width), x+i*(width+gap), y)
		}
	}
	if d.hasEtcd() {
		b := d.peersBox()
		d.add(b, (d.W-b.W)/2, d.H-margin+26)
	}
}

func (d *wideDrawing) otherRow() {
	const width = 200
	perRow := max(1, (d.W-2*margin+gap)/(width+gap))
	y := d.H - margin + gap
	for i, name := range d.others {
		d.add(d.otherBox(name, width), margin+i%perRow*(width+gap), y+i/perRow*70)
	}
}
