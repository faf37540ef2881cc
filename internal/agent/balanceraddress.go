package agent

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strconv"
	"strings"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// kernelAddress is the address that moves, on the link of the machine's own one: as keepalived puts it there, without
// the network around it.
type kernelAddress struct {
	own   netip.Addr
	moves []netip.Addr // of two families the second goes with the first
}

// life is how long the kernel keeps the address without being told to, in seconds: the least that it can be told. It takes up to
// a tenth longer.
const life = 1

func (k *kernelAddress) link() (netlink.Link, []netlink.Addr, error) {
	links, err := netlink.LinkList()
	if err != nil {
		return nil, nil, fmt.Errorf("list links: %w", err)
	}
	for _, l := range links {
		all, err := netlink.AddrList(l, netlink.FAMILY_ALL)
		if err != nil {
			return nil, nil, fmt.Errorf("list addresses of %s: %w", l.Attrs().Name, err)
		}
		for _, a := range all {
			if a.IP.Equal(k.own.AsSlice()) {
				return l, all, nil
			}
		}
	}
	return nil, nil, fmt.Errorf("no link has %s", k.own)
}

// has reports whether one of the addresses is there, alone or with its network.
func has(all []netlink.Addr, a netip.Addr, alone bool) bool {
	for _, x := range all {
		if ones, bits := x.Mask.Size(); x.IP.Equal(a.AsSlice()) && (ones == bits) == alone {
			return true
		}
	}
	return false
}

// Look reports whether the address is there as one that moves, and whether it is there as the machine's own.
func (k *kernelAddress) Look() (moved, own bool, err error) {
	_, all, err := k.link()
	if err != nil {
		return false, false, err
	}
	return has(all, k.moves[0], true), has(all, k.moves[0], false), nil
}

// Renew has those that are there last for their life from now.
func (k *kernelAddress) Renew() error {
	link, all, err := k.link()
	if err != nil {
		return err
	}
	var errs []error
	for _, a := range k.moves {
		if !has(all, a, true) {
			continue
		}
		address := entry(a)
		address.ValidLft, address.PreferedLft = life, life
		if a.Is6() { // which must not become what the machine sends from
			address.PreferedLft, address.Flags = 0, unix.IFA_F_NODAD
		}
		if err := netlink.AddrReplace(link, address); err != nil {
			errs = append(errs, fmt.Errorf("renew %s: %w", a, err))
		}
	}
	return errors.Join(errs...)
}

// Remove takes them away; those that are not there are none.
func (k *kernelAddress) Remove() error {
	link, all, err := k.link()
	if err != nil {
		return err
	}
	var errs []error
	for _, a := range k.moves {
		if !has(all, a, true) {
			continue
		}
		if err := netlink.AddrDel(link, entry(a)); err != nil && !errors.Is(err, unix.EADDRNOTAVAIL) {
			errs = append(errs, fmt.Errorf("remove %s: %w", a, err))
		}
	}
	return errors.Join(errs...)
}

func entry(a netip.Addr) *netlink.Addr {
	return &netlink.Addr{IPNet: &net.IPNet{IP: a.AsSlice(), Mask: net.CIDRMask(a.BitLen(), a.BitLen())}}
}

// processLives reports whether the process whose id is in a file is there, under a name that begins so, and no zombie.
func processLives(pidFile, name string) bool {
	text, err := os.ReadFile(pidFile)
	if err != nil {
		return false
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		return false
	}
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return false
	}
	begin, state, ok := strings.Cut(string(stat), ") ")
	return ok && strings.Contains(begin, "("+name) && !strings.HasPrefix(state, "Z") && !strings.HasPrefix(state, "X")
}
