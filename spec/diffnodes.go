package spec

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// diffNodes compares nodes by name: those of old in their order, then new ones.
func diffNodes(old, new *Spec) []FieldChange {
	var out []FieldChange
	for _, n := range old.Nodes {
		now, ok := new.node(n.Name)
		if !ok {
			out = append(out, nodeChange(n, describe(n), "", whyNotRemove(n, new)))
			continue
		}
		if now.Role != n.Role {
			out = append(out, placeChange(n, ".role", string(n.Role), string(now.Role)))
		}
		if !sameAddress(now.Address, n.Address) {
			out = append(out, addressChange(n, now, old, new))
		}
	}
	for _, n := range new.Nodes {
		if !old.has(n.Name) {
			out = append(out, nodeChange(n, "", describe(n), whyNotAdd(n, old, new)))
		}
	}
	return out
}

// CheckRemoval tells what is in the way of removing nodes: names that no node has
// or that are given twice, all of them, or else nodes that the cluster cannot do without.
func CheckRemoval(c *Cluster, names []string) error {
	if err := checkNames(&c.Spec, names); err != nil {
		return err
	}
	after := c.Spec
	after.Nodes = slices.DeleteFunc(slices.Clone(after.Nodes), func(n Node) bool { return slices.Contains(names, n.Name) })
	return onlyLive(diffNodes(&c.Spec, &after))
}

func checkNames(s *Spec, names []string) error {
	var errs []error
	var all, twice []string
	for _, n := range s.Nodes {
		all = append(all, n.Name)
	}
	for i, name := range names {
		first := slices.Index(names, name)
		switch {
		case first != i && !slices.Contains(twice, name):
			twice = append(twice, name)
			errs = append(errs, fmt.Errorf("node %s is named more than once", name))
		case first == i && !s.has(name):
			errs = append(errs, fmt.Errorf("there is no node %s; there are %s", name, strings.Join(all, ", ")))
		}
	}
	return errors.Join(errs...)
}

// A reason is why a node cannot come or go; its zero value is that it can.
type reason struct {
	why, instead string
	losesData    bool
}

func whyNotRemove(n Node, new *Spec) reason {
	left := len(new.nodesOf(n.Role))
	switch {
	case n.Role == RoleLoadBalancer && !new.ownBalancers(): // the rule of the kind says what to do
		return reason{}
	case n.Role == RoleLoadBalancer && left > 0 && new.Virtual() && sameAddress(n.Address, new.LoadBalancer.Address):
		return reason{why: "its own address becomes the one that the others move", instead: "add these first, and remove it in a second change"}
	case n.Role == RoleLoadBalancer && left > 0 && (new.Virtual() || !sameAddress(n.Address, new.nodesOf(RoleLoadBalancer)[0].Address)):
		return reason{} // clients go to the other one first, or another one has the address that they use
	case n.Role == RoleLoadBalancer:
		return reason{why: "clients reach the API servers through it", instead: "keep it under its name; `haplane node replace` makes it anew"}
	case n.Role == RoleControlPlane && left == 0:
		return reason{"no control-plane node would be left", "keep one, or end the cluster with `haplane down`", true}
	case n.Role == RoleWorker && left == 0 && new.ControlPlane.Kubelet != nil && !*new.ControlPlane.Kubelet:
		return reason{why: "no node would be left for pods, as spec.controlPlane.kubelet is false", instead: "keep one, or add another worker"}
	}
	return reason{}
}

func whyNotAdd(n Node, old, new *Spec) reason {
	switch lbs := old.nodesOf(RoleLoadBalancer); {
	case n.Role == RoleLoadBalancer && (old.Virtual() || new.Virtual() || !old.ownBalancers()): // of another kind, the rule of the kind says what to do
		return reason{} // it shares an address with the others
	case n.Role == RoleLoadBalancer && len(lbs) > 0 && !sameAddress(n.Address, lbs[0].Address):
		return reason{}
	case n.Role == RoleLoadBalancer && len(lbs) == 0:
		return reason{why: "clients go through a load balancer that is none of the cluster's", instead: anew}
	case n.Role == RoleLoadBalancer:
		return reason{why: "a cluster has one load balancer, which it keeps", instead: "use its name: " + old.nodesOf(RoleLoadBalancer)[0].Name}
	}
	return reason{}
}

func nodeChange(n Node, old, new string, r reason) FieldChange {
	return FieldChange{Field: "spec.nodes[" + n.Name + "]", Old: old, New: new, Live: r == reason{}, Why: r.why, Instead: r.instead, LosesData: r.losesData}
}

func placeChange(n Node, field, old, new string) FieldChange {
	r := reason{why: "certificates and etcd know the node as it was", instead: otherName(n)}
	if n.Role == RoleLoadBalancer {
		r = reason{why: "clients that have not moved yet find it at its old address",
			instead: "give the node another name with its new address: it joins beside " + n.Name + ", which leaves when all have moved"}
	}
	c := nodeChange(n, old, new, r)
	c.Field += field
	return c
}

// addressChange is that of a node that stays. A load balancer can give its address to all of them.
func addressChange(n, now Node, old, new *Spec) FieldChange {
	if becomesVirtual(old.LoadBalancer.Address, new, n) {
		c := nodeChange(n, n.Address, now.Address, reason{})
		c.Field += ".address"
		return c
	}
	return placeChange(n, ".address", n.Address, now.Address)
}

// virtualChanges are those of an address that load balancers move between them, which clients cannot follow yet; and of one that becomes
// such an address in the same change: who moves it begins with the one that clients know.
func virtualChanges(old, new *Spec) []FieldChange {
	c := FieldChange{Field: "spec.loadBalancer.address", Old: old.LoadBalancer.Address, New: new.LoadBalancer.Address}
	switch same := sameAddress(c.Old, c.New); {
	case old.LoadBalancer.Kind != new.LoadBalancer.Kind: // the rule of the kind says what to do
		return nil
	case old.Virtual() && !(new.Virtual() && same):
		c.Why, c.Instead = "load balancers move it between them, and clients know it", "leave it as it was: one load balancer alone keeps it too"
	case !old.Virtual() && new.Virtual() && !same:
		c.Why = "several load balancers begin with the address that clients know"
		c.Instead = "leave it as it was; or have one load balancer take the new address first, under another name, and add others in a second change"
	default:
		return nil
	}
	return []FieldChange{c}
}

func describe(n Node) string { return string(n.Role) + " " + n.Address }

func (s *Spec) node(name string) (Node, bool) {
	i := slices.IndexFunc(s.Nodes, func(n Node) bool { return n.Name == name })
	if i < 0 {
		return Node{}, false
	}
	return s.Nodes[i], true
}

func (s *Spec) has(name string) bool {
	_, ok := s.node(name)
	return ok
}
