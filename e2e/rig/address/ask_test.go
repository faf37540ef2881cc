package address

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"testing"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/haplane/haplane/e2e/rig"
	"github.com/haplane/haplane/e2e/rig/thread"
	"github.com/haplane/haplane/internal/provider/nspawn"
)

// A place is a network namespace that nobody else sees.
type place struct {
	*testing.T
	*thread.Thread
}

func newPlace(t *testing.T) place {
	t.Helper()
	p := place{t, thread.New()}
	t.Cleanup(p.Close)
	p.do(func() error { return unix.Unshare(unix.CLONE_NEWNET) })
	return p
}

func (p place) do(fn func() error) {
	p.Helper()
	if err := p.Do(fn); err != nil {
		p.Fatal(err)
	}
}

// give gives the place's link an address.
func (p place) give(link, address string) {
	p.Helper()
	p.do(func() error {
		l, err := netlink.LinkByName(link)
		if err != nil {
			return err
		}
		a, err := netlink.ParseAddr(address)
		if err != nil {
			return err
		}
		if err := netlink.AddrAdd(l, a); err != nil {
			return err
		}
		return netlink.LinkSetUp(l)
	})
}

// serve answers whoever asks at port 6443.
func (p place) serve() {
	p.Helper()
	var l net.Listener
	p.do(func() (err error) {
		l, err = net.Listen("tcp4", ":6443")
		return err
	})
	p.Cleanup(func() { l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				if n, err := conn.Read(make([]byte, 1<<10)); err == nil && n == len(question) {
					fmt.Fprint(conn, "HTTP/1.0 400 Bad Request\r\n\r\n")
				}
			}()
		}
	}()
}

// TestSeats has two machines on a bridge, as local ones are. Each seat is answered by its own machine, and only while that has the address, also where it would
// pass on what is not for it; and frames that are to be lost are.
func TestSeats(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("needs root, for network namespaces")
	}
	c := &rig.Cluster{Name: "seats", Network: netip.MustParsePrefix("192.0.2.0/24")}
	host, bridge := newPlace(t), nspawn.BridgeName(c.Name)
	host.do(func() error {
		attrs := netlink.NewLinkAttrs()
		attrs.Name = bridge
		return netlink.LinkAdd(&netlink.Bridge{LinkAttrs: attrs})
	})
	host.give(bridge, "192.0.2.1/24")
	to := netip.MustParseAddrPort("192.0.2.3:6443")
	machines, seats := map[string]place{}, map[string]*seat{}
	for i, name := range []string{"lb-1", "lb-2"} {
		m := newPlace(t)
		var at net.HardwareAddr
		m.do(func() error {
			ns, err := os.Open("/proc/thread-self/ns/net")
			if err != nil {
				return err
			}
			defer ns.Close()
			return host.Do(func() error {
				on, err := netlink.LinkByName(bridge)
				if err != nil {
					return err
				}
				attrs := netlink.NewLinkAttrs()
				attrs.Name, attrs.MasterIndex = name, on.Attrs().Index
				link := &netlink.Veth{LinkAttrs: attrs, PeerName: "eth0", PeerNamespace: netlink.NsFd(int(ns.Fd()))}
				if err := netlink.LinkAdd(link); err != nil {
					return err
				}
				return netlink.LinkSetUp(link)
			})
		})
		m.give("eth0", fmt.Sprintf("192.0.2.%d/24", 4+i))
		m.do(func() error {
			eth, err := netlink.LinkByName("eth0")
			if err == nil {
				at = eth.Attrs().HardwareAddr
				err = os.WriteFile("/proc/sys/net/ipv4/ip_forward", []byte("1"), 0)
			}
			return err
		})
		m.serve()
		host.do(func() (err error) {
			seats[name], err = takeSeat(Machine{Cluster: c, Name: name}, netip.AddrFrom4([4]byte{192, 0, 2, byte(254 - i)}), to.Addr(), at)
			return err
		})
		t.Cleanup(func() { host.do(seats[name].leave) })
		machines[name] = m
	}
	answers := func(name string, want bool) {
		t.Helper()
		if a := seats[name].ask(t.Context(), to); (a.Err == nil) != want || a.Machine != name {
			t.Errorf("%s: %+v, want an answer: %t", name, a, want)
		}
	}
	machines["lb-1"].give("eth0", "192.0.2.3/32")
	answers("lb-1", true)
	answers("lb-2", false)
	machines["lb-2"].give("eth0", "192.0.2.3/32")
	answers("lb-1", true)
	answers("lb-2", true)
	if _, err := exec.LookPath("nft"); err != nil {
		t.Skip("needs nft, of Debian's package nftables")
	}
	host.do(func() error {
		return nft(t.Context(), rules("haplane-fault-test", []string{"to lb-1", "from lb-2", "lb-1 lb-2"}))
	})
	answers("lb-1", false)
	answers("lb-2", false)
	for range 2 { // twice is as good as once
		host.do(func() error { return deleteTable(t.Context(), "haplane-fault-test") })
	}
	answers("lb-1", true)
	answers("lb-2", true)
	host.do(func() error { return nft(t.Context(), rules("haplane-fault-test", []string{"to lb-1"})) })
	host.do(func() error { return HealLoss(t.Context()) })
	answers("lb-1", true)
}
