package apply

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/haplane/haplane/internal/access"
	"github.com/haplane/haplane/internal/change"
	"github.com/haplane/haplane/internal/fileset"
	"github.com/haplane/haplane/internal/haproxyapi"
	"github.com/haplane/haplane/internal/machine"
	"github.com/haplane/haplane/internal/render"
	"github.com/haplane/haplane/internal/runtime/systemd"
	"github.com/haplane/haplane/internal/runtime/systemd/systemdtest"
	"github.com/haplane/haplane/internal/topology"
	"github.com/haplane/haplane/spec"
)

// A worker has a load balancer of its own, and may be off, or answer nobody.
type localWorld struct {
	*balancingNode
	Provider
	off, silent bool
	notices     []string
}

func (w *localWorld) Status(topology.Node) (made, running bool, err error) { return true, !w.off, nil }

func (w *localWorld) Run(ctx context.Context, cmd machine.Command) (machine.Result, error) {
	if w.off || w.silent {
		return machine.Result{}, errors.New("no route to host")
	}
	return w.balancingNode.Run(ctx, cmd)
}

func newLocalWorld(t *testing.T, kind spec.BalancerKind) (*localWorld, *Runner) {
	t.Helper()
	c := &spec.Cluster{}
	if c.Spec.LoadBalancer = (spec.LoadBalancer{Kind: kind, NodeLocal: true}); kind == spec.ExternalBalancer {
		c.Spec.LoadBalancer.Address = "10.20.0.5"
	}
	spec.SetDefaults(c)
	topo := topology.New(c)
	w := &localWorld{balancingNode: &balancingNode{Host: systemdtest.New("worker-1"), servers: []string{"cp-1", "cp-2"}}}
	w.Next = systemd.State{Active: true, Config: "new", Loaded: "new"}
	wanted := render.Machine{Units: []render.Unit{{Name: "haproxy", Config: "new", Load: "new"}, {Name: "kubelet", Config: "new"}}}
	for _, path := range []string{"/etc/haproxy/haproxy.cfg", "/etc/kubelet.yaml"} {
		if wanted.Files == nil {
			wanted.Files = fileset.Set{}
		}
		wanted.Files.Add(fileset.File{Path: path, Mode: 0o644, Data: []byte("new")})
	}
	wanted.Files.AddManifest(render.ManifestPath)
	r := &Runner{Nodes: map[string]topology.Node{}, Provider: w, Waiting: func(string, string) {}, Log: slog.New(slog.DiscardHandler),
		Notice: func(_, text string) { w.notices = append(w.notices, text) },
		Render: func(change.Step) map[string]render.Machine { return map[string]render.Machine{"worker-1": wanted} }}
	r.Cluster = &access.Cluster{Topology: topo, Machine: func(node string) machine.Machine {
		if node != "worker-1" {
			t.Errorf("asks %s", node)
		}
		return w
	}}
	for _, n := range topo.Nodes {
		r.Nodes[n.Name] = n
	}
	return w, r
}

// Of a worker with a load balancer of its own, the step that tells it is about that alone. Who does not answer is not waited for: nobody else's way
// leads there.
func TestLoadBalancerOfAWorkerIsTold(t *testing.T) {
	old := systemd.State{Active: true, Config: "old"}
	for name, test := range map[string]struct {
		haproxy     systemd.State
		off, silent bool
		backends    []string
		did         []string
		says        string
	}{
		"others come or go": {haproxy: systemd.State{Active: true, Config: "new", Loaded: "old"}, backends: []string{"cp-1", "cp-2"}, did: []string{"reload haproxy"}},
		"it begins":         {backends: []string{"cp-1", "cp-2"}, did: []string{"start haproxy"}},
		"another unit":      {haproxy: old, backends: []string{"cp-1", "cp-2"}, did: []string{"restart haproxy"}},
		"it is off":         {off: true, backends: []string{"cp-1", "cp-2"}, says: "the load balancer of worker-1 is not told, for its machine does not answer"},
		"it is not reached": {silent: true, backends: []string{"cp-1", "cp-2"}, says: "no route to host"},
	} {
		t.Run(name, func(t *testing.T) {
			w, r := newLocalWorld(t, spec.Dedicated)
			w.off, w.silent = test.off, test.silent
			w.Running = map[string]systemd.State{"haproxy": test.haproxy, "kubelet": old}
			if err := setBackends(t.Context(), r, change.Step{Verb: change.SetBackends, Node: "worker-1", Backends: test.backends}); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.did, w.Did()); diff != "" {
				t.Errorf("units:\n%s", diff)
			}
			var files [][]string
			if test.says == "" {
				files = [][]string{{"/etc/haproxy/haproxy.cfg"}}
			}
			if diff := cmp.Diff(files, w.Uploads()); diff != "" {
				t.Errorf("files:\n%s", diff)
			}
			if got := strings.Join(w.notices, "\n"); !strings.Contains(got, test.says) || (got == "") != (test.says == "") {
				t.Errorf("%q, want %q", got, test.says)
			}
		})
	}
}

// What is wrong on a worker that answers is an error.
func TestLoadBalancerOfAWorkerThatDoesNotLoadIsAnError(t *testing.T) {
	w, r := newLocalWorld(t, spec.Dedicated)
	answer := w.Answer
	w.Answer = func(argv []string) (string, error) {
		if len(argv) > 3 && argv[3] == "start" {
			return "", errors.New("Job for haproxy.service failed")
		}
		return answer(argv)
	}
	err := setBackends(t.Context(), r, change.Step{Verb: change.SetBackends, Node: "worker-1", Backends: []string{"cp-1", "cp-2"}})
	if err == nil || !strings.Contains(err.Error(), "haproxy") || len(w.notices) > 0 {
		t.Errorf("%v, %q", err, w.notices)
	}
}

// A worker begins with a load balancer that leads somewhere: the way through the one that all clients reach is not asked for.
func TestLoadBalancerOfAWorkerServes(t *testing.T) {
	w, r := newLocalWorld(t, spec.Dedicated)
	if err := balancerAnswers(t.Context(), r, r.Nodes["worker-1"]); err == nil || !strings.Contains(err.Error(), "worker-1 does not lead to its load balancer yet") {
		t.Error(err)
	}
	w.Running["haproxy"] = systemd.State{Active: true}
	if err := balancerAnswers(t.Context(), r, r.Nodes["worker-1"]); err != nil {
		t.Error(err)
	}
	w.servers = nil
	if err := balancerAnswers(t.Context(), r, r.Nodes["worker-1"]); err == nil || !strings.Contains(err.Error(), "worker-1 sends requests to no API server") {
		t.Error(err)
	}
}

// A worker's own load balancer keeps no word of a drain, which it might not hear the end of.
func TestDrainIsNotToldToWorkers(t *testing.T) {
	for _, kind := range []spec.BalancerKind{spec.Dedicated, spec.OnControlPlane} {
		w, r := newLocalWorld(t, kind)
		r.Cluster.Machine = func(node string) machine.Machine {
			if node == "worker-1" {
				t.Error("it is told")
			}
			return w
		}
		_ = r.setServer(t.Context(), change.Step{Verb: change.DrainBackend, Node: "cp-1"}, haproxyapi.Drain) // this HAProxy does not do it
		if len(w.told) == 0 {
			t.Errorf("%s: nobody is told", kind)
		}
	}
}
