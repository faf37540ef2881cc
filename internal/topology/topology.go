// Package topology derives from the cluster file everything that has a name, an
// address or a place: nodes by role, endpoints, certificate names, paths.
// It is pure; what an identity means is decided here and nowhere else.
package topology

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/haplane/haplane/spec"
)

// Ports that are the same on every machine.
const (
	APIServerPort  = 6443
	KubeletPort    = 10250
	EtcdClientPort = 2379
	EtcdPeerPort   = 2380
	LeasePort      = 7444 // UDP, of those who vote on which load balancer has the address that moves
	LocalPort      = 7445 // of a worker's own load balancer, which nobody else reaches
)

// KubernetesName is the name under which a client that goes straight to one API
// server verifies its certificate, whatever the identity.
const KubernetesName = "kubernetes.default"

// A Node is a machine in a role.
type Node struct {
	Name string
	Role spec.Role
	// Address is the one that others use; Addresses has it and, in a network of
	// two families, one of the other.
	Address   netip.Addr
	Addresses []netip.Addr
}

// A Topology is a validated cluster with its addresses parsed. Its fields are
// not to be changed. Of prefixes and addresses of two families the primary is first.
type Topology struct {
	Name         string
	Identity     spec.Identity
	Reconciler   spec.EndpointReconciler
	LoadBalancer netip.AddrPort
	LBAddresses  []netip.Addr
	LBPorts      []uint16 // all of them, that of LoadBalancer first
	LBNames      []string
	LBKind       spec.BalancerKind
	Virtual      bool // the load balancers move LBAddresses between them; none has one for its own
	NodeLocal    bool // workers have load balancers of their own too
	Nodes        []Node
	Machines     []netip.Prefix
	Pods         []netip.Prefix
	Services     []netip.Prefix
	DNSDomain    string
	NAT          bool
	KubeletOnCP  bool
	ExtraArgs    map[string]map[string]string
	Snapshots    spec.EtcdSnapshots
	ExternalCA   []string // authorities whose keys are elsewhere for good, as the cluster file names them
}

// New returns the topology of a cluster that spec.Parse or spec.Default made.
// It panics on a cluster that spec.Validate refuses.
func New(c *spec.Cluster) *Topology {
	s := &c.Spec
	t := &Topology{
		Name: c.Metadata.Name, Identity: s.Identity, Reconciler: s.EndpointReconciler,
		LBAddresses: parse(s.LoadBalancer.Address, netip.MustParseAddr), LBNames: s.LoadBalancer.DNSNames,
		LBPorts:   []uint16{uint16(s.LoadBalancer.Port)},
		LBKind:    s.LoadBalancer.Kind,
		Virtual:   s.Virtual(),
		NodeLocal: s.LoadBalancer.NodeLocal,
		Machines:  parse(s.Network.MachineCIDR, netip.MustParsePrefix),
		Pods:      parse(s.Network.PodCIDR, netip.MustParsePrefix),
		Services:  parse(s.Network.ServiceCIDR, netip.MustParsePrefix),
		DNSDomain: s.Network.DNSDomain, NAT: *s.Network.NAT, KubeletOnCP: *s.ControlPlane.Kubelet, ExtraArgs: s.ExtraArgs,
		Snapshots:  s.Etcd.Snapshots,
		ExternalCA: s.Certificates.ExternalCA,
	}
	t.LoadBalancer = netip.AddrPortFrom(t.LBAddresses[0], t.LBPorts[0])
	for _, port := range s.LoadBalancer.AdditionalPorts {
		t.LBPorts = append(t.LBPorts, uint16(port))
	}
	// API servers that write the load balancer's address as an endpoint write their own port with it.
	if s.Identity == spec.Shared && s.EndpointReconciler == spec.ReconcilerLease && !slices.Contains(t.LBPorts, APIServerPort) {
		t.LBPorts = append(t.LBPorts, APIServerPort)
	}
	for _, n := range s.Nodes {
		t.Nodes = append(t.Nodes, NewNode(n.Name, n.Role, n.Address))
	}
	return t
}

// NewNode returns a node at an address, or two of different families with a comma
// between them. It panics on one that spec.Validate refuses.
func NewNode(name string, role spec.Role, address string) Node {
	addresses := parse(address, netip.MustParseAddr)
	return Node{Name: name, Role: role, Address: addresses[0], Addresses: addresses}
}

func parse[T any](value string, one func(string) T) []T {
	var out []T
	for _, part := range spec.Split(value) {
		out = append(out, one(part))
	}
	return out
}

// Join lists values as the flags of Kubernetes' programs take them.
func Join[T fmt.Stringer](values []T) string {
	parts := make([]string, len(values))
	for i, v := range values {
		parts[i] = v.String()
	}
	return strings.Join(parts, ",")
}

// IPv6 reports whether machines have addresses of that family.
func (t *Topology) IPv6() bool {
	for _, p := range t.Machines {
		if p.Addr().Is6() {
			return true
		}
	}
	return false
}

// Host is this host's own address in the machines' network, of the primary family.
func (t *Topology) Host() netip.Addr { return t.Machines[0].Masked().Addr().Next() }

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

// Balances reports whether the node runs the load balancer that all clients reach: a machine for that alone, or a control-plane node.
func (t *Topology) Balances(n Node) bool {
	switch t.LBKind {
	case spec.OnControlPlane:
		return n.Role == spec.RoleControlPlane
	case spec.ExternalBalancer:
		return false
	}
	return n.Role == spec.RoleLoadBalancer
}

