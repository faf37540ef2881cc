package xray

import (
	"fmt"
	"net/netip"
	"slices"

	"github.com/haplane/haplane/internal/xray/evidence"
)

func leaderSpread(s *Scene) []Finding {
	leaders := s.pictureLeaders()
	manager, scheduler := leaders[elected[0]], leaders[elected[1]]
	if manager == "" || scheduler == "" {
		return nil
	}
	where := at{source: "Leases of kube-system"}
	if manager != scheduler {
		return []Finding{where.pass("controller-manager leads on %s, scheduler on %s", manager, scheduler)}
	}
	m := s.Machine(manager)
	switch observed := "controller-manager and scheduler lead on " + manager; {
	case len(s.ControlPlane()) == 1:
		return []Finding{where.skip("%s, the only control-plane node", observed)}
	case m == nil || !s.leadsEtcd(m) || !s.balances(m):
		return []Finding{where.pass("%s", observed)}
	default:
		where.node = manager
		return []Finding{where.warn("one of them elsewhere", fmt.Sprintf("%s, where etcd's leader and the load balancer's address are too", observed))}
	}
}

func (s *Scene) leadsEtcd(m *evidence.Machine) bool {
	return m.Etcd != nil && m.Etcd.Err == "" && m.Etcd.ID != "" && m.Etcd.Leader == m.Etcd.ID
}

// balances tells whether clients reach the API through a load balancer on a machine now.
func (s *Scene) balances(m *evidence.Machine) bool {
	a, err := netip.ParseAddr(host(s.Endpoint))
	return err == nil && m.LoadBalancer != nil && slices.Contains(m.Addresses, a.Unmap())
}
