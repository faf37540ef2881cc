package spec

import (
	"fmt"
	"net/netip"

	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// A limit is the prefix lengths that a range may have, by family. The pod range
// is cut into a /24 or /64 for each node; API servers take service ranges of at
// most 20 bits of hosts in IPv6.
type limit struct{ min4, max4, min6, max6 int }

var ranges = []struct {
	name  string
	value func(Network) string
	limit limit
}{
	{"machineCIDR", func(n Network) string { return n.MachineCIDR }, limit{16, 28, 48, 64}},
	{"podCIDR", func(n Network) string { return n.PodCIDR }, limit{8, 22, 48, 60}},
	{"serviceCIDR", func(n Network) string { return n.ServiceCIDR }, limit{8, 28, 108, 120}},
}

func checkNetwork(at *field.Path, n Network) field.ErrorList {
	var errs field.ErrorList
	type named struct {
		name   string
		prefix netip.Prefix
	}
	var seen []named
	families := ""
	for _, r := range ranges {
		path, value := at.Child(r.name), r.value(n)
		prefixes, problems := checkPrefixes(path, value, r.limit)
		errs = append(errs, problems...)
		for _, p := range prefixes {
			for _, other := range seen {
				if p.Overlaps(other.prefix) {
					errs = append(errs, field.Invalid(path, value, fmt.Sprintf("overlaps with %s (%s)", other.name, other.prefix)))
				}
			}
			seen = append(seen, named{r.name, p})
		}
		if f := familiesOf(prefixes); len(problems) == 0 {
			if families == "" {
				families = f
			}
			if f != families {
				errs = append(errs, field.Invalid(path, value, fmt.Sprintf("is %s, but machineCIDR is %s: all ranges have the same families in the same order", f, families)))
			}
		}
	}
	for _, msg := range validation.IsDNS1123Subdomain(n.DNSDomain) {
		errs = append(errs, field.Invalid(at.Child("dnsDomain"), n.DNSDomain, msg))
	}
	return errs
}

func familiesOf(prefixes []netip.Prefix) string {
	text := ""
	for _, p := range prefixes {
		if text != "" {
			text += ","
		}
		text += family(p.Addr())
	}
	return text
}

func family(a netip.Addr) string {
	if a.Is4() {
		return "IPv4"
	}
	return "IPv6"
}

func parsePrefixes(value string) ([]netip.Prefix, error) {
	var out []netip.Prefix
	for _, part := range Split(value) {
		p, err := netip.ParsePrefix(part)
		if err != nil {
			return nil, err
		}
		out = append(out, p)
	}
	return out, nil
}

// checkPrefixes returns those prefixes of a value that are right.
func checkPrefixes(at *field.Path, value string, l limit) ([]netip.Prefix, field.ErrorList) {
	prefixes, err := parsePrefixes(value)
	if err != nil {
		return nil, field.ErrorList{field.Invalid(at, value, `must be a network such as "10.10.10.0/24", or one of each family with a comma between them`)}
	}
	if len(prefixes) > 2 || (len(prefixes) == 2 && prefixes[0].Addr().Is4() == prefixes[1].Addr().Is4()) {
		return nil, field.ErrorList{field.Invalid(at, value, "must be one network, or one of each family")}
	}
	var errs field.ErrorList
	var right []netip.Prefix
	for _, p := range prefixes {
		least, most := l.min4, l.max4
		if p.Addr().Is6() {
			least, most = l.min6, l.max6
		}
		switch {
		case p != p.Masked():
			errs = append(errs, field.Invalid(at, value, fmt.Sprintf("has host bits set; did you mean %q?", p.Masked())))
		case p.Bits() < least || p.Bits() > most:
			errs = append(errs, field.Invalid(at, value, fmt.Sprintf("must have a prefix length of %d to %d in %s", least, most, family(p.Addr()))))
		default:
			right = append(right, p)
		}
	}
	return right, errs
}

// checkAddresses wants an address in each of the machine networks.
func checkAddresses(at *field.Path, value string, networks []netip.Prefix) field.ErrorList {
	if value == "" && networks == nil {
		return field.ErrorList{field.Invalid(at, value, "has no default while spec.network.machineCIDR is not valid")}
	}
	var addresses []netip.Addr
	for _, part := range Split(value) {
		a, err := netip.ParseAddr(part)
		if err != nil {
			return field.ErrorList{field.Invalid(at, value, `must be an IP address such as "10.10.10.11", or one of each family with a comma between them`)}
		}
		addresses = append(addresses, a)
	}
	if networks == nil {
		return nil
	}
	if len(addresses) != len(networks) {
		return field.ErrorList{field.Invalid(at, value, fmt.Sprintf("must have %d addresses, one for each of spec.network.machineCIDR", len(networks)))}
	}
	var errs field.ErrorList
	for i, a := range addresses {
		if problem := misplaced(a, networks[i]); problem != "" {
			errs = append(errs, field.Invalid(at, value, problem))
		}
	}
	return errs
}

func misplaced(a netip.Addr, network netip.Prefix) string {
	switch {
	case !network.Contains(a):
		return fmt.Sprintf("is outside of spec.network.machineCIDR (%s)", network)
	case a == network.Masked().Addr() || (a.Is4() && a == lastAddress(network)):
		return "is the network's own or its broadcast address"
	case a == network.Masked().Addr().Next():
		return "is the host's own on the bridge"
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
