package nspawn

import (
	"net/netip"
	"strings"
	"testing"
)

func provider(cluster string, nat bool) *Provider {
	return &Provider{
		Cluster: cluster, StateDir: "/state", Image: "/image",
		Network: Network{Prefixes: []netip.Prefix{netip.MustParsePrefix("10.73.11.0/24")}, NAT: nat},
	}
}

func onlyIPv6(cluster string, nat bool) *Provider {
	p := provider(cluster, nat)
	p.Network.Prefixes = []netip.Prefix{netip.MustParsePrefix("fd00:10:73:11::/64")}
	return p
}

func dual(cluster string, nat bool) *Provider {
	p := provider(cluster, nat)
	p.Network.Prefixes = append(p.Network.Prefixes, onlyIPv6(cluster, nat).Network.Prefixes...)
	return p
}

func TestBridgeName(t *testing.T) {
	for cluster, want := range map[string]string{
		"demo":         "hp-demo",
		"twelve-chars": "hp-twelve-chars",
	} {
		if got := BridgeName(cluster); got != want {
			t.Errorf("BridgeName(%q) = %q, want %q", cluster, got, want)
		}
	}
	a, b := BridgeName("production-east"), BridgeName("production-west")
	if a == b || len(a) > maxLinkName || len(b) > maxLinkName {
		t.Errorf("long names give %q and %q, want two names of at most %d", a, b, maxLinkName)
	}
}

func TestNamesAreWithinTheKernelsLimits(t *testing.T) {
	long := strings.Repeat("a", 63)
	p := provider(long, false)
	p.StateDir = "/" + strings.Repeat("d", 300)
	for name, c := range map[string]struct {
		got string
		max int
	}{
		"veth": {p.veth(long), maxLinkName}, "chain": {p.chain(), 28},
		"container": {p.container(long), 64}, "alias": {p.owner(), maxAlias - 1},
	} {
		if len(c.got) > c.max {
			t.Errorf("%s %q has %d characters, want at most %d", name, c.got, len(c.got), c.max)
		}
	}
}

// A cluster's names must not be the beginning of another's.
func TestClustersDoNotSeeEachOther(t *testing.T) {
	if other := provider("a-b", false).netns("c"); strings.HasPrefix(other, provider("a", false).prefix()) {
		t.Errorf("%s looks like one of cluster a", other)
	}
	if provider("a", false).veth("b-c") == provider("a-b", false).veth("c") {
		t.Error("two clusters have the same link")
	}
}
