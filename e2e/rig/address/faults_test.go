package address

import (
	"math/rand/v2"
	"strings"
	"testing"
	"time"
)

func TestRules(t *testing.T) {
	got := rules("t", append([]string{"to hv1", "from hv1"}, append(between([]string{"hv1"}, []string{"hv2", "hv3"}), between([]string{"hv2"}, []string{"hv1"})...)...))
	want := `table bridge t {
chain prerouting {
type filter hook prerouting priority 0;
iifname "hv1" drop
}
chain forward {
type filter hook forward priority 0;
iifname "hv1" oifname "hv2" drop
iifname "hv1" oifname "hv3" drop
iifname "hv2" oifname "hv1" drop
}
chain postrouting {
type filter hook postrouting priority 0;
oifname "hv1" drop
}
}
`
	if got != want {
		t.Errorf("got:\n%swant:\n%s", got, want)
	}
}

// A seed always draws the same, within what Draw promises, and many draw all there is.
func TestDraw(t *testing.T) {
	seen := map[string]bool{}
	twice, others := 0, 0
	for seed := range uint64(1000) {
		hurts := Draw(rand.New(rand.NewPCG(seed, 0)))
		if again := Draw(rand.New(rand.NewPCG(seed, 0))); len(again) != len(hurts) || again[0] != hurts[0] || again[len(again)-1] != hurts[len(hurts)-1] {
			t.Fatalf("seed %d draws %v, and then %v", seed, hurts, again)
		}
		if len(hurts) > 2 || hurts[0].After != 0 {
			t.Fatalf("seed %d: %v", seed, hurts)
		}
		if len(hurts) == 2 {
			twice++
			if hurts[0].Fault == hurts[1].Fault || hurts[0].Fault == GuardHangs || hurts[1].Fault == GuardHangs {
				t.Errorf("seed %d: %v", seed, hurts)
			}
		}
		for _, h := range hurts {
			seen[h.Fault] = true
			if !h.Holder {
				others++
			}
			if h.Lasts < 200*time.Millisecond || h.Lasts > 3*time.Second || h.After > 4*time.Second {
				t.Errorf("seed %d: %s", seed, h)
			}
		}
	}
	if len(seen) != len(Faults()) || twice < 400 || others < 200 {
		t.Errorf("%d kinds of %d, %d runs of 1000 with two, %d to another machine than the one with the address", len(seen), len(Faults()), twice, others)
	}
}

func TestFaultsHaveNames(t *testing.T) {
	for _, f := range Faults() {
		if got := Named(f.Name); got.Name != f.Name || strings.TrimSpace(f.Name) == "" {
			t.Errorf("%q is %q", f.Name, got.Name)
		}
	}
}
