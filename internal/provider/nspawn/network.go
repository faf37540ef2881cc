package nspawn

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/haplane/haplane/internal/durable"
)

// The blackhole lies behind the bridge's route, so that nothing for a machine
// that is gone leaves the host.
const (
	blackholeMetric   = 4096
	blackholeProtocol = 104 // a number that no routing program has; "h" for haplane
)

func (p *Provider) makeNetwork(ctx context.Context) error {
	if len(p.Network.Prefixes) == 0 {
		return errors.New("0 networks, want one or one of each family")
	}
	if err := os.MkdirAll(p.StateDir, 0o700); err != nil {
		return err
	}
	rec := networkRecord{Cluster: p.Cluster, Bridge: p.bridge(), Network: p.Network}
	if err := durable.WriteJSON(filepath.Join(p.StateDir, networkFile), rec, 0o600); err != nil {
		return err
	}
	loadModules(ctx)
	for _, prefix := range p.Network.Prefixes {
		if err := netlink.RouteAdd(blackhole(prefix)); err != nil && !errors.Is(err, unix.EEXIST) {
			return fmt.Errorf("add blackhole route %s: %w", prefix, err)
		}
	}
	if err := p.makeBridge(); err != nil {
		return fmt.Errorf("make bridge %s: %w", p.bridge(), err)
	}
	// The rules come first: a host that did not forward until now forwards nothing else.
	if err := p.makeFirewall(ctx); err != nil {
		return err
	}
	for _, f := range families {
		if p.Network.NAT && p.Network.has(f) {
			if err := forward(f, sysctlDir); err != nil {
				return err
			}
		}
	}
	return nil
}

func blackhole(p netip.Prefix) *netlink.Route {
	return &netlink.Route{
		Dst: ipNet(p.Masked()), Type: unix.RTN_BLACKHOLE,
		Priority: blackholeMetric, Protocol: blackholeProtocol,
	}
}

// removeNetwork takes away what makeNetwork made; the blackhole goes last.
func (p *Provider) removeNetwork(ctx context.Context) (removed []string, err error) {
	removed, err = p.removeFirewall(ctx)
	link, err1 := netlink.LinkByName(p.bridge())
	prefixes := p.prefixes(link)
	if err1 == nil {
		if err1 = netlink.LinkDel(link); err1 == nil {
			removed = append(removed, "bridge "+p.bridge())
		}
	} else if errors.As(err1, new(netlink.LinkNotFoundError)) {
		err1 = nil
	}
	for _, prefix := range prefixes {
		switch err2 := netlink.RouteDel(blackhole(prefix)); {
		case err2 == nil:
			removed = append(removed, "blackhole route "+prefix.String())
		case !errors.Is(err2, unix.ESRCH):
			err1 = errors.Join(err1, fmt.Errorf("remove blackhole route: %w", err2))
		}
	}
	return removed, errors.Join(err, err1)
}

// prefixes are the network's, the recorded ones if the cluster file has changed
// since, and those of the bridge if all of that is lost.
func (p *Provider) prefixes(bridge netlink.Link) []netip.Prefix {
	var rec networkRecord
	_ = durable.ReadJSON(filepath.Join(p.StateDir, networkFile), &rec) // none: the others are all
	var out []netip.Prefix
	for _, prefix := range slices.Concat(p.Network.Prefixes, rec.Prefixes, prefixesOf(bridge)) {
		if prefix.IsValid() && !slices.Contains(out, prefix.Masked()) {
			out = append(out, prefix.Masked())
		}
	}
	return out
}

func prefixesOf(bridge netlink.Link) []netip.Prefix {
	if bridge == nil {
		return nil
	}
	addresses, _ := netlink.AddrList(bridge, netlink.FAMILY_ALL)
	var out []netip.Prefix
	for _, a := range addresses {
		ip, _ := netip.AddrFromSlice(a.IP)
		bits, _ := a.Mask.Size()
		if ip = ip.Unmap(); ip.IsGlobalUnicast() {
			out = append(out, netip.PrefixFrom(ip, bits))
		}
	}
	return out
}

func firstError(steps ...func() error) error {
	for _, step := range steps {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}
