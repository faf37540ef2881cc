package xray

import (
	"net/netip"
	"slices"

	"github.com/haplane/haplane/internal/xray/evidence"
)

// pinned are the addresses that a machine's kubelet, etcd member and node object go
// by, or its API server where these say nothing. They stay with the machine, while another that it has may be the load
// balancer's, which moves. In a folder nothing else tells the machine's addresses.
func (s *Scene) pinned(m *evidence.Machine) []netip.Addr {
	var texts []string
	if k := m.Program(evidence.Kubelet); k != nil {
		texts = append(texts, k.List("node-ip")...)
	}
	if e := m.Program(evidence.EtcdServer); e != nil {
		i := Instance{e, m}
		texts = append(texts, urlHosts(i.EtcdSetting("initial-advertise-peer-urls", ""))...)
		texts = append(texts, urlHosts(i.EtcdSetting("listen-peer-urls", ""))...)
	}
	out := addresses(texts)
	if n := s.NodeOf(m); n != nil {
		out = append(out, internalIPs(*n)...)
	}
	out = slices.DeleteFunc(out, func(a netip.Addr) bool { return a.IsLoopback() || a.IsUnspecified() })
	if len(out)+len(m.Addresses) == 0 {
		return s.byItsAPIServer(m)
	}
	return out
}

// addressesOf are all addresses that a machine is known to have.
func (s *Scene) addressesOf(m *evidence.Machine) []netip.Addr {
	out := slices.Clone(m.Addresses)
	for _, a := range s.pinned(m) {
		if !slices.Contains(out, a) {
			out = append(out, a)
		}
	}
	return out
}

// isOwn tells whether an address is a machine's, and not one that clients use for
// the whole cluster and that happens to be there now.
func (s *Scene) isOwn(m *evidence.Machine, a netip.Addr) bool {
	if !slices.Contains(s.addressesOf(m), a) {
		return false
	}
	pinned := s.pinned(m)
	return a.String() != host(s.Endpoint) || len(pinned) == 0 || slices.Contains(pinned, a)
}

// isHome tells whether host:port is on a machine and stays there.
func (s *Scene) isHome(m *evidence.Machine, hostPort string) bool {
	a, err := netip.ParseAddr(host(hostPort))
	if err != nil {
		return host(hostPort) != "" && (host(hostPort) == m.Hostname || host(hostPort) == m.Name)
	}
	if pinned := s.pinned(m); len(pinned) > 0 {
		return slices.Contains(pinned, a.Unmap())
	}
	return slices.Contains(m.Addresses, a.Unmap())
}

// owner is the control-plane machine that host:port stays on, or nil.
func (s *Scene) owner(hostPort string) *evidence.Machine {
	for _, m := range s.ControlPlane() {
		if s.isHome(m, hostPort) {
			return m
		}
	}
	return nil
}
