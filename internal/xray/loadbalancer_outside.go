package xray

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/haplane/haplane/internal/xray/evidence"
)

// lbCertificate goes by what the load balancer presents, whatever it is.
func lbCertificate(s *Scene) []Finding {
	lb := s.Server("")
	if lb == nil {
		return nil
	}
	where := at{source: "TLS handshake with " + lb.Address}
	if lb.Err != "" {
		return []Finding{where.unseen(lb.Err)}
	}
	if len(lb.Certificates) == 0 {
		return nil
	}
	cert := lb.Certificates[0]
	if cert.Certificate == nil {
		return []Finding{where.unseen(cert.Err)}
	}
	name := host(lb.Address)
	if lb.VerifyErr != "" {
		verified := lb.ServerName
		if verified == "" {
			verified = name
		}
		return []Finding{where.fail("a certificate that verifies for "+verified, lb.VerifyErr)}
	}
	names := "a certificate for " + list(cert.Names())
	return []Finding{where.judge(cert.VerifyHostname(name) == nil, Fail, "a certificate with the name "+name, names)}
}

func lbFromEveryNode(s *Scene) []Finding {
	return s.fromNodes(evidence.ThroughLoadBalancer, throughLoadBalancer)
}

// fromNodes judges the requests that nodes made for a purpose; nothing where none did.
func (s *Scene) fromNodes(of string, judge func(*evidence.Machine, evidence.Request) Finding) []Finding {
	var out []Finding
	asked := false
	for _, m := range s.Machines {
		requests := purpose(m, of)
		asked = asked || len(requests) > 0
		for _, r := range requests {
			out = append(out, judge(m, r))
		}
		if len(requests) == 0 && m.Way == evidence.Machines && m.Program(evidence.Kubelet) != nil {
			out = append(out, at{node: m.Name}.skip("no request was made on it"))
		}
	}
	if !asked {
		return nil
	}
	return out
}

func throughLoadBalancer(m *evidence.Machine, r evidence.Request) Finding {
	where, expected := at{m.Name, "GET " + r.URL}, "200, the certificate verified"
	switch {
	case r.Err != "":
		return where.fail(expected, r.Err)
	case r.Status == 401 || r.Status == 403:
		// Anonymous requests are off: an API server answered nevertheless.
		return where.pass("%d, the certificate verified", r.Status)
	}
	return where.judge(r.Status == 200, Fail, expected, fmt.Sprintf("%d, the certificate verified", r.Status))
}

func purpose(m *evidence.Machine, p string) []evidence.Request {
	var out []evidence.Request
	for _, r := range m.Requests {
		if r.Purpose == p {
			out = append(out, r)
		}
	}
	return out
}

func lbSinglePoint(s *Scene) []Finding {
	all, lonely := s.sharedBalancers(), s.nodesOnTheirOwn()
	switch {
	case len(s.unled()) == 0:
		return s.singleEndpoint()
	case len(all) == 0:
		return orPass(lonely, at{}, "each node has one of its own, or its own API server")
	case len(all) == 1 && all[0].Err == evidence.NotInCopy:
		return append(lonely, all[0].at().skip("its configuration is %s: whether it is a load balancer of the API is not known", all[0].Err))
	case len(all) == 1:
		name := all[0].machine.Name
		observed := name + " alone: without it nobody reaches the API"
		if own := s.ledMachines(); len(own) > 0 {
			observed += fmt.Sprintf(" but %s and the pods there, by load balancers of their own", list(own))
		}
		if mover := moverOf(all[0].machine); mover != "" {
			observed = fmt.Sprintf("%s alone was seen; %s could move its address, but no other was looked at", name, mover)
		}
		return []Finding{all[0].at().warn("two machines, and an address that moves", observed)}
	}
	good, unknown := s.moverNames()
	out := lonely
	var names []string
	for _, b := range all {
		name := b.machine.Name
		names = append(names, name)
		switch program := moverOf(b.machine); {
		case program == "" && b.Err == evidence.NotInCopy:
			out = append(out, b.at().skip("its configuration is %s: whether it is a load balancer of the API is not known", b.Err))
		case program == "":
			out = append(out, b.at().warn("a program that moves the address, such as keepalived", "none was seen: this one does not take over"))
		case good[name] == "" && unknown[name]:
			out = append(out, b.at().skip("whether %s moves the address was not seen", program))
		case good[name] == "":
			out = append(out, b.at().warn("a program that moves the address", program+" does not, as lb-address-moves says: this one does not take over, or two have the address"))
		}
	}
	return orPass(out, at{}, "%s, the address moved by %s", list(names), moverOf(all[0].machine))
}

// singleEndpoint judges by the address that clients use, where no load balancer was seen.
func (s *Scene) singleEndpoint() []Finding {
	if s.Endpoint == "" {
		return nil
	}
	where := at{source: s.EndpointSource}
	moved, aimed, unknown := s.movesEndpoint()
	m := s.machineOf(s.Endpoint)
	switch {
	case len(moved) > 1:
		return []Finding{where.pass("%s, which %s moves between %s", s.Endpoint, moverOf(s.Machine(moved[0])), strings.Join(moved, ", "))}
	case unknown:
		return []Finding{where.skip("whether %s moves was not seen", s.Endpoint)}
	case len(moved) == 1 && len(s.candidates()) == 1:
		return []Finding{where.warn("two machines, and an address that moves", fmt.Sprintf("%s could move %s from %s, but no other machine was looked at", moverOf(s.Machine(moved[0])), s.Endpoint, moved[0]))}
	case len(aimed) > 0 && (m == nil || m.Program(evidence.APIServer) == nil):
		return []Finding{where.warn("an address that outlives one machine", fmt.Sprintf("%s is moved by what is on %s, which does not move it to another machine", s.Endpoint, list(aimed)))}
	case m == nil || m.Program(evidence.APIServer) == nil:
		return []Finding{where.skip("how many machines are behind %s cannot be seen from outside", s.Endpoint)}
	}
	return []Finding{where.warn("an address that outlives one machine", fmt.Sprintf("%s is %s: without it nobody reaches the API", s.Endpoint, m.Name))}
}

// movesEndpoint are the machines between which the address that clients use moves, those that are
// meant to, and whether it is not known of all that have a program for it.
func (s *Scene) movesEndpoint() (moved, aimed []string, unknown bool) {
	good, unseen := s.moverNames()
	for _, c := range s.candidates() {
		a, err := netip.ParseAddr(host(s.Endpoint))
		switch {
		case moverOf(c) == "":
		case unseen[c.Name] && s.moved(c) == nil:
			unknown = true
		case err == nil && !slices.Contains(s.moved(c), a.Unmap()):
		default:
			aimed = append(aimed, c.Name)
			if good[c.Name] != "" {
				moved = append(moved, c.Name)
			}
		}
	}
	return moved, aimed, unknown
}
