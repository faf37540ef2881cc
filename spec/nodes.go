package spec

import (
	"fmt"
	"net/netip"
	"slices"

	"k8s.io/apimachinery/pkg/util/validation/field"
)

// checkNodes judges the nodes that somebody wrote: names and addresses by default are right.
func checkNodes(spec *field.Path, s *Spec, r *reading) field.ErrorList {
	at := spec.Child("nodes")
	if r.failed(at.String()) {
		return nil
	}
	names := map[string]int{}
	var errs field.ErrorList
	for i, n := range s.Nodes {
		path := at.Index(i)
		errs = append(errs, oneOf(path.Child("role"), n.Role, RoleControlPlane, RoleWorker, RoleLoadBalancer, RoleEtcd)...)
		if _, known := namePrefix[n.Role]; !known {
			continue // without a role there are no defaults to judge
		}
		errs = append(errs, checkOwnName(path.Child("name"), n.Name)...)
		if first, ok := names[n.Name]; ok {
			errs = append(errs, field.Invalid(path.Child("name"), n.Name, fmt.Sprintf("nodes[%d] has this name", first)))
		} else {
			names[n.Name] = i
		}
	}
	return slices.Concat(errs, checkNodeAddresses(spec, s, r), checkCounts(at, s), noBalancers(at, s))
}

func checkNodeAddresses(spec *field.Path, s *Spec, r *reading) field.ErrorList {
	var networks []netip.Prefix
	if machines := spec.Child("network", "machineCIDR"); !r.failed(machines.String()) {
		networks = usable(s.Network.MachineCIDR)
	}
	var errs field.ErrorList
	full := false
	holders := map[string]int{}
	for i, n := range s.Nodes {
		if _, known := namePrefix[n.Role]; !known {
			continue
		}
		path := addressPath(spec, i, s, r)
		if n.Address == "" { // there is none by default
			full = full || networks != nil
			continue
		}
		if path != nil {
			errs = append(errs, checkAddresses(path, n.Address, networks)...)
		}
		errs = append(errs, checkHolders(holders, spec, i, s, r)...)
	}
	path := spec.Child("loadBalancer", "address")
	switch address := s.LoadBalancer.Address; {
	case s.LoadBalancer.Kind == ExternalBalancer:
		errs = append(errs, checkOutside(path, s, networks)...)
		errs = append(errs, checkNobodys(path, holders, s, "an external load balancer has one of its own")...)
	case s.Virtual() && address == "": // there is none by default
		full = full || networks != nil
	case s.Virtual():
		errs = append(errs, checkAddresses(path, address, networks)...)
		errs = append(errs, checkNobodys(path, holders, s, "the load balancers move one that no machine has")...)
	}
	if full {
		errs = append(errs, field.Invalid(spec.Child("nodes"), len(s.Nodes), fmt.Sprintf("nodes do not fit, the load balancer among them: %s has addresses for %d; "+
			"write a larger network to spec.network.machineCIDR, or fewer nodes", s.Network.MachineCIDR, capacity(networks))))
	}
	return errs
}

// addressPath is the field that the address of a node is written in, or nil. A load balancer
// without one has that of spec.loadBalancer.
func addressPath(spec *field.Path, i int, s *Spec, r *reading) *field.Path {
	balancer := spec.Child("loadBalancer", "address")
	switch path := spec.Child("nodes").Index(i).Child("address"); {
	case r.wrote(path):
		return path
	case s.Nodes[i].Role == RoleLoadBalancer && r.wrote(balancer):
		return balancer
	}
	return nil
}

// checkHolders wants each address once, however it is written.
func checkHolders(holders map[string]int, spec *field.Path, i int, s *Spec, r *reading) field.ErrorList {
	var errs field.ErrorList
	for _, a := range Split(s.Nodes[i].Address) {
		first, ok := holders[canonical(a)]
		if !ok {
			holders[canonical(a)] = i
			continue
		}
		path, other := addressPath(spec, i, s, r), first
		if path == nil {
			path, other = addressPath(spec, first, s, r), i
		}
		if path != nil {
			errs = append(errs, field.Invalid(path, a, fmt.Sprintf("node %s has this address", s.Nodes[other].Name)))
		}
	}
	return errs
}

// checkNobodys wants the address that clients use to be no node's.
func checkNobodys(at *field.Path, holders map[string]int, s *Spec, why string) field.ErrorList {
	var errs field.ErrorList
	for _, a := range Split(s.LoadBalancer.Address) {
		if i, ok := holders[canonical(a)]; ok {
			errs = append(errs, field.Invalid(at, a, fmt.Sprintf("node %s has this address; %s", s.Nodes[i].Name, why)))
		}
	}
	return errs
}

// usable are the machine networks where all of them are right, but for host bits that
// are set: it is clear which network was meant.
func usable(value string) []netip.Prefix {
	networks, err := parsePrefixes(value)
	if err != nil {
		return nil
	}
	for i, p := range networks {
		if networks[i] = p.Masked(); p.Addr().Is4In6() || ranges[0].limit.problem(networks[i], "") != "" {
			return nil
		}
	}
	return networks
}

// capacity is how many machines the smallest of the networks can have, beside the host.
func capacity(networks []netip.Prefix) int {
	bits := 62
	for _, p := range networks {
		bits = min(bits, p.Addr().BitLen()-p.Bits())
	}
	return 1<<bits - 3 // the network's own, the host's and the broadcast address
}
