package spec

import (
	"fmt"
	"net/netip"
	"strings"
)

// unusable are the networks whose addresses no machine, pod or Service can have. Those
// for documentation and for private use are networks like any other.
var unusable = []struct {
	network netip.Prefix
	is      string
}{
	{netip.MustParsePrefix("127.0.0.0/8"), "loopback"},
	{netip.MustParsePrefix("0.0.0.0/8"), "for hosts that have no address yet"},
	{netip.MustParsePrefix("169.254.0.0/16"), "link-local"},
	{netip.MustParsePrefix("224.0.0.0/4"), "multicast"},
	{netip.MustParsePrefix("255.255.255.255/32"), "broadcast"},
	{netip.MustParsePrefix("240.0.0.0/4"), "reserved (class E)"},
	{netip.MustParsePrefix("::1/128"), "loopback"},
	{netip.MustParsePrefix("::/128"), "the unspecified address"},
	{netip.MustParsePrefix("fe80::/10"), "link-local"},
	{netip.MustParsePrefix("ff00::/8"), "multicast"},
}

// useless tells why nothing can have the addresses of a prefix, or is "".
func useless(p netip.Prefix) string {
	for _, u := range unusable {
		switch {
		case !u.network.Overlaps(p):
		case p.Bits() < u.network.Bits():
			return fmt.Sprintf("has %s in it, which is %s", u.network, u.is)
		default:
			return fmt.Sprintf("lies in %s, which is %s", u.network, u.is)
		}
	}
	return ""
}

// uselessAddress is useless of an address.
func uselessAddress(a netip.Addr) string { return useless(netip.PrefixFrom(a, a.BitLen())) }

// inIPv6 tells how to write an IPv4 address or prefix that is written as IPv6, or is "".
func inIPv6(value string) string {
	address, bits, isPrefix := strings.Cut(value, "/")
	a, err := netip.ParseAddr(address)
	if err != nil || !a.Is4In6() {
		return ""
	}
	plain := a.WithZone("").Unmap().String()
	if length := 0; isPrefix {
		if _, err := fmt.Sscanf(bits, "%d", &length); err == nil && length >= 96 && length <= 128 {
			plain += fmt.Sprintf("/%d", length-96)
		} else {
			plain = "an IPv4 network"
		}
	}
	return "is IPv4 written as IPv6; write " + plain
}
