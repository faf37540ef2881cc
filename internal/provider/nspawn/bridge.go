package nspawn

import (
	"errors"
	"fmt"
	"path/filepath"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/haplane/haplane/internal/durable"
)

// owned is an error when the cluster's bridge or its service is somebody else's.
func (p *Provider) owned() error {
	if err := p.validate(); err != nil {
		return err
	}
	if err := p.ownsService(); err != nil {
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
	if alias == "" && durable.ReadJSON(filepath.Join(p.StateDir, networkFile), &rec) == nil && rec.Bridge == p.bridge() {
		return nil // cut off between making it and naming it
	}
	if alias == "" {
		alias = "an unknown program"
	}
	return fmt.Errorf("bridge %s is not of this cluster: it belongs to %s", p.bridge(), alias)
}

func (p *Provider) makeBridge() error {
	gateways := p.Network.Gateways()
	attrs := netlink.NewLinkAttrs()
	attrs.Name, attrs.HardwareAddr = p.bridge(), hardwareAddr(gateways[0])
	bridge := &netlink.Bridge{LinkAttrs: attrs}
	if err := netlink.LinkAdd(bridge); err != nil && !errors.Is(err, unix.EEXIST) {
		return err
	}
	link, err := netlink.LinkByName(p.bridge())
	if err != nil {
		return err
	}
	settings := withoutIPv6 // an address of its own making would be one too many
	if p.Network.has(ipv6) {
		settings = withIPv6
	}
	steps := []func() error{
		func() error { return netlink.LinkSetAlias(link, p.owner()) },
		func() error { return configureIPv6(p.bridge(), settings) },
	}
	for i, gateway := range gateways {
		addr := address(gateway, p.Network.Prefixes[i])
		steps = append(steps, func() error { return netlink.AddrReplace(link, addr) })
	}
	return firstError(append(steps, func() error { return netlink.LinkSetUp(link) })...)
}

// attached plugs the link of a running machine into the bridge, which may be a
// new one, and reports whether the machine has a link at all.
func (p *Provider) attached(machine string) (bool, error) {
	link, err := netlink.LinkByName(p.veth(machine))
	if errors.As(err, new(netlink.LinkNotFoundError)) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	bridge, err := netlink.LinkByName(p.bridge())
	if err != nil {
		return false, err
	}
	if link.Attrs().MasterIndex != bridge.Attrs().Index {
		err = netlink.LinkSetMaster(link, bridge)
	}
	return true, errors.Join(err, netlink.LinkSetUp(link))
}
