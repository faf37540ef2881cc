package cluster

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"

	"github.com/haplane/haplane/internal/fileset"
	"github.com/haplane/haplane/internal/machine"
	"github.com/haplane/haplane/internal/machine/machinetest"
	"github.com/haplane/haplane/internal/render"
	"github.com/haplane/haplane/internal/topology"
	"github.com/haplane/haplane/spec"
)

// A host answers as systemd would: units that were started are active.
type host struct {
	*machinetest.Recorder
	running map[string]string // unit to the digest that it runs with
}

// recorded is an env whose machines record what is done to them.
func recorded() (*env, map[string]*host) {
	e := newEnv(spec.Default("demo"), Options{Log: slog.New(slog.DiscardHandler), Report: func(Progress) {}})
	e.rendered = map[string]render.Machine{}
	hosts := map[string]*host{}
	for _, n := range e.topology.Nodes {
		h := &host{Recorder: &machinetest.Recorder{NodeName: n.Name}, running: map[string]string{}}
		h.Answer = h.answer
		hosts[n.Name] = h
		e.rendered[n.Name] = render.Machine{
			Files: fileset.New(fileset.File{Path: "/etc/" + n.Name, Mode: 0o600, Data: []byte("x")}),
			Units: []render.Unit{{Name: "etcd", Config: "new"}, {Name: "kubelet", Config: "new"}},
		}
	}
	e.reach = func(name string) machine.Machine { return hosts[name] }
	return e, hosts
}

func (h *host) answer(argv []string) (string, error) {
	var started []string
	switch {
	case slices.Contains(argv, startScript):
		started = argv[4:]
	case slices.Contains(argv, "restart"):
		started = argv[slices.Index(argv, "--")+1:]
	}
	for _, u := range started {
		h.running[strings.TrimSuffix(u, ".service")] = "new"
	}
	if !slices.Contains(argv, unitsScript) {
		return "", nil
	}
	var shown, processes string
	for i, u := range argv[4:] {
		state, name := "inactive", strings.TrimSuffix(u, ".service")
		if config, ok := h.running[name]; ok {
			state = "active"
			processes += fmt.Sprintf("%d %s\n", i+1, config)
		}
		shown += fmt.Sprintf("Id=%s\nActiveState=%s\nMainPID=%d\n\n", u, state, i+1)
	}
	return shown + "===\n" + processes, nil
}

func TestFilesAreWrittenOnce(t *testing.T) {
	e, hosts := recorded()
	for run := range 2 {
		done, err := filesCurrent(t.Context(), e)
		if err != nil || done != (run == 1) {
			t.Fatalf("run %d: done %v, %v", run, done, err)
		}
		if done {
			break
		}
		if err := writeFiles(t.Context(), e); err != nil {
			t.Fatal(err)
		}
	}
	for name, h := range hosts {
		if diff := cmp.Diff([]string{"/etc/" + name}, h.Files().Paths()); diff != "" {
			t.Error(diff)
		}
	}
	if got := e.changes.all(); len(got) != 5 || got[0] != "wrote 1 files on cp-1" {
		t.Error(got)
	}
}

func TestUnitsAreStartedOnce(t *testing.T) {
	e, hosts := recorded()
	if done, err := controlPlaneStarted(t.Context(), e); done || err != nil {
		t.Fatalf("at first: %v, %v", done, err)
	}
	if err := startControlPlane(t.Context(), e); err != nil {
		t.Fatal(err)
	}
	want := []string{"sh -c " + startScript + " sh etcd.service"}
	if diff := cmp.Diff(want, hosts["cp-1"].Commands()[1:]); diff != "" {
		t.Error(diff)
	}
	if done, err := controlPlaneStarted(t.Context(), e); !done || err != nil {
		t.Errorf("again: %v, %v", done, err)
	}
}

func TestRunningUnitWithAnotherConfigurationIsRestarted(t *testing.T) {
	e, hosts := recorded()
	for name, h := range hosts {
		h.running = map[string]string{"etcd": "new", "kubelet": "new"}
		if name == "worker-1" {
			h.running["kubelet"] = "old"
		}
	}
	if done, err := controlPlaneStarted(t.Context(), e); !done || err != nil {
		t.Fatalf("%v, %v", done, err)
	}
	if done, err := nodesStarted(t.Context(), e); done || err != nil {
		t.Fatalf("%v, %v", done, err)
	}
	if err := startNodes(t.Context(), e); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"restarted on worker-1: kubelet"}, e.changes.all()); diff != "" {
		t.Error(diff)
	}
	if hosts["worker-1"].running["kubelet"] != "new" {
		t.Error("kubelet was not restarted")
	}
}

