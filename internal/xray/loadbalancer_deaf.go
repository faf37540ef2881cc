package xray

import (
	"fmt"
	"net/netip"
	"slices"

	"github.com/haplane/haplane/internal/xray/evidence"
)

// nobodyAt are control-plane machines that take the address that clients use, have no load balancer,
// and an API server that does not listen there. In a copy the load balancer beside keepalived may be what was left out.
func (s *Scene) nobodyAt(machines []*evidence.Machine) []Finding {
	target, err := netip.ParseAddr(host(s.Endpoint))
	var out []Finding
	for _, m := range machines {
		why := s.deafAt(m, target.Unmap())
		if err != nil || why == "" || balances(m) || !slices.Contains(s.moved(m), target.Unmap()) {
			continue
		}
		status := Fail
		if m.Way == evidence.Folder && moverOf(m) != evidence.KubeVIP {
			status = Warn
		}
		out = append(out, at{node: m.Name, source: m.Program(evidence.APIServer).Source()}.judge(false, status, "an API server or a load balancer that listens at "+s.Endpoint,
			fmt.Sprintf("%s moves the address to it, no load balancer was seen there, and the API server listens elsewhere: %s", moverOf(m), why)).
			fixed("Put a load balancer on %s that listens at %s, or give clients the port and the API server the addresses at which it is to be reached.", m.Name, s.Endpoint))
	}
	return out
}

// balances tells a machine on which something may take what clients send, and give it to API servers.
func balances(m *evidence.Machine) bool {
	p := m.Program(evidence.KubeVIP)
	return m.LoadBalancer != nil || len(m.Unbalancing) > 0 || m.Program(evidence.HAProxy) != nil || m.Program(evidence.Nginx) != nil ||
		p != nil && (isOn(p, "lb_enable") || kubeVIPSetting(p, "config_file") != "")
}

// deafAt is why the API server of a machine does not hear what clients send to an address that
// comes to it; "" where it does, or something else listens there.
func (s *Scene) deafAt(m *evidence.Machine, target netip.Addr) string {
	p := m.Program(evidence.APIServer)
	if p == nil || m.Way == evidence.API {
		return ""
	}
	if port := securePort(m); port != portOf(s.Endpoint) {
		if listensAt(m, s.Endpoint) {
			return ""
		}
		return fmt.Sprintf("--secure-port=%d", port)
	}
	if at := apiListens(m); len(at) > 0 && !slices.Contains(at, target) {
		return listensOnly(at)
	}
	return ""
}

func listensOnly(at []netip.Addr) string { return fmt.Sprintf("it listens on %s only", list(at)) }

// apiListens are the addresses on which the API server of a machine listens: those that were
// seen at its port, or the one that it is told. None where it listens on all, or that is not known.
func apiListens(m *evidence.Machine) []netip.Addr {
	p := m.Program(evidence.APIServer)
	if p == nil {
		return nil
	}
	var out []netip.Addr
	for _, l := range m.Listening {
		if int(l.Port()) == securePort(m) && !slices.Contains(out, l.Addr().Unmap()) && !isFrontend(m, l) {
			out = append(out, l.Addr().Unmap())
		}
	}
	if len(out) == 0 {
		out = addresses([]string{p.FlagOr("bind-address", "")})
	}
	if slices.ContainsFunc(out, netip.Addr.IsUnspecified) {
		return nil
	}
	return out
}

// isFrontend tells whether the load balancer of a machine listens at just this address and port.
func isFrontend(m *evidence.Machine, at netip.AddrPort) bool {
	own := netip.AddrPortFrom(at.Addr().Unmap(), at.Port())
	return m.LoadBalancer != nil && slices.ContainsFunc(m.LoadBalancer.Frontends, func(f string) bool {
		a, err := netip.ParseAddrPort(f)
		return err == nil && !a.Addr().IsUnspecified() && netip.AddrPortFrom(a.Addr().Unmap(), a.Port()) == own
	})
}

// unheard is why nobody hears what a load balancer sends to an API server at an address; "" where
// somebody does, or may: another load balancer on its machine, or what a check found up.
func (s *Scene) unheard(b balancer, t target, address string) string {
	m := s.Machine(t.node)
	if m == nil || s.saysUp(t) {
		return ""
	}
	at := apiListens(m)
	a, err := netip.ParseAddr(host(address))
	switch {
	case len(at) == 0, slices.Contains(at, a.Unmap()):
		return ""
	case err != nil && (b.machine == m || !allLoopback(at)): // what a name leads to is not known, but for loopback abroad
		return ""
	case m.LoadBalancer != nil && b.machine != m && (balancer{m.LoadBalancer, m}).listensTo(a.Unmap(), t.port):
		return ""
	}
	return listensOnly(at)
}

func allLoopback(at []netip.Addr) bool {
	return !slices.ContainsFunc(at, func(a netip.Addr) bool { return !a.IsLoopback() })
}
