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
		server := m.Program(evidence.APIServer) != nil && securePort(m) == portOf(s.Endpoint)
		if m.LoadBalancer != nil || server || !lookedInto(m) || !slices.Contains(s.moved(m), target.Unmap()) || listensAt(m, s.Endpoint) {
			continue
		}
		out = append(out, at{node: m.Name}.fail("a load balancer that listens at "+s.Endpoint+", as the others have",
			fmt.Sprintf("%s moves the address to it, and no load balancer was seen there: clients are refused while it has the address", moverOf(m))).
			fixed("Put the load balancer on %s, or take the address out of what moves it there.", m.Name))
	}
	return out
}

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
