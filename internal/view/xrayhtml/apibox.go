package xrayhtml

import (
	"fmt"
	"net/netip"
	"strings"

	"github.com/haplane/haplane/internal/xray"
)

// apiBox is an API server: who it claims to be.
func (c *cluster) apiBox(col column, width int) box {
	a := col.api
	b := box{rect: rect{W: width}, ID: col.id, Class: "in api"}
	s := newStack(&b, 8)
	state := label{Face: "note", Tone: "good", Text: either(a.Ready, "ready", "not ready")}
	switch {
	case col.unseen:
		state, b.Class = label{Face: "note", Tone: "dim", Text: "not looked into"}, "in api dotted"
	case a.Ready != nil && !*a.Ready:
		state.Face, state.Tone, b.Class = "badge", "bad", "in api off"
	}
	s.text("part", "", "API server", state)
	if a.Advertised != "" {
		tone := ""
		if a.Advertised == hostOf(c.Endpoint) && c.hasEndpoint() {
			tone = "me"
		}
		x := s.put("note", "dim", "advertises", s.X+8, s.W)
		s.put("mono", tone, a.Advertised, x+5, s.right()-8-x-5)
		s.y += line
	}
	if len(a.Names) > 0 {
		s.text("note", "dim", "certificate for", label{Face: "mono", Tone: "dim", Text: a.Fingerprint[:min(8, len(a.Fingerprint))]})
		c.names(s, a)
	}
	s.close()
	return b
}

// names are those of a serving certificate that tell something: the usual ones are
// counted.
func (c *cluster) names(s *stack, a *xray.PictureAPIServer) {
	const most = 4
	var telling []string
	for _, n := range a.Names {
		if !usual(n) && n != c.ServiceIP {
			telling = append(telling, n)
		}
	}
	rest := len(a.Names) - len(telling)
	if len(telling) > most {
		rest += len(telling) - most + 1
		telling = telling[:most-1]
	}
	for _, n := range telling {
		tone := ""
		if n == hostOf(c.Endpoint) && c.hasEndpoint() {
			tone = "me"
		}
		s.shorter(-4, func() { s.put("mono", tone, n, s.X+16, s.W-28) })
		s.y += line - 2
	}
	if rest > 0 {
		s.put("note", "dim", fmt.Sprintf("and %s", plural(rest, "other name")), s.X+16, s.W-24)
		s.y += line
	}
}

// usual are the names that every serving certificate has.
func usual(name string) bool {
	a, err := netip.ParseAddr(name)
	return name == "localhost" || name == "kubernetes" || strings.HasPrefix(name, "kubernetes.default") || err == nil && a.IsLoopback()
}
