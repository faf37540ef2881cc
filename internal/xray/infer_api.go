package xray

import (
	"net/netip"
	"slices"

	"github.com/haplane/haplane/spec"
)

// inferFromAPI goes by the endpoints of the kubernetes Service, where no API
// server's flags are seen.
func (s *Scene) inferFromAPI() Inference {
	found := s.endpointAddresses()
	if len(found) == 0 {
		return Inference{}
	}
	if len(found) == 1 && !s.isNodeAddress(found[0]) && (found[0] == host(s.Endpoint) || s.controlPlaneNodes() > 1) {
		return Inference{Identity: spec.Shared,
			Tells: []string{"the only endpoint of default/kubernetes is " + found[0] + ", which is no node's address"}}
	}
	lb := s.Server("")
	if lb == nil || len(lb.Certificates) == 0 || lb.Certificates[0].Certificate == nil || slices.Contains(found, host(s.Endpoint)) {
		return Inference{}
	}
	names := lb.Certificates[0].Names()
	tell := "the endpoints of default/kubernetes are " + list(found)
	if slices.ContainsFunc(found, func(a string) bool { return slices.Contains(names, a) }) {
		return Inference{Identity: spec.PerNode, Tells: []string{tell + ", and the certificate behind " + lb.Address + " has one of them"}}
	}
	return Inference{Identity: spec.SharedCertificate, Tells: []string{tell + ", and the certificate behind " + lb.Address + " has none of them"}}
}

// endpointAddresses are those of the Endpoints default/kubernetes, sorted.
func (s *Scene) endpointAddresses() []string {
	var out []string
	if s.API == nil || s.API.Endpoints == nil {
		return nil
	}
	for _, subset := range s.API.Endpoints.Subsets {
		for _, a := range subset.Addresses {
			out = append(out, a.IP)
		}
	}
	slices.Sort(out)
	return out
}

// isNodeAddress tells whether an address is that of a node or of a machine that
// was looked at, other than a load balancer's.
func (s *Scene) isNodeAddress(text string) bool {
	a, err := netip.ParseAddr(text)
	if err != nil {
		return false
	}
	if s.API != nil {
		for _, n := range s.API.Nodes {
			if slices.Contains(internalIPs(n), a.Unmap()) {
				return true
			}
		}
	}
	for _, m := range s.ControlPlane() {
		if s.isHome(m, text+":0") {
			return true
		}
	}
	return false
}

// controlPlaneNodes counts the nodes that the API has for the control plane.
func (s *Scene) controlPlaneNodes() int {
	n := 0
	if s.API != nil {
		for _, node := range s.API.Nodes {
			if IsControlPlane(node) {
				n++
			}
		}
	}
	return n
}
