package spec

import (
	"fmt"
	"net/netip"
	"strings"
)

// The defaults: the network is that of the article's demo.
const (
	DefaultName        = "demo"
	DefaultMachineCIDR = "10.10.10.0/24"
	DefaultPodCIDR     = "10.244.0.0/16"
	DefaultServiceCIDR = "10.96.0.0/12"
	// The defaults of a network whose machines have IPv6 addresses.
	DefaultPodCIDRv6     = "fd00:10:244::/56"
	DefaultServiceCIDRv6 = "fd00:10:96::/112"
	DefaultDNSDomain     = "cluster.local"
	DefaultPort          = 6443

	defaultControlPlanes = 3
	defaultWorkers       = 1
)

// Where in the machine network the nodes of a role begin: load balancer .3,
// control-plane nodes from .11, workers from .21, etcd from .31. In IPv6
// networks the same numbers are read as hexadecimal, so that they look alike.
var (
	firstHost  = map[Role]uint32{RoleLoadBalancer: 3, RoleControlPlane: 11, RoleWorker: 21, RoleEtcd: 31}
	namePrefix = map[Role]string{RoleLoadBalancer: "lb", RoleControlPlane: "cp", RoleWorker: "worker", RoleEtcd: "etcd"}
)

// Default returns the cluster that is made when there is no cluster file: three
// control-plane nodes, one worker and a load balancer in the shared identity.
func Default(name string) *Cluster {
	c := &Cluster{APIVersion: APIVersion, Kind: Kind, Metadata: Metadata{Name: name}}
	SetDefaults(c)
	return c
}

// SetDefaults fills in the fields that are empty. It changes no other.
func SetDefaults(c *Cluster) {
	s := &c.Spec
	setDefault(&c.Metadata.Name, DefaultName)
	setDefault(&s.Identity, Shared)
	if s.Identity == Shared {
		setDefault(&s.EndpointReconciler, ReconcilerNone)
	}
	setDefault(&s.EndpointReconciler, ReconcilerLease)
	setDefault(&s.Network.MachineCIDR, DefaultMachineCIDR)
	setDefault(&s.Network.PodCIDR, perFamily(s.Network.MachineCIDR, DefaultPodCIDR, DefaultPodCIDRv6))
	setDefault(&s.Network.ServiceCIDR, perFamily(s.Network.MachineCIDR, DefaultServiceCIDR, DefaultServiceCIDRv6))
	setDefault(&s.Network.DNSDomain, DefaultDNSDomain)
	if s.Network.NAT == nil {
		s.Network.NAT = new(true)
	}
	if s.ControlPlane.Kubelet == nil {
		s.ControlPlane.Kubelet = new(true)
	}
	setDefault(&s.LoadBalancer.Port, DefaultPort)
	setNodeDefaults(s)
}

func setNodeDefaults(s *Spec) {
	if len(s.Nodes) == 0 {
		for range defaultControlPlanes {
			s.Nodes = append(s.Nodes, Node{Role: RoleControlPlane})
		}
		for range defaultWorkers {
			s.Nodes = append(s.Nodes, Node{Role: RoleWorker})
		}
	}
	if len(s.nodesOf(RoleLoadBalancer)) == 0 {
		s.Nodes = append(s.Nodes, Node{Role: RoleLoadBalancer, Address: s.LoadBalancer.Address})
	}
	count := map[Role]uint32{}
	for i := range s.Nodes {
		n := &s.Nodes[i]
		index := count[n.Role]
		count[n.Role]++
		if prefix, ok := namePrefix[n.Role]; ok {
			setDefault(&n.Name, fmt.Sprintf("%s-%d", prefix, index+1))
			setDefault(&n.Address, hostAddress(s.Network.MachineCIDR, firstHost[n.Role]+index))
		}
	}
	if s.LoadBalancer.Address == "" {
		s.LoadBalancer.Address = s.nodesOf(RoleLoadBalancer)[0].Address
	}
}

func (s *Spec) nodesOf(role Role) []Node {
	var out []Node
	for _, n := range s.Nodes {
		if n.Role == role {
			out = append(out, n)
		}
	}
	return out
}

// Split returns the parts of a value with one or two of something.
func Split(value string) []string {
	parts := strings.Split(value, ",")
	for i := range parts {
		parts[i] = strings.TrimSpace(parts[i])
	}
	return parts
}

// perFamily returns the default of each family that the machines have.
func perFamily(machineCIDR, v4, v6 string) string {
	var out []string
	for _, cidr := range Split(machineCIDR) {
		if p, err := netip.ParsePrefix(cidr); err == nil && p.Addr().Is6() {
			out = append(out, v6)
		} else {
			out = append(out, v4)
		}
	}
	return strings.Join(out, ",")
}

// hostAddress returns the n-th address of each of the prefixes, or "" when one
// is no prefix: then validation says so.
func hostAddress(cidrs string, n uint32) string {
	var out []string
	for _, cidr := range Split(cidrs) {
		p, err := netip.ParsePrefix(cidr)
		if err != nil {
			return ""
		}
		number := n
		if p.Addr().Is6() {
			number = n/10*16 + n%10
		}
		a := p.Masked().Addr()
		for range number {
			a = a.Next()
		}
		out = append(out, a.String())
	}
	return strings.Join(out, ",")
}

func setDefault[T comparable](p *T, value T) {
	var zero T
	if *p == zero {
		*p = value
	}
}
