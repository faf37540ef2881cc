//go:build e2e

package e2e

import (
	"cmp"
	"context"
	"crypto/sha256"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/haplane/haplane/e2e/rig"
)

const (
	inPhase      = time.Second // most phases end within that
	randomRounds = 3           // each on a clean host
	wholeUp      = 20 * time.Second
	wholeDown    = time.Second
)

// TestInterruption kills `haplane up` with SIGKILL again and again. The next up
// has to finish what was begun.
func TestInterruption(t *testing.T) {
	r := newRig(t)
	c := newCluster(t, r, "e2e-cut", 2)
	before := lookAtHost(r)
	random := seeded(t)
	t.Run("phases", func(t *testing.T) {
		ca, killed := "", map[string]int{}
		for step := c.leastKilled(t, killed); step != ""; step = c.leastKilled(t, killed) {
			after := time.Duration(0)
			if killed[kind(step)]++; killed[kind(step)] > 1 {
				after = time.Duration(random.Int64N(int64(inPhase)))
			}
			c.killUp(t, step, after)
			ca = c.sameCA(t, ca)
		}
		c.converge(t, ca)
	})
	t.Run("down", func(t *testing.T) { c.killDown(t, time.Duration(random.Int64N(int64(wholeDown))), before) })
	t.Run("ctrl-c", func(t *testing.T) { c.checkCtrlC(t, before) })
	for round := range randomRounds {
		t.Run(fmt.Sprintf("random-%d", round+1), func(t *testing.T) {
			c.killUp(t, "", time.Duration(random.Int64N(int64(wholeUp))))
			c.converge(t, c.sameCA(t, ""))
			must(t, 0, c.Down(background(t)))
			before.left(t, lookAtHost(r))
		})
	}
}

// timesKilled is how often up is killed in each kind of step, as long as there is one to do.
const timesKilled = 2

// leastKilled is the first of the steps that are left to do in whose kind up is to be killed
// again; "" where there is none. What is done beside them is not among them.
func (c *cluster) leastKilled(t *testing.T, killed map[string]int) string {
	t.Helper()
	if c.wasUp(t) { // in the last step the kill may come too late
		return ""
	}
	var steps []string
	for _, s := range c.dryRun(t).Steps { // so that none that comes later is forgotten
		steps = append(steps, s.ID)
	}
	// These come again each time, those before the first start do not.
	i := max(0, slices.IndexFunc(steps, func(s string) bool { return strings.HasPrefix(s, "start@") }))
	for _, s := range slices.Insert(steps, i, "check-host", "build-components", "build-image") {
		if killed[kind(s)] < timesKilled {
			return s
		}
	}
	return ""
}

// kind is a step without its node.
func kind(step string) string {
	before, after, _ := strings.Cut(step, "@")
	_, of, _ := strings.Cut(after, "/")
	return before + "/" + of
}

// wasUp reports whether a bring-up of the cluster has come to its end.
func (c *cluster) wasUp(t *testing.T) bool {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(c.Store(), "record.json"))
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	return strings.Contains(string(data), `"applied": {`)
}

// seeded is a source of randomness; HAPLANE_E2E_SEED repeats a run.
func seeded(t *testing.T) *rand.Rand {
	t.Helper()
	seed := number(t, "HAPLANE_E2E_SEED", uint64(time.Now().UnixNano()))
	t.Logf("HAPLANE_E2E_SEED=%d repeats this run", seed)
	return rand.New(rand.NewPCG(seed, 0))
}

// killUp starts up and kills it some time after a phase, or the whole, began.
func (c *cluster) killUp(t *testing.T, phase string, after time.Duration) {
	t.Helper()
	cmd, stderr := c.start(t, c.UpArgs()...)
	if phase != "" {
		c.waitPhase(t, cmd, "up", phase)
	}
	kill(t, cmd, after)
	t.Logf("killed up %s after the beginning of %s; it had said last: %q", ms(after), cmp.Or(phase, "it all"), lastLine(stderr.String()))
}

// start starts haplane in the background; stderr is complete once it has ended.
func (c *cluster) start(t *testing.T, args ...string) (*exec.Cmd, *strings.Builder) {
	t.Helper()
	cmd, stderr := c.Command(background(t), args...), new(strings.Builder)
	cmd.Stderr = stderr
	if err := rig.Start(cmd); err != nil {
		t.Fatal(err)
	}
	return cmd, stderr
}

// kill ends a process after a time, unless it ends before.
func kill(t *testing.T, cmd *exec.Cmd, after time.Duration) {
	t.Helper()
	timer := time.AfterFunc(after, func() { _ = cmd.Process.Kill() })
	defer timer.Stop()
	_ = cmd.Wait()
}

