package xray

import (
	"net/netip"
	"slices"

	"github.com/haplane/haplane/internal/xray/evidence"
)

// advertisedBy is the address that the API server of a machine advertises as its own, or that
// its certificate alone has: not that of the endpoint, unless that is this machine's by the
// certificates, and nobody else's. Where etcd is elsewhere and no kubelet says so, nothing but
// this tells a machine's address in copies of its files.
func (s *Scene) advertisedBy(m *evidence.Machine) (a netip.Addr, ok bool) {
	p := m.Program(evidence.APIServer)
	if p == nil {
		return a, false
	}
	text, _ := advertisedText(Instance{p, m})
	alone := s.certifiedAlone(m)
	all := addresses([]string{text})
	if text == "" {
		all = alone
	}
	for _, a := range all {
		other := s.MachineAt(a)
		foreign := a.IsUnspecified() || a.IsLoopback() || a.String() == host(s.Endpoint) && !slices.Contains(alone, a) || other != nil && other != m
		if !foreign && (text == "" || !s.advertisedElsewhere(Instance{p, m}, text)) {
			return a, true
		}
	}
	return a, false
}

// certifiedAlone are addresses that are in the certificate of this API server and in no other's.
func (s *Scene) certifiedAlone(m *evidence.Machine) []netip.Addr {
	var mine, others []netip.Addr
	for _, a := range s.Instances(evidence.APIServer) {
		names := addresses(s.servingCertificate(a).Names())
		if a.Machine == m {
			mine = names
		} else {
			others = append(others, names...)
		}
	}
	if len(others) == 0 { // nothing tells them from those of all
		return nil
	}
	return slices.DeleteFunc(mine, func(a netip.Addr) bool { return slices.Contains(others, a) })
}

// advertiser is the machine whose own address host:port is by what its API server says.
func (s *Scene) advertiser(hostPort string) *evidence.Machine {
	for _, m := range s.ControlPlane() {
		if a, ok := s.advertisedBy(m); ok && a.String() == host(hostPort) {
			return m
		}
	}
	return nil
}
