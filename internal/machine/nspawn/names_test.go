package nspawn

import (
	"net/netip"
	"strings"
	"testing"
)

func provider(cluster string, nat bool) *Provider {
	return &Provider{
		Cluster: cluster, StateDir: "/state", Image: "/image",
		Network: Network{Prefix: netip.MustParsePrefix("10.73.11.0/24"), NAT: nat},
	}
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

func TestValidateMachines(t *testing.T) {
	m := func(name, addr string) Machine { return Machine{Name: name, Address: netip.MustParseAddr(addr)} }
	for name, c := range map[string]struct {
		machines []Machine
		want     string
	}{
		"good":         {[]Machine{m("a", "10.73.11.2"), m("b", "10.73.11.3")}, ""},
		"host's":       {[]Machine{m("a", "10.73.11.1")}, "address 10.73.11.1 of machine a is that of the host"},
		"same address": {[]Machine{m("a", "10.73.11.2"), m("b", "10.73.11.2")}, "address 10.73.11.2 of machine b is that of a"},
		"same name":    {[]Machine{m("a", "10.73.11.2"), m("a", "10.73.11.3")}, "two machines are named a"},
		"outside":      {[]Machine{m("a", "10.9.0.2")}, "address 10.9.0.2 of machine a is not in 10.73.11.0/24"},
		"path":         {[]Machine{m("../a", "10.73.11.2")}, `machine name "../a" is not a DNS label`},
	} {
		t.Run(name, func(t *testing.T) {
			err := provider("demo", false).validateMachines(c.machines)
			if got := errText(err); got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

func errText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}
