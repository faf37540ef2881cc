//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/haplane/haplane/e2e/rig/address"
	"github.com/haplane/haplane/internal/topology"
)

// seededRuns is how many there are; HAPLANE_E2E_RUNS has others. `HAPLANE_E2E_SEED=N HAPLANE_E2E_RUNS=1` repeats the run of seed N.
const seededRuns = 100

// backTime is how long it may take until the machines are well and one of them has the address again, after the last fault was put right: one of
// them may have to boot. It is no figure of what haplane does.
const backTime = time.Minute

// generous is for how long nobody may answer although a machine is well. What haplane is to do is a second, and how often it took longer is logged: on
// a machine that others keep busy it does, and no test asserts a time. A pair that nobody comes out of is another matter.
const generous = 30 * time.Second

// TestLongAddressSeeded has one or two faults happen to a pair of load balancers, again and again: which, to which of them and for how long, a seed says. All the time the host asks at the address
// by new connections, and each of the machines by itself whether it answers there too.
//
// What is required of each run:
//   - at no time two machines answer. Not that two kernels have the address: one that is frozen keeps it for a second while nothing on it answers,
//     and a hand-over has both for a moment. What clients would suffer from is two that answer.
//   - nobody is without an answer for long (generous) while a machine is well: not hurt, and well again after it was. At times at which both are
//     hurt nobody can have the address, and no time counts.
//   - afterwards both are well, and one of them has the address.
//
// The longest gap of each run, and what of it a machine was well in, is logged, and how they are spread in the end.
func TestLongAddressSeeded(t *testing.T) {
	seededPair(t, "e2e-seeds", 60, 3).seededFaults(t, number(t, "HAPLANE_E2E_SEED", uint64(time.Now().Unix())), number(t, "HAPLANE_E2E_RUNS", seededRuns))
}

// seededPair brings up a cluster with two load balancers, in which nothing else runs.
func seededPair(t *testing.T, name string, third byte, controlPlanes int) *cluster {
	t.Helper()
	c := newCluster(t, newRig(t), name, third)
	text := fmt.Sprintf("apiVersion: haplane/v1alpha1\nkind: Cluster\nmetadata: {name: %s}\nspec:\n  network: {machineCIDR: %s, nat: false}\n  nodes:\n%s%s",
		c.Name, c.Network, strings.Repeat("  - {role: control-plane}\n", controlPlanes), strings.Repeat("  - {role: load-balancer}\n", 2))
	if err := os.WriteFile(c.File(), []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	must(t, 0, c.Up(background(t)))
	return c
}

// seededFaults has so many runs, each with the next seed. Its cluster has the load balancers lb-1 and lb-2.
func (c *cluster) seededFaults(t *testing.T, seed, runs uint64) {
	t.Helper()
	if err := address.HealLoss(background(t)); err != nil {
		t.Fatal(err)
	}
	network := c.Network.Addr().As4()
	at := func(last byte) netip.Addr {
		network[3] = last
		return netip.AddrFrom4(network)
	}
	w, err := address.Start(background(t), netip.AddrPortFrom(at(3), topology.APIServerPort), []address.Machine{
		{Cluster: c.Cluster, Name: "lb-1", Address: at(4)}, {Cluster: c.Cluster, Name: "lb-2", Address: at(5)}})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := w.Close(); err != nil {
			t.Error(err)
		}
	}()
	var gaps []seededGap
	for s := seed; s < seed+runs; s++ {
		whole := len(gaps) + 1
		if !t.Run(fmt.Sprint("seed-", s), func(t *testing.T) { gaps = append(gaps, c.seededRun(t, w, s)) }) {
			t.Logf("HAPLANE_E2E_SEED=%d HAPLANE_E2E_RUNS=1 repeats this run", s)
		}
		if len(gaps) < whole {
			break // it did not come to its end: nothing is known of how the machines are
		}
	}
	logGaps(t, gaps)
}

// A seededGap is the longest time without an answer in a run, and the longest of these, a machine being well.
type seededGap struct {
	seed       uint64
	all, while time.Duration
}

func (c *cluster) seededRun(t *testing.T, w *address.Watch, seed uint64) seededGap {
	ctx, cancel := context.WithTimeout(background(t), 3*backTime)
	defer cancel()
	for _, m := range w.Machines {
		wait(t, backTime, m.Name+" to be well", m.CouldTake)
	}
	steady, stop := context.WithTimeout(ctx, backTime)
	defer stop()
	had, err := w.Steady(steady, 2*time.Second)
	if err != nil {
		t.Fatalf("before: %v", err)
	}
	w.Forget()
	hurts := address.Draw(rand.New(rand.NewPCG(seed, 0)))
	for _, h := range hurts {
		t.Logf("seed %d: %s; %s has the address", seed, h, had.Name)
	}
	hurt, err := w.Happen(ctx, hurts, backTime)
	if err != nil {
		t.Errorf("%v", err)
	}
	back, stopBack := context.WithTimeout(ctx, backTime)
	defer stopBack()
	now, err := w.Steady(back, 2*time.Second)
	if err != nil {
		t.Errorf("nobody has the address, or nobody answers, long after the faults: %v", err)
	}
	seen, err := w.Take(ctx)
	if err != nil {
		t.Fatal(err)
	}
	nobody := address.Both(hurt["lb-1"], hurt["lb-2"])
	gap := seededGap{seed, address.Longest(seen.Gaps()), address.Within(seen.Gaps(), nobody)}
	failed, asked := seen.Failed()
	two, none := seen.Had()
	t.Logf("seed %d: nobody answered for %s, %s of it while a machine was well; %d of %d failed; kernels of two machines had the address for %s, none for %s; %d moves, now %s has it",
		seed, ms(gap.all), ms(gap.while), failed, asked, ms(two), ms(none), seen.Moves(), now.Name)
	for _, both := range seen.Twice() {
		t.Errorf("two machines answered at once for %s or longer, %s after the run began", ms(both.Length()), ms(both.From.Sub(seen.From)))
	}
	if gap.while > generous {
		t.Errorf("nobody answered for %s although a machine was well", ms(gap.while))
	}
	if t.Failed() {
		for _, m := range w.Machines {
			t.Log(c.SSH(ctx, m.Name, "journalctl --no-pager --output=short-precise --lines=40 --unit=haproxy --unit=keepalived --unit=haplane-balancer"))
		}
		t.Logf("who had the address: %v", seen.Changes)
	}
	return gap
}

// logGaps tells how the gaps of all runs are spread.
func logGaps(t *testing.T, gaps []seededGap) {
	t.Helper()
	if len(gaps) == 0 {
		return
	}
	spread := func(of func(seededGap) time.Duration) string {
		var all []time.Duration
		for _, g := range gaps {
			all = append(all, of(g))
		}
		slices.Sort(all)
		n := len(all)
		return fmt.Sprintf("min %s, median %s, 9 of 10 within %s, max %s", ms(all[0]), ms(all[n/2]), ms(all[(n-1)*9/10]), ms(all[n-1]))
	}
	t.Logf("%d runs, longest time without an answer: %s", len(gaps), spread(func(g seededGap) time.Duration { return g.all }))
	t.Logf("%d runs, the same while a machine was well: %s", len(gaps), spread(func(g seededGap) time.Duration { return g.while }))
	var over []string
	for _, g := range gaps {
		if g.while > time.Second {
			over = append(over, fmt.Sprintf("%d (%s)", g.seed, ms(g.while)))
		}
	}
	t.Logf("longer than 1 s while a machine was well: %d of %d %v", len(over), len(gaps), over)
}
