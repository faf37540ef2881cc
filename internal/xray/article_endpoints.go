package xray

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
)

// An endpointSet is what one kind of object says of default/kubernetes, as
// host:port. Two kinds say it: kube-proxy reads EndpointSlices, older clients Endpoints.
type endpointSet struct {
	at              at
	ready, notReady []string
}

func kubernetesServiceEndpoints(s *Scene) []Finding {
	var out []Finding
	sets := s.endpointSets()
	for _, set := range sets {
		out = append(out, s.judgeEndpoints(set)...)
	}
	if len(sets) == 2 && !slices.Equal(sets[0].ready, sets[1].ready) {
		out = append(out, sets[1].at.fail("what the Endpoints have: "+list(sets[0].ready), list(sets[1].ready)))
	}
	return out
}

func (s *Scene) endpointSets() []endpointSet {
	var out []endpointSet
	if s.API != nil && s.API.Endpoints != nil {
		out = append(out, s.endpointsSet(s.API.Endpoints))
	}
	if s.API != nil && s.API.Slices != nil {
		out = append(out, s.slicesSet(s.API.Slices))
	}
	for i := range out {
		out[i].ready, out[i].notReady = distinct(sorted(out[i].ready)), distinct(sorted(out[i].notReady))
	}
	return out
}

func (s *Scene) endpointsSet(e *corev1.Endpoints) endpointSet {
	out := endpointSet{at: at{source: "Endpoints default/kubernetes"}}
	for _, subset := range e.Subsets {
		for _, port := range subset.Ports {
			for _, a := range subset.Addresses {
				out.ready = append(out.ready, s.endpointText(a.IP, port.Name, port.Port))
			}
			for _, a := range subset.NotReadyAddresses {
				out.notReady = append(out.notReady, s.endpointText(a.IP, port.Name, port.Port))
			}
		}
	}
	return out
}

func (s *Scene) slicesSet(all []discoveryv1.EndpointSlice) endpointSet {
	var out endpointSet
	var names []string
	for _, slice := range all {
		names = append(names, slice.Name)
		for _, port := range slice.Ports {
			for _, e := range slice.Endpoints {
				to := &out.ready
				if e.Conditions.Ready != nil && !*e.Conditions.Ready { // nil means ready
					to = &out.notReady
				}
				for _, a := range e.Addresses {
					*to = append(*to, s.endpointText(a, valueOf(port.Name), valueOf(port.Port)))
				}
			}
		}
	}
	out.at.source = "EndpointSlice default/kubernetes"
	if len(names) > 1 {
		out.at.source = "EndpointSlices of default/kubernetes: " + list(names)
	}
	return out
}

// endpointText is host:port. A port of another name than the Service's leads
// nowhere, so the name makes it another endpoint.
func (s *Scene) endpointText(address, name string, port int32) string {
	text := joined(address, int(port))
	if svc := s.API.Service; svc != nil && len(svc.Spec.Ports) == 1 && svc.Spec.Ports[0].Name != name {
		text += fmt.Sprintf(" (port %q instead of %q)", name, svc.Spec.Ports[0].Name)
	}
	return text
}

// joined is host:port of an address.
func joined(address string, port int) string {
	if a, err := netip.ParseAddr(address); err == nil {
		return netip.AddrPortFrom(a.Unmap(), uint16(port)).String()
	}
	return fmt.Sprintf("%s:%d", address, port)
}

// portOf is the port of host:port; 0 where it is none.
func portOf(hostPort string) int {
	port, _ := strconv.Atoi(hostPort[strings.LastIndex(hostPort, ":")+1:])
	return port
}

// valueOf is that of a pointer, the zero value of nil.
func valueOf[T any](p *T) T {
	if p == nil {
		return *new(T)
	}
	return *p
}
