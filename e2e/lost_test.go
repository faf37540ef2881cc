//go:build e2e

package e2e

import (
	"context"
	"errors"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/haplane/haplane/internal/provider/nspawn"
)

// lost are machines that lose their power while up works, each after the repair
// of the one before.
var lost = []struct{ phase, node, says string }{
	{"create-machine@worker-1", "worker-1", "error: create-machine@worker-1: machine does not answer over SSH: the machine is off\n"},
	{"start@cp-2/api", "cp-2", "error: start@cp-2/api: the machine is off"},
	{"node-ready@worker-1", "worker-1", "error: node-ready@worker-1: the machine is off"},
}

// TestMachineLost cuts the power of a machine in the middle of up. The error names
// the phase and the machine, and the next up repairs it.
func TestMachineLost(t *testing.T) {
	r := newRig(t)
	c := newCluster(t, r, "e2e-lost", 12)
	before := lookAtHost(r)
	for _, l := range lost {
		t.Run(l.phase, func(t *testing.T) { c.checkLost(t, l.phase, l.node, l.says) })
	}
	c.converge(t, c.sameCA(t, ""))
	must(t, 0, c.Down(background(t)))
	before.left(t, lookAtHost(r))
}

func (c *cluster) checkLost(t *testing.T, phase, node, says string) {
	cmd, stderr := c.start(t, c.UpArgs()...)
	log := c.waitPhase(t, cmd, "up", phase)
	c.waitRunning(t, node)
	if err := c.Provider().Kill(background(t), node); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	want(t, "exit code", cmd.ProcessState.ExitCode(), 1)
	contains(t, "error", stderr.String(), says, "hint:  haplane up starts it again; its console is in ", "/"+node+"/console.log\n", "log:   "+log+"\n")
	text, err := os.ReadFile(log)
	if err != nil {
		t.Fatal(err)
	}
	contains(t, "log", string(text), "msg=failed phase="+phase, strings.TrimSpace(strings.TrimPrefix(says, "error: ")))
}

func (c *cluster) waitRunning(t *testing.T, node string) {
	t.Helper()
	wait(t, time.Minute, node+" to run", func(context.Context) error {
		list, err := c.Provider().List()
		if err == nil && !slices.ContainsFunc(list, func(s nspawn.Status) bool { return s.Name == node && s.Running }) {
			err = errors.New("it does not")
		}
		return err
	})
}
