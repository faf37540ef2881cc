package nspawn

import (
	"fmt"
	"net/netip"
	"path/filepath"
	"regexp"
)

var label = regexp.MustCompile(`^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$`)

func (p *Provider) validate() error {
	switch {
	case !label.MatchString(p.Cluster):
		return fmt.Errorf("cluster name %q is not a DNS label", p.Cluster)
	case !filepath.IsAbs(p.StateDir) || filepath.Clean(p.StateDir) != p.StateDir:
		return fmt.Errorf("state folder %q is not an absolute path", p.StateDir)
	case !p.Network.Prefix.IsValid() || !p.Network.Prefix.Addr().Is4():
		return fmt.Errorf("network %s is not IPv4", p.Network.Prefix)
	}
	return nil
}

func (p *Provider) validateMachines(machines []Machine) error {
	taken := map[netip.Addr]string{p.Network.Gateway(): "the host"}
	names := map[string]bool{}
	for _, m := range machines {
		switch other, ok := taken[m.Address]; {
		case !label.MatchString(m.Name):
			return fmt.Errorf("machine name %q is not a DNS label", m.Name)
		case names[m.Name]:
			return fmt.Errorf("two machines are named %s", m.Name)
		case !p.Network.Prefix.Contains(m.Address):
			return fmt.Errorf("address %s of machine %s is not in %s", m.Address, m.Name, p.Network.Prefix)
		case ok:
			return fmt.Errorf("address %s of machine %s is that of %s", m.Address, m.Name, other)
		}
		taken[m.Address], names[m.Name] = m.Name, true
	}
	return nil
}