// waitPhase waits until the log of a running haplane says that a phase began, and
// returns the path of that log.
func (c *cluster) waitPhase(t *testing.T, cmd *exec.Cmd, command, phase string) (log string) {
	t.Helper()
	pattern := filepath.Join(c.Store(), "logs", fmt.Sprintf("%s-*-%d.log", command, cmd.Process.Pid))
	wait(t, 2*time.Minute, phase+" to begin", func(context.Context) error {
		files, err := filepath.Glob(pattern)
		if err != nil || len(files) != 1 {
			return fmt.Errorf("log files: %v, %v", files, err)
		}
		log = files[0]
		data, err := os.ReadFile(log)
		if err == nil && !strings.Contains(string(data), "msg=started phase="+phase+" ") {
			err = fmt.Errorf("the log ends with %s", lastLine(string(data)))
		}
		return err
	})
	return log
}

func lastLine(text string) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	return lines[len(lines)-1]
}

// sameCA returns the fingerprint of the store's certificate authority, "" where
// there is none yet. One that was there stays.
func (c *cluster) sameCA(t *testing.T, before string) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(c.Store(), "pki", "ca.crt"))
	if os.IsNotExist(err) && before == "" {
		return ""
	}
	if err != nil {
		t.Fatal(err)
	}
	print := fmt.Sprintf("%x", sha256.Sum256(data))
	if before != "" {
		want(t, "fingerprint of the certificate authority", print, before)
	}
	return print
}

// converge runs up to its end, with a second one beside it that has to give way,
// and looks whether the cluster is whole.
func (c *cluster) converge(t *testing.T, ca string) {
	t.Helper()
	first := "check-host"
	if c.wasUp(t) {
		first = "look"
	}
	cmd, stderr := c.start(t, c.UpArgs()...)
	c.waitPhase(t, cmd, "up", first)
	second := c.Up(background(t))
	if err := cmd.Wait(); err != nil {
		t.Fatalf("up: %v\n%s", err, stderr)
	}
	must(t, 1, second)
	contains(t, "what a second up says", second.Stderr, fmt.Sprintf("in use by another haplane (pid %d)", cmd.Process.Pid))
	c.waitHealthy(t)
	print := c.sameCA(t, ca)
	for _, node := range kubeNodes {
		want(t, "certificate authority of "+node, strings.Fields(c.on(t, node, "sha256sum /etc/kubernetes/pki/ca.crt"))[0], print)
	}
	members := c.on(t, "cp-1", etcdctl+"member list")
	want(t, "number of etcd members", len(strings.Split(members, "\n")), 3)
	want(t, "number of started etcd members", strings.Count(members, ", started, "), 3)
	again := must(t, 0, c.Up(background(t)))
	contains(t, "what up says then", again.Stdout, "nothing changed")
}

// checkCtrlC interrupts up as a user does, in several phases. It says so, and the
// next up goes on.
func (c *cluster) checkCtrlC(t *testing.T, before host) {
	ca := ""
	for _, phase := range []string{"issue-certificates", "create-machine@cp-3", "start@cp-1/api", "node-ready@worker-1"} {
		cmd, stderr := c.start(t, c.UpArgs()...)
		log := c.waitPhase(t, cmd, "up", phase)
		if err := cmd.Process.Signal(os.Interrupt); err != nil {
			t.Fatal(err)
		}
		_ = cmd.Wait()
		want(t, "exit code after an interrupt in "+phase, cmd.ProcessState.ExitCode(), 1)
		end := "error: interrupted\nhint:  run it again and it goes on from here\nlog:   " + log + "\n"
		if !strings.HasSuffix(stderr.String(), end) {
			t.Errorf("interrupted in %s, up ends with other words than %q:\n%s", phase, end, stderr)
		}
		ca = c.sameCA(t, ca)
	}
	c.converge(t, ca)
	must(t, 0, c.Down(background(t)))
	before.left(t, lookAtHost(c.Rig))
}

// killDown kills down in its work; the next one finishes that.
func (c *cluster) killDown(t *testing.T, after time.Duration, before host) {
	cmd, stderr := c.start(t, "down", "--cluster", c.Name, "--yes")
	c.waitPhase(t, cmd, "down", "remove-machines")
	kill(t, cmd, after)
	t.Logf("killed down after %s; it had said last: %q", ms(after), lastLine(stderr.String()))
	must(t, 0, c.Down(background(t)))
	before.left(t, lookAtHost(c.Rig))
}
