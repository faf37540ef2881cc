//go:build e2e

package e2e

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"text/tabwriter"
	"time"

	"github.com/haplane/haplane/e2e/rig"
	"github.com/haplane/haplane/internal/topology"
	"github.com/haplane/haplane/spec"
)

// TestLongXray puts faults into a live cluster, one at a time. An x-ray has to find
// each of them by the right check on the right node, and nothing once it is healed.
func TestLongXray(t *testing.T) {
	r := newRig(t)
	c := newCluster(t, r, "e2e-xray", 6)
	before := lookAtHost(r)
	must(t, 0, c.Up(background(t)))
	c.waitHealthy(t)
	healthy := c.waitSound(t)
	t.Logf("healthy: %s (%s)", healthy.Verdict.Summary, healthy.elapsed.Round(10*time.Millisecond))
	want(t, "identity", healthy.Verdict.Identity, "shared")
	var rows []faultRow
	sound := healthy
	for _, f := range faults() {
		t.Run(f.name, func(t *testing.T) {
			var row faultRow
			row, sound = c.tryFault(t, f, sound)
			rows = append(rows, row)
		})
	}
	t.Log("\n" + faultTable(rows))
	must(t, 0, c.Down(background(t)))
	before.left(t, lookAtHost(r))
}

// A fault is something wrong in a cluster, and what an x-ray has to say of it.
type fault struct {
	name  string
	wants []sighting
	// inject puts the fault in and registers what heals it, before it does harm.
	inject func(t *testing.T, p *patient)
}

// A sighting is a finding that is not a pass.
type sighting struct{ check, node, status string }

func failing(check, node string) sighting { return sighting{check, node, "fail"} }
func warning(check, node string) sighting { return sighting{check, node, "warn"} }
func (s sighting) String() string         { return fmt.Sprintf("%s %s@%s", s.status, s.check, s.node) }

// A patient is the cluster with what heals it, last first.
type patient struct {
	*cluster
	cures []func()
}

// healBy registers a cure. It runs once, whatever else goes wrong.
func (p *patient) healBy(cure func()) { p.cures = append(p.cures, cure) }

func (p *patient) heal() {
	for len(p.cures) > 0 {
		last := p.cures[len(p.cures)-1]
		p.cures = p.cures[:len(p.cures)-1]
		last()
	}
}

type faultRow struct {
	name    string
	found   []string
	missed  []string
	besides []string // what else it saw that it does not see in a sound cluster
	looked  time.Duration
}

// tryFault injects a fault, looks until it is found, heals it and looks until
// nothing is wrong. before is what was last seen without a fault, and so is what it returns.
func (c *cluster) tryFault(t *testing.T, f fault, before xrayed) (faultRow, xrayed) {
	p := &patient{cluster: c}
	defer p.heal() // also where inject fails half-way
	f.inject(t, p)
	row := faultRow{name: f.name}
	var last xrayed
	err := until(t, time.Minute, func(ctx context.Context) error {
		x, err := c.xray(ctx)
		if err != nil {
			return err
		}
		last = x
		row.found, row.missed = nil, nil
		for _, w := range f.wants {
			if last.has(w) && !before.has(w) {
				row.found = append(row.found, w.String())
			} else {
				row.missed = append(row.missed, w.String())
			}
		}
		if len(row.missed) > 0 {
			return fmt.Errorf("missed %v", row.missed)
		}
		return nil
	})
	if err != nil {
		t.Errorf("%v\nseen: %s", err, strings.Join(last.wrong(), "\n      "))
	}
	row.looked, row.besides = last.elapsed, without(last.wrong(), before.wrong(), row.found)
	p.heal()
	return row, c.waitSound(t)
}

func without(all []string, others ...[]string) []string {
	return slices.DeleteFunc(all, func(s string) bool { return slices.Contains(slices.Concat(others...), s) })
}

