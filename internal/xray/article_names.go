package xray

import (
	"cmp"
	"net/netip"
	"slices"
	"strings"

	"github.com/haplane/haplane/internal/xray/evidence"
	"github.com/haplane/haplane/spec"
)

// A serving is a serving certificate with where it was seen.
type serving struct {
	at      at
	cert    *evidence.Certificate
	machine *evidence.Machine // nil: whichever answered behind the load balancer
	named   []namedCertificate
}

// servings are the certificates that API servers present, and those of their files
// where these differ. Where none was looked at, the one behind the load balancer.
func (s *Scene) servings() []serving {
	var out []serving
	for _, m := range s.ControlPlane() {
		out = append(out, s.servingsOf(m)...)
	}
	if lb := s.Server(""); len(out) == 0 && lb != nil && len(lb.Certificates) > 0 {
		out = append(out, serving{at{source: "TLS handshake with " + lb.Address}, &lb.Certificates[0], nil, nil})
	}
	return out
}

func (s *Scene) servingsOf(m *evidence.Machine) []serving {
	var out []serving
	a := m.Program(evidence.APIServer)
	if a == nil {
		a = &evidence.Program{}
	}
	named := namedCertificates(Instance{a, m})
	path, _ := a.ServingFiles()
	file := m.Certificate(path)
	if server := s.Server(m.Name); server != nil && len(server.Certificates) > 0 && (file == nil || !isNamed(Instance{a, m}, server.Certificates[0])) {
		out = append(out, serving{at{m.Name, "TLS handshake with " + server.Address}, &server.Certificates[0], m, named})
	}
	if file != nil && (len(out) == 0 || file.Fingerprint() != out[0].cert.Fingerprint()) {
		out = append(out, serving{at{m.Name, path}, file, m, named})
	}
	return out
}

func servingCertNames(s *Scene) []Finding {
	var out []Finding
	for _, c := range s.servings() {
		if c.cert.Certificate == nil {
			out = append(out, c.at.unseen(c.cert.Err))
			continue
		}
		out = append(out, s.judgeNames(c))
	}
	for _, a := range s.Instances(evidence.APIServer) {
		file, _ := a.ServingFiles()
		if _, set := a.Flag("tls-cert-file"); !set && a.Machine.Way != evidence.API && len(s.servingsOf(a.Machine)) == 0 {
			out = append(out, a.at().warn("--tls-cert-file and --tls-private-key-file", "neither: it makes "+file+" itself where nobody puts one there, and no CA has signed that").
				fixed("Name the certificate in --tls-cert-file and its key in --tls-private-key-file."))
		}
	}
	return out
}

func (s *Scene) judgeNames(c serving) Finding {
	required := s.requiredNames(c.machine)
	var wrong []string
	asked := distinct(append(slices.Clone(required), s.askedAtHome(c.machine)...))
	missing := c.lacking(asked)
	if len(c.lacking(slices.DeleteFunc(slices.Clone(asked), s.isCustomary))) > 0 {
		wrong = append(wrong, "lacks "+list(missing))
	}
	strange := []string{}
	if id := s.ExpectedIdentity(); id == spec.Shared || id == spec.SharedCertificate {
		nodes, others := s.excess(required, c.cert.Names())
		if len(nodes) > 0 {
			wrong = append(wrong, "has "+list(nodes)+": it changes with the nodes")
		}
		strange = others
	}
	expected := list(asked)
	switch {
	case len(wrong) == 1 && c.misnamed(missing):
		return c.at.fail(expected, wrong[0]).fixed("Take these names from --tls-sni-cert-key of kube-apiserver on %s and restart it, or reissue the certificate that it shows with them.", c.at.node)
	case len(wrong) > 0:
		return s.alsoNamed(c.at.fail(expected, strings.Join(wrong, "; ")))
	case len(missing) > 0:
		return s.alsoNamed(c.at.warn(expected, "lacks "+list(missing)+", by which nobody was seen to ask: a client that does will not trust it"))
	case len(strange) > 0:
		return c.at.warn(expected, "has "+list(strange)+" as well, which belongs to nothing that was seen")
	}
	return c.at.judge(true, Fail, expected, list(c.cert.Names()))
}

// alsoNamed is what helps where each node has its own certificate: the names that it has are
// asked for, too, by whatever was not seen.
func (s *Scene) alsoNamed(f Finding) Finding {
	if id := s.ExpectedIdentity(); id == spec.Shared || id == spec.SharedCertificate {
		return f
	}
	return f.fixed("Reissue the node's certificate with these names as well as those that it has; kube-apiserver loads it within a minute, one before 1.17 when it is restarted.")
}