func TestParseUnits(t *testing.T) {
	got := parseUnits("MainPID=7\nId=etcd.service\nActiveState=active\n\nMainPID=0\nId=kubelet.service\nActiveState=failed\n\n===\n7 abc\n")
	want := map[string]unitState{"etcd": {Active: true, Config: "abc"}, "kubelet": {}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// The script runs here, with a systemctl that tells of processes of this test.
func TestUnitsScript(t *testing.T) {
	run := func(config string) int {
		cmd := exec.CommandContext(t.Context(), "sleep", "60")
		cmd.Env = []string{"A=b", render.ConfigVariable + "=" + config, "X" + render.ConfigVariable + "=no"}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
		return cmd.Process.Pid
	}
	units := fmt.Sprintf("MainPID=%d\nId=etcd.service\nActiveState=active\n\nMainPID=%d\nId=kubelet.service\nActiveState=active\n\n"+
		"MainPID=0\nId=haproxy.service\nActiveState=inactive\n\nMainPID=%d\nId=gone.service\nActiveState=active", run("abc"), run("def"), 1<<22+1)
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "systemctl"), []byte("#!/bin/sh\necho '"+units+"'\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "sh", "-c", unitsScript, "sh", "etcd.service")
	cmd.Env = []string{"PATH=" + dir + ":" + os.Getenv("PATH")}
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]unitState{"etcd": {Active: true, Config: "abc"}, "kubelet": {Active: true, Config: "def"}, "haproxy": {}, "gone": {Active: true}}
	if diff := cmp.Diff(want, parseUnits(string(out))); diff != "" {
		t.Error(diff)
	}
	cmd = exec.CommandContext(t.Context(), "sh", "-c", unitsScript, "sh", "etcd.service")
	cmd.Env = []string{"PATH=/nowhere"}
	if out, err := cmd.Output(); err == nil {
		t.Errorf("without systemctl it says %q", out)
	}
}

func TestWaitingEndsWhenAUnitCrashesOverAndOver(t *testing.T) {
	synctest.Test(t, testWaitingEndsWhenAUnitCrashesOverAndOver) // the time that it waits is not ours
}

func testWaitingEndsWhenAUnitCrashesOverAndOver(t *testing.T) {
	e, hosts := recorded()
	hosts["cp-1"].Answer = func(argv []string) (string, error) {
		if !slices.Equal(argv[4:], []string{"--", "kube-apiserver.service", "etcd.service"}) {
			return "", fmt.Errorf("unexpected %q", argv)
		}
		return "0\n\n12\n", nil
	}
	cp1, _ := e.topology.Node("cp-1")
	boom := errors.New("connection refused")
	err := e.waitForUnit(t.Context(), cp1, []string{"kube-apiserver", "etcd"}, func(context.Context) error { return boom })
	var unit *UnitError
	if !errors.As(err, &unit) || unit.Unit != "etcd" || !errors.Is(err, boom) || !strings.Contains(err.Error(), "12 times") {
		t.Error(err)
	}
}

func TestExplainShowsTheUnitsLog(t *testing.T) {
	e, hosts := recorded()
	hosts["cp-2"].Answer = func([]string) (string, error) { return "first\nflag provided but not defined\n", nil }
	ctx, cancel := context.WithCancel(t.Context())
	err := e.explain(ctx, errors.Join(errors.New("other"), &UnitError{Node: "cp-2", Unit: "etcd", Err: errors.New("not ready")}))
	var hinted *HintedError
	if !errors.As(err, &hinted) || hinted.Hint != "haplane logs cp-2 etcd --cluster demo" {
		t.Errorf("hint of %v", err)
	}
	if diff := cmp.Diff([]string{"first", "flag provided but not defined"}, hinted.Log); diff != "" {
		t.Error(diff)
	}
	if plain := errors.New("x"); e.explain(ctx, plain) != plain {
		t.Error("an error that is not about a unit changed")
	}
	cancel()
	if cut := (&UnitError{Node: "cp-2", Unit: "etcd", Err: ctx.Err()}); e.explain(ctx, cut) != error(cut) {
		t.Error("a unit is blamed for the user's interrupt")
	}
}

func TestOneNodesErrorNamesIt(t *testing.T) {
	e, hosts := recorded()
	boom := errors.New("boom")
	hosts["cp-3"].Answer = func([]string) (string, error) { return "", boom }
	_, err := controlPlaneStarted(t.Context(), e)
	if !errors.Is(err, boom) || !strings.Contains(err.Error(), "cp-3: ") {
		t.Error(err)
	}
}

func TestOnlyNodesWithAKubeletAreLabelled(t *testing.T) {
	c := spec.Default("demo")
	if got := nodeLabels(topology.New(c)); strings.Count(got, "kind: Node") != 3 || strings.Contains(got, "worker-1") {
		t.Error(got)
	}
	c.Spec.ControlPlane.Kubelet = new(false)
	if got := nodeLabels(topology.New(c)); got != "" {
		t.Error(got)
	}
}
