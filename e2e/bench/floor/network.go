package floor

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/haplane/haplane/e2e/rig/thread"
	"github.com/haplane/haplane/internal/topology"
)

// A network is a bridge in a namespace of its own: no address and no packet of it
// is on this host, and it is gone with the last process in it.
type network struct {
	thread *thread.Thread
	prefix netip.Prefix
}

const bridgeName = "floor"

func newNetwork(t *topology.Topology) (*network, error) {
	n := &network{thread: thread.New(), prefix: t.Machines[0]}
	err := n.thread.Do(func() error {
		if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
			return err
		}
		attrs := netlink.NewLinkAttrs()
		attrs.Name = bridgeName
		bridge := &netlink.Bridge{LinkAttrs: attrs}
		if err := netlink.LinkAdd(bridge); err != nil {
			return err
		}
		return setUp(bridge, n.prefix.Masked().Addr().Next(), n.prefix)
	})
	if err != nil {
		n.close()
		return nil, err
	}
	return n, nil
}

func (n *network) close() { n.thread.Close() }

// attach gives the namespace of the calling thread an interface on the bridge.
func (n *network) attach(address netip.Addr) error {
	ns, err := os.Open("/proc/thread-self/ns/net")
	if err != nil {
		return err
	}
	defer ns.Close()
	if err := n.thread.Do(func() error { return plug(address, ns) }); err != nil {
		return fmt.Errorf("make link: %w", err)
	}
	lo, err1 := netlink.LinkByName("lo")
	eth, err2 := netlink.LinkByName("eth0")
	if err := errors.Join(err1, err2); err != nil {
		return err
	}
	if err := netlink.LinkSetUp(lo); err != nil {
		return err
	}
	if err := setUp(eth, address, n.prefix); err != nil {
		return err
	}
	// API servers look for a default route to tell which address is theirs.
	return netlink.RouteAdd(&netlink.Route{LinkIndex: eth.Attrs().Index, Gw: n.prefix.Masked().Addr().Next().AsSlice(),
		Dst: &net.IPNet{IP: net.IPv4zero, Mask: net.CIDRMask(0, 32)}})
}

// plug makes a link from the bridge into another namespace.
func plug(address netip.Addr, into *os.File) error {
	bridge, err := netlink.LinkByName(bridgeName)
	if err != nil {
		return err
	}
	attrs := netlink.NewLinkAttrs()
	attrs.Name, attrs.MasterIndex = fmt.Sprintf("to-%d", address.As4()[3]), bridge.Attrs().Index
	link := &netlink.Veth{LinkAttrs: attrs, PeerName: "eth0", PeerNamespace: netlink.NsFd(int(into.Fd()))}
	if err := netlink.LinkAdd(link); err != nil {
		return err
	}
	return netlink.LinkSetUp(link)
}

func setUp(link netlink.Link, address netip.Addr, prefix netip.Prefix) error {
	err := netlink.AddrAdd(link, &netlink.Addr{IPNet: &net.IPNet{IP: address.AsSlice(), Mask: net.CIDRMask(prefix.Bits(), 32)}})
	if err != nil {
		return err
	}
	return netlink.LinkSetUp(link)
}
