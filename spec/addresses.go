package spec

import (
	"fmt"
	"net/netip"
	"slices"

	"k8s.io/apimachinery/pkg/util/validation/field"
)

// checkAddresses wants an address in each of the machine networks, which are nil where
// they are wrong themselves.
func checkAddresses(at *field.Path, value string, networks []netip.Prefix) field.ErrorList {
	addresses, errs := parseAddresses(at, value, "an address of spec.network.machineCIDR")
	if len(errs) > 0 || networks == nil {
		return errs
	}
	if len(addresses) != len(networks) {
		return field.ErrorList{field.Invalid(at, value, howMany[len(networks)])}
	}
	for i, a := range addresses {
		if problem := misplaced(a, networks[i]); problem != "" {
			errs = append(errs, field.Invalid(at, value, problem))
		}
	}
	return errs
}

// checkOutside wants an address of each family that machines have, be it in their network or outside of it.
func checkOutside(at *field.Path, s *Spec, networks []netip.Prefix) field.ErrorList {
	value := s.LoadBalancer.Address
	if value == "" {
		return field.ErrorList{field.Required(at, fmt.Sprintf("where clients reach the load balancer of kind %q: %s", ExternalBalancer, examples["address"]))}
	}
	addresses, errs := parseAddresses(at, value, "the address of the load balancer")
	if len(errs) > 0 || networks == nil {
		return errs
	}
	for i, a := range addresses {
		if len(addresses) != len(networks) || a.Is4() != networks[i].Addr().Is4() {
			return field.ErrorList{field.Invalid(at, value, fmt.Sprintf(
				"must be an address of each family of spec.network.machineCIDR (%s), in its order: from there machines reach it", s.Network.MachineCIDR))}
		}
		problem := ofOthers(a, s.Network)
		if networks[i].Contains(a) {
			problem = misplaced(a, networks[i])
		}
		if problem != "" {
			errs = append(errs, field.Invalid(at, value, problem))
		}
	}
	return errs
}

// ofOthers tells that an address is one that pods or Services have, or is "".
func ofOthers(a netip.Addr, n Network) string {
	for _, r := range []struct{ field, value string }{{"podCIDR", n.PodCIDR}, {"serviceCIDR", n.ServiceCIDR}} {
		networks, err := parsePrefixes(r.value)
		if err == nil && slices.ContainsFunc(networks, func(p netip.Prefix) bool { return p.Masked().Contains(a) }) {
			return fmt.Sprintf("is in spec.network.%s (%s), whose addresses lead nowhere else; write the load balancer's own", r.field, r.value)
		}
	}
	return ""
}

// parseAddresses reads one address, or one of each family; write is what to write in place of one that leads nowhere.
func parseAddresses(at *field.Path, value, write string) ([]netip.Addr, field.ErrorList) {
	var addresses []netip.Addr
	for _, part := range Split(value) {
		a, err := netip.ParseAddr(part)
		switch problem := inIPv6(part); {
		case problem != "":
			return nil, field.ErrorList{field.Invalid(at, value, problem)}
		case err != nil || a.Zone() != "":
			return nil, field.ErrorList{field.Invalid(at, value, "must be "+examples["address"])}
		}
		if problem := uselessAddress(a); problem != "" {
			return nil, field.ErrorList{field.Invalid(at, value, problem+"; write "+write)}
		}
		addresses = append(addresses, a)
	}
	return addresses, nil
}

// howMany addresses a machine has, by how many networks there are.
var howMany = map[int]string{1: "must be one address, for spec.network.machineCIDR is one network", 2: "must be two addresses, one in each network of spec.network.machineCIDR"}

func misplaced(a netip.Addr, network netip.Prefix) string {
	switch {
	case !network.Contains(a):
		return fmt.Sprintf("is outside of spec.network.machineCIDR (%s); write one of its addresses", network)
	case a == network.Masked().Addr() || (a.Is4() && a == lastAddress(network)):
		return fmt.Sprintf("is the network's own or its broadcast address (%s); write another one", network)
	case a == network.Masked().Addr().Next():
		return "is the host's own on the bridge; write another one"
	}
	return ""
}

func lastAddress(p netip.Prefix) netip.Addr {
	bytes := p.Masked().Addr().AsSlice()
	for bit := p.Bits(); bit < len(bytes)*8; bit++ {
		bytes[bit/8] |= 0x80 >> (bit % 8)
	}
	a, _ := netip.AddrFromSlice(bytes)
	return a
}
