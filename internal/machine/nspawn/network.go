package nspawn

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// The blackhole lies behind the bridge's route, so that nothing for a machine
// that is gone leaves the host.
const (
	blackholeMetric   = 4096
	blackholeProtocol = 104 // a number that no routing program has; "h" for haplane
)

// owned is an error when the cluster's bridge is somebody else's.
func (p *Provider) owned() error {
	if err := p.validate(); err != nil {
		return err
	}
	link, err := netlink.LinkByName(p.bridge())
	if errors.As(err, new(netlink.LinkNotFoundError)) {
		return nil
	}
	if err != nil {
		return err
	}
	alias := link.Attrs().Alias
	if alias == p.owner() {
		return nil
	}
	var rec networkRecord
	if alias == "" && readJSON(filepath.Join(p.StateDir, networkFile), &rec) == nil && rec.Bridge == p.bridge() {
		return nil // cut off between making it and naming it
	}
	if alias == "" {
		alias = "an unknown program"
	}
	return fmt.Errorf("bridge %s is not of this cluster: it belongs to %s", p.bridge(), alias)
}

func (p *Provider) makeNetwork(ctx context.Context) error {
	if err := os.MkdirAll(p.StateDir, 0o700); err != nil {
		return err
	}
	rec := networkRecord{Cluster: p.Cluster, Bridge: p.bridge(), Network: p.Network}
	if err := writeJSON(filepath.Join(p.StateDir, networkFile), rec); err != nil {
		return err
	}
	loadModules(ctx)
	if err := netlink.RouteAdd(p.blackhole()); err != nil && !errors.Is(err, unix.EEXIST) {
		return fmt.Errorf("add blackhole route: %w", err)
	}
	if err := p.makeBridge(); err != nil {
		return fmt.Errorf("make bridge %s: %w", p.bridge(), err)
	}
	if p.Network.NAT {
		if err := os.WriteFile("/proc/sys/net/ipv4/ip_forward", []byte("1"), 0); err != nil {
			return err
		}
	}
	return p.makeFirewall(ctx)
}

func (p *Provider) blackhole() *netlink.Route {
	return &netlink.Route{
		Dst: ipNet(p.Network.Prefix.Masked()), Type: unix.RTN_BLACKHOLE,
		Priority: blackholeMetric, Protocol: blackholeProtocol,
	}
}

func (p *Provider) makeBridge() error {
	attrs := netlink.NewLinkAttrs()
	attrs.Name, attrs.HardwareAddr = p.bridge(), hardwareAddr(p.Network.Gateway())
	bridge := &netlink.Bridge{LinkAttrs: attrs}
	if err := netlink.LinkAdd(bridge); err != nil && !errors.Is(err, unix.EEXIST) {
		return err
	}
	link, err := netlink.LinkByName(p.bridge())
	if err != nil {
		return err
	}
	gateway := &netlink.Addr{IPNet: ipNet(netip.PrefixFrom(p.Network.Gateway(), p.Network.Prefix.Bits()))}
	return firstError(
		func() error { return netlink.LinkSetAlias(link, p.owner()) },
		func() error { return netlink.AddrReplace(link, gateway) },
		func() error { return netlink.LinkSetUp(link) },
	)
}

// removeNetwork takes away what makeNetwork made; the blackhole goes last.
func (p *Provider) removeNetwork(ctx context.Context) (removed []string, err error) {
	removed, err = p.removeFirewall(ctx)
	link, err1 := netlink.LinkByName(p.bridge())
	if err1 == nil {
		if err1 = netlink.LinkDel(link); err1 == nil {
			removed = append(removed, "bridge "+p.bridge())
		}
	} else if errors.As(err1, new(netlink.LinkNotFoundError)) {
		err1 = nil
	}
	for _, prefix := range p.prefixes() {
		other := Provider{Network: Network{Prefix: prefix}}
		switch err2 := netlink.RouteDel(other.blackhole()); {
		case err2 == nil:
			removed = append(removed, "blackhole route "+prefix.String())
		case !errors.Is(err2, unix.ESRCH):
			err1 = errors.Join(err1, fmt.Errorf("remove blackhole route: %w", err2))
		}
	}
	return removed, errors.Join(err, err1)
}

// prefixes are the network's, and the recorded one if the cluster file has changed since.
func (p *Provider) prefixes() []netip.Prefix {
	out := []netip.Prefix{p.Network.Prefix.Masked()}
	var rec networkRecord
	if readJSON(filepath.Join(p.StateDir, networkFile), &rec) == nil && rec.Prefix.IsValid() && rec.Prefix.Masked() != out[0] {
		out = append(out, rec.Prefix.Masked())
	}
	return out
}

// loadModules loads what programs in a machine use and cannot load from there.
// Built into the kernel is as good, and what is missing shows when it is used.
func loadModules(ctx context.Context) {
	_ = exec.CommandContext(ctx, "modprobe", "--quiet", "--all",
		"overlay", "bridge", "br_netfilter", "veth", "vxlan", "nf_conntrack").Run()
}

func ipNet(p netip.Prefix) *net.IPNet {
	return &net.IPNet{IP: p.Addr().AsSlice(), Mask: net.CIDRMask(p.Bits(), 32)}
}

func firstError(steps ...func() error) error {
	for _, step := range steps {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}
