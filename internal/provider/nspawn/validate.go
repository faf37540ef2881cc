package nspawn

import (
	"fmt"
	"net/netip"
	"path/filepath"
	"regexp"
	"strings"
)

var label = regexp.MustCompile(`^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$`)

func (p *Provider) validate() error {
	switch {
	case !label.MatchString(p.Cluster):
		return fmt.Errorf("cluster name %q is not a DNS label", p.Cluster)
	case !filepath.IsAbs(p.StateDir) || filepath.Clean(p.StateDir) != p.StateDir:
		return fmt.Errorf("state folder %q is not an absolute path", p.StateDir)
	}
	return p.Network.validate()
}

func (n Network) validate() error {
	if len(n.Prefixes) > 2 {
		return fmt.Errorf("%d networks, want one or one of each family", len(n.Prefixes))
	}
	for i, p := range n.Prefixes {
		switch a := p.Addr(); {
		case !p.IsValid() || !a.IsGlobalUnicast() || a.Is4In6():
			return fmt.Errorf("network %s is not one that machines can have addresses of", p)
		case p.Bits() > a.BitLen()-2:
			return fmt.Errorf("network %s has no room for machines", p)
		case i > 0 && familyOf(a) == familyOf(n.Prefixes[0].Addr()):
			return fmt.Errorf("networks %s and %s are both %s", n.Prefixes[0], p, familyOf(a).name)
		}
	}
	return nil
}

func (p *Provider) validateMachines(machines []Machine) error {
	taken, names := map[netip.Addr]string{}, map[string]bool{}
	for _, a := range p.Network.Gateways() {
		taken[a] = "the host"
	}
	for _, m := range machines {
		switch {
		case !label.MatchString(m.Name):
			return fmt.Errorf("machine name %q is not a DNS label", m.Name)
		case names[m.Name]:
			return fmt.Errorf("two machines are named %s", m.Name)
		case len(m.Addresses) != len(p.Network.Prefixes):
			return fmt.Errorf("machine %s has %d addresses, want one of each of %s", m.Name, len(m.Addresses), p.Network)
		}
		names[m.Name] = true
		for i, a := range m.Addresses {
			if !p.Network.Prefixes[i].Contains(a) {
				return fmt.Errorf("address %s of machine %s is not in %s", a, m.Name, p.Network.Prefixes[i])
			}
			if other, ok := taken[a]; ok {
				return fmt.Errorf("address %s of machine %s is that of %s", a, m.Name, other)
			}
			taken[a] = m.Name
		}
	}
	return nil
}

// list is for messages: "a, b".
func list[T fmt.Stringer](items []T) string {
	words := make([]string, len(items))
	for i, item := range items {
		words[i] = item.String()
	}
	return strings.Join(words, ", ")
}
