//go:build e2e

package nspawn

import (
	"net/netip"
	"os"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// Of the addresses that a machine had before, those of IPv4 go, where keepalived has put one beside it; one of IPv6 is replaced by such an entry, where
// the machine has it still. Its new ones stay, and what is no address of the network.
func TestAddressesThatMoveFromNowOn(t *testing.T) {
	p := bare(t, "nsp-drop", 21, false)
	own, moving := []netip.Addr{machineAddress(p, 1, 0), machineAddress(p, 1, 1)}, []netip.Addr{machineAddress(p, 2, 0), machineAddress(p, 2, 1)}
	v4, v6, prefix6 := moving[0].String()+"/32", moving[1].String()+"/128", moving[1].String()+"/64"
	ours := []string{own[0].String() + "/24", own[1].String() + "/64"}
	var kept, stays, leaves []string
	err := onThread(func() error {
		if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
			return err
		}
		if err := p.makeNetwork(t.Context()); err != nil {
			return err
		}
		for name, moves := range map[string]bool{"stays": true, "leaves": false} {
			if err := p.makeNetns(record{Name: name, Addresses: own, Kept: moving}); err != nil {
				return err
			}
			list := func() (out []string) {
				err := p.inside(name, func(_ *os.File, inside *netlink.Handle, eth netlink.Link) error {
					all, err := inside.AddrList(eth, netlink.FAMILY_ALL)
					for _, a := range all {
						if !a.IP.IsLinkLocalUnicast() {
							out = append(out, a.IPNet.String())
						}
						if a.IPNet.String() == v6 && (a.ValidLft < 0 || a.ValidLft > 1) {
							t.Errorf("it lasts %d s", a.ValidLft)
						}
					}
					return err
				})
				if err != nil {
					t.Error(err)
				}
				slices.Sort(out)
				return out
			}
			put := func(_ *os.File, inside *netlink.Handle, eth netlink.Link) error { // as keepalived does
				return inside.AddrAdd(eth, address(moving[0], netip.PrefixFrom(moving[0], 32)))
			}
			if err := p.inside(name, put); err != nil {
				return err
			}
			kept = list()
			if err := p.dropInside(Machine{Name: name, Addresses: own}, moves); err != nil {
				return err
			}
			if moves {
				stays = list()
			} else {
				leaves = list()
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	with := func(more ...string) []string { return slices.Sorted(slices.Values(slices.Concat(ours, more))) }
	for what, is := range map[string][2][]string{
		"before": {with(v4, moving[0].String()+"/24", prefix6), kept}, "of one that has them": {with(v4, v6), stays}, "of one that does not": {with(v4), leaves},
	} {
		if diff := cmp.Diff(is[0], is[1]); diff != "" {
			t.Errorf("addresses %s:\n%s", what, diff)
		}
	}
}
