package cluster

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"

	"github.com/haplane/haplane/internal/apply"
	"github.com/haplane/haplane/internal/fileset"
	"github.com/haplane/haplane/internal/machine"
	"github.com/haplane/haplane/internal/render"
	"github.com/haplane/haplane/internal/runtime/systemd"
	"github.com/haplane/haplane/internal/runtime/systemd/systemdtest"
	"github.com/haplane/haplane/internal/topology"
	"github.com/haplane/haplane/spec"
)

// recorded is an env whose machines record what is done to them.
func recorded() (*env, map[string]*systemdtest.Host) {
	e := newEnv(spec.Default("demo"), Options{Log: slog.New(slog.DiscardHandler), Report: func(Progress) {}})
	e.rendered = map[string]render.Machine{}
	hosts := map[string]*systemdtest.Host{}
	for _, n := range e.topology.Nodes {
		h := systemdtest.New(n.Name)
		h.Next.Config = "new"
		hosts[n.Name] = h
		e.rendered[n.Name] = render.Machine{
			Files: fileset.New(fileset.File{Path: "/etc/" + n.Name, Mode: 0o600, Data: []byte("x")}),
			Units: []render.Unit{{Name: "etcd", Config: "new"}, {Name: "kubelet", Config: "new"}},
		}
	}
	e.reach = func(name string) machine.Machine { return hosts[name] }
	return e, hosts
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
	if diff := cmp.Diff([]string{"start etcd"}, hosts["cp-1"].Did()); diff != "" {
		t.Error(diff)
	}
	if done, err := controlPlaneStarted(t.Context(), e); !done || err != nil {
		t.Errorf("again: %v, %v", done, err)
	}
}

func TestRunningUnitWithAnotherConfigurationIsRestarted(t *testing.T) {
	e, hosts := recorded()
	for name, h := range hosts {
		h.Running = map[string]systemd.State{"etcd": h.Next, "kubelet": h.Next}
		if name == "worker-1" {
			h.Running["kubelet"] = systemd.State{Active: true, Config: "old"}
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
	if hosts["worker-1"].Running["kubelet"].Config != "new" {
		t.Error("kubelet was not restarted")
	}
}

func TestWaitingEndsWhenAUnitCrashesOverAndOver(t *testing.T) {
	synctest.Test(t, testWaitingEndsWhenAUnitCrashesOverAndOver) // the time that it waits is not ours
}

func testWaitingEndsWhenAUnitCrashesOverAndOver(t *testing.T) {
	e, hosts := recorded()
	hosts["cp-1"].Running = map[string]systemd.State{"kube-apiserver": {}, "etcd": {Restarts: 12}}
	cp1, _ := e.topology.Node("cp-1")
	boom := errors.New("connection refused")
	err := e.waitForUnit(t.Context(), cp1, []string{"kube-apiserver", "etcd"}, func(context.Context) error { return boom })
	var unit *apply.UnitError
	if !errors.As(err, &unit) || unit.Unit != "etcd" || !errors.Is(err, boom) || !strings.Contains(err.Error(), "12 times") {
		t.Error(err)
	}
}

func TestExplainShowsTheUnitsLog(t *testing.T) {
	e, hosts := recorded()
	hosts["cp-2"].Answer = func([]string) (string, error) { return "first\nflag provided but not defined\n", nil }
	ctx, cancel := context.WithCancel(t.Context())
	err := e.explain(ctx, errors.Join(errors.New("other"), &apply.UnitError{Node: "cp-2", Unit: "etcd", Err: errors.New("not ready")}))
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
	if cut := (&apply.UnitError{Node: "cp-2", Unit: "etcd", Err: ctx.Err()}); e.explain(ctx, cut) != error(cut) {
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
	if got := string(nodeLabels(topology.New(c))); strings.Count(got, "kind: Node") != 3 || strings.Contains(got, "worker-1") {
		t.Error(got)
	}
	c.Spec.ControlPlane.Kubelet = new(false)
	if got := string(nodeLabels(topology.New(c))); got != "" {
		t.Error(got)
	}
}
