package xrayhtml

import (
	"fmt"
	"slices"
	"strings"

	"github.com/haplane/haplane/internal/xray"
)

const (
	mostWorkers  = 8 // more are a count
	chipWidth    = 148
	balancerSize = 190
)

// clientsBox is who uses the API from outside of the control plane: nodes, as far
// as they are known.
func (c *cluster) clientsBox(width int) box {
	b := box{rect: rect{W: width}, ID: "clients", Class: "band"}
	s := newStack(&b, pad)
	if len(c.workers) == 0 {
		s.text("part", "", "Clients", label{Face: "note", Tone: "dim", Text: "kubectl, kubelets, pods"})
		s.close()
		return b
	}
	s.text("part", "", "Worker nodes", label{Face: "note", Tone: "dim", Text: "kubelets and pods"})
	chips := c.chips()
	perRow := max(1, (width-2*pad+8)/(chipWidth+8))
	for row := range slices.Chunk(chips, perRow) {
		s.row(row)
	}
	s.close()
	return b
}

// chips are the workers, or one for all where they are many.
func (c *cluster) chips() []box {
	if len(c.workers) > mostWorkers {
		return []box{c.manyChip()}
	}
	var out []box
	for _, n := range c.workers {
		out = append(out, c.chip(c.parts.get(n.Name), n.Name, either(n.Ready, "ready", "not ready"), n.Ready != nil && !*n.Ready, c.detour(n)))
	}
	return out
}

// detour is where a node's kubelet goes if not to the endpoint, and the pods of one that has a load balancer of its own.
func (c *cluster) detour(n xray.PictureNode) string {
	for _, lb := range c.own {
		if lb.Node == n.Name {
			return ownBalancer(lb)
		}
	}
	if n.Server == "" || c.Endpoint == "" || c.usesEndpoint(n.Server) {
		return ""
	}
	return "→ " + hostPort(n.Server)
}

func ownBalancer(lb xray.PictureLoadBalancer) string {
	if len(lb.Down) > 0 {
		return fmt.Sprintf("own load balancer, %d of %d down", len(lb.Down), len(lb.Backends))
	}
	return "own load balancer"
}

func (c *cluster) chip(p *part, name, state string, bad bool, detour string) box {
	b := box{rect: rect{W: chipWidth}, Class: "in", Href: p.Anchor, Name: p.Title()}
	s := newStack(&b, 8)
	s.heading("part", "", name, p.Marks(), 0)
	face, tone := "note", "good"
	if bad {
		face, tone, b.Class = "badge", "bad", "in off"
	}
	if detour != "" {
		s.text("mono", "dim", detour)
	}
	if state != "" {
		s.text(face, tone, state)
	}
	s.close()
	return b
}

func (c *cluster) manyChip() box {
	unready := 0
	for _, n := range c.workers {
		if n.Ready != nil && !*n.Ready {
			unready++
		}
	}
	state := "all ready"
	if unready > 0 {
		state = fmt.Sprintf("%d not ready", unready)
	} else if slices.ContainsFunc(c.workers, func(n xray.PictureNode) bool { return n.Ready == nil }) {
		state = ""
	}
	detour := ""
	if len(c.own) > 0 {
		detour = fmt.Sprintf("%d with their own LB", len(c.own))
	}
	return c.chip(c.parts.get(manyWorkers), plural(len(c.workers), "node"), state, unready > 0, detour)
}

// endpointBox is the address that clients use, with the load balancers that have it.
func (c *cluster) endpointBox(width int) box {
	p := c.parts.get(loadBalancing)
	b := box{rect: rect{W: width}, ID: "endpoint", Class: "me", Href: p.Anchor, Name: p.Title()}
	s := newStack(&b, pad)
	s.heading("id", "me", or(c.Endpoint, "load balancer"), p.Marks(), 0)
	if len(c.LoadBalancers) == 0 {
		b.Class = "me dotted"
		s.text("note", "dim", "load balancer, not looked into")
		s.close()
		return b
	}
	perRow := min(max(1, (width-2*pad+8)/(balancerSize+8)), len(c.LoadBalancers))
	each := (width-2*pad+8)/perRow - 8
	var all []box
	for i, lb := range c.LoadBalancers {
		all = append(all, c.balancerBox(i, lb, each))
	}
	for row := range slices.Chunk(all, perRow) {
		s.row(row)
	}
	s.close()
	return b
}

func (c *cluster) balancerBox(i int, lb xray.PictureLoadBalancer, width int) box {
	p := c.parts.get(lb.Node)
	b := box{rect: rect{W: width}, ID: fmt.Sprintf("lb-%d", i), Class: "in", Href: p.Anchor, Name: p.Title()}
	s := newStack(&b, 8)
	s.heading("name", "", lb.Node, p.Marks(), 0, label{Face: "note", Tone: "dim", Text: lb.Kind})
	s.text("mono", "dim", "listens "+strings.Join(lb.Frontends, " "))
	if len(lb.Down) > 0 {
		s.text("note", "", plural(len(lb.Backends), "backend"), label{Face: "badge", Tone: "bad", Text: fmt.Sprintf("%d down", len(lb.Down))})
	} else {
		s.text("note", "", plural(len(lb.Backends), "backend"))
	}
	s.close()
	return b
}

// serviceBox is the kubernetes Service with its endpoints.
func (c *cluster) serviceBox(width int) box {
	p := c.parts.get(theService)
	b := box{rect: rect{W: width}, ID: "service", Class: "svc", Href: p.Anchor, Name: p.Title()}
	s := newStack(&b, pad)
	s.heading("part", "", "Service kubernetes", p.Marks(), 0)
	if c.ServiceIP != "" {
		s.text("mono", "dim", c.ServiceIP)
	}
	switch n := len(c.ServiceEndpoints); {
	case c.ServiceEndpoints == nil:
	case n == 0:
		s.text("badge", "bad", "no endpoints")
	default:
		s.text("note", "dim", "endpoints")
	}
	const most = 5
	shown := c.ServiceEndpoints
	if len(shown) > most {
		shown = shown[:most-1]
	}
	for _, e := range shown {
		tone := ""
		if e == hostOf(c.Endpoint) && c.hasEndpoint() {
			tone = "me"
		}
		s.text("mono", tone, e)
	}
	if rest := len(c.ServiceEndpoints) - len(shown); rest > 0 {
		s.text("note", "dim", fmt.Sprintf("and %d more", rest))
	}
	s.close()
	return b
}

func or(text, otherwise string) string {
	if text == "" {
		return otherwise
	}
	return text
}
