package spec

import (
	"fmt"
	"net/netip"

	"k8s.io/apimachinery/pkg/util/validation/field"
)

// ParseFor is Parse for a cluster that exists. Known are the nodes that it has,
// also those that are about to leave, last: their names and addresses stay.
func ParseFor(name string, data []byte, known []Node) (*Cluster, error) {
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
		if n := &s.Nodes[i]; n.Address == "" || n.Role == RoleLoadBalancer { // of which there is one
			take(n, func(Node) bool { return true })
		}
		for _, k := range known {
			if s.Nodes[i].Name == k.Name {
				setDefault(&s.Nodes[i].Address, k.Address)
			}
		}
	}
}

// checkKnown holds the entries of a file against the nodes that the cluster has.
func checkKnown(spec *field.Path, s *Spec, known []Node) field.ErrorList {
	var errs field.ErrorList
	for i, n := range s.Nodes {
		at := spec.Child("nodes").Index(i)
		for _, k := range known {
			switch same := sameAddress(n.Address, k.Address); {
			case n.Name == k.Name && n.Role != k.Role:
				errs = append(errs, field.Invalid(at.Child("role"), n.Role, fmt.Sprintf(
					"node %s of the cluster is a %s node: %s", k.Name, k.Role, otherName(k))))
			case n.Name == k.Name && !same && n.Role == RoleLoadBalancer:
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