// isCustomary tells a name that a certificate has by custom, and that no kubeconfig names.
// Pods ask the address of the Service, or kubernetes.default.svc; The Hard Way and k0s have
// "cluster" and "cluster.local" in the place of the whole domain.
func (s *Scene) isCustomary(name string) bool {
	if domain := s.dnsDomain(); !s.Used(evidence.Machines, evidence.Folder) || !slices.Contains([]string{"kubernetes", "localhost", "127.0.0.1", "kubernetes.default.svc." + domain}, name) {
		return false
	}
	for _, m := range s.Machines {
		for _, k := range m.Kubeconfigs {
			if host(HostPort(k.Server)) == name || k.ServerName == name {
				return false
			}
		}
	}
	return true
}

// requiredNames are those that the certificate of a machine's API server must have.
func (s *Scene) requiredNames(m *evidence.Machine) []string {
	var out []string
	if s.Endpoint != "" && !loopback(s.Endpoint) && s.owner(s.Endpoint) == nil {
		out = append(out, host(s.Endpoint))
	}
	out = append(out, s.balancerNames()...)
	switch s.ExpectedIdentity() {
	case spec.Shared, spec.SharedCertificate:
		out = append(out, "127.0.0.1", "localhost")
	case spec.PerNode:
		if m != nil {
			out = append(out, s.ownName(m)...)
		}
	}
	if s.ServiceIP.IsValid() {
		out = append(out, s.ServiceIP.String())
	}
	out = append(out, "kubernetes", "kubernetes.default", "kubernetes.default.svc")
	if domain := s.dnsDomain(); domain != "" {
		out = append(out, "kubernetes.default.svc."+domain)
	}
	return distinct(out)
}

// askedAtHome are the names by which programs of a machine ask its own API server. What a load
// balancer beside it takes from them comes to every API server, that one among them.
func (s *Scene) askedAtHome(m *evidence.Machine) []string {
	var out []string
	if m == nil {
		return nil
	}
	for _, file := range append(kubeconfigsOf(m, evidence.Kubelet, evidence.Scheduler, evidence.ControllerManager, evidence.KubeProxy), adminConfigs(m)...) {
		k := m.Kubeconfigs[file]
		target := HostPort(k.Server)
		if !k.Insecure && target != "" && (loopback(target) || s.isHome(m, target)) {
			out = append(out, cmp.Or(k.ServerName, host(target)))
		}
	}
	return distinct(out)
}

// balancerNames are those that the cluster file gives the load balancer.
func (s *Scene) balancerNames() []string {
	c := s.Expect.Cluster
	if c == nil {
		return nil
	}
	var out []string
	for _, a := range addresses(spec.Split(c.Spec.LoadBalancer.Address)) {
		out = append(out, a.String())
	}
	return append(out, c.Spec.LoadBalancer.DNSNames...)
}

// ownName is the address by which others reach a node's API server.
func (s *Scene) ownName(m *evidence.Machine) []string {
	mine := s.addressesOf(m)
	if a := m.Program(evidence.APIServer); a != nil {
		for _, advertised := range addresses(a.List("advertise-address")) {
			if s.isOwn(m, advertised) || len(mine) == 0 && advertised.String() != host(s.Endpoint) {
				return []string{advertised.String()}
			}
		}
	}
	if pinned := s.pinned(m); len(pinned) > 0 {
		return []string{pinned[0].String()}
	}
	if len(mine) == 1 {
		return []string{mine[0].String()}
	}
	return nil
}

// excess are names that a certificate need not have: those of nodes, and those of
// nobody known. DNS names are only judged where a cluster file lists them.
func (s *Scene) excess(required, names []string) (nodes, others []string) {
	for _, name := range without(names, required) {
		a, err := netip.ParseAddr(name)
		switch m := s.nodeNamed(name); {
		case m != nil:
			nodes = append(nodes, name+" of "+m.Name)
		case err == nil && !a.IsLoopback() && !s.isBalancerAddress(a.Unmap()):
			others = append(others, name)
		case err != nil && s.Expect.Cluster != nil:
			others = append(others, name)
		}
	}
	return nodes, others
}

// nodeNamed is the control-plane machine that a name or an address is of.
func (s *Scene) nodeNamed(name string) *evidence.Machine {
	if name == host(s.Endpoint) {
		return nil
	}
	return s.owner(name + ":0")
}

func (s *Scene) isBalancerAddress(a netip.Addr) bool {
	m := s.MachineAt(a)
	return m != nil && m.LoadBalancer != nil || a == s.ServiceIP
}

// without are the values that are not among others.
func without(values, others []string) []string {
	return slices.DeleteFunc(slices.Clone(values), func(v string) bool { return slices.Contains(others, v) })
}

// distinct leaves of equal values the first.
func distinct(values []string) []string {
	var out []string
	for _, v := range values {
		if !slices.Contains(out, v) {
			out = append(out, v)
		}
	}
	return out
}
