package agent

import (
	"errors"
	"net/netip"
	"os"
	"runtime"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// In a network of its own, as keepalived puts the address there: beside the machine's own one, and without an end.
func TestKernelAddress(t *testing.T) {
	for name, a := range map[string]struct{ own, moves string }{
		"IPv4": {"10.99.0.4/24", "10.99.0.3"},
		"IPv6": {"fd99::4/64", "fd99::3"},
	} {
		t.Run(name, func(t *testing.T) {
			inNetwork(t)
			own, moves := netip.MustParsePrefix(a.own), netip.MustParseAddr(a.moves)
			k := &kernelAddress{own: own.Addr(), moves: []netip.Addr{moves}}
			if _, _, err := k.Look(); err == nil {
				t.Error("it looked where the machine's own address is not")
			}
			add(t, "lo", a.own)
			add(t, "other", netip.PrefixFrom(moves, moves.BitLen()).String()) // which is none of ours
			wants := func(what string, moved, isOwn bool) {
				t.Helper()
				if gotMoved, gotOwn, err := k.Look(); gotMoved != moved || gotOwn != isOwn || err != nil {
					t.Errorf("%s: there as one that moves %v, as its own %v, %v", what, gotMoved, gotOwn, err)
				}
			}
			wants("nothing", false, false)
			must(t, k.Remove())
			must(t, k.Renew())
			wants("renewed, but not there", false, false)
			both := moves.Is4() // of IPv6 an address is on a link only once
			if both {
				add(t, "lo", netip.PrefixFrom(moves, own.Bits()).String())
			}
			wants("its own", false, both)
			add(t, "lo", netip.PrefixFrom(moves, moves.BitLen()).String())
			wants("both", true, both)

			must(t, k.Renew())
			all, err := k.there()
			must(t, err)
			for _, x := range all {
				ones, bits := x.Mask.Size()
				switch moved := x.IP.Equal(moves.AsSlice()) && ones == bits; {
				case moved && (x.ValidLft > life || x.ValidLft < 0):
					t.Errorf("it lasts %d s", x.ValidLft)
				case !moved && x.IP.Equal(moves.AsSlice()) && x.ValidLft <= life:
					t.Errorf("the machine's own one lasts %d s", x.ValidLft)
				}
			}
			for end := time.Now().Add(3 * life * time.Second); ; time.Sleep(10 * time.Millisecond) {
				if moved, _, err := k.Look(); err != nil || time.Now().After(end) {
					t.Fatalf("it is there still: %v, %v", moved, err)
				} else if !moved {
					break
				}
			}
			wants("its life is over", false, both)

			add(t, "lo", netip.PrefixFrom(moves, moves.BitLen()).String())
			must(t, k.Remove())
			wants("removed", false, both)
			if other, err := netlink.LinkByName("other"); err != nil {
				t.Error(err)
			} else if all, err := netlink.AddrList(other, netlink.FAMILY_ALL); err != nil || !has(all, moves) {
				t.Errorf("what is on another link was touched: %v, %v", all, err)
			}
		})
	}
}

func has(all []netlink.Addr, a netip.Addr) bool { _, ok := find(all, a, true); return ok }

// inNetwork has the test run in a network namespace, with a link for its own and another one.
func inNetwork(t *testing.T) {
	t.Helper()
	runtime.LockOSThread() // until the goroutine of the test ends, and the thread with it
	if err := unix.Unshare(unix.CLONE_NEWNET); errors.Is(err, os.ErrPermission) {
		t.Skip("it takes root to make a network namespace")
	} else if err != nil {
		t.Fatal(err)
	}
	must(t, netlink.LinkAdd(&netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: "other"}, PeerName: "its-peer"}))
	for _, name := range []string{"lo", "other"} {
		link, err := netlink.LinkByName(name)
		must(t, err)
		must(t, netlink.LinkSetUp(link))
	}
}

func add(t *testing.T, link, prefix string) {
	t.Helper()
	l, err := netlink.LinkByName(link)
	must(t, err)
	a, err := netlink.ParseAddr(prefix)
	must(t, err)
	if a.IP.To4() == nil {
		a.Flags = unix.IFA_F_NODAD
	}
	must(t, netlink.AddrAdd(l, a))
}
