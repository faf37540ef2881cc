package main

import (
	"bytes"
	"context"
	"fmt"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/haplane/haplane/e2e/bench/balancers"
	"github.com/haplane/haplane/e2e/rig"
)

// unplug takes the machine of a server from the cluster's bridge. It stays up, and
// neither it nor who talks to it is told.
func unplug(c *rig.Cluster) func(context.Context, balancers.Server) (func(context.Context) error, error) {
	return func(_ context.Context, s balancers.Server) (func(context.Context) error, error) {
		port, err := portOf(c, s)
		if err != nil {
			return nil, fmt.Errorf("find port of %s: %w", s.Name, err)
		}
		heal := func(context.Context) error { return netlink.LinkSetUp(port) }
		return heal, netlink.LinkSetDown(port)
	}
}

// portOf finds the port of the bridge behind which an address is.
func portOf(c *rig.Cluster, s balancers.Server) (netlink.Link, error) {
	bridge, err := netlink.LinkByName("hp-" + c.Name)
	if err != nil {
		return nil, err
	}
	neighbours, err := netlink.NeighList(bridge.Attrs().Index, unix.AF_INET)
	if err != nil {
		return nil, err
	}
	stations, err := netlink.NeighList(0, unix.AF_BRIDGE)
	if err != nil {
		return nil, err
	}
	for _, n := range neighbours {
		if !n.IP.Equal(s.Address.Addr().AsSlice()) {
			continue
		}
		for _, at := range stations {
			if bytes.Equal(at.HardwareAddr, n.HardwareAddr) && at.MasterIndex == bridge.Attrs().Index {
				return netlink.LinkByIndex(at.LinkIndex)
			}
		}
	}
	return nil, fmt.Errorf("no neighbour %s on %s", s.Address.Addr(), bridge.Attrs().Name)
}
