package spec

import (
	"fmt"
	"net/netip"

	"k8s.io/apimachinery/pkg/util/validation/field"
)

// Known is what a cluster that exists has: names and addresses that stay, whatever the file leaves out.
// The zero value is that of a cluster which is not there yet.
type Known struct {
	Nodes   []Node // also those that are about to leave, last
	Address string // where clients reach the load balancer; "" where that was never settled
}

// virtual reports whether the address of the load balancers is none of their own.
func (k Known) virtual() bool { return k.Address != "" && virtual(k.Nodes, k.Address) }

// virtual reports whether load balancers move an address between them: there are some, and none has it for its own.
func virtual(nodes []Node, address string) bool {
	balancers := 0
	for _, n := range nodes {
		if n.Role != RoleLoadBalancer {
			continue
		}
		if balancers++; sameAddress(n.Address, address) {
			return false
		}
	}
	return balancers > 0
}

// Virtual reports whether the load balancers move the address that clients use between them: it is
// no machine's own. Of an external one nobody knows.
func (s *Spec) Virtual() bool {
	return s.LoadBalancer.Kind == OnControlPlane || s.ownBalancers() && virtual(s.Nodes, s.LoadBalancer.Address)
}

// ParseFor is Parse for a cluster that exists.
func ParseFor(name string, data []byte, known Known) (*Cluster, error) {
	return readCluster(name, data, known, false)
}

// takeKnown gives entries the names and addresses of nodes that the cluster has:
// those of the same name, or of the same address, first; the others in order. An
// entry that names no node is whichever node of its role no entry names, so that
// the entries above it can go without a node changing its name.
func takeKnown(s *Spec, known []Node) {
	named := map[string]bool{}
	for _, n := range s.Nodes {
		named[n.Name] = true
	}
	take := func(n *Node, fits func(Node) bool) {
		for _, k := range known {
			if n.Name == "" && k.Role == n.Role && !named[k.Name] && fits(k) {
				n.Name, named[k.Name] = k.Name, true
			}
		}
	}
	for i := range s.Nodes {
		if n := &s.Nodes[i]; n.Address != "" {
			take(n, func(k Node) bool { return sameAddress(k.Address, n.Address) })
		}
	}
	for i := range s.Nodes {
		if n := &s.Nodes[i]; n.Address == "" || n.Role == RoleLoadBalancer && len(s.nodesOf(RoleLoadBalancer)) == 1 {
			take(n, func(Node) bool { return true })
		}
		for _, k := range known {
			// Where load balancers become several, the address of the first becomes the one that moves.
			if s.Nodes[i].Name == k.Name && !(k.Role == RoleLoadBalancer && sameAddress(k.Address, s.LoadBalancer.Address) && len(s.nodesOf(RoleLoadBalancer)) > 1) {
				setDefault(&s.Nodes[i].Address, k.Address)
			}
		}
	}
}

// checkKnown holds the entries of a file against the nodes that the cluster has.
func checkKnown(spec *field.Path, s *Spec, known Known) field.ErrorList {
	var errs field.ErrorList
	for i, n := range s.Nodes {
		at := spec.Child("nodes").Index(i)
		for _, k := range known.Nodes {
			switch same := sameAddress(n.Address, k.Address); {
			case n.Name == k.Name && n.Role != k.Role:
				errs = append(errs, field.Invalid(at.Child("role"), n.Role, fmt.Sprintf(
					"node %s of the cluster is a %s node: %s", k.Name, k.Role, otherName(k))))
			case n.Name == k.Name && !same && becomesVirtual(known.Address, s, k):
			case n.Name == k.Name && !same && n.Role == RoleLoadBalancer && !s.Virtual():
				errs = append(errs, field.Invalid(spec.Child("loadBalancer", "address"), n.Address, fmt.Sprintf(
					"node %s of the cluster has %s: certificates and kubeconfigs name it, so it stays; "+
						"`haplane down` and `haplane up` make the cluster anew", k.Name, k.Address)))
			case n.Name == k.Name && !same:
				errs = append(errs, field.Invalid(at.Child("address"), n.Address, fmt.Sprintf(
					"node %s of the cluster has %s: %s", k.Name, k.Address, otherName(k))))
			case n.Name != k.Name && same && !s.has(k.Name):
				errs = append(errs, field.Invalid(at.Child("address"), n.Address, fmt.Sprintf(
					"node %s has this address until it is gone: give %s another one, or remove %s first", k.Name, n.Name, k.Name)))
			}
		}
	}
	return errs
}

// becomesVirtual reports whether the own address of a load balancer becomes the one that it and others move between them:
// its machine gets another one beside it then.
func becomesVirtual(address string, s *Spec, k Node) bool {
	return k.Role == RoleLoadBalancer && s.Virtual() && sameAddress(k.Address, address) && sameAddress(address, s.LoadBalancer.Address)
}

func otherName(n Node) string {
	return fmt.Sprintf("remove it and add it under another name, or `haplane node replace %s`", n.Name)
}

// sameAddress compares addresses of one or two families, however they are written.
func sameAddress(a, b string) bool {
	x, y := Split(a), Split(b)
	if len(x) != len(y) {
		return false
	}
	for i := range x {
		if canonical(x[i]) != canonical(y[i]) {
			return false
		}
	}
	return true
}

func canonical(address string) string {
	if a, err := netip.ParseAddr(address); err == nil {
		return a.String()
	}
	return address
}