// BalancesLocally reports whether the node, a worker, has a load balancer for itself and its pods.
func (t *Topology) BalancesLocally(n Node) bool { return t.NodeLocal && n.Role == spec.RoleWorker }

// RunsBalancer reports whether the node runs a load balancer, for all clients or for itself.
func (t *Topology) RunsBalancer(n Node) bool { return t.Balances(n) || t.BalancesLocally(n) }

// LocalBalancers lists the nodes that have one for themselves.
func (t *Topology) LocalBalancers() []Node {
	if !t.NodeLocal {
		return nil
	}
	return t.nodesOf(spec.RoleWorker)
}

// LoadBalancers lists the nodes that run the load balancer that all clients reach.
func (t *Topology) LoadBalancers() []Node {
	var out []Node
	for _, n := range t.Nodes {
		if t.Balances(n) {
			out = append(out, n)
		}
	}
	return out
}

// RunsKubelet reports whether the node is a Kubernetes node.
func (t *Topology) RunsKubelet(n Node) bool {
	return n.Role == spec.RoleWorker || (n.Role == spec.RoleControlPlane && t.KubeletOnCP)
}

// KubeletNodes lists the nodes that are Kubernetes nodes.
func (t *Topology) KubeletNodes() []Node {
	var out []Node
	for _, n := range t.Nodes {
		if t.RunsKubelet(n) {
			out = append(out, n)
		}
	}
	return out
}

// ExternalEtcd reports whether etcd has machines of its own.
func (t *Topology) ExternalEtcd() bool { return len(t.nodesOf(spec.RoleEtcd)) > 0 }

// EtcdMembers lists the nodes that run an etcd member.
func (t *Topology) EtcdMembers() []Node {
	if t.ExternalEtcd() {
		return t.nodesOf(spec.RoleEtcd)
	}
	return t.ControlPlane()
}

// RunsAgent reports whether haplane itself runs on the node: to approve what kubelets serve and to own the endpoints of
// the kubernetes Service, to take snapshots of etcd, or to tell whether a load balancer may have the address that moves.
func (t *Topology) RunsAgent(n Node) bool {
	return n.Role == spec.RoleControlPlane || t.Snapshots.Scheduled() && t.HasEtcdMember(n) || t.Virtual && t.Balances(n)
}

// HasEtcdMember reports whether the node runs an etcd member.
func (t *Topology) HasEtcdMember(n Node) bool {
	return n.Role == spec.RoleEtcd || n.Role == spec.RoleControlPlane && !t.ExternalEtcd()
}

// EtcdServers are the URLs that an API server uses: one beside a member uses
// that alone, so that a node that comes or goes touches no other.
func (t *Topology) EtcdServers() []string {
	if !t.ExternalEtcd() {
		return []string{fmt.Sprintf("https://127.0.0.1:%d", EtcdClientPort)}
	}
	var out []string
	for _, n := range t.EtcdMembers() {
		out = append(out, n.EtcdClientURL())
	}
	return out
}

// Node returns the node of the given name.
func (t *Topology) Node(name string) (Node, bool) {
	for _, n := range t.Nodes {
		if n.Name == name {
			return n, true
		}
	}
	return Node{}, false
}

// ExternalBalancer reports whether the load balancer is somebody else's: LBAddresses are where it is, and no node is one.
func (t *Topology) ExternalBalancer() bool { return t.LBKind == spec.ExternalBalancer }

// ShutdownDelay is how long an API server that is told to stop serves on and calls itself unready on /readyz: until
// load balancers have long seen that. Those of haplane ask ten times a second. How often others ask is not known: most are
// quicker than half a minute with what their makers set (docs/load-balancer.md), and of one that is not, the cluster file says so.
func (t *Topology) ShutdownDelay() time.Duration {
	said, err := time.ParseDuration(t.ExtraArgs["kube-apiserver"][spec.ShutdownDelay])
	switch {
	case err == nil:
		return said
	case t.ExternalBalancer():
		return 30 * time.Second
	}
	return 3 * time.Second
}

// LBPlaces are where clients reach the API servers: each address with each port, the one that clients are told first.
func (t *Topology) LBPlaces() []netip.AddrPort {
	var out []netip.AddrPort
	for _, port := range t.LBPorts {
		for _, a := range t.LBAddresses {
			out = append(out, netip.AddrPortFrom(a, port))
		}
	}
	return out
}

// APIEndpoint is the URL under which clients reach the API servers.
func (t *Topology) APIEndpoint() string { return "https://" + t.LoadBalancer.String() }

// APIServer is the URL of one node's API server. Its certificate verifies under
// KubernetesName.
func (n Node) APIServer() string { return n.url(APIServerPort) }

// EtcdClientURL is where clients reach the node's etcd member.
func (n Node) EtcdClientURL() string { return n.url(EtcdClientPort) }

// EtcdPeerURL is where the other members reach this one.
func (n Node) EtcdPeerURL() string { return n.url(EtcdPeerPort) }

func (n Node) url(port uint16) string {
	return fmt.Sprintf("https://%s", netip.AddrPortFrom(n.Address, port))
}

// KubernetesServiceIP is the address of the kubernetes Service: the first of the
// primary service network.
func (t *Topology) KubernetesServiceIP() netip.Addr { return t.Services[0].Masked().Addr().Next() }

// DNSServiceIP is the address of the cluster's DNS Service: the tenth of the
// primary service network, as kubeadm has it.
func (t *Topology) DNSServiceIP() netip.Addr {
	a := t.Services[0].Masked().Addr()
	for range 10 {
		a = a.Next()
	}
	return a
}
