package nspawn

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/haplane/haplane/internal/poll"
)

// A Stranger has an address on the cluster's network and is none of its machines.
type Stranger struct {
	Address netip.Addr
	Bridge  string
	MAC     net.HardwareAddr // that answered; nil where it is this host itself
	Port    string           // of the bridge, to which it is plugged in; "" where that is not known
}

// String says who it is.
func (s Stranger) String() string {
	if s.MAC == nil {
		return fmt.Sprintf("this host itself has %s, on bridge %s", s.Address, s.Bridge)
	}
	at := "bridge " + s.Bridge
	if s.Port != "" {
		at = "port " + s.Port + " of " + at
	}
	return fmt.Sprintf("%s is answered by the MAC address %s at %s, which is none of haplane's machines", s.Address, s.MAC, at)
}

// strangersAnswer is how long somebody may take to answer. The kernel asks again after a second, so that one question may be lost.
const strangersAnswer = 1200 * time.Millisecond

// Strangers asks on the cluster's network who has addresses, and returns those that are none of its machines. The kernel asks, as it does
// before it sends something: by ARP, or neighbour solicitation. A machine of the cluster that has the address answers as well, so whoever
// answers first is the one that is seen: it is to be asked before a machine takes the address. Where nobody else is plugged
// into the bridge, as on every first bring-up, which has none yet, there is nobody to ask, and it takes no time.
func (p *Provider) Strangers(ctx context.Context, addresses []netip.Addr) ([]Stranger, error) {
	bridge, err := netlink.LinkByName(p.bridge())
	if errors.As(err, new(netlink.LinkNotFoundError)) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	own, err := p.atBridge(bridge, addresses)
	if err != nil {
		return nil, err
	}
	if somebody, err := p.othersPluggedIn(bridge); err != nil || !somebody {
		return own, err
	}
	ours, err := p.hardwareAddrs()
	if err != nil {
		return nil, err
	}
	for _, a := range addresses {
		if err := askFor(bridge, a); err != nil {
			return nil, fmt.Errorf("ask who has %s: %w", a, err)
		}
	}
	answered, err := answers(ctx, bridge, addresses)
	if err != nil {
		return nil, err
	}
	others := p.strangers(addresses, answered, ours)
	for i := range others {
		others[i].Port = portOf(bridge, others[i].MAC)
	}
	return append(own, others...), nil
}

// strangers are those that answered, by address, with a MAC address that is none of ours.
func (p *Provider) strangers(addresses []netip.Addr, answered map[netip.Addr]net.HardwareAddr, ours []net.HardwareAddr) []Stranger {
	var out []Stranger
	for _, a := range addresses {
		mac, ok := answered[a]
		if ok && !slices.ContainsFunc(ours, func(o net.HardwareAddr) bool { return slices.Equal(o, mac) }) {
			out = append(out, Stranger{Address: a, Bridge: p.bridge(), MAC: mac})
		}
	}
	return out
}

// atBridge are the addresses that the bridge has itself, which nobody answers for on the network.
func (p *Provider) atBridge(bridge netlink.Link, addresses []netip.Addr) ([]Stranger, error) {
	have, err := netlink.AddrList(bridge, netlink.FAMILY_ALL)
	if err != nil {
		return nil, fmt.Errorf("list addresses of %s: %w", p.bridge(), err)
	}
	var out []Stranger
	for _, a := range addresses {
		if slices.ContainsFunc(have, func(h netlink.Addr) bool { return h.IP.Equal(a.AsSlice()) }) {
			out = append(out, Stranger{Address: a, Bridge: p.bridge()})
		}
	}
	return out, nil
}

// othersPluggedIn reports whether there is a link at the bridge that leads to none of the machines.
func (p *Provider) othersPluggedIn(bridge netlink.Link) (bool, error) {
	links, err := netlink.LinkList()
	if err != nil {
		return false, fmt.Errorf("list links: %w", err)
	}
	var ours []string
	for _, name := range p.netnsMachines() {
		ours = append(ours, p.veth(name))
	}
	return slices.ContainsFunc(links, func(l netlink.Link) bool {
		return l.Attrs().MasterIndex == bridge.Attrs().Index && !slices.Contains(ours, l.Attrs().Name)
	}), nil
}

// hardwareAddrs are those of the machines' links. A machine that got another address keeps the one that it was made with.
func (p *Provider) hardwareAddrs() ([]net.HardwareAddr, error) {
	var out []net.HardwareAddr
	for _, name := range p.netnsMachines() {
		err := p.inside(name, func(_ *os.File, _ *netlink.Handle, eth netlink.Link) error {
			out = append(out, eth.Attrs().HardwareAddr)
			return nil
		})
		if err != nil && !errors.As(err, new(netlink.LinkNotFoundError)) { // one that was cut off while it was made has none
			return nil, fmt.Errorf("look at the link of machine %s: %w", name, err)
		}
	}
	return out, nil
}

// portOf is the port of a bridge behind which it has seen a MAC address.
func portOf(bridge netlink.Link, mac net.HardwareAddr) string {
	seen, _ := netlink.NeighList(0, unix.AF_BRIDGE)
	for _, n := range seen {
		if n.MasterIndex == bridge.Attrs().Index && n.LinkIndex != n.MasterIndex && slices.Equal(n.HardwareAddr, mac) {
			if port, err := netlink.LinkByIndex(n.LinkIndex); err == nil {
				return port.Attrs().Name
			}
		}
	}
	return ""
}

// askFor has the kernel forget what it knew of a neighbour, and ask anew.
func askFor(bridge netlink.Link, a netip.Addr) error {
	n := &netlink.Neigh{LinkIndex: bridge.Attrs().Index, Family: familyOf(a).number, IP: a.AsSlice()}
	if err := netlink.NeighDel(n); err != nil && !errors.Is(err, unix.ENOENT) {
		return err
	}
	n.Flags = netlink.NTF_USE
	return netlink.NeighSet(n)
}

// answers waits until all have answered, or the time for that is over: who has not answered until then has nobody.
func answers(ctx context.Context, bridge netlink.Link, addresses []netip.Addr) (map[netip.Addr]net.HardwareAddr, error) {
	out := map[netip.Addr]net.HardwareAddr{}
	waiting, cancel := context.WithTimeout(ctx, strangersAnswer)
	defer cancel()
	errSilent := errors.New("not all have answered")
	err := poll.Until(waiting, 20*time.Millisecond, func(context.Context) error {
		all, err := netlink.NeighList(bridge.Attrs().Index, netlink.FAMILY_ALL)
		if err != nil && !errors.Is(err, netlink.ErrDumpInterrupted) {
			return poll.Stop(err)
		}
		for _, n := range all {
			a, _ := netip.AddrFromSlice(n.IP)
			if known := n.State&(netlink.NUD_REACHABLE|netlink.NUD_STALE|netlink.NUD_DELAY|netlink.NUD_PROBE) != 0; known && len(n.HardwareAddr) > 0 {
				out[a.Unmap()] = n.HardwareAddr
			}
		}
		if slices.ContainsFunc(addresses, func(a netip.Addr) bool { return out[a] == nil }) {
			return errSilent
		}
		return nil
	})
	switch {
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case err != nil && !errors.Is(err, errSilent) && !errors.Is(err, context.DeadlineExceeded):
		return nil, fmt.Errorf("list neighbours: %w", err)
	}
	return out, nil
}
