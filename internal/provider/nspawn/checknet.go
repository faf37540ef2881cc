package nspawn

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// existing is the nearest folder at or above dir that exists.
func existing(dir string) string {
	for dir != "/" {
		if _, err := os.Stat(dir); err == nil {
			return dir
		}
		dir = filepath.Dir(dir)
	}
	return dir
}

// missingFeatures tries what the kernel must have, in a network namespace that
// is gone afterwards: trying also loads modules, which looking would not.
func (p *Provider) missingFeatures() Problems {
	var out Problems
	if p.Network.has(ipv6) && !kernelHasIPv6() {
		out = append(out, Problem{"the kernel has no IPv6", "boot it without ipv6.disable=1"})
	}
	out = append(out, missingModules("/proc", loadable)...)
	err := onThread(func() error {
		if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
			return err
		}
		for _, link := range trialLinks() {
			if err := netlink.LinkAdd(link); err != nil {
				out = append(out, Problem{fmt.Sprintf("the kernel makes no %s link: %v", link.Type(), err), fixModule(modulesDir())})
			}
		}
		return nil
	})
	if err != nil {
		out = append(out, Problem{What: fmt.Sprintf("the kernel makes no network namespace: %v", err)})
	}
	if all, err := hierarchies(); err != nil || len(all) == 0 {
		out = append(out, Problem{"no cgroup file system is mounted under " + cgroupDir, "mount cgroup2"})
	}
	return out
}

func trialLinks() []netlink.Link {
	named := func(name string) netlink.LinkAttrs {
		a := netlink.NewLinkAttrs()
		a.Name = name
		return a
	}
	return []netlink.Link{
		&netlink.Bridge{LinkAttrs: named("try-bridge")},
		&netlink.Veth{LinkAttrs: named("try-veth"), PeerName: "try-peer"},
		&netlink.Vxlan{LinkAttrs: named("try-vxlan"), VxlanId: 1, Port: 8472},
	}
}

// conflicts are other owners of the cluster's bridge and of its addresses.
func (p *Provider) conflicts() Problems {
	var out Problems
	if err := p.owned(); err != nil {
		out = append(out, Problem{err.Error(), "use another cluster name"})
	}
	bridge := 0
	if link, err := netlink.LinkByName(p.bridge()); err == nil {
		bridge = link.Attrs().Index
	}
	for _, prefix := range p.Network.Prefixes {
		f := familyOf(prefix.Addr())
		routes, err := netlink.RouteListFiltered(f.number, &netlink.Route{Table: unix.RT_TABLE_UNSPEC}, netlink.RT_FILTER_TABLE)
		if err != nil && !errors.Is(err, netlink.ErrDumpInterrupted) { // a route that comes just now is not ours to see
			out = append(out, Problem{What: fmt.Sprintf("list %s routes: %v", f.name, err)})
			continue
		}
		if i := slices.IndexFunc(routes, func(r netlink.Route) bool { return overlaps(prefix, r, bridge) }); i >= 0 {
			out = append(out, Problem{
				fmt.Sprintf("network %s is in use: this host has a route for %s by %s", prefix, routes[i].Dst, by(routes[i])),
				"choose another machine network",
			})
		}
	}
	return out
}

func by(r netlink.Route) string {
	if r.Type == unix.RTN_BLACKHOLE {
		return "a blackhole"
	}
	if link, err := netlink.LinkByIndex(r.LinkIndex); err == nil {
		return link.Attrs().Name
	}
	return "another program"
}

// overlaps reports whether a route of another owner covers addresses of a prefix.
// An address of another interface shows as a route too.
func overlaps(prefix netip.Prefix, r netlink.Route, bridge int) bool {
	if r.Dst == nil || (bridge != 0 && r.LinkIndex == bridge) {
		return false
	}
	addr, ok := netip.AddrFromSlice(r.Dst.IP)
	bits, size := r.Dst.Mask.Size()
	dst := netip.PrefixFrom(addr.Unmap(), bits)
	ours := r.Type == unix.RTN_BLACKHOLE && r.Protocol == blackholeProtocol && dst == prefix.Masked()
	return ok && !ours && bits > 0 && size == prefix.Addr().BitLen() && prefix.Overlaps(dst)
}
