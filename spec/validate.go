package spec

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// maxNameLength keeps the bridge (15 characters) and host names readable.
const maxNameLength = 20

// Validate returns every problem of a cluster whose defaults are set.
func Validate(c *Cluster) field.ErrorList {
	errs := oneOf(field.NewPath("apiVersion"), c.APIVersion, APIVersion)
	errs = append(errs, oneOf(field.NewPath("kind"), c.Kind, Kind)...)
	errs = append(errs, checkName(field.NewPath("metadata", "name"), c.Metadata.Name)...)
	spec := field.NewPath("spec")
	errs = append(errs, oneOf(spec.Child("identity"), c.Spec.Identity, Shared, PerNode, SharedCertificate)...)
	errs = append(errs, checkReconciler(spec.Child("endpointReconciler"), &c.Spec)...)
	errs = append(errs, checkNetwork(spec.Child("network"), c.Spec.Network)...)
	errs = append(errs, checkLoadBalancer(spec.Child("loadBalancer"), &c.Spec)...)
	return append(errs, checkNodes(spec.Child("nodes"), &c.Spec)...)
}

func oneOf[T ~string](at *field.Path, value T, allowed ...T) field.ErrorList {
	if slices.Contains(allowed, value) {
		return nil
	}
	if value == "" {
		return field.ErrorList{field.Required(at, fmt.Sprintf("must be %s", quoted(allowed)))}
	}
	return field.ErrorList{field.Invalid(at, value, fmt.Sprintf("must be %s", quoted(allowed)))}
}

func quoted[T ~string](values []T) string {
	out := make([]string, len(values))
	for i, v := range values {
		out[i] = fmt.Sprintf("%q", string(v))
	}
	return strings.Join(out, " or ")
}

func checkName(at *field.Path, name string) field.ErrorList {
	var errs field.ErrorList
	for _, msg := range validation.IsDNS1123Label(name) {
		errs = append(errs, field.Invalid(at, name, msg))
	}
	if len(name) > maxNameLength {
		errs = append(errs, field.TooLong(at, name, maxNameLength))
	}
	return errs
}

func checkReconciler(at *field.Path, s *Spec) field.ErrorList {
	if s.Identity != Shared && s.EndpointReconciler == ReconcilerNone {
		return field.ErrorList{field.Invalid(at, s.EndpointReconciler,
			fmt.Sprintf("goes with identity %q only: with %q nobody would write the endpoints; use %q",
				Shared, s.Identity, ReconcilerLease))}
	}
	return oneOf(at, s.EndpointReconciler, ReconcilerNone, ReconcilerLease)
}

func checkNetwork(at *field.Path, n Network) field.ErrorList {
	ranges := []struct{ name, value string }{
		{"machineCIDR", n.MachineCIDR}, {"podCIDR", n.PodCIDR}, {"serviceCIDR", n.ServiceCIDR},
	}
	var errs field.ErrorList
	var seen []netip.Prefix
	var names []string
	for _, r := range ranges {
		p, err := checkPrefix(at.Child(r.name), r.value)
		errs = append(errs, err...)
		if len(err) > 0 {
			continue
		}
		for i, other := range seen {
			if p.Overlaps(other) {
				errs = append(errs, field.Invalid(at.Child(r.name), r.value,
					fmt.Sprintf("overlaps with %s (%s)", names[i], other)))
			}
		}
		seen, names = append(seen, p), append(names, r.name)
	}
	errs = append(errs, checkSize(at.Child("machineCIDR"), n.MachineCIDR, 16, 28)...)
	errs = append(errs, checkSize(at.Child("podCIDR"), n.PodCIDR, 8, 22)...)
	errs = append(errs, checkSize(at.Child("serviceCIDR"), n.ServiceCIDR, 8, 28)...)
	for _, msg := range validation.IsDNS1123Subdomain(n.DNSDomain) {
		errs = append(errs, field.Invalid(at.Child("dnsDomain"), n.DNSDomain, msg))
	}
	return errs
}

func checkPrefix(at *field.Path, value string) (netip.Prefix, field.ErrorList) {
	p, err := netip.ParsePrefix(value)
	if err != nil {
		return p, field.ErrorList{field.Invalid(at, value, `must be a network such as "10.10.10.0/24"`)}
	}
	if !p.Addr().Is4() {
		return p, field.ErrorList{field.Invalid(at, value, "must be an IPv4 network")}
	}
	if p != p.Masked() {
		return p, field.ErrorList{field.Invalid(at, value, fmt.Sprintf("has host bits set; did you mean %q?", p.Masked()))}
	}
	return p, nil
}

