//go:build e2e

package nspawn

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"testing"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// bare is a cluster of two network namespaces.
func bare(t *testing.T, cluster string, third int, nat bool) *Provider {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root")
	}
	p := &Provider{Cluster: cluster, StateDir: filepath.Join(t.TempDir(), "state"), Network: Network{NAT: nat}}
	for _, s := range []string{"10.73.%d.0/24", "fd00:10:73:%d::/64"} {
		p.Network.Prefixes = append(p.Network.Prefixes, netip.MustParsePrefix(fmt.Sprintf(s, third)))
	}
	t.Cleanup(func() {
		if _, err := p.Destroy(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return p
}

func machineAddress(p *Provider, number, family int) netip.Addr {
	a := p.Network.Gateways()[family]
	for range number {
		a = a.Next()
	}
	return a
}

// forwardingHost turns the calling thread into the host. Its third network has no
// route to clusters with NAT: what it answers them was masqueraded.
func forwardingHost(ctx context.Context, clusters ...*Provider) error {
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		return err
	}
	for _, f := range families {
		if err := forward(f, sysctlDir); err != nil {
			return err
		}
	}
	for _, p := range clusters {
		if err := p.makeNetwork(ctx); err != nil {
			return err
		}
		for i, name := range []string{"one", "two"} {
			r := record{Name: name, Addresses: []netip.Addr{machineAddress(p, i+1, 0), machineAddress(p, i+1, 1)}}
			if err := p.makeNetns(r); err != nil {
				return err
			}
		}
	}
	outside := &Provider{Cluster: "nsp-apart-o", StateDir: clusters[0].StateDir, Network: clusters[0].Network}
	outside.Network.Prefixes = bare18
	if err := outside.makeBridge(); err != nil {
		return err
	}
	// Its name is one of the first cluster's, which removes it.
	path := netnsPath(clusters[0].netns("outside"))
	if err := bindNetns(path); err != nil {
		return err
	}
	ns, err := os.Open(path)
	if err != nil {
		return err
	}
	defer ns.Close()
	return plug(ns, outside.bridge(), clusters)
}

var bare18 = []netip.Prefix{netip.MustParsePrefix("10.73.18.0/24"), netip.MustParsePrefix("fd00:10:73:18::/64")}

// plug gives a namespace the second addresses of that network. The bridge is
// renamed: it is no cluster's.
func plug(ns *os.File, bridge string, clusters []*Provider) error {
	link, err := netlink.LinkByName(bridge)
	if err != nil {
		return err
	}
	attrs := netlink.NewLinkAttrs()
	attrs.Name, attrs.MasterIndex = "up0", link.Attrs().Index
	veth := &netlink.Veth{LinkAttrs: attrs, PeerName: "eth0", PeerNamespace: netlink.NsFd(int(ns.Fd()))}
	err = firstError(
		func() error { return netlink.LinkSetDown(link) },
		func() error { return netlink.LinkSetName(link, "uplink") },
		func() error { return netlink.LinkSetUp(link) },
		func() error { return netlink.LinkAdd(veth) },
		func() error { return netlink.LinkSetUp(veth) },
	)
	for _, p := range bare18 { // a link that goes down loses its IPv6 addresses
		err = errors.Join(err, netlink.AddrReplace(link, address(p.Addr().Next(), p)))
	}
	if err != nil {
		return err
	}
	return inNetns(ns, func() error {
		eth, err := netlink.LinkByName("eth0")
		for _, p := range bare18 {
			err = errors.Join(err, netlink.AddrAdd(eth, address(p.Addr().Next().Next(), p)))
		}
		err = errors.Join(err, netlink.LinkSetUp(eth))
		for _, c := range clusters {
			for i, p := range c.Network.Prefixes {
				if !c.Network.NAT {
					err = errors.Join(err, netlink.RouteAdd(&netlink.Route{Dst: ipNet(p), Gw: bare18[i].Addr().Next().AsSlice()}))
				}
			}
		}
		return err
	})
}
