package collect

import (
	"encoding/pem"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/rest"

	"github.com/haplane/haplane/internal/xray"
	"github.com/haplane/haplane/internal/xray/evidence"
	"github.com/haplane/haplane/spec"
)

// apiServers are the addresses of the API servers by node: those that were seen
// or are in the cluster file, and the nodes that are labelled so.
func apiServers(s *xray.Scene) map[string]string {
	out := map[string]string{}
	add := func(name, port string, address netip.Addr) {
		if address.IsValid() && out[name] == "" {
			out[name] = net.JoinHostPort(address.String(), port)
		}
	}
	for _, m := range s.ControlPlane() {
		port := "6443"
		if a := m.Program(evidence.APIServer); a != nil {
			port = a.FlagOr("secure-port", port)
		}
		add(m.Name, port, addressOf(s, m))
	}
	if s.API != nil {
		for _, n := range s.API.Nodes {
			if !xray.IsControlPlane(n) {
				continue
			}
			name := n.Name
			if m := s.MachineOf(n); m != nil {
				name = m.Name
			}
			add(name, "6443", internalIP(n))
		}
	}
	for _, name := range s.Expected(spec.RoleControlPlane) {
		add(name, "6443", inFile(s.Expect.Cluster, name))
	}
	return out
}

// addressOf is how a machine is reached: as the API or the cluster file has it,
// else the address that its own programs use, else its first.
func addressOf(s *xray.Scene, m *evidence.Machine) netip.Addr {
	if n := s.NodeOf(m); n != nil && internalIP(*n).IsValid() {
		return internalIP(*n)
	}
	if a := inFile(s.Expect.Cluster, m.Name); a.IsValid() {
		return a
	}
	for _, a := range namedIn(m) {
		if slices.Contains(m.Addresses, a) {
			return a
		}
	}
	if len(m.Addresses) > 0 {
		return m.Addresses[0]
	}
	return netip.Addr{}
}

// namedIn are addresses in flags. A machine has others as well, such as that of the
// bridge of its pods.
func namedIn(m *evidence.Machine) []netip.Addr {
	var out []netip.Addr
	for _, flag := range [][2]string{{evidence.APIServer, "advertise-address"}, {evidence.APIServer, "bind-address"},
		{evidence.Kubelet, "node-ip"}, {evidence.EtcdServer, "initial-advertise-peer-urls"}} {
		p := m.Program(flag[0])
		if p == nil {
			continue
		}
		for _, text := range p.List(flag[1]) {
			if u, err := url.Parse(text); err == nil && u.Host != "" {
				text = u.Hostname()
			}
			if a, err := netip.ParseAddr(text); err == nil {
				out = append(out, a.Unmap())
			}
		}
	}
	return out
}

func internalIP(n corev1.Node) netip.Addr {
	for _, a := range n.Status.Addresses {
		if ip, err := netip.ParseAddr(a.Address); err == nil && a.Type == corev1.NodeInternalIP {
			return ip.Unmap()
		}
	}
	return netip.Addr{}
}

func inFile(c *spec.Cluster, name string) netip.Addr {
	if c != nil {
		for _, n := range c.Spec.Nodes {
			if n.Name == name {
				first, _, _ := strings.Cut(n.Address, ",")
				a, _ := netip.ParseAddr(first)
				return a
			}
		}
	}
	return netip.Addr{}
}

// handshakesOnly is a configuration without credentials that verifies with the CA
// that the machines give out to their pods and clients.
func handshakesOnly(machines []*evidence.Machine) *rest.Config {
	out := &rest.Config{}
	for _, m := range machines {
		var paths []string
		if p := m.Program(evidence.ControllerManager); p != nil {
			paths = append(paths, p.FlagOr("root-ca-file", ""))
		}
		if p := m.Program(evidence.APIServer); p != nil {
			paths = append(paths, p.FlagOr("client-ca-file", ""))
		}
		for _, path := range paths {
			for _, c := range m.Certificates[path] {
				if c.Certificate != nil && c.IsCA {
					out.CAData = append(out.CAData, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw})...)
				}
			}
		}
	}
	out.Insecure = len(out.CAData) == 0
	return out
}
