package xray

import (
	"fmt"
	"net/netip"
	"slices"

	"github.com/haplane/haplane/internal/xray/evidence"
)

// movers are programs that move an address from a machine that died to another.
var movers = []string{evidence.KeepalivedProgram, evidence.KubeVIP, "ucarp", "pacemakerd"}

// moverOf is the program on a machine that may move an address there; "" where there is none.
func moverOf(m *evidence.Machine) string {
	for _, name := range movers {
		p := m.Program(name)
		if p != nil && (name != evidence.KubeVIP || !servicesOnly(p)) || name == evidence.KeepalivedProgram && m.Keepalived != nil {
			return name
		}
	}
	return ""
}

// candidates are the machines among which the address that clients use may move: those with a
// load balancer for others, or the control plane where there is none.
func (s *Scene) candidates() []*evidence.Machine {
	var out []*evidence.Machine
	for _, b := range s.sharedBalancers() {
		out = append(out, b.machine)
	}
	if len(out) > 0 {
		return out
	}
	return slices.DeleteFunc(s.ControlPlane(), func(m *evidence.Machine) bool { return m.Way != evidence.API && !lookedInto(m) })
}

func lbAddressMoves(s *Scene) []Finding {
	all := s.candidates()
	with := slices.DeleteFunc(slices.Clone(all), func(m *evidence.Machine) bool { return moverOf(m) == "" })
	var vrrp, vips []*evidence.Machine
	var out []Finding
	for _, m := range with {
		switch name := moverOf(m); name {
		case evidence.KeepalivedProgram:
			vrrp = append(vrrp, m)
		case evidence.KubeVIP:
			vips = append(vips, m)
		default:
			out = append(out, at{node: m.Name, source: m.Program(name).Source()}.skip("the configuration of %s is not read", name))
		}
	}
	if len(with) == 0 && len(all) > 0 {
		return []Finding{at{}.skip("no program that moves an address was seen")}
	}
	out = slices.Concat(out, s.vrrpFindings(vrrp), s.kubeVIPFindings(vips))
	if len(s.sharedBalancers()) == 0 {
		out = append(out, s.withoutMover(with, all)...)
		out = append(out, s.nobodyAt(with)...)
	}
	return append(out, s.emptyHanded()...)
}

// withoutMover are machines that cannot take an address which others of their kind move.
func (s *Scene) withoutMover(with, all []*evidence.Machine) []Finding {
	switch {
	case len(with) == len(all) || len(with) == 0:
		return nil
	case len(with) == 1:
		return s.lonelyMover(with[0], all)
	}
	var out []Finding
	for _, m := range all {
		if !slices.Contains(with, m) && s.moved(with[0]) != nil && m.Program(evidence.APIServer) != nil {
			name := moverOf(with[0])
			out = append(out, at{node: m.Name}.warn(name+", as on "+with[0].Name, "none was seen: this machine does not take the address").
				fixed("Put %s on %s too, with the same address.", name, m.Name))
		}
	}
	return out
}

// emptyHanded are machines that take the address that clients use, and have nothing that listens
// there, while others have a load balancer.
func (s *Scene) emptyHanded() []Finding {
	target, err := netip.ParseAddr(host(s.Endpoint))
	if err != nil || len(s.sharedBalancers()) == 0 {
		return nil
	}
	var out []Finding
	for _, m := range s.WithFiles() {
		server := m.Program(evidence.APIServer) != nil && securePort(m) == portOf(s.Endpoint) && hears(m, target.Unmap())
		if m.LoadBalancer != nil || server || !lookedInto(m) || !slices.Contains(s.moved(m), target.Unmap()) || somebodyListens(m, netip.AddrPortFrom(target.Unmap(), uint16(portOf(s.Endpoint)))) {
			continue
		}
		out = append(out, at{node: m.Name}.fail("a load balancer that listens at "+s.Endpoint+", as the others have",
			fmt.Sprintf("%s moves the address to it, and no load balancer was seen there: clients are refused while it has the address", moverOf(m))).
			fixed("Put the load balancer on %s, or take the address out of what moves it there.", m.Name))
	}
	return out
}

// lonelyMover is on one machine of several: nothing takes the address from it.
func (s *Scene) lonelyMover(m *evidence.Machine, all []*evidence.Machine) []Finding {
	if s.moved(m) == nil {
		return nil
	}
	var others []string
	for _, o := range all {
		if o != m {
			others = append(others, o.Name)
		}
	}
	name := moverOf(m)
	return []Finding{at{node: m.Name}.fail(name+" on all machines that can take the address", "it is on none of "+list(others)).
		fixed("Put %s on %s too, with the same address.", name, list(others))}
}

// moved are the addresses that a machine is configured to move; nil where that is not known.
func (s *Scene) moved(m *evidence.Machine) []netip.Addr {
	if moverOf(m) == evidence.KubeVIP {
		return addresses([]string{kubeVIPAddress(m.Program(evidence.KubeVIP))})
	}
	var out []netip.Addr
	if m.Keepalived != nil {
		for _, v := range m.Keepalived.Instances {
			out = append(out, v.Addresses...)
		}
	}
	return out
}

// lbAddressHeld looks who has the address, of the machines that are configured to move it.
func lbAddressHeld(s *Scene) []Finding {
	target, err := netip.ParseAddr(host(s.Endpoint))
	if err != nil {
		return nil
	}
	var holders, all []string
	for _, m := range s.candidates() {
		if moverOf(m) == "" || !slices.Contains(s.moved(m), target.Unmap()) {
			continue
		}
		if len(m.Addresses) == 0 {
			return []Finding{at{node: m.Name}.skip("the addresses of %s were not seen", m.Name)}
		}
		if all = append(all, m.Name); slices.Contains(m.Addresses, target.Unmap()) {
			holders = append(holders, m.Name)
		}
	}
	expected := "one machine with " + target.String()
	switch {
	case len(all) == 0:
		return nil
	case len(holders) == 0:
		return []Finding{at{}.fail(expected, "none of "+list(all)+" has it")}
	case len(holders) == 1:
		return []Finding{at{}.pass("%s has %s", holders[0], target)}
	}
	var out []Finding
	for _, name := range holders {
		out = append(out, at{node: name}.fail(expected, list(holders)+" have it"))
	}
	return out
}

// moverNames are the programs that move the address, by the machines between which they do by
// their configuration; unknown are those of which it was not seen.
func (s *Scene) moverNames() (good map[string]string, unknown map[string]bool) {
	good, unknown = map[string]string{}, map[string]bool{}
	for _, m := range s.candidates() {
		if name := moverOf(m); name != "" {
			good[m.Name] = name
		}
	}
	for _, f := range lbAddressMoves(s) {
		switch f.Status {
		case Fail:
			delete(good, f.Node)
		case Error, Skip:
			delete(good, f.Node)
			unknown[f.Node] = true
		}
	}
	return good, unknown
}
