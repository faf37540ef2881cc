package xray

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"github.com/haplane/haplane/internal/xray/evidence"
)

// A vrrp is the instance of a machine that moves the address.
type vrrp struct {
	evidence.VRRP
	m *evidence.Machine
}

func (v vrrp) at() at { return at{v.m.Name, v.m.Keepalived.Path} }

func (s *Scene) vrrpFindings(machines []*evidence.Machine) []Finding {
	var out []Finding
	var read []*evidence.Machine
	for _, m := range machines {
		if f, ok := unreadVRRP(m); ok {
			out = append(out, f)
		} else {
			read = append(read, m)
		}
	}
	target, ok := s.movedTarget(read)
	if !ok {
		return append(out, s.noTarget(read)...)
	}
	var group []vrrp
	for _, m := range read {
		i := slices.IndexFunc(m.Keepalived.Instances, func(v evidence.VRRP) bool { return v.Has(target) })
		if i < 0 {
			out = append(out, at{m.Name, m.Keepalived.Path}.fail("a vrrp_instance that moves "+target.String(), "it moves "+list(s.moved(m))))
			continue
		}
		group = append(group, vrrp{m.Keepalived.Instances[i], m})
	}
	for i, v := range group {
		found := slices.Concat(s.vrrpAlone(v), s.vrrpTogether(v, slices.Delete(slices.Clone(group), i, i+1), group[0]))
		out = append(out, orPass(found, v.at(), "VRRP %d moves %s, priority %d; passwords are not compared", v.RouterID, target, v.Priority)...)
	}
	return out
}

// unreadVRRP is about a configuration that is not there, or was not read.
func unreadVRRP(m *evidence.Machine) (Finding, bool) {
	k := m.Keepalived
	if k == nil {
		return at{node: m.Name, source: m.Program(evidence.KeepalivedProgram).Source()}.skip("what keepalived moves was not seen"), true
	}
	where := at{m.Name, k.Path}
	p := m.Program(evidence.KeepalivedProgram)
	switch {
	case k.Err == evidence.NoSuchFile:
		return where.fail("a vrrp_instance that moves the address", "keepalived has no configuration"), true
	case k.Err != "":
		return where.unseen("what keepalived moves: " + k.Err), true
	case len(k.Notes) > 0 && len(k.Instances) == 0:
		return where.skip("%s", list(k.Notes)), true
	case len(k.Instances) == 0:
		return where.fail("a vrrp_instance that moves the address", "no vrrp_instance is configured"), true
	case p != nil && stopped(m, p.Name):
		return where.fail("keepalived running", "it does not run").fixed("systemctl enable --now keepalived on %s, and see its log.", m.Name), true
	}
	return Finding{}, false
}

// movedTarget is the address to judge by: the one that clients use, or, where they use a name, one that
// all of the machines move. It is none of ours where only control-plane machines move others.
func (s *Scene) movedTarget(machines []*evidence.Machine) (netip.Addr, bool) {
	if a, err := netip.ParseAddr(host(s.Endpoint)); err == nil {
		moves := slices.ContainsFunc(machines, func(m *evidence.Machine) bool { return slices.Contains(s.moved(m), a.Unmap()) })
		return a.Unmap(), moves || len(s.sharedBalancers()) > 0
	}
	if len(machines) == 0 {
		return netip.Addr{}, false
	}
	for _, a := range s.moved(machines[0]) {
		if !slices.ContainsFunc(machines, func(m *evidence.Machine) bool { return !slices.Contains(s.moved(m), a) }) {
			return a, true
		}
	}
	return netip.Addr{}, false
}

// noTarget says why an address is not judged, or that machines move different ones.
func (s *Scene) noTarget(machines []*evidence.Machine) []Finding {
	var out []Finding
	_, err := netip.ParseAddr(host(s.Endpoint))
	for _, m := range machines {
		where, moves := at{m.Name, m.Keepalived.Path}, list(s.moved(m))
		switch {
		case err == nil:
			out = append(out, where.skip("it moves %s, and clients reach the API at %s, which is on no machine that was looked at", moves, s.Endpoint))
		case len(machines) > 1:
			out = append(out, where.fail("one address that all machines move", "it moves "+moves))
		}
	}
	return out
}

