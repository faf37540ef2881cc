//go:build e2e

package e2e

import (
	"encoding/json"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// plan is what scripts may rely on in the output of `haplane up --dry-run -o json`.
type plan struct {
	Steps []struct{ ID, Verb, Node string }
	Files []struct {
		Node, Path, Diff string
		New              bool
	}
	Keys    []string
	Objects []any
}

func (c *cluster) dryRun(t *testing.T) plan {
	t.Helper()
	out := must(t, 0, c.Run(background(t), append(c.UpArgs(), "--dry-run", "-o", "json")...))
	var p plan
	if err := json.Unmarshal([]byte(out.Stdout), &p); err != nil {
		t.Fatalf("%v:\n%s", err, out)
	}
	return p
}

// checkFlags gives the API servers of a live cluster another flag: the dry run
// tells of it and touches nothing, up restarts one after another, and no client notices.
func (c *cluster) checkFlags(t *testing.T) {
	c.waitHealthy(t)
	file, err := os.ReadFile(c.File())
	if err != nil {
		t.Fatal(err)
	}
	const flag = "--max-requests-inflight=401"
	args := "  extraArgs: {kube-apiserver: {max-requests-inflight: \"401\"}}\n"
	if err := os.WriteFile(c.File(), append(file, args...), 0o644); err != nil {
		t.Fatal(err)
	}
	before := c.footprint(t)
	c.checkPlan(t, flag)
	text := must(t, 0, c.Run(background(t), append(c.UpArgs(), "--dry-run")...))
	contains(t, "dry run", text.Stdout, "STEPS: 12\n", "restart@cp-2/kube-apiserver", "certificates reissued: none",
		"FILES TO WRITE: 3\n", "changed cp-1:/etc/systemd/system/kube-apiserver.service\n", "\n+  "+flag)
	if d := cmp.Diff(before, c.footprint(t)); d != "" {
		t.Errorf("the dry run touched something (-before +after):\n%s", d)
	}
	etcd := c.invocations(t, "etcd")

	tr := c.startTraffic(t)
	tr.answers(t, 10*time.Second)
	up := must(t, 0, c.Up(background(t)))
	want(t, "number of requests that failed while all API servers restarted", tr.report(t, "new flag, up took "+ms(up.Elapsed)), 0)
	for _, node := range controlPlane {
		if args := c.arguments(t, node, "kube-apiserver"); !slices.Contains(args, flag) {
			t.Errorf("%s: the API server runs without %s: %v", node, flag, args)
		}
	}
	want(t, "runs of etcd, which has no new flag", c.invocations(t, "etcd"), etcd)
	c.waitHealthy(t)
	contains(t, "dry run then", must(t, 0, c.Run(background(t), append(c.UpArgs(), "--dry-run")...)).Stdout, "nothing to do\n")
	contains(t, "what up says then", must(t, 0, c.Up(background(t))).Stdout, "nothing changed")
}

// checkPlan wants the flag in the unit of each API server, and nothing else.
func (c *cluster) checkPlan(t *testing.T, flag string) {
	t.Helper()
	p := c.dryRun(t)
	var nodes, run []string
	for _, f := range p.Files {
		nodes = append(nodes, f.Node)
		want(t, "path of a changed file", f.Path, "/etc/systemd/system/kube-apiserver.service")
		if d := cmp.Diff([]string{"+  " + flag}, changedLines(f.Diff)); d != "" {
			t.Errorf("%s: diff of the unit:\n%s", f.Node, d)
		}
	}
	for _, s := range p.Steps {
		run = append(run, s.ID)
	}
	var steps []string // one API server after another, each without new connections meanwhile
	for _, node := range controlPlane {
		steps = append(steps, "write-files@"+node, "lb-drain@"+node, "restart@"+node+"/kube-apiserver", "lb-restore@"+node)
	}
	if !same(nodes, controlPlane) || !slices.Equal(run, steps) || len(p.Keys)+len(p.Objects) > 0 {
		t.Errorf("the dry run wants to write on %v, run %v, make keys %v and apply %v", nodes, run, p.Keys, p.Objects)
	}
}

// changedLines are those that a unit's diff adds and takes away, without the digest of its
// configuration. A last line that goes on now is no change.
func changedLines(diff string) []string {
	var out []string
	for line := range strings.Lines(diff) {
		head := strings.HasPrefix(line, "---") || strings.HasPrefix(line, "+++")
		if !head && strings.ContainsAny(line[:1], "+-") && !strings.Contains(line, "HAPLANE_CONFIG=") {
			out = append(out, strings.TrimRight(line, " \\\n"))
		}
	}
	other := map[byte]string{'+': "-", '-': "+"}
	all := slices.Clone(out)
	return slices.DeleteFunc(out, func(line string) bool { return slices.Contains(all, other[line[0]]+line[1:]) })
}

// invocations tell each run of a unit from all others, on the control plane.
func (c *cluster) invocations(t *testing.T, unit string) string {
	t.Helper()
	var out []string
	for _, node := range controlPlane {
		out = append(out, c.on(t, node, "systemctl show --property=InvocationID --value "+unit))
	}
	return strings.Join(out, " ")
}
