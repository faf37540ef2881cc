package spec

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/util/validation/field"
)

// A limit is the prefix lengths that a range may have, by family. The pod range
// is cut into a /24 or /64 for each node; API servers take service ranges of at
// most 20 bits of hosts in IPv6.
type limit struct{ min4, max4, min6, max6 int }

var ranges = []struct {
	name    string
	value   func(Network) string
	example map[string]string // by family
	limit   limit
}{
	{"machineCIDR", func(n Network) string { return n.MachineCIDR }, map[string]string{"IPv4": DefaultMachineCIDR, "IPv6": "fd00:10::/64"}, limit{16, 28, 48, 64}},
	{"podCIDR", func(n Network) string { return n.PodCIDR }, map[string]string{"IPv4": DefaultPodCIDR, "IPv6": DefaultPodCIDRv6}, limit{8, 22, 48, 60}},
	{"serviceCIDR", func(n Network) string { return n.ServiceCIDR }, map[string]string{"IPv4": DefaultServiceCIDR, "IPv6": DefaultServiceCIDRv6}, limit{8, 28, 108, 120}},
}

// A judged range is one of the file's, or a default, and what of it is right.
type judged struct {
	name, value string
	at          *field.Path
	written     bool
	families    string // "" where the value tells none
	prefixes    []netip.Prefix
}

func checkNetwork(at *field.Path, n Network, r *reading) field.ErrorList {
	var errs field.ErrorList
	var seen []judged
	for _, one := range ranges {
		j := judged{name: one.name, value: one.value(n), at: at.Child(one.name)}
		j.written = r.wrote(j.at)
		known := len(seen) == 0 || seen[0].families != "" // defaults follow those of the first
		if !r.failed(j.at.String()) && (j.written || known) {
			var problems field.ErrorList
			j.prefixes, problems = checkPrefixes(j.at, j.value, one.example, one.limit)
			j.families = familiesOf(j.value)
			errs = slices.Concat(errs, problems, checkOverlaps(j, seen))
		}
		seen = append(seen, j)
		if machines := seen[0]; j.families != machines.families && j.families != "" && machines.families != "" {
			errs = append(errs, field.Invalid(j.at, j.value, fmt.Sprintf(
				"is %s, but %s is %s: all ranges have the same families in the same order", j.families, machines.name, machines.families)))
		}
	}
	return append(errs, checkDomain(at.Child("dnsDomain"), n.DNSDomain)...)
}

// podNetwork is the prefix length of the range that each Kubernetes node has for its pods, by family.
var podNetwork = map[string]int{"IPv4": 24, "IPv6": 64}

// checkPodCIDR wants a range for the pods of each node: a node without is never ready. Where
// nodes have no addresses either, they are too many, and the default is not to blame.
func checkPodCIDR(at *field.Path, s *Spec, r *reading) field.ErrorList {
	if !r.wrote(at) && slices.ContainsFunc(s.Nodes, func(n Node) bool { return n.Address == "" && namePrefix[n.Role] != "" }) {
		return nil
	}
	nodes := len(s.nodesOf(RoleWorker))
	if *s.ControlPlane.Kubelet {
		nodes += len(s.nodesOf(RoleControlPlane))
	}
	prefixes, _ := checkPrefixes(at, s.Network.PodCIDR, ranges[1].example, ranges[1].limit)
	for _, p := range prefixes {
		own := podNetwork[family(p.Addr())]
		if bits := own - p.Bits(); nodes > 1<<bits && !r.failed(at.String()) {
			return field.ErrorList{field.Invalid(at, s.Network.PodCIDR, fmt.Sprintf(
				"has a /%d for the pods of %d nodes, and there are %d; write a larger network, or fewer nodes", own, 1<<bits, nodes))}
		}
	}
	return nil
}

// checkOverlaps names the field that somebody wrote: of two, the later one.
func checkOverlaps(j judged, seen []judged) field.ErrorList {
	var errs field.ErrorList
	for _, p := range j.prefixes {
		for _, other := range seen {
			i := slices.IndexFunc(other.prefixes, p.Overlaps)
			if i < 0 {
				continue
			}
			blamed, with, prefix := j, other, other.prefixes[i]
			if !j.written {
				blamed, with, prefix = other, j, p
			}
			named := with.name
			if !with.written {
				named += ", by default"
			}
			errs = append(errs, field.Invalid(blamed.at, blamed.value, fmt.Sprintf("overlaps with %s (%s); write another network to one of the two", named, prefix)))
		}
	}
	return errs
}

func familiesOf(value string) string {
	prefixes, err := parsePrefixes(value)
	if err != nil || len(prefixes) > 2 {
		return ""
	}
	var out []string
	for _, p := range prefixes {
		if p.Addr().Is4In6() {
			return ""
		}
		out = append(out, family(p.Addr()))
	}
	if len(slices.Compact(slices.Clone(out))) < len(out) {
		return ""
	}
	return strings.Join(out, ",")
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
func checkPrefixes(at *field.Path, value string, example map[string]string, l limit) ([]netip.Prefix, field.ErrorList) {
	for _, part := range Split(value) {
		if problem := inIPv6(part); problem != "" {
			return nil, field.ErrorList{field.Invalid(at, value, problem)}
		}
	}
	prefixes, err := parsePrefixes(value)
	if err != nil {
		return nil, field.ErrorList{field.Invalid(at, value, "must be "+oneNetwork(example["IPv4"]))}
	}
	if len(prefixes) > 2 || (len(prefixes) == 2 && prefixes[0].Addr().Is4() == prefixes[1].Addr().Is4()) {
		return nil, field.ErrorList{field.Invalid(at, value, "must be one network, or one of each family")}
	}
	var errs field.ErrorList
	var right []netip.Prefix
	for _, p := range prefixes {
		if problem := l.problem(p, example[family(p.Addr())]); problem != "" {
			errs = append(errs, field.Invalid(at, value, problem))
		} else {
			right = append(right, p)
		}
	}
	return right, errs
}

// problem tells why a prefix cannot be a range, or is "".
func (l limit) problem(p netip.Prefix, example string) string {
	least, most := l.min4, l.max4
	if p.Addr().Is6() {
		least, most = l.min6, l.max6
	}
	switch why := useless(p.Masked()); {
	case p.Bits() == 0: // it has all of them
		return fmt.Sprintf("must have a prefix length of %d to %d in %s", least, most, family(p.Addr()))
	case why != "":
		return fmt.Sprintf("%s; write a private network such as %q", why, example)
	case p != p.Masked():
		return fmt.Sprintf("has host bits set; did you mean %q?", p.Masked())
	case p.Bits() < least || p.Bits() > most:
		return fmt.Sprintf("must have a prefix length of %d to %d in %s", least, most, family(p.Addr()))
	}
	return ""
}
