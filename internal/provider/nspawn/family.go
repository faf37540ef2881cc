package nspawn

import (
	"net"
	"net/netip"

	"github.com/vishvananda/netlink"
)

// A family is one of the two kinds of addresses. The kernel has routes and
// packet filters of their own for each.
type family struct {
	name    string
	number  int    // of netlink
	program string // its packet filter; with -restore, the one that reads a table
	bits    int    // of an address
	forward string // the host's sysctl of forwarding, below /proc/sys
}

var (
	ipv4     = family{"IPv4", netlink.FAMILY_V4, "iptables", 32, "net/ipv4/ip_forward"}
	ipv6     = family{"IPv6", netlink.FAMILY_V6, "ip6tables", 128, "net/ipv6/conf/all/forwarding"}
	families = []family{ipv4, ipv6}
)

func familyOf(a netip.Addr) family {
	if a.Is4() {
		return ipv4
	}
	return ipv6
}

func (f family) restore() string { return f.program + "-restore" }

// everywhere is where a default route leads.
func (f family) everywhere() *net.IPNet {
	return &net.IPNet{IP: make(net.IP, f.bits/8), Mask: net.CIDRMask(0, f.bits)}
}

// prefix is the network's of that family, not valid if it has none.
func (n Network) prefix(f family) netip.Prefix {
	for _, p := range n.Prefixes {
		if familyOf(p.Addr()) == f {
			return p.Masked()
		}
	}
	return netip.Prefix{}
}

func (n Network) has(f family) bool { return n.prefix(f).IsValid() }

func ipNet(p netip.Prefix) *net.IPNet {
	return &net.IPNet{IP: p.Addr().AsSlice(), Mask: net.CIDRMask(p.Bits(), p.Addr().BitLen())}
}

// address is one of a link. The network's owner hands addresses out, so none is
// held back to see whether a neighbour has it (RFC 4862, section 5.4).
func address(a netip.Addr, p netip.Prefix) *netlink.Addr {
	out := &netlink.Addr{IPNet: ipNet(netip.PrefixFrom(a, p.Bits()))}
	if !a.Is4() {
		out.Flags = noDAD
	}
	return out
}
