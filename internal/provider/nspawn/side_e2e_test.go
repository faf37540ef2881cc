//go:build e2e

package nspawn

import (
	"context"
	"errors"
	"net/netip"
	"slices"
	"strings"
	"testing"
)

// Two clusters have machines of the same names. On a host that does not forward
// this says little of the rules: TestClustersAreApart has one that does.
func TestSideBySide(t *testing.T) {
	a := newRig(t, "nsp-side-a", []string{"one"}, "fd00:10:73:13::/64", "10.73.13.0/24")
	b := newRig(t, "nsp-side-b", []string{"one"}, "10.73.14.0/24")
	for _, r := range []*rig{a, b} {
		r.up("create "+r.Cluster, func() error { return r.Create(t.Context(), r.machines) })
	}
	if got := output("ip", "-6", "-o", "address", "show", "dev", b.bridge()); got != "" {
		t.Errorf("IPv6 addresses of a bridge without IPv6: %s", got)
	}
	for _, c := range []struct{ from, to *rig }{{a, b}, {b, a}} {
		for _, address := range c.to.machines[0].Addresses {
			if !c.from.Network.has(familyOf(address)) {
				continue // it has no address to call from
			}
			own := c.from.machines[0].Addresses[0]
			if out, err := c.from.try(own, "ping", "-c1", "-W1", address.String()); err == nil {
				t.Errorf("a machine of %s reaches %s: %s", c.from.Cluster, address, out)
			}
			// 124: still trying when the time was up, not refused.
			script := "timeout 1 bash -c 'exec 3<>/dev/tcp/" + address.String() + "/22'; echo $?"
			if out := c.from.at(own, script); out != "124" {
				t.Errorf("TCP from %s to %s: exit code %s, want 124", c.from.Cluster, address, out)
			}
			c.to.at(address, "true")
		}
	}
	_, err := a.Destroy(t.Context())
	a.must(err)
	for _, address := range b.machines[0].Addresses {
		b.at(address, "true")
	}
}

func TestAnotherStateFolderIsRefused(t *testing.T) {
	r := newRig(t, "nsp-folder", nil, "10.73.11.0/24")
	r.must(r.makeNetwork(t.Context()))
	other := &Provider{Cluster: r.Cluster, StateDir: t.TempDir(), Network: r.Network}
	if _, err := other.Destroy(t.Context()); err == nil || !strings.Contains(err.Error(), r.StateDir) {
		t.Errorf("destroy from another state folder: %v, want an error that names %s", err, r.StateDir)
	}
}

func TestNetworkInUse(t *testing.T) {
	r := newRig(t, "nsp-use-a", nil, "10.73.15.0/24", "fd00:10:73:15::/64")
	r.must(r.makeNetwork(t.Context()))
	if err := r.Check(t.Context(), nil); err != nil {
		t.Errorf("check of the network's owner: %v", err)
	}
	other := &Provider{Cluster: "nsp-use-b", StateDir: t.TempDir()}
	other.Network.Prefixes = []netip.Prefix{netip.MustParsePrefix("fd00:10:73::/48"), netip.MustParsePrefix("10.73.15.128/25")}
	var got Problems
	if err := other.Check(t.Context(), nil); !errors.As(err, &got) || len(got) != 2 {
		t.Fatalf("check of another cluster: %v, want a problem for each family", err)
	}
	for i, p := range other.Network.Prefixes {
		if want := "network " + p.String() + " is in use: this host has a route for "; !strings.HasPrefix(got[i].What, want) {
			t.Errorf("got %q, want %q...", got[i].What, want)
		}
	}
}

// No packet is sent here: the rules are looked at and removed.
func TestNATRules(t *testing.T) {
	r := newRig(t, "nsp-nat", nil, "10.73.11.0/24", "fd00:10:73:11::/64")
	r.Network.NAT = true
	t.Cleanup(func() { _, _ = r.removeFirewall(context.Background()) })
	for range 2 {
		r.must(r.makeFirewall(t.Context()))
	}
	for i, save := range []string{"iptables-save", "ip6tables-save"} {
		saved := output(save)
		for _, want := range []string{"-A POSTROUTING -j " + r.chain(), "-A FORWARD -j " + r.chain(),
			"-s " + r.Network.Prefixes[i].String() + " ! -o " + r.bridge() + " -j MASQUERADE"} {
			if n := strings.Count(saved, want); n != 1 {
				t.Errorf("%s: %d rules %q, want 1", save, n, want)
			}
		}
	}
	removed, err := r.removeFirewall(t.Context())
	r.must(err)
	if left := r.traces(); len(removed) != 4 || slices.ContainsFunc(left, func(s string) bool { return strings.Contains(s, "rule") }) {
		t.Errorf("removed %v, left %v", removed, left)
	}
}
