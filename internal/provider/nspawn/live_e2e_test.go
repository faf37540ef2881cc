//go:build e2e

package nspawn

import (
	"errors"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// Machines come and go while the others run.
func TestLiveMachines(t *testing.T) {
	r := newRig(t, "nsp-live", []string{"one", "two", "three"}, "10.73.13.0/24")
	create := func(machines ...Machine) func() error {
		return func() error { return r.Create(t.Context(), machines) }
	}
	r.up("create two", create(r.machines[:2]...))
	before := r.pids()
	hosts := r.on(0, "stat", "--format=%y", "/etc/hosts")

	sleeper := r.cutOff(t, r.machines[2])
	r.up("add one of which the making was cut off", create(r.machines...))
	if sleeper.alive() {
		t.Error("what ran of the unfinished machine still runs")
	}
	r.on(2, "test", "!", "-e", "/root/left")
	untouched := func(when string) {
		t.Helper()
		if got := r.pids(); !slices.Equal(got[:1], before[:1]) || got[len(got)-1] != before[1] {
			t.Errorf("%s: processes %v, were %v", when, got, before)
		}
		if got := r.on(0, "stat", "--format=%y", "/etc/hosts"); got != hosts {
			t.Errorf("%s: the files of a running machine were written at %s, before at %s", when, got, hosts)
		}
	}
	untouched("after the third was added")
	for round := range 2 {
		r.on(0, "ping", "-c1", "-W2", r.machines[2].Addresses[0].String())
		removed, err := r.Remove(t.Context(), "three")
		r.must(err)
		for _, trace := range r.traces() {
			if strings.Contains(trace, r.netns("three")) || strings.Contains(trace, r.veth("three")) || strings.Contains(trace, r.dir("three")) {
				t.Errorf("left of the machine: %s (removed %v)", trace, removed)
			}
		}
		untouched("after the third was removed")
		r.on(0, "ping", "-c1", "-W2", "two")
		if round == 0 {
			r.up("make it again under the same address", create(r.machines...))
		}
	}

	r.must(os.RemoveAll(r.dir("two", "upper")))
	r.must(os.RemoveAll(r.dir("two", "data")))
	if list, err := r.List(); err != nil || list[0].Damaged != "" || !strings.Contains(list[1].Damaged, "upper is gone") {
		t.Errorf("list %+v, %v", list, err)
	}
	if err := r.Create(t.Context(), r.machines[:2]); !errors.Is(err, ErrDamaged) || strings.Contains(err.Error(), "machine one") {
		t.Errorf("create with a machine that lost its disk: %v", err)
	}
	_, err := r.Remove(t.Context(), "two")
	r.must(err)
	r.up("make it anew", create(r.machines[:2]...))
	r.on(0, "ping", "-c1", "-W2", "two")

	r.on(0, "touch", "/root/mark")
	r.must(r.Stop(t.Context()))
	r.must(os.Truncate(r.dir("one", recordFile), 0))
	if err := r.Start(t.Context()); !errors.Is(err, ErrDamaged) || strings.Contains(err.Error(), "two") {
		t.Errorf("start with a record that is empty: %v", err)
	}
	if got := r.pids(); got[0] != 0 || got[1] == 0 {
		t.Errorf("processes after a start with one damaged machine: %v", got)
	}
	known := slices.Clone(r.machines[:2])
	known[0].Image = r.Image
	r.up("give the record back", create(known...))
	r.on(0, "ls", "/root/mark")
}

// cutOff leaves of a machine what a run leaves that is killed right before it
// writes the record, and worse: a process too.
func (r *rig) cutOff(t *testing.T, m Machine) process {
	t.Helper()
	rec := r.newRecord(m)
	r.must(r.fillFolders(t.Context(), rec))
	r.must(r.mountRoot(rec))
	r.must(os.MkdirAll(r.dir(m.Name, "root", "root"), 0o700))
	r.must(os.WriteFile(r.dir(m.Name, "root", "root", "left"), nil, 0o600))
	cmd := exec.Command("sleep", "300")
	cmd.SysProcAttr = &unix.SysProcAttr{}
	r.must(startIn(r.cgroup(m.Name), cmd))
	go func() { _ = cmd.Wait() }()
	proc, err := identify(cmd.Process.Pid)
	r.must(err)
	return proc
}
