package xray

import (
	"fmt"
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

// movers are programs that move an address from a machine that died to another.
var movers = []string{"keepalived", "kube-vip", "ucarp", "pacemakerd"}

func moverOf(m *evidence.Machine) string {
	for _, name := range movers {
		if m.Program(name) != nil {
			return name
		}
	}
	return ""
}

func lbSinglePoint(s *Scene) []Finding {
	all := s.balancers()
	switch {
	case len(all) == 0:
		return s.singleEndpoint()
	case s.balancersAreLocal():
		return []Finding{at{}.pass("each node has one of its own")}
	case len(all) == 1:
		name := all[0].machine.Name
		observed := name + " alone: without it nobody reaches the API"
		if mover := moverOf(all[0].machine); mover != "" {
			observed = fmt.Sprintf("%s alone was seen; %s could move its address, but no other was looked at", name, mover)
		}
		return []Finding{all[0].at().warn("two machines, and an address that moves", observed)}
	}
	var out []Finding
	var names []string
	for _, b := range all {
		names = append(names, b.machine.Name)
		if moverOf(b.machine) == "" {
			out = append(out, b.at().warn("a program that moves the address, such as keepalived", "none was seen: this one does not take over"))
		}
	}
	return orPass(out, at{}, "%s, the address moved by %s", list(names), moverOf(all[0].machine))
}

// balancersAreLocal is so where every kubelet reaches the API through a load
// balancer on its own machine.
func (s *Scene) balancersAreLocal() bool {
	local := 0
	for _, k := range s.Instances(evidence.Kubelet) {
		for _, path := range kubeconfigsOf(k.Machine, evidence.Kubelet) {
			if k.Machine.LoadBalancer == nil || !loopback(HostPort(k.Machine.Kubeconfigs[path].Server)) {
				return false
			}
			local++
		}
	}
	return local > 0
}

// singleEndpoint judges by the address that clients use, where no load balancer was seen.
func (s *Scene) singleEndpoint() []Finding {
	if s.Endpoint == "" {
		return nil
	}
	where := at{source: s.EndpointSource}
	m := s.machineOf(s.Endpoint)
	if m == nil || m.Program(evidence.APIServer) == nil {
		return []Finding{where.skip("how many machines are behind %s cannot be seen from outside", s.Endpoint)}
	}
	var moved []string
	for _, c := range s.ControlPlane() {
		if moverOf(c) != "" {
			moved = append(moved, c.Name)
		}
	}
	if len(moved) > 1 {
		return []Finding{where.pass("%s, which %s moves between %s", s.Endpoint, moverOf(m), strings.Join(moved, ", "))}
	}
	return []Finding{where.warn("an address that outlives one machine", fmt.Sprintf("%s is %s: without it nobody reaches the API", s.Endpoint, m.Name))}
}
