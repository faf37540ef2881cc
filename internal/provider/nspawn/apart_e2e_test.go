//go:build e2e

package nspawn

import (
	"errors"
	"net"
	"net/netip"
	"os"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
)

// A host that forwards, with two clusters and a network beside them, in a network
// namespace: the real host's settings stay, and no packet can get out. The
// machines are their network namespaces alone.
func TestClustersAreApart(t *testing.T) {
	for name, nat := range map[string][2]bool{
		"no NAT": {false, false}, "first has NAT": {true, false}, "second has NAT": {false, true}, "both have NAT": {true, true},
	} {
		t.Run(name, func(t *testing.T) {
			a, b := bare(t, "nsp-apart-a", 16, nat[0]), bare(t, "nsp-apart-b", 17, nat[1])
			err := onThread(func() error { // the host is there as long as the thread
				if err := forwardingHost(t.Context(), a, b); err != nil {
					return err
				}
				reaches(t, a, b, a)
				reaches(t, b, a, a)
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
		})
	}
}

// reaches checks whom a machine of p reaches, and who reaches it.
func reaches(t *testing.T, p, other, outside *Provider) {
	t.Helper()
	for f, family := range families {
		got := map[string]string{
			"host":    dial(p, "one", p.Network.Gateways()[f]),
			"beside":  dial(p, "one", machineAddress(p, 2, f)),
			"other":   dial(p, "one", machineAddress(other, 1, f)),
			"outside": dial(p, "one", bare18[f].Addr().Next().Next()),
		}
		want := map[string]string{"host": "answers", "beside": "answers", "other": "silent", "outside": "answers"}
		if !p.Network.NAT {
			want["outside"], want["from outside"] = "silent", "silent"
			got["from outside"] = dial(outside, "outside", machineAddress(p, 1, f))
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("cluster %s, %s: %s", p.Cluster, family.name, d)
		}
	}
}

// dial tells whether anybody is at an address: a refusal is an answer.
func dial(p *Provider, machine string, to netip.Addr) (result string) {
	ns, err := os.Open(netnsPath(p.netns(machine)))
	if err != nil {
		return err.Error()
	}
	defer ns.Close()
	err = inNetns(ns, func() error {
		conn, err := net.DialTimeout("tcp", netip.AddrPortFrom(to, 9).String(), 300*time.Millisecond)
		if err == nil {
			conn.Close()
		}
		return err
	})
	switch timeout := net.Error(nil); {
	case err == nil || errors.Is(err, unix.ECONNREFUSED):
		return "answers"
	case errors.As(err, &timeout) && timeout.Timeout():
		return "silent"
	}
	return err.Error()
}
