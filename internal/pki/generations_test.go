package pki

import (
	"bytes"
	"crypto/rand"
	"testing"
	"time"

	"github.com/haplane/haplane/internal/topology"
	"github.com/haplane/haplane/spec"
)

func TestGenerationsHaveNamesOfTheirOwn(t *testing.T) {
	for _, test := range [][4]string{
		{"kubernetes", "kubernetes", "-", "kubernetes-2"}, {"kubernetes-2", "kubernetes", "-", "kubernetes-3"},
		{"somebody's", "kubernetes", "-", "kubernetes-2"}, {"key1", "key", "", "key2"}, {"key9", "key", "", "key10"},
	} {
		if got := following(test[0], test[1], test[2]); got != test[3] {
			t.Errorf("after %s comes %s, want %s", test[0], got, test[3])
		}
	}
}

// What the old authority has signed is made anew where the next one signs, with that as the reason, and nothing else.
func TestTheSwitchMakesLeavesAnew(t *testing.T) {
	rows, now := Catalogue(topology.New(spec.Default("demo"))), time.Now()
	plan, _ := Plan(rows, Bundle{}, now, false)
	before, err := Issue(rows, Bundle{}, plan, now, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	next, err := Next(before, rows, EtcdCA, now, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	signed := 0
	for _, row := range rows {
		if row.CA == EtcdCA {
			signed++
		}
	}
	for phase, want := range map[Phase]int{Trust: 0, Switch: signed} {
		plan, lost := Plan(rows, before.During(phase, EtcdCA, next), now, true)
		if len(plan) != want || len(lost) > 0 {
			t.Errorf("%s: %d are made anew, want %d; lost: %v", phase, len(plan), want, lost)
		}
		for _, r := range plan {
			if r.Reason != "its authority etcd/ca is rotated, and the old one has signed it" {
				t.Errorf("%s: %s", r.Name, r.Reason)
			}
		}
	}
	trusted := before.During(Trust, EtcdCA, next).Trusted(EtcdCA)
	if !bytes.Equal(trusted, before.During(Switch, EtcdCA, next).Trusted(EtcdCA)) || !Contains(trusted, next.Cert) || !Contains(trusted, before.Pairs[EtcdCA].Cert) {
		t.Error("what is trusted differs before the switch and after it")
	}
	if got := Without(trusted, before.Pairs[EtcdCA].Cert); !bytes.Equal(got, next.Cert) {
		t.Errorf("without the old one it is\n%s", got)
	}
	if !bytes.Contains(next.Cert, []byte(Line(next.Cert))) || bytes.Contains(before.Pairs[EtcdCA].Cert, []byte(Line(next.Cert))) {
		t.Errorf("line %q", Line(next.Cert))
	}
}

// A key that signs already, or will, is never made anew.
func TestARotationThatLostItsKeyIsAnError(t *testing.T) {
	rows, now := Catalogue(topology.New(spec.Default("demo"))), time.Now()
	plan, _ := Plan(rows, Bundle{}, now, false)
	before, err := Issue(rows, Bundle{}, plan, now, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range Rotatable {
		next, err := Next(before, rows, row, now, rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		for _, phase := range []Phase{Trust, Switch, Drop} {
			if _, lost := Plan(rows, before.During(phase, row, Pair{Cert: next.Cert}), now, true); len(lost) == 0 {
				t.Errorf("%s at %s without its next key: nothing is lost", row, phase)
			}
			during := before.During(phase, row, next)
			if during.Beside != nil && during.Beside.Older {
				during.Beside = &Beside{Name: row, Older: true}
				if _, lost := Plan(rows, during, now, true); len(lost) == 0 {
					t.Errorf("%s at %s without the old one: nothing is lost", row, phase)
				}
			}
		}
	}
}

// A certificate of one's own may end without a line feed; the next one begins on a line all the same.
func TestTrustedReadsWithoutALineFeed(t *testing.T) {
	one, two := []byte("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----"), []byte("-----BEGIN CERTIFICATE-----\nBBBB\n-----END CERTIFICATE-----\n")
	b := Bundle{Pairs: map[string]Pair{CA: {Cert: one}}, Beside: &Beside{Name: CA, Pair: Pair{Cert: two}}}
	if got := Blocks(b.Trusted(CA)); len(got) != 2 {
		t.Errorf("%d certificates in %s", len(got), b.Trusted(CA))
	}
}
