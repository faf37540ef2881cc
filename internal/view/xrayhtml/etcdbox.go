package xrayhtml

import "github.com/haplane/haplane/internal/xray"

// memberBox is an etcd member.
func (c *cluster) memberBox(m member, width int, bad []count) box {
	b := box{rect: rect{W: width}, ID: m.id, Class: "in store"}
	state := label{Face: "badge", Tone: "dim", Text: m.state()}
	switch m.state() {
	case "leader":
		state.Tone = "lead"
	case "unhealthy", "no answer":
		state.Tone, b.Class = "bad", "in store off"
	case "not asked":
		state.Face, b.Class = "note", "in store dotted"
	case "member":
		state.Text = ""
	}
	s := newStack(&b, 8)
	s.heading("part", "", "etcd", bad, 0, state)
	s.text("mono", "dim", m.Name, label{Face: "mono", Tone: "dim", Text: m.Version})
	s.close()
	return b
}

// machineBox is a machine that has an etcd member and no API server.
func (c *cluster) machineBox(m member, width int) box {
	p := c.parts.get(m.machine())
	own, etcd := splitEtcd(p.Bad())
	b := box{rect: rect{W: width}, Class: "node", Href: p.Anchor, Name: p.Title()}
	if m.Node == "" {
		b.Class = "node ghost"
	}
	s := newStack(&b, 8)
	if m.Node != "" {
		s.heading("name", "", m.Node, tally(own), 0)
	} else {
		etcd = p.Bad()
	}
	s.below(c.memberBox(m, width-16, tally(etcd)), 2)
	s.close()
	return b
}

// innerWire leads from a node's API server to its own etcd member.
func (b *box) innerWire(col column) {
	if col.api == nil || col.etcd == nil {
		return
	}
	from, to := find(b.Inner, col.id), find(b.Inner, col.etcd.id)
	x := from.right() - gutter/2
	state := ""
	if col.etcd.unseen {
		state = presumed
	}
	b.Wires = append(b.Wires, wire{From: from.ID, To: to.ID, Kind: "etcd", State: state, Points: []point{{x, from.bottom()}, {x, to.Y}}})
}

// splitEtcd parts what is about etcd from the rest.
func splitEtcd(findings []xray.Finding) (other, etcd []xray.Finding) {
	for _, f := range findings {
		if f.Subject == xray.Etcd {
			etcd = append(etcd, f)
		} else {
			other = append(other, f)
		}
	}
	return other, etcd
}
