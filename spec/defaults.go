package spec

import (
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

// Default returns the cluster that is made when there is no cluster file: three
// control-plane nodes, one worker and a load balancer in the shared identity.
func Default(name string) *Cluster {
	c := &Cluster{APIVersion: APIVersion, Kind: Kind, Metadata: Metadata{Name: name}}
	SetDefaults(c)
	return c
}

// SetDefaults fills in the fields that are empty. It changes no other.
func SetDefaults(c *Cluster) { SetDefaultsFor(c, Known{}) }

// SetDefaultsFor is SetDefaults for a cluster that exists: an entry takes the name and
// the address of a node that it has before new ones are made up.
func SetDefaultsFor(c *Cluster, known Known) {
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
	setSnapshotDefaults(&s.Etcd.Snapshots)
	setDefault(&s.LoadBalancer.Kind, Dedicated)
	setDefault(&s.LoadBalancer.Port, DefaultPort)
	setNodeDefaults(s, known)
}

func setNodeDefaults(s *Spec, known Known) {
	if len(s.Nodes) == 0 {
		for range defaultControlPlanes {
			s.Nodes = append(s.Nodes, Node{Role: RoleControlPlane})
		}
		for range defaultWorkers {
			s.Nodes = append(s.Nodes, Node{Role: RoleWorker})
		}
	}
	if s.ownBalancers() && len(s.nodesOf(RoleLoadBalancer)) == 0 {
		s.Nodes = append(s.Nodes, Node{Role: RoleLoadBalancer})
	}
	setBalancerDefaults(s, known)
	takeKnown(s, known.Nodes)
	t := takenBy(s, known.Nodes)
	for i := range s.Nodes {
		n := &s.Nodes[i]
		if _, ok := namePrefix[n.Role]; !ok {
			continue // validation says so
		}
		if n.Name == "" {
			n.Name = t.name(n.Role)
		}
		if n.Address == "" {
			n.Address = t.address(n.Role, s.Network.MachineCIDR)
		}
		t.add(*n)
	}
	if lbs := s.nodesOf(RoleLoadBalancer); s.ownBalancers() && s.LoadBalancer.Address == "" {
		s.LoadBalancer.Address = lbs[0].Address
	}
}

// ownBalancers reports whether load balancers are machines of their own. One of a kind that does not exist is taken for
// the default, so that the rest of the file can be judged.
func (s *Spec) ownBalancers() bool {
	return s.LoadBalancer.Kind != OnControlPlane && s.LoadBalancer.Kind != ExternalBalancer
}

// setBalancerDefaults has one load balancer and spec.loadBalancer share an address. Several, and control-plane nodes, have
// one of their own each, and the address that clients use is the first of theirs, or the one that clients know. Where
// an external one is, nobody knows but its owner.
func setBalancerDefaults(s *Spec, known Known) {
	several := len(s.nodesOf(RoleLoadBalancer)) > 1
	switch {
	case s.LoadBalancer.Kind == ExternalBalancer:
	case known.virtual() || several || s.LoadBalancer.Kind == OnControlPlane:
		if setDefault(&s.LoadBalancer.Address, known.Address); s.LoadBalancer.Address == "" {
			s.LoadBalancer.Address = takenBy(s, nil).address(RoleLoadBalancer, s.Network.MachineCIDR)
		}
	default:
		for i := range s.Nodes {
			if n := &s.Nodes[i]; n.Role == RoleLoadBalancer {
				setDefault(&n.Address, s.LoadBalancer.Address)
			}
		}
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

func setDefault[T comparable](p *T, value T) {
	var zero T
	if *p == zero {
		*p = value
	}
}
