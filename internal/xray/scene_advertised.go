package xray

import (
	"net/netip"

	"github.com/haplane/haplane/internal/xray/evidence"
)

// advertisedBy is the address that the API server of a machine advertises as its own: not that
// of the endpoint, and nobody else's. Where etcd is elsewhere and no kubelet says so, nothing
// but this tells a machine's address in copies of its files.
func (s *Scene) advertisedBy(m *evidence.Machine) (a netip.Addr, ok bool) {
	p := m.Program(evidence.APIServer)
	if p == nil {
		return a, false
	}
	text := p.FlagOr("advertise-address", "")
	a, err := netip.ParseAddr(text)
	if err != nil || a.IsUnspecified() || a.IsLoopback() || a.Unmap().String() == host(s.Endpoint) {
		return a, false
	}
	if other := s.MachineAt(a.Unmap()); other != nil && other != m {
		return a, false
	}
	return a.Unmap(), !s.advertisedElsewhere(Instance{p, m}, text)
}
