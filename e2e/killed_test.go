//go:build e2e

package e2e

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/haplane/haplane/e2e/rig"
)

// A killing is a change at which haplane is killed as the first step of each kind begins; the same command goes on.
type killing struct {
	args []string                 // of haplane, without those that all changes have
	kind func(step string) string // of the ID of a step; "" where it is not killed
	at   []string                 // kinds at which it has to be killed, whatever others there are
}

// verbOf is what a step does, whatever it does that to.
func verbOf(step string) string {
	if i := strings.IndexAny(step, "@/"); i >= 0 {
		return step[:i]
	}
	return step
}

// killedAtVerbs kills it once for each verb of a change, and wants some to be among these.
func (c *cluster) killedAtVerbs(t *testing.T, at []string, args ...string) {
	t.Helper()
	c.runKilled(t, killing{args: args, kind: verbOf, at: at})
}

// killedAt kills haplane as each step of a change begins; the same command goes on, until there
// is none left to kill it at.
func (c *cluster) killedAt(t *testing.T, args ...string) {
	t.Helper()
	if steps := c.runKilled(t, killing{args: args, kind: func(step string) string { return step }}).kinds; len(steps) < 5 {
		t.Errorf("killed at %d steps only", len(steps))
	}
}

// A killedRun is what was seen of a killing.
type killedRun struct {
	kinds []string   // at which it was killed
	first rig.Result // the run that was killed first
	last  rig.Result // the one that came to its end
}

// runKilled runs a change, killed as often as there is a kind of step at which it was not yet.
func (c *cluster) runKilled(t *testing.T, k killing) (out killedRun) {
	t.Helper()
	command := k.args[0] // node add, but apply
	if !strings.HasPrefix(k.args[1], "-") {
		command += " " + k.args[1]
	}
	seen := map[string]bool{"": true}
	for {
		cmd := c.Command(background(t), append(slices.Clone(k.args), "--cluster", c.Name, "--yes", "--no-probe")...)
		var stdout, stderr strings.Builder
		cmd.Stdout, cmd.Stderr = &stdout, &stderr
		if err := rig.Start(cmd); err != nil {
			t.Fatal(err)
		}
		step, ended, done := c.nextStep(t, cmd, k.kind, seen)
		if !ended {
			_ = cmd.Process.Kill()
			<-done
		}
		out.last = rig.Result{Args: cmd.Args[1:], Code: cmd.ProcessState.ExitCode(), Stdout: stdout.String(), Stderr: stderr.String()}
		if ended {
			break
		}
		if out.kinds = append(out.kinds, k.kind(step)); len(out.kinds) == 1 {
			out.first = out.last
		}
		t.Logf("%s: %s: killed at %s", time.Now().Format("15:04:05.000"), command, step)
		contains(t, "status after that", c.Run(background(t), "status", "--cluster", c.Name).Stdout, "cut off", command)
	}
	must(t, 0, out.last)
	for _, kind := range k.at {
		if !slices.Contains(out.kinds, kind) {
			t.Errorf("%s: killed at %v, never at %s", command, out.kinds, kind)
		}
	}
	return out
}
