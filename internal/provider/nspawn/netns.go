package nspawn

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

// netnsDir is where iproute2 keeps named namespaces: `ip netns exec` works on ours.
const netnsDir = "/run/netns"

func netnsPath(name string) string { return filepath.Join(netnsDir, name) }

// makeNetns makes the machine's network anew, complete before the machine boots:
// address and default route are the host's doing, so the image configures none.
func (p *Provider) makeNetns(r record) error {
	if _, err := p.removeNetns(r.Name); err != nil {
		return err
	}
	path := netnsPath(p.netns(r.Name))
	if err := bindNetns(path); err != nil {
		return err
	}
	ns, err := os.Open(path)
	if err != nil {
		return err
	}
	defer ns.Close()
	if err := p.addVeth(r, ns); err != nil {
		return fmt.Errorf("add link: %w", err)
	}
	inside, err := netlink.NewHandleAt(netns.NsHandle(int(ns.Fd())))
	if err != nil {
		return err
	}
	defer inside.Close()
	return p.configure(inside, r)
}

// inNetns runs fn on a thread that is in a network namespace.
func inNetns(ns *os.File, fn func() error) error {
	return onThread(func() error {
		if err := unix.Setns(int(ns.Fd()), unix.CLONE_NEWNET); err != nil {
			return err
		}
		return fn()
	})
}

// bindNetns makes an empty network namespace that a path keeps alive. The links
// that come into it, those of its pods too, send nothing by themselves.
func bindNetns(path string) error {
	if err := os.MkdirAll(netnsDir, 0o755); err != nil {
		return err
	}
	if err := os.WriteFile(path, nil, 0o444); err != nil {
		return err
	}
	return onThread(func() error {
		if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
			return err
		}
		if err := configureIPv6("default", withIPv6); err != nil {
			return err
		}
		return unix.Mount("/proc/thread-self/ns/net", path, "", unix.MS_BIND, "")
	})
}

func (p *Provider) addVeth(r record, ns *os.File) error {
	bridge, err := netlink.LinkByName(p.bridge())
	if err != nil {
		return err
	}
	attrs := netlink.NewLinkAttrs()
	attrs.Name, attrs.MasterIndex = p.veth(r.Name), bridge.Attrs().Index
	veth := &netlink.Veth{
		LinkAttrs: attrs, PeerName: "eth0",
		PeerHardwareAddr: hardwareAddr(r.Addresses[0]), PeerNamespace: netlink.NsFd(int(ns.Fd())),
	}
	if err := netlink.LinkAdd(veth); err != nil {
		return err
	}
	return firstError(
		func() error { return netlink.LinkSetAlias(veth, p.netns(r.Name)) },
		func() error { return configureIPv6(attrs.Name, withoutIPv6) }, // the bridge has the host's addresses
		func() error { return netlink.LinkSetUp(veth) },
	)
}

func (p *Provider) configure(inside *netlink.Handle, r record) error {
	lo, err := inside.LinkByName("lo")
	if err != nil {
		return err
	}
	eth, err := inside.LinkByName("eth0")
	if err != nil {
		return err
	}
	steps := []func() error{func() error { return inside.LinkSetUp(lo) }}
	for i, prefix := range p.Network.Prefixes {
		steps = append(steps, func() error { return inside.AddrAdd(eth, address(r.Addresses[i], prefix)) })
		if len(r.Kept) > i {
			steps = append(steps, func() error { return inside.AddrAdd(eth, address(r.Kept[i], prefix)) })
		}
	}
	steps = append(steps, func() error { return inside.LinkSetUp(eth) })
	for _, gateway := range p.Network.Gateways() {
		route := &netlink.Route{LinkIndex: eth.Attrs().Index, Dst: familyOf(gateway).everywhere(), Gw: gateway.AsSlice()}
		steps = append(steps, func() error { return inside.RouteAdd(route) })
	}
	return firstError(steps...)
}

// removeNetns removes the machine's end of the network and reports whether
// there was one. The link goes by name first: a namespace takes its links along
// only later.
func (p *Provider) removeNetns(machine string) (found bool, err error) {
	link, err := netlink.LinkByName(p.veth(machine))
	if err == nil {
		found = true
		err = netlink.LinkDel(link)
	} else if errors.As(err, new(netlink.LinkNotFoundError)) {
		err = nil
	}
	path := netnsPath(p.netns(machine))
	if e := unix.Unmount(path, unix.MNT_DETACH); e != nil && !errors.Is(e, unix.EINVAL) && !errors.Is(e, unix.ENOENT) {
		return found, errors.Join(err, fmt.Errorf("unmount %s: %w", path, e))
	}
	switch e := os.Remove(path); {
	case e == nil:
		found = true
	case !errors.Is(e, fs.ErrNotExist):
		err = errors.Join(err, e)
	}
	return found, err
}

// netnsMachines lists the machines that still have a network namespace.
func (p *Provider) netnsMachines() []string {
	entries, _ := os.ReadDir(netnsDir)
	var names []string
	for _, e := range entries {
		if name, ours := strings.CutPrefix(e.Name(), p.prefix()); ours {
			names = append(names, name)
		}
	}
	return names
}
