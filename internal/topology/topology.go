// Package topology derives from the cluster file everything that has a name, an
// address or a place: nodes by role, endpoints, certificate names, paths.
// It is pure; what an identity means is decided here and nowhere else.
package topology

import (
	"fmt"
	"net/netip"

	"github.com/haplane/haplane/spec"
)

// Ports that are the same on every machine.
const (
	APIServerPort  = 6443
	EtcdClientPort = 2379
	EtcdPeerPort   = 2380
)

// KubernetesName is the name under which a client that goes straight to one API
// server verifies its certificate, whatever the identity.
const KubernetesName = "kubernetes.default"

// A Node is a machine in a role.
type Node struct {
	Name    string
	Role    spec.Role
	Address netip.Addr
}

// Runs reports whether the node runs pods.
func (n Node) Runs() bool { return n.Role != spec.RoleLoadBalancer }

// A Topology is a validated cluster with its addresses parsed. Its fields are
// not to be changed.
type Topology struct {
	Name         string
	Identity     spec.Identity
	Reconciler   spec.EndpointReconciler
	LoadBalancer netip.AddrPort
	Nodes        []Node
	Machines     netip.Prefix
	Pods         netip.Prefix
	Services     netip.Prefix
	DNSDomain    string
	NAT          bool
}

// New returns the topology of a cluster that spec.Parse or spec.Default made.
// It panics on a cluster that spec.Validate refuses.
func New(c *spec.Cluster) *Topology {
	t := &Topology{
		Name: c.Metadata.Name, Identity: c.Spec.Identity, Reconciler: c.Spec.EndpointReconciler,
		LoadBalancer: netip.AddrPortFrom(netip.MustParseAddr(c.Spec.LoadBalancer.Address), uint16(c.Spec.LoadBalancer.Port)),
		Machines:     netip.MustParsePrefix(c.Spec.Network.MachineCIDR),
		Pods:         netip.MustParsePrefix(c.Spec.Network.PodCIDR),
		Services:     netip.MustParsePrefix(c.Spec.Network.ServiceCIDR),
		DNSDomain:    c.Spec.Network.DNSDomain, NAT: *c.Spec.Network.NAT,
	}
	for _, n := range c.Spec.Nodes {
		t.Nodes = append(t.Nodes, Node{Name: n.Name, Role: n.Role, Address: netip.MustParseAddr(n.Address)})
	}
	return t
}

func (t *Topology) nodesOf(role spec.Role) []Node {
	var out []Node
	for _, n := range t.Nodes {
		if n.Role == role {
			out = append(out, n)
		}
	}
	return out
}

// ControlPlane lists the control-plane nodes.
func (t *Topology) ControlPlane() []Node { return t.nodesOf(spec.RoleControlPlane) }

// LoadBalancers lists the machines that run the load balancer.
func (t *Topology) LoadBalancers() []Node { return t.nodesOf(spec.RoleLoadBalancer) }

// KubeletNodes lists the nodes that are Kubernetes nodes.
func (t *Topology) KubeletNodes() []Node {
	var out []Node
	for _, n := range t.Nodes {
		if n.Runs() {
			out = append(out, n)
		}
	}
	return out
}

// EtcdMembers lists the nodes that run an etcd member.
func (t *Topology) EtcdMembers() []Node { return t.ControlPlane() }

// Node returns the node of the given name.
func (t *Topology) Node(name string) (Node, bool) {
	for _, n := range t.Nodes {
		if n.Name == name {
			return n, true
		}
	}
	return Node{}, false
}

// APIEndpoint is the URL under which clients reach the API servers.
func (t *Topology) APIEndpoint() string { return "https://" + t.LoadBalancer.String() }

// APIServer is the URL of one node's API server. Its certificate verifies under
// KubernetesName.
func (n Node) APIServer() string { return n.url(APIServerPort) }

// EtcdClientURL and EtcdPeerURL are the URLs of the node's etcd member.
func (n Node) EtcdClientURL() string { return n.url(EtcdClientPort) }

// EtcdPeerURL is where the other members reach this one.
func (n Node) EtcdPeerURL() string { return n.url(EtcdPeerPort) }

func (n Node) url(port uint16) string {
	return fmt.Sprintf("https://%s", netip.AddrPortFrom(n.Address, port))
}

// KubernetesServiceIP is the address of the kubernetes Service: the first of the
// service network.
func (t *Topology) KubernetesServiceIP() netip.Addr { return t.Services.Masked().Addr().Next() }

// DNSServiceIP is the address of the cluster's DNS Service: the tenth of the
// service network, as kubeadm has it.
func (t *Topology) DNSServiceIP() netip.Addr {
	a := t.Services.Masked().Addr()
	for range 10 {
		a = a.Next()
	}
	return a
}
