package xray

import (
	"fmt"
	"net/netip"
	"slices"

	"github.com/haplane/haplane/internal/xray/evidence"
	"github.com/haplane/haplane/spec"
)

// Mixed is the identity of a control plane whose API servers do not agree.
const Mixed spec.Identity = "mixed"

// An Inference is an identity with what tells it.
type Inference struct {
	Identity spec.Identity `json:"identity,omitempty"` // "" where nothing tells
	Tells    []string      `json:"tells,omitempty"`
	// ByNode is what each API server is on its own.
	ByNode map[string]spec.Identity `json:"byNode,omitempty"`
}

// infer finds the identity: an API server that advertises an address that is not
// its machine's shares its identity with others; one that advertises its own does
// as perNode has it where that address is in its certificate.
func (s *Scene) infer() Inference {
	out := Inference{ByNode: map[string]spec.Identity{}}
	for _, a := range s.Instances(evidence.APIServer) {
		if id, tell := s.identityOf(a); id != "" {
			out.ByNode[a.Machine.Name] = id
			out.Tells = append(out.Tells, tell)
			if out.Identity == "" {
				out.Identity = id
			}
			if out.Identity != id {
				out.Identity = Mixed
			}
		}
	}
	if out.Identity == "" {
		return s.inferFromAPI()
	}
	return out
}

func (s *Scene) identityOf(a Instance) (spec.Identity, string) {
	own, tell := s.advertisesOwn(a)
	if tell == "" {
		return "", ""
	}
	if !own {
		return spec.Shared, tell
	}
	cert := s.servingCertificate(a)
	if cert == nil || cert.Certificate == nil {
		return "", ""
	}
	mine := append(s.addressesOf(a.Machine), addresses(a.List("advertise-address"))...)
	if len(mine) == 0 {
		return "", ""
	}
	for _, name := range addresses(cert.Names()) {
		if slices.Contains(mine, name) && name.String() != host(s.Endpoint) {
			return spec.PerNode, tell + ", and its certificate has " + name.String()
		}
	}
	if s.isHome(a.Machine, s.Endpoint) { // whose address the certificate has either way
		return "", ""
	}
	return spec.SharedCertificate, tell + ", and its certificate has none of its machine's addresses"
}

// advertisesOwn tells whether an API server advertises an address of its machine.
// Without the flag it takes that of the default route. The tell is "" where the
// evidence does not say.
func (s *Scene) advertisesOwn(a Instance) (own bool, tell string) {
	text, _ := advertisedText(a)
	if text == "" {
		return true, a.Machine.Name + " advertises its own address (no --advertise-address)"
	}
	addr, err := netip.ParseAddr(text)
	if err != nil {
		return false, ""
	}
	known, isEndpoint := len(s.addressesOf(a.Machine)) > 0, addr.Unmap().String() == host(s.Endpoint)
	switch {
	case s.isOwn(a.Machine, addr.Unmap()):
		return true, fmt.Sprintf("%s advertises its own address %s", a.Machine.Name, text)
	case isEndpoint && !known && len(s.Instances(evidence.APIServer)) == 1:
		return false, "" // a single node may be its own endpoint
	case isEndpoint:
		return false, fmt.Sprintf("%s advertises %s, under which clients reach the API", a.Machine.Name, text)
	case !known && !s.advertisedElsewhere(a, text):
		return true, fmt.Sprintf("%s advertises %s, which no other does", a.Machine.Name, text)
	}
	return false, fmt.Sprintf("%s advertises %s, which is not an address of its own", a.Machine.Name, text)
}

func (s *Scene) advertisedElsewhere(a Instance, address string) bool {
	for _, other := range s.Instances(evidence.APIServer) {
		if v, _ := advertisedText(other); other.Machine != a.Machine && v == address {
			return true
		}
	}
	return false
}

// servingCertificate is the one that an API server presents to who asks for no name of
// another, else that of its file.
func (s *Scene) servingCertificate(a Instance) *evidence.Certificate {
	path, _ := a.ServingFiles()
	file := a.Machine.Certificate(path)
	if server := s.Server(a.Machine.Name); server != nil && len(server.Certificates) > 0 && (file == nil || !isNamed(a, server.Certificates[0])) {
		return &server.Certificates[0]
	}
	return file
}

// ExpectedIdentity is what the user or the cluster file says, else what most API
// servers are; mixed where there is no majority.
func (s *Scene) ExpectedIdentity() spec.Identity {
	if id := s.wantedIdentity(); id != "" {
		return id
	}
	if s.Identity.Identity != Mixed {
		return s.Identity.Identity
	}
	count := map[spec.Identity]int{}
	for _, id := range s.Identity.ByNode {
		count[id]++
	}
	for id, n := range count {
		if 2*n > len(s.Identity.ByNode) {
			return id
		}
	}
	return Mixed
}

// wantedIdentity is what the user or the cluster file says.
func (s *Scene) wantedIdentity() spec.Identity {
	if s.Expect.Identity != "" {
		return s.Expect.Identity
	}
	if c := s.Expect.Cluster; c != nil {
		return c.Spec.Identity
	}
	return ""
}
