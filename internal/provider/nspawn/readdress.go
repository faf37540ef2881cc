package nspawn

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
)

// Readdress gives a machine that was made before the addresses that it has now. It keeps the old ones
// beside them, for whoever has connections there, until DropAddresses, also when it boots.
func (p *Provider) Readdress(ctx context.Context, m Machine) error {
	if err := p.owned(); err != nil {
		return err
	}
	if err := p.validateMachines([]Machine{m}); err != nil {
		return err
	}
	if err := p.validateOthers([]Machine{m}); err != nil {
		return err
	}
	r, err := p.look(m.Name)
	if err != nil {
		return err
	}
	if !slices.Equal(r.Addresses, m.Addresses) {
		r.Kept, r.Addresses = r.Addresses, m.Addresses
		if err := p.writeRecord(r); err != nil {
			return err
		}
	}
	if proc, err := p.readProcess(m.Name); err != nil || !proc.alive() {
		return nil // it has them when it boots
	}
	if err := p.addAddresses(r); err != nil {
		return fmt.Errorf("give machine %s address %s: %w", m.Name, list(r.Addresses), err)
	}
	return p.writeFiles(m, p.known([]Machine{m}))
}

// DropAddresses takes from a machine that runs the addresses that Readdress has left there: those with the network's
// prefix that are not its own. What others have put there, as addresses without a network around them, stays. Of IPv6 a link has an address
// only once: where somebody moves them now, and the machine has them, what was left becomes such an address, which lasts for a second unless he
// renews it.
func (p *Provider) DropAddresses(m Machine, moves bool) error {
	if err := p.owned(); err != nil {
		return err
	}
	r, err := p.look(m.Name)
	if err != nil {
		return err
	}
	r.Kept = nil
	if err := p.writeRecord(r); err != nil {
		return err
	}
	return p.dropInside(m, moves)
}

func (p *Provider) dropInside(m Machine, moves bool) error {
	return p.inside(m.Name, func(_ *os.File, inside *netlink.Handle, eth netlink.Link) error {
		have, err := inside.AddrList(eth, netlink.FAMILY_ALL)
		if err != nil {
			return err
		}
		for _, a := range have {
			is, _ := netip.AddrFromSlice(a.IP)
			is = is.Unmap()
			network := p.Network.prefix(familyOf(is))
			if ones, _ := a.Mask.Size(); !network.IsValid() || ones != network.Bits() || !network.Contains(is) || slices.Contains(m.Addresses, is) {
				continue
			}
			if err := inside.AddrDel(eth, &a); err != nil {
				return fmt.Errorf("take %s from machine %s: %w", is, m.Name, err)
			}
			if !moves || is.Is4() {
				continue
			}
			alone := address(is, netip.PrefixFrom(is, is.BitLen()))
			alone.ValidLft = 1 // and is preferred for nothing that the machine sends
			if err := inside.AddrAdd(eth, alone); err != nil {
				return fmt.Errorf("have %s move from machine %s: %w", is, m.Name, err)
			}
		}
		return nil
	})
}

// inside acts on the link of a machine that runs.
func (p *Provider) inside(machine string, act func(ns *os.File, inside *netlink.Handle, eth netlink.Link) error) error {
	ns, err := os.Open(netnsPath(p.netns(machine)))
	if err != nil {
		return err
	}
	defer ns.Close()
	inside, err := netlink.NewHandleAt(netns.NsHandle(int(ns.Fd())))
	if err != nil {
		return err
	}
	defer inside.Close()
	eth, err := inside.LinkByName("eth0")
	if err != nil {
		return err
	}
	return act(ns, inside, eth)
}

func (p *Provider) addAddresses(r record) error {
	return p.inside(r.Name, func(ns *os.File, inside *netlink.Handle, eth netlink.Link) error {
		// Where the first address of a network goes, the kernel takes the others along unless it is told not to.
		if err := inNetns(ns, func() error {
			return writeSysctl(filepath.Join(sysctlDir, "net/ipv4/conf/eth0/promote_secondaries"), "1")
		}); err != nil {
			return err
		}
		for i, a := range r.Addresses {
			if err := inside.AddrReplace(eth, address(a, p.Network.Prefixes[i])); err != nil {
				return err
			}
		}
		return nil
	})
}