// vrrpAlone judges an instance by itself.
func (s *Scene) vrrpAlone(v vrrp) []Finding {
	var out []Finding
	if v.Interface != "" && v.m.Interfaces != nil && !slices.Contains(v.m.Interfaces, v.Interface) {
		out = append(out, v.at().fail("an interface that the machine has: "+list(v.m.Interfaces), "interface "+v.Interface))
	}
	if v.Interface == "" {
		out = append(out, v.at().warn("the interface on which it speaks", "vrrp_instance "+v.Name+" names none: keepalived takes eth0, or does not start"))
	}
	if v.RouterID < 1 || v.RouterID > 255 {
		out = append(out, v.at().fail("virtual_router_id from 1 to 255", fmt.Sprintf("virtual_router_id %d", v.RouterID)))
	}
	if heard := v.m.Keepalived.Strangers; heard != "" {
		out = append(out, v.at().warn(fmt.Sprintf("nobody else on the network speaks VRRP %d", v.RouterID), "keepalived does not heed it, and says: "+heard).
			fixed("Find who sends it (tcpdump -ni %s 'ip proto 112 or ip6 proto 112'), and give that another virtual_router_id.", cmp.Or(v.Interface, "eth0")))
	}
	if len(v.Tracks) == 0 {
		observed := "no track_script and no track_process"
		if len(v.Undefined) > 0 {
			observed = "it tracks " + list(v.Undefined) + ", defined nowhere"
		}
		out = append(out, v.at().warn("the load balancer's process or answer is tracked", observed+": a load balancer that died keeps the address").
			fixed("Add a vrrp_script that asks the load balancer, and name it in track_script of vrrp_instance %s.", v.Name))
	}
	return out
}

// vrrpTogether compares an instance with the others of the address, of which the first is the model.
func (s *Scene) vrrpTogether(v vrrp, others []vrrp, model vrrp) []Finding {
	var out []Finding
	differs := func(what string, mine, its any) {
		if mine != its && v.m != model.m {
			out = append(out, v.at().fail(fmt.Sprintf("%s %v, as on %s", what, its, model.m.Name), fmt.Sprintf("%s %v: each takes the other for dead, and both have the address", what, mine)))
		}
	}
	differs("virtual_router_id", v.RouterID, model.RouterID)
	differs("auth_type", orNoneText(v.Auth), orNoneText(model.Auth))
	differs("version", v.Version, model.Version)
	if v.Version == model.Version && v.Version == 2 { // of version 3 the backup takes over the master's
		differs("advert_int", v.Interval.Round(time.Second), model.Interval.Round(time.Second))
	}
	differs("advertisements by", transport(v), transport(model))
	if v.m != model.m && !sameAddresses(v.Addresses, model.Addresses) {
		out = append(out, v.at().warn("the addresses that "+model.m.Name+" moves: "+list(model.Addresses), list(v.Addresses)))
	}
	for _, o := range others {
		if s.isNoPeer(v, o) {
			out = append(out, v.at().fail("a unicast_peer that is "+o.m.Name, "unicast_peer "+list(v.Peers)+": "+o.m.Name+" does not hear of it, and takes the address"))
		}
	}
	return append(out, stays(v, others)...)
}

func transport(v vrrp) string {
	if v.Peers == nil {
		return "multicast"
	}
	return "unicast"
}

func orNoneText(text string) string {
	if text == "" {
		return "none"
	}
	return text
}

func sameAddresses(a, b []netip.Addr) bool {
	sort := func(all []netip.Addr) []netip.Addr { return slices.SortedFunc(slices.Values(all), netip.Addr.Compare) }
	return slices.Equal(sort(a), sort(b))
}

// isNoPeer tells that an instance does not speak to another machine.
func (s *Scene) isNoPeer(v, o vrrp) bool {
	known := s.addressesOf(o.m)
	if o.Source.IsValid() {
		known = append(known, o.Source)
	}
	return v.Peers != nil && len(known) > 0 && !slices.ContainsFunc(v.Peers, func(p netip.Addr) bool { return slices.Contains(known, p) })
}

// stays warns of a script whose failure does not bring the priority below that of another machine.
func stays(v vrrp, others []vrrp) []Finding {
	var out []Finding
	for _, t := range v.Tracks {
		failed := v.best()
		if t.Weight != 0 {
			failed -= max(t.Weight, -t.Weight)
		}
		lower := slices.ContainsFunc(others, func(o vrrp) bool { return o.best() >= failed })
		if t.Weight != 0 && len(others) > 0 && !lower {
			out = append(out, v.at().warn("a priority below that of another machine when "+t.Name+" fails",
				fmt.Sprintf("weight %d leaves it at %d, above all others: the address stays where the load balancer died", t.Weight, failed)))
		}
	}
	return out
}

// best is the priority of an instance of which nothing fails.
func (v vrrp) best() int {
	out := v.Priority
	for _, t := range v.Tracks {
		out += max(t.Weight, 0)
	}
	return out
}
