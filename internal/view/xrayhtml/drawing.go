package xrayhtml

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// A drawing is a cluster with everything in its place.
type drawing struct {
	Name  string // wide or narrow
	W, H  int
	Title string
	Desc  string
	Boxes []box
	// Bundles are wires that meet; those of others they cross.
	Bundles [][]wire
}

func (d *drawing) bundle(wires ...wire) {
	if len(wires) > 0 {
		d.Bundles = append(d.Bundles, wires)
	}
}

const (
	margin = 8
	gap    = 16
)

// add puts a box at a place and returns it.
func (d *drawing) add(b box, x, y int) rect {
	b.move(x-b.X, y-b.Y)
	d.Boxes = append(d.Boxes, b)
	d.H = max(d.H, b.bottom()+margin)
	return b.rect
}

// at is where a wire to or from an ID ends; the zero box where it is not drawn.
func (d *drawing) at(id string) rect {
	if b := find(d.Boxes, id); b != nil {
		return b.rect
	}
	return rect{}
}

func (d *drawing) has(id string) bool { return find(d.Boxes, id) != nil }

// desc says in words what the picture shows.
func (c *cluster) desc() string {
	var out []string
	say := func(format string, args ...any) { out = append(out, fmt.Sprintf(format, args...)) }
	if c.Endpoint != "" {
		say("Clients reach the API at %s.", c.Endpoint)
	}
	for _, lb := range c.LoadBalancers {
		say("Load balancer %s has %s, %d down.", lb.Node, plural(len(lb.Backends), "backend"), len(lb.Down))
	}
	for _, lb := range c.own {
		say("%s and its pods have a load balancer of their own with %s, %d down.", lb.Node, plural(len(lb.Backends), "backend"), len(lb.Down))
	}
	for _, col := range c.columns {
		say("%s", c.descColumn(col))
	}
	for _, m := range c.members {
		say("etcd member %s on a machine of its own: %s.", m.machine(), m.state())
	}
	if c.ServiceEndpoints != nil {
		say("Endpoints of the kubernetes Service: %s.", cmp.Or(strings.Join(c.ServiceEndpoints, ", "), "none"))
	}
	if n := len(c.workers); n > 0 {
		say("%s.", plural(n, "worker node"))
	}
	return strings.Join(out, " ")
}

func (c *cluster) descColumn(col column) string {
	if col.api == nil {
		return fmt.Sprintf("%s was not seen, but is named as %s.", col.name, strings.Join(col.ghost, " and "))
	}
	var facts []string
	if col.api.Advertised != "" {
		facts = append(facts, "advertises "+col.api.Advertised)
	}
	if col.api.Ready != nil {
		facts = append(facts, either(col.api.Ready, "is ready", "is not ready"))
	}
	for _, lease := range col.leads {
		facts = append(facts, "leads "+lease)
	}
	if col.etcd != nil {
		facts = append(facts, "has an etcd member: "+col.etcd.state())
	}
	if len(facts) == 0 {
		return "Control-plane node " + col.name + "."
	}
	return fmt.Sprintf("Control-plane node %s %s.", col.name, strings.Join(facts, ", "))
}

// peersText sums up the etcd cluster.
func (c *cluster) peersText() string {
	voters, learners := 0, 0
	for _, m := range c.EtcdMembers {
		if m.Learner {
			learners++
		} else {
			voters++
		}
	}
	if voters == 0 && len(c.EtcdMembers) == 0 && c.hasEtcd() {
		return "etcd: members not asked"
	}
	if voters == 0 {
		return ""
	}
	text := fmt.Sprintf("etcd: %s, quorum %d", plural(voters, "voting member"), voters/2+1)
	if learners > 0 {
		text += ", " + plural(learners, "learner")
	}
	return text
}

// allMembers are the boxes of etcd members from left to right, or from the top down.
func (d *drawing) allMembers(c *cluster) []rect {
	var out []rect
	for _, col := range c.columns {
		if col.etcd != nil {
			out = append(out, d.at(col.etcd.id))
		}
	}
	for _, m := range c.members {
		out = append(out, d.at(m.id))
	}
	return slices.DeleteFunc(out, func(r rect) bool { return r.W == 0 })
}

// peersBox says how etcd is as a whole. It is as wide as that takes.
func (c *cluster) peersBox() box {
	p := c.parts.get(wholeEtcd)
	text := or(c.peersText(), "etcd")
	b := box{rect: rect{W: measure("note", text) + widthOf(badgesOf(p.Marks())) + 10}, ID: "peers", Class: "plain", Href: p.Anchor, Name: p.Title()}
	s := newStack(&b, 5)
	s.heading("note", "", text, p.Marks(), 0)
	s.close()
	return b
}

// otherBox is a machine of which nothing was seen but that something is wrong.
func (c *cluster) otherBox(name string, width int) box {
	p := c.parts.get(name)
	b := box{rect: rect{W: width}, Class: "node ghost", Href: p.Anchor, Name: p.Title()}
	s := newStack(&b, pad)
	s.heading("part", "", name, p.Marks(), 0)
	s.text("note", "dim", "nothing to draw was seen")
	s.close()
	return b
}