func faultTable(rows []faultRow) string {
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "FAULT\tFOUND\tMISSED\tALSO SEEN\tXRAY TOOK")
	found := 0
	for _, r := range rows {
		if len(r.missed) == 0 && len(r.found) > 0 {
			found++
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", r.name, strings.Join(r.found, ", "), strings.Join(r.missed, ", "), strings.Join(r.besides, ", "), ms(r.looked))
	}
	w.Flush()
	return fmt.Sprintf("%s%d of %d faults found", b.String(), found, len(rows))
}

// xrayed is what scripts may rely on in the output of `haplane xray -o json`.
type xrayed struct {
	Verdict struct {
		Summary, Identity string
		ToleratedFailures *int `json:"toleratedFailures"`
	}
	Findings []struct{ Check, Status, Node, Expected, Observed, Source, Fix string }
	elapsed  time.Duration
	code     int
}

func (x xrayed) has(s sighting) bool {
	if s.status == "says" {
		return strings.Contains(x.Verdict.Summary, s.node)
	}
	for _, f := range x.Findings {
		if f.Check == s.check && f.Node == s.node && f.Status == s.status {
			return true
		}
	}
	return false
}

// wrong lists what is neither passed nor skipped.
func (x xrayed) wrong() []string {
	var out []string
	for _, f := range x.Findings {
		if f.Status != "pass" && f.Status != "skip" {
			out = append(out, sighting{f.Check, f.Node, f.Status}.String())
		}
	}
	return out
}

// xray runs `haplane xray -o json` on the cluster.
func (c *cluster) xray(ctx context.Context, args ...string) (xrayed, error) {
	return readXray(c.Run(ctx, append([]string{"xray", "--cluster", c.Name, "-o", "json"}, args...)...))
}

func readXray(result rig.Result) (xrayed, error) {
	x := xrayed{elapsed: result.Elapsed, code: result.Code}
	if !slices.Contains([]int{0, 1, 3}, result.Code) {
		return x, fmt.Errorf("xray went wrong:\n%s", result)
	}
	if err := json.Unmarshal([]byte(result.Stdout), &x); err != nil {
		return x, fmt.Errorf("read report: %w\n%s", err, result)
	}
	return x, nil
}

// xrayShape wants an x-ray of a cluster to find nothing wrong but what its file asks for.
func (c *cluster) xrayShape(t *testing.T, topo *topology.Topology) {
	t.Helper()
	var deserved []string
	if topo.Identity == spec.Shared && topo.Reconciler == spec.ReconcilerLease {
		deserved = []string{"endpoint-reconciler"} // it is there only for the difference to be seen
	}
	var x xrayed
	wait(t, 2*time.Minute, "an x-ray without an undeserved failure", func(ctx context.Context) error {
		var err error
		if x, err = c.xray(ctx); err != nil {
			return err
		}
		return x.failures(deserved...)
	})
	want(t, "identity", x.Verdict.Identity, string(topo.Identity))
	for _, check := range deserved {
		for _, n := range topo.ControlPlane() {
			if !x.has(failing(check, n.Name)) {
				t.Errorf("it does not see that %s fails on %s", check, n.Name)
			}
		}
	}
	t.Logf("x-ray: %s (%s); not right: %s", x.Verdict.Summary, x.elapsed.Round(10*time.Millisecond), strings.Join(x.wrong(), ", "))
}

// failures are what failed or could not be looked at, but for some checks.
func (x xrayed) failures(but ...string) error {
	var errs []error
	for _, f := range x.Findings {
		if (f.Status == "fail" || f.Status == "error") && !slices.Contains(but, f.Check) {
			errs = append(errs, fmt.Errorf("%s %s@%s: expected %s, observed %s (%s)", f.Status, f.Check, f.Node, f.Expected, f.Observed, f.Source))
		}
	}
	return errors.Join(errs...)
}

// waitSound waits until an x-ray finds nothing that failed or could not be seen.
func (c *cluster) waitSound(t *testing.T) xrayed {
	t.Helper()
	var x xrayed
	wait(t, 2*time.Minute, "an x-ray without a failure", func(ctx context.Context) error {
		var err error
		if x, err = c.xray(ctx); err != nil {
			return err
		}
		if x.code != 0 {
			return errors.Join(fmt.Errorf("exit code %d", x.code), x.failures())
		}
		return nil
	})
	return x
}
