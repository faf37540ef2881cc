package agent

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"
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

// there lists the addresses of that link.
func (k *kernelAddress) there() ([]netlink.Addr, error) {
	var all []netlink.Addr
	var err error
	for range 3 { // another program may add or take away one while the kernel lists them
		if all, err = netlink.AddrList(nil, netlink.FAMILY_ALL); !errors.Is(err, netlink.ErrDumpInterrupted) {
			break
		}
	}
	if err != nil {
		return nil, fmt.Errorf("list addresses: %w", err)
	}
	own := slices.IndexFunc(all, func(a netlink.Addr) bool { return a.IP.Equal(k.own.AsSlice()) })
	if own < 0 {
		return nil, fmt.Errorf("no link has %s", k.own)
	}
	link := all[own].LinkIndex
	return slices.DeleteFunc(all, func(a netlink.Addr) bool { return a.LinkIndex != link }), nil
}

// find returns the entry of an address, alone or with its network around it.
func find(all []netlink.Addr, a netip.Addr, alone bool) (*netlink.Addr, bool) {
	for _, x := range all {
		if ones, bits := x.Mask.Size(); x.IP.Equal(a.AsSlice()) && (ones == bits) == alone {
			return &netlink.Addr{IPNet: &net.IPNet{IP: a.AsSlice(), Mask: x.Mask}, LinkIndex: x.LinkIndex}, true
		}
	}
	return nil, false
}

// Look reports whether the address is there as one that moves, and whether it is there as the machine's own.
func (k *kernelAddress) Look() (moved, own bool, err error) {
	all, err := k.there()
	if err != nil {
		return false, false, err
	}
	_, moved = find(all, k.moves[0], true)
	_, own = find(all, k.moves[0], false)
	return moved, own, nil
}

// Renew has those that are there last for their life from now.
func (k *kernelAddress) Renew() error {
	return k.each("renew", func(a *netlink.Addr) error {
		a.ValidLft, a.PreferedLft = life, life
		if a.IP.To4() == nil { // which must not become what the machine sends from
			a.PreferedLft, a.Flags = 0, unix.IFA_F_NODAD
		}
		return netlink.AddrReplace(nil, a)
	})
}

// Remove takes them away; those that are not there are none.
func (k *kernelAddress) Remove() error {
	return k.each("remove", func(a *netlink.Addr) error {
		if err := netlink.AddrDel(nil, a); !errors.Is(err, unix.EADDRNOTAVAIL) {
			return err
		}
		return nil
	})
}

// each does something with every address that moves and is there.
func (k *kernelAddress) each(what string, do func(*netlink.Addr) error) error {
	all, err := k.there()
	if err != nil {
		return err
	}
	var errs []error
	for _, a := range k.moves {
		if entry, ok := find(all, a, true); ok {
			if err := do(entry); err != nil {
				errs = append(errs, fmt.Errorf("%s %s: %w", what, a, err))
			}
		}
	}
	return errors.Join(errs...)
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
