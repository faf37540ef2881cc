package xray

import (
	"net/netip"
	"slices"

	"github.com/haplane/haplane/internal/xray/evidence"
)

// byItsAPIServer are a machine's addresses by its API server, where files alone were seen and
// etcd is elsewhere: what it alone advertises, or what is in its certificate alone. In the shared
// identity both are the load balancer's, and say nothing of the machine.
func (s *Scene) byItsAPIServer(m *evidence.Machine) []netip.Addr {
	p := m.Program(evidence.APIServer)
	if p == nil {
		return nil
	}
	others := slices.DeleteFunc(s.Instances(evidence.APIServer), func(a Instance) bool { return a.Machine == m })
	mine := servingAddresses(Instance{p, m})
	var theirs []netip.Addr
	for _, o := range others {
		theirs = append(theirs, servingAddresses(o)...)
	}
	if a := addresses(p.List("advertise-address")); len(a) == 1 && !s.advertisedElsewhere(Instance{p, m}, a[0].String()) && !s.isAimedAt(a[0], m, len(others) == 0) {
		return a
	}
	if len(theirs) == 0 {
		return nil
	}
	mine = slices.DeleteFunc(mine, func(a netip.Addr) bool { return slices.Contains(theirs, a) || a.IsLoopback() })
	if len(mine) != 1 { // of several it is not known which is whose
		return nil
	}
	return mine
}

// servingAddresses are those in the certificate of an API server's file.
func servingAddresses(a Instance) []netip.Addr {
	c := a.Machine.Certificate(a.FlagOr("tls-cert-file", ""))
	return addresses(c.Names())
}

// isAimedAt tells whether a kubeconfig of a kubelet, kube-proxy or administrator leads to an
// address, so that it may be the load balancer's: one of other machines, or also of its own.
func (s *Scene) isAimedAt(a netip.Addr, own *evidence.Machine, alsoOwn bool) bool {
	for _, m := range s.Machines {
		if m == own && !alsoOwn {
			continue
		}
		for _, p := range append(kubeconfigsOf(m, evidence.Kubelet, evidence.KubeProxy), adminConfigs(m)...) {
			if host(HostPort(m.Kubeconfigs[p].Server)) == a.String() {
				return true
			}
		}
	}
	return false
}
