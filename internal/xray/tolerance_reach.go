package xray

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/haplane/haplane/internal/xray/evidence"
)

// counts is whether an API server is one that may take over from the others, and why it
// is not although it serves.
func (s *Scene) counts(name string, otherStores []string) (standing, string) {
	state := s.apiServer(name)
	if state != serves {
		return state, ""
	}
	why := s.outOfReach(name)
	if slices.Contains(otherStores, name) {
		why = otherData
	}
	if why != "" {
		return isDown, why
	}
	return serves, ""
}

// otherData is why an API server takes over from nobody.
const otherData = "it keeps other data"

// outOfReach is why clients do not get to an API server; "" where they do, or where
// nothing tells. What load balancers say of it goes before what they are configured for.
// Of several that take over from each other all have to have it; where each node has its
// own, one.
func (s *Scene) outOfReach(name string) string {
	targets, _ := s.targets()
	i := slices.IndexFunc(targets, func(t target) bool { return t.node == name })
	if i < 0 {
		return ""
	}
	local, last := len(s.sharedBalancers()) == 0, ""
	for _, b := range s.unled() {
		if b.Err != "" || stopped(b.machine, b.Kind) || b.onlyOwn() {
			continue
		}
		why := s.unbalanced(b, targets[i], targets)
		if why == "" && local {
			return ""
		}
		if why != "" && !local {
			return why
		}
		last = why
	}
	if last != "" || s.saysUp(targets[i]) {
		return last
	}
	return s.listensElsewhere(name)
}

// onlyOwn tells a proxy in front of the API server beside it alone.
func (b balancer) onlyOwn() bool {
	return len(b.Backends) > 0 && !slices.ContainsFunc(b.Backends, func(x evidence.Backend) bool { return !loopback(x.Address) })
}

// saysUp tells whether a load balancer checks the API server and finds it up.
func (s *Scene) saysUp(t target) bool {
	return slices.ContainsFunc(s.balancers(), func(b balancer) bool {
		return slices.ContainsFunc(b.stateOf(s, t), func(x evidence.Backend) bool { return strings.HasPrefix(x.Status, "UP") })
	})
}

// stateOf is what a load balancer says of the servers that are an API server.
func (b balancer) stateOf(s *Scene, t target) []evidence.Backend {
	var out []evidence.Backend
	for _, x := range b.State {
		address := x.Address
		for _, c := range b.Backends {
			if address == "" && c.Name == x.Name { // HAProxy tells addresses to operators only
				address = c.Address
			}
		}
		if address != "" && t.is(s, b, address) {
			out = append(out, x)
		}
	}
	return out
}

// unbalanced is why a load balancer sends an API server nothing; "" where it does, or may.
func (s *Scene) unbalanced(b balancer, t target, all []target) string {
	state := b.stateOf(s, t)
	for _, x := range state {
		if x.Up() || x.Just {
			return ""
		}
	}
	if len(state) > 0 {
		x := state[0]
		why := fmt.Sprintf("%s has it %s", b.machine.Name, x.Status)
		if x.Detail != "" {
			why += " (" + x.Detail + ")"
		}
		return why
	}
	if len(t.addresses) == 0 || len(b.Backends) == 0 {
		return ""
	}
	for _, x := range b.Backends {
		port := portText(x.Address)
		switch {
		case x.Status == "MAINT":
		case s.unresolved(b, all, x.Address), t.is(s, b, x.Address):
			return "" // it is this one, or may be
		case !t.hosts(s, b, host(x.Address)):
		case port == "" || port == "0" || s.listens(t.node, port):
			return "" // what is there may lead to it
		default:
			return fmt.Sprintf("%s has it under port %s, and it listens on %d", b.machine.Name, port, t.port)
		}
	}
	return b.machine.Name + " does not have it"
}

func (s *Scene) listens(node, port string) bool {
	m := s.Machine(node)
	return m != nil && slices.ContainsFunc(m.Listening, func(l netip.AddrPort) bool { return fmt.Sprint(l.Port()) == port })
}

// listensElsewhere is where an API server listens that listens on loopback addresses alone,
// without a load balancer on its machine. One that is alone, and asked there, is in reach.
func (s *Scene) listensElsewhere(name string) string {
	m := s.Machine(name)
	if m == nil || m.LoadBalancer != nil || loopback(s.Endpoint) {
		return ""
	}
	at := apiListens(m)
	if len(at) == 0 || !allLoopback(at) {
		return ""
	}
	return listensOnly(at)
}
