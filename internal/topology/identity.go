package topology

import (
	"net/netip"
	"slices"

	"github.com/haplane/haplane/spec"
)

// ServingAddresses are the IP addresses in the serving certificate of the API
// servers: those of the nodes only where each node is an identity of its own.
func (t *Topology) ServingAddresses() []netip.Addr {
	out := slices.Clone(t.LBAddresses)
	if t.Identity == spec.PerNode {
		for _, n := range t.ControlPlane() {
			out = append(out, n.Addresses...)
		}
	}
	return append(out, netip.AddrFrom4([4]byte{127, 0, 0, 1}), t.KubernetesServiceIP())
}

// ServingNames are the DNS names in the serving certificate of the API servers.
func (t *Topology) ServingNames() []string {
	return append(spec.CertificateNames(t.DNSDomain), t.LBNames...)
}

// AdvertiseAddress is what the API server of a node claims to be.
func (t *Topology) AdvertiseAddress(n Node) netip.Addr {
	if t.Identity == spec.Shared {
		return t.LoadBalancer.Addr()
	}
	return n.Address
}

// OwnsEndpoints reports whether haplane agent writes the endpoints of the
// kubernetes Service, because no API server does.
func (t *Topology) OwnsEndpoints() bool { return t.Reconciler == spec.ReconcilerNone }

// KubernetesEndpoints are the endpoints that the kubernetes Service should have.
func (t *Topology) KubernetesEndpoints() []netip.AddrPort {
	if t.OwnsEndpoints() {
		return []netip.AddrPort{t.LoadBalancer}
	}
	if t.Identity == spec.Shared { // the API servers' reconciler writes the port they listen on
		return []netip.AddrPort{netip.AddrPortFrom(t.LoadBalancer.Addr(), APIServerPort)}
	}
	var out []netip.AddrPort
	for _, n := range t.ControlPlane() {
		out = append(out, netip.AddrPortFrom(n.Address, APIServerPort))
	}
	return out
}
