package xray

import (
	"net/netip"
	"slices"

	"github.com/haplane/haplane/internal/xray/evidence"
)

// lbListens compares where a load balancer listens with where clients ask. It fails only on machines
// that have the clients' address, or to which something moves it: what stands before others may
// lead to any port.
func lbListens(s *Scene) []Finding {
	target, err := netip.ParseAddr(host(s.Endpoint))
	if err != nil || loopback(s.Endpoint) {
		return nil
	}
	return s.configured(func(b balancer) []Finding {
		known := append(s.moved(b.machine), b.machine.Addresses...)
		server := b.machine.Program(evidence.APIServer)
		here := slices.Contains(known, target.Unmap())
		expected, observed := "a frontend at "+s.Endpoint+", where kubeconfigs lead", "it listens at "+list(b.Frontends)
		switch {
		case s.leads(b):
			return []Finding{b.at().pass("what %s and its pods send to %s is led to %s", b.machine.Name, s.Endpoint, list(b.Frontends))}
		case s.led(b) && b.machine.Way == evidence.Machines:
			return []Finding{b.at().fail("what "+b.machine.Name+" and its pods send to "+s.Endpoint+" led there", "no rule leads to "+list(b.Frontends)+": they go through the other load balancers").
				fixed("systemctl reload haproxy puts haplane's rules there; nft list table ip haplane-local shows them.")}
		case s.led(b):
			return []Finding{b.at().skip("rules that lead what %s sends to %s are not in a copy", b.machine.Name, s.Endpoint)}
		case len(b.Frontends) == 0 || !here && (len(known) > 0 || !slices.ContainsFunc(b.Frontends, func(f string) bool { return !loopback(f) })):
			return []Finding{b.at().skip("clients ask for %s, which is not known to come to %s", s.Endpoint, b.machine.Name)}
		case server != nil && securePort(b.machine) == portOf(s.Endpoint) && hears(b.machine, target.Unmap()):
			return []Finding{b.at().skip("clients ask for %s, the port of the API server on %s itself", s.Endpoint, b.machine.Name)}
		case b.listensTo(target.Unmap(), portOf(s.Endpoint)) || somebodyListens(b.machine, netip.AddrPortFrom(target.Unmap(), uint16(portOf(s.Endpoint)))):
			return []Finding{b.at().pass("%s", s.Endpoint)}
		case !here: // a folder tells no addresses
			return []Finding{b.at().warn(expected, observed+": clients reach it only if something before it leads there")}
		}
		return []Finding{b.at().fail(expected, observed)}
	})
}

// somebodyListens tells whether a program of a machine has a port on all addresses, or on the one.
func somebodyListens(m *evidence.Machine, at netip.AddrPort) bool {
	return slices.ContainsFunc(m.Listening, func(l netip.AddrPort) bool {
		return l.Port() == at.Port() && (l.Addr().IsUnspecified() || l.Addr().Unmap() == at.Addr())
	})
}

// hears tells whether the API server of a machine listens at an address, or may.
func hears(m *evidence.Machine, a netip.Addr) bool {
	at := apiListens(m)
	return len(at) == 0 || slices.Contains(at, a)
}

// listensTo tells whether a frontend has a port, on all addresses, on the one, or on one that only
// the machine knows.
func (b balancer) listensTo(a netip.Addr, port int) bool {
	return slices.ContainsFunc(b.Frontends, func(f string) bool {
		own, err := netip.ParseAddr(host(f))
		return portOf(f) == port && (err != nil && host(f) != "localhost" || own.Unmap() == a)
	})
}
