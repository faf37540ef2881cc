//go:build e2e

package nspawn

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"os"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// Somebody at the bridge who has an address is told apart from machines of the cluster, which have theirs and ones that they move, and from nobody.
func TestStrangersOnTheBridge(t *testing.T) {
	p := bare(t, "nsp-strange", 20, false)
	number := func(n, family int) netip.Addr { return machineAddress(p, n, family) }
	theirs := net.HardwareAddr{0x52, 0x54, 0, 0x12, 0x34, 0x56}
	asked := []netip.Addr{number(1, 0), number(1, 1), number(2, 0), number(2, 1), number(3, 0), number(4, 0)}
	var none, before, after []Stranger
	var took time.Duration
	var ns *os.File
	err := onThread(func() (err error) {
		if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
			return err
		}
		ns, err = os.Open("/proc/thread-self/ns/net")
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	defer ns.Close()
	err = onThread(func() (err error) {
		if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
			return err
		}
		if none, err = p.Strangers(t.Context(), asked); err != nil { // no bridge
			return err
		}
		if err := p.oneMachineAndAnotherOne(t.Context(), ns, theirs); err != nil {
			return err
		}
		began := time.Now()
		if before, err = p.Strangers(t.Context(), []netip.Addr{number(2, 0), number(2, 1)}); err != nil { // all answer
			return err
		}
		took = time.Since(began)
		after, err = p.Strangers(t.Context(), asked)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	stranger := func(family int) Stranger {
		return Stranger{Address: number(2, family), Bridge: p.bridge(), MAC: theirs, Port: "other0"}
	}
	host := Stranger{Address: number(4, 0), Bridge: p.bridge()}
	for what, is := range map[string][2][]Stranger{
		"without a bridge": {nil, none}, "who all answer": {{stranger(0), stranger(1)}, before}, "of all": {{host, stranger(0), stranger(1)}, after},
	} {
		if diff := cmp.Diff(is[0], is[1], cmpopts.EquateComparable(netip.Addr{})); diff != "" {
			t.Errorf("strangers %s:\n%s", what, diff)
		}
	}
	if took > strangersAnswer/2 {
		t.Errorf("it took %s although all answered", took)
	}
}

// oneMachineAndAnotherOne has a machine with the first addresses, which has moved to it the third one; somebody else with the second ones;
// in a namespace of his; and the host with the fourth.
func (p *Provider) oneMachineAndAnotherOne(ctx context.Context, ns *os.File, theirs net.HardwareAddr) error {
	if err := p.makeNetwork(ctx); err != nil {
		return err
	}
	bridge, err := netlink.LinkByName(p.bridge())
	if err != nil {
		return err
	}
	if err := p.makeNetns(record{Name: "one", Addresses: []netip.Addr{machineAddress(p, 1, 0), machineAddress(p, 1, 1)}}); err != nil {
		return err
	}
	moves := func(_ *os.File, inside *netlink.Handle, eth netlink.Link) error {
		return inside.AddrAdd(eth, address(machineAddress(p, 3, 0), netip.PrefixFrom(machineAddress(p, 3, 0), 32)))
	}
	attrs := netlink.NewLinkAttrs()
	attrs.Name, attrs.MasterIndex = "other0", bridge.Attrs().Index
	veth := &netlink.Veth{LinkAttrs: attrs, PeerName: "eth0", PeerHardwareAddr: theirs, PeerNamespace: netlink.NsFd(int(ns.Fd()))}
	return firstError(
		func() error { return p.inside("one", moves) },
		func() error { return netlink.AddrAdd(bridge, address(machineAddress(p, 4, 0), p.Network.Prefixes[0])) },
		func() error { return netlink.LinkAdd(veth) },
		func() error { return netlink.LinkSetUp(veth) },
		func() error {
			return inNetns(ns, func() error {
				eth, err := netlink.LinkByName("eth0")
				for i, prefix := range p.Network.Prefixes {
					err = errors.Join(err, netlink.AddrAdd(eth, address(machineAddress(p, 2, i), prefix)))
				}
				return errors.Join(err, netlink.LinkSetUp(eth))
			})
		},
	)
}