func checkSize(at *field.Path, value string, min, max int) field.ErrorList {
	p, err := netip.ParsePrefix(value)
	if err != nil || (p.Bits() >= min && p.Bits() <= max) {
		return nil // not a network: said already
	}
	return field.ErrorList{field.Invalid(at, value, fmt.Sprintf("must have a prefix length of %d to %d", min, max))}
}

func checkLoadBalancer(at *field.Path, s *Spec) field.ErrorList {
	var errs field.ErrorList
	for _, msg := range validation.IsValidPortNum(s.LoadBalancer.Port) {
		errs = append(errs, field.Invalid(at.Child("port"), s.LoadBalancer.Port, msg))
	}
	if lbs := s.nodesOf(RoleLoadBalancer); len(lbs) > 0 && lbs[0].Address != s.LoadBalancer.Address {
		errs = append(errs, field.Invalid(at.Child("address"), s.LoadBalancer.Address,
			fmt.Sprintf("must be the address of node %s (%s); leave one of the two out", lbs[0].Name, lbs[0].Address)))
	}
	return errs
}

func checkNodes(at *field.Path, s *Spec) field.ErrorList {
	var errs field.ErrorList
	network, _ := netip.ParsePrefix(s.Network.MachineCIDR)
	names, addresses := map[string]int{}, map[netip.Addr]int{}
	for i, n := range s.Nodes {
		path := at.Index(i)
		errs = append(errs, oneOf(path.Child("role"), n.Role, RoleControlPlane, RoleWorker, RoleLoadBalancer)...)
		if _, known := namePrefix[n.Role]; !known {
			continue // without a role there are no defaults to judge
		}
		errs = append(errs, checkName(path.Child("name"), n.Name)...)
		if first, ok := names[n.Name]; ok {
			errs = append(errs, field.Invalid(path.Child("name"), n.Name, fmt.Sprintf("nodes[%d] has this name", first)))
		} else {
			names[n.Name] = i
		}
		a, problem := checkAddress(path.Child("address"), n, network)
		if problem != nil {
			errs = append(errs, problem)
		} else if first, ok := addresses[a]; ok {
			errs = append(errs, field.Invalid(path.Child("address"), n.Address,
				fmt.Sprintf("node %s has this address", s.Nodes[first].Name)))
		} else {
			addresses[a] = i
		}
	}
	return append(errs, checkCounts(at, s)...)
}

func checkAddress(at *field.Path, n Node, network netip.Prefix) (netip.Addr, *field.Error) {
	a, err := netip.ParseAddr(n.Address)
	switch {
	case err != nil && n.Address == "" && !network.IsValid():
		return a, field.Invalid(at, n.Address, "has no default while spec.network.machineCIDR is not valid")
	case err != nil:
		return a, field.Invalid(at, n.Address, `must be an IP address such as "10.10.10.11"`)
	case !network.IsValid():
		return a, nil
	case !network.Contains(a):
		return a, field.Invalid(at, n.Address, fmt.Sprintf("is outside of spec.network.machineCIDR (%s)", network))
	case a == network.Masked().Addr() || a == lastAddress(network):
		return a, field.Invalid(at, n.Address, "is the network's own or its broadcast address")
	case a == network.Masked().Addr().Next():
		return a, field.Invalid(at, n.Address, "is the host's own on the bridge")
	}
	return a, nil
}

func lastAddress(p netip.Prefix) netip.Addr {
	bytes := p.Masked().Addr().AsSlice()
	for bit := p.Bits(); bit < len(bytes)*8; bit++ {
		bytes[bit/8] |= 0x80 >> (bit % 8)
	}
	a, _ := netip.AddrFromSlice(bytes)
	return a
}

func checkCounts(at *field.Path, s *Spec) field.ErrorList {
	var errs field.ErrorList
	if len(s.nodesOf(RoleControlPlane)) == 0 {
		errs = append(errs, field.Required(at, `at least one node with role "control-plane"`))
	}
	if n := len(s.nodesOf(RoleLoadBalancer)); n > 1 {
		errs = append(errs, field.TooMany(at, n, 1))
		errs[len(errs)-1].Detail = `must have at most one node with role "load-balancer"`
	}
	return errs
}
