package xrayhtml

// The narrow picture, for a phone, is one column. Wires run beside it: on the left
// those of clients and load balancers, on the right those of pods and to etcd.
const (
	narrowWidth = 344
	side        = 30
	column0     = narrowWidth - 2*side
)

type narrowDrawing struct {
	drawing
	*cluster
	left, right lanes
}

func (c *cluster) narrow() drawing {
	groups := c.etcdGroups()
	d := &narrowDrawing{drawing: drawing{Name: "narrow", W: narrowWidth}, cluster: c, right: lanes{all: len(groups)}}
	d.stack()
	for _, f := range c.flows {
		if f.kind != "etcd" {
			d.side(f.kind).all++
		}
	}
	for _, f := range c.flows {
		if f.kind != "etcd" {
			d.wire(f)
		}
	}
	for _, g := range groups {
		d.gather(g)
	}
	return d.drawing
}

// lanes are those of one side.
type lanes struct{ all, taken int }

func (d *narrowDrawing) side(kind string) *lanes {
	if kind == "client" {
		return &d.left
	}
	return &d.right
}

func (d *narrowDrawing) stack() {
	y := 2
	put := func(b box, gap int) { y = d.add(b, side+(column0-b.W)/2, y).bottom() + gap }
	if d.hasClients() {
		put(d.clientsBox(column0), 28)
	}
	if d.hasEndpoint() {
		put(d.endpointBox(column0), 28)
	}
	if d.hasService() {
		put(d.serviceBox(column0), 28)
	}
	for _, col := range d.columns {
		put(d.nodeBox(col, column0, 0), gap)
	}
	for _, m := range d.members {
		put(d.machineBox(m, column0), gap)
	}
	if d.hasEtcd() {
		put(d.peersBox(), gap)
	}
	for _, name := range d.others {
		put(d.otherBox(name, column0), gap)
	}
}

// wire draws a flow: straight where the target is next, else along a side.
func (d *narrowDrawing) wire(f flow) {
	from := d.at(f.from)
	var far []target
	for _, t := range f.to {
		to := d.at(t.id)
		w := wire{From: f.from, To: t.id, Kind: f.kind, State: t.state}
		switch {
		case to.W == 0 || from.W == 0:
			continue
		case t.id == "endpoint" && f.from == "service":
			w.Points = []point{{from.midX() + 40, from.Y}, {from.midX() + 40, to.bottom()}}
		case t.id == "endpoint", t.id == "service" && !d.hasEndpoint():
			w.Points = []point{{from.midX() - 40, from.bottom()}, {from.midX() - 40, to.Y}}
		default:
			far = append(far, t)
			continue
		}
		d.bundle(w)
	}
	if len(far) > 0 {
		d.along(f, far)
	}
}
