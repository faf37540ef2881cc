package xray

import (
	"fmt"
	"net/netip"
	"slices"

	"github.com/haplane/haplane/internal/xray/evidence"
	"github.com/haplane/haplane/spec"
)

// An expectedEndpoint is one that should be there, or may be, or must not be.
type expectedEndpoint struct {
	texts    []string // host:port; a node may be advertised under any of its addresses
	node     string   // "" for the load balancer
	required bool     // it is known to serve
	silent   string   // why it does not serve; "" where it does, or is not known not to
}

func (s *Scene) judgeEndpoints(set endpointSet) []Finding {
	expected, known, all := s.expectedEndpoints()
	var texts []string
	for _, e := range expected {
		if e.silent == "" {
			texts = append(texts, e.texts[0])
		}
	}
	wanted := list(texts)
	if !known {
		wanted = "one at least"
	}
	if len(set.ready) == 0 {
		return []Finding{set.at.fail(wanted, "no endpoint that is ready")}
	}
	var out []Finding
	if len(set.notReady) > 0 {
		out = append(out, set.at.fail("endpoints that are ready", "not ready: "+list(set.notReady)))
	}
	if !known {
		return append(out, set.at.skip("%s; what they should be is not known", list(set.ready)))
	}
	out = append(out, set.missing(expected, wanted)...)
	out = append(out, set.excess(expected, wanted, all)...)
	return orPass(out, set.at, "%s", list(set.ready))
}

func (set endpointSet) missing(expected []expectedEndpoint, wanted string) []Finding {
	var lacks []string
	for _, e := range expected {
		if e.required && !e.in(set.ready) && !e.in(set.notReady) {
			lacks = append(lacks, e.texts[0])
		}
	}
	if len(lacks) == 0 {
		return nil
	}
	return []Finding{set.at.fail(wanted, "lacks "+list(lacks)+"; has "+list(set.ready))}
}

// excess are endpoints that lead to nobody. Where not all of the control plane is
// known, they may be somebody's.
func (set endpointSet) excess(expected []expectedEndpoint, wanted string, all bool) []Finding {
	var out []Finding
	strange := slices.Clone(set.ready)
	for _, e := range expected {
		if e.silent != "" && e.in(set.ready) {
			out = append(out, set.at.fail(wanted, fmt.Sprintf("has %s, where the API server of %s does not answer: %s", e.texts[0], e.node, e.silent)))
		}
		strange = without(strange, e.texts)
	}
	status := Fail
	if !all {
		status = Warn
	}
	if len(strange) > 0 {
		out = append(out, set.at.judge(false, status, wanted, "has "+list(strange)))
	}
	return out
}

func (e expectedEndpoint) in(texts []string) bool {
	return slices.ContainsFunc(e.texts, func(text string) bool { return slices.Contains(texts, text) })
}

// expectedEndpoints follow from the identity. All tells whether there is no other.
func (s *Scene) expectedEndpoints() (out []expectedEndpoint, known, all bool) {
	switch id := s.ExpectedIdentity(); {
	case id == spec.Shared, s.keptByK0s():
		text := s.sharedEndpoint()
		return []expectedEndpoint{{texts: []string{text}, required: true}}, text != "", true
	case id == spec.PerNode, id == spec.SharedCertificate:
		return s.endpointsOfNodes()
	}
	return nil, false, false
}

// sharedEndpoint is the load balancer. Where clients know it by a name, what the
// API servers advertise tells its address.
func (s *Scene) sharedEndpoint() string {
	if _, err := netip.ParseAddr(host(s.Endpoint)); err == nil {
		return s.Endpoint
	}
	for _, a := range s.Instances(evidence.APIServer) {
		own, tell := s.advertisesOwn(a)
		if advertised := addresses(a.List("advertise-address")); tell != "" && !own && len(advertised) > 0 && s.Endpoint != "" {
			return joined(advertised[0].String(), portOf(s.Endpoint))
		}
	}
	return ""
}

// endpointsOfNodes are one for each API server.
func (s *Scene) endpointsOfNodes() (out []expectedEndpoint, known, all bool) {
	targets, all := s.targets()
	for _, t := range targets {
		e := expectedEndpoint{node: t.node, silent: s.silent(t.node), required: s.serves(t.node)}
		if m := s.Machine(t.node); m != nil {
			for _, name := range s.ownName(m) {
				e.texts = append(e.texts, joined(name, t.port))
			}
			t.addresses = s.addressesOf(m)
		}
		for _, a := range t.addresses {
			e.texts = append(e.texts, joined(a.String(), t.port))
		}
		if len(e.texts) == 0 {
			return nil, false, false
		}
		out = append(out, e)
	}
	return out, len(out) > 0, all
}

// serves tells whether a node's API server is known to be ready: it said so, or
// its pod does.
func (s *Scene) serves(node string) bool {
	if server := s.Server(node); server != nil {
		return valueOf(server.Ready)
	}
	m := s.Machine(node)
	if m == nil {
		return false
	}
	a := m.Program(evidence.APIServer)
	return a != nil && a.From == evidence.FromPod && a.Running
}
