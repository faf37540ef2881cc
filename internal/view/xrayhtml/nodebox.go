package xrayhtml

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/haplane/haplane/internal/xray"
)

const (
	pad    = 10
	gutter = 14 // inside a node, for the wire from its API server to its etcd member
)

// nodeBox is a control-plane node. In its heading, the room of lanes is left for
// wires that come from above.
func (c *cluster) nodeBox(col column, width, lanes int) box {
	p := c.parts.get(col.name)
	b := box{rect: rect{W: width}, ID: "at " + col.id, Class: "node", Href: p.Anchor, Name: p.Title()}
	if col.api == nil {
		b.Class = "node ghost"
	}
	s := newStack(&b, pad)
	own, etcd := splitEtcd(p.Bad())
	if col.etcd == nil {
		own = p.Bad()
	}
	s.heading("name", "", col.name, tally(own), lanes)
	if col.api == nil {
		s.ghost(col)
	} else {
		s.shorter(lanes, func() { s.text("mono", "dim", someOf(col.api.Addresses)) })
		s.below(c.apiBox(col, width-2*pad), 6)
		s.y += 5
		c.programs(s, col)
	}
	if col.etcd != nil {
		s.below(c.memberBox(*col.etcd, width-2*pad, tally(etcd)), 6)
	}
	s.close()
	b.innerWire(col)
	return b
}

// shorter writes with less room on the right.
func (s *stack) shorter(by int, write func()) {
	s.W -= by
	write()
	s.W += by
}

// ghost says who names a node that was not seen.
func (s *stack) ghost(col column) {
	b := box{rect: rect{W: s.W - 2*pad}, ID: col.id, Class: "in ghost"}
	in := newStack(&b, 8)
	in.text("part", "", "not seen")
	for _, as := range col.ghost {
		in.text("note", "dim", as)
	}
	in.close()
	s.y += line // where others have their addresses
	s.below(b, 6)
}

// programs are what else runs on a node, and what it leads.
func (c *cluster) programs(s *stack, col column) {
	for _, name := range col.elected() {
		var lead []label
		if slices.Contains(col.leads, name) {
			lead = []label{{Face: "badge", Tone: "lead", Text: "leader"}}
		}
		s.shorter(gutter, func() { s.text("note", "", strings.TrimPrefix(name, "kube-"), lead...) })
	}
	if col.kubelet != "" {
		to := cmp.Or(xray.HostPort(col.kubelet), col.kubelet)
		if c.hasEndpoint() && to == c.Endpoint {
			to = "load balancer"
		}
		s.shorter(gutter, func() { s.text("note", "", "kubelet → "+to) })
	}
}

// elected are the programs of a node that elect a leader.
func (col column) elected() []string {
	out := slices.Clone(col.api.Elected)
	for _, name := range col.leads {
		if !slices.Contains(out, name) {
			out = append(out, name)
		}
	}
	return out
}

// someOf is the first of values, and how many more there are.
func someOf(values []string) string {
	if len(values) < 2 {
		return strings.Join(values, "")
	}
	return fmt.Sprintf("%s +%d", values[0], len(values)-1)
}
