package apply

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/haplane/haplane/internal/change"
	"github.com/haplane/haplane/internal/fileset"
	"github.com/haplane/haplane/internal/render"
)

// A look at the whole cluster names all that is hurt, and leaves out whose turn is to come.
func TestWhole(t *testing.T) {
	now := of(three...)
	w := newWorld(t, now)
	r := w.runner(now)
	if err := r.whole(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	w.mu.Lock()
	w.hosts["cp-2"].Running, w.hosts["worker-1"].Running = nil, nil
	w.mu.Unlock()
	err := r.whole(t.Context(), nil)
	for _, says := range []string{"cp-2: ", "etcd member cp-2: ", "node worker-1: is not ready"} {
		if err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("no %q in %v", says, err)
		}
	}
	if err := r.whole(t.Context(), []string{"worker-1"}); err == nil || strings.Contains(err.Error(), "worker-1") {
		t.Errorf("worker-1 is spared: %v", err)
	}
	if err := r.whole(t.Context(), []string{"cp-2", "worker-1"}); err != nil {
		t.Errorf("both are spared: %v", err)
	}
}

// Of a control-plane node that is a load balancer a step writes who is there by then, and the rest as it will be.
func TestFilesOfANodeThatBalances(t *testing.T) {
	machine := func(rest, balancer string) render.Machine {
		return render.Machine{Files: fileset.New(fileset.File{Path: "/etc/file", Mode: 0o644, Data: []byte(rest)},
			fileset.File{Path: "/etc/haproxy/haproxy.cfg", Mode: 0o644, Data: []byte(balancer)}),
			Units: []render.Unit{{Name: "kube-apiserver", Config: rest}, {Name: "haproxy", Load: balancer}}}
	}
	by := func(kind string) func(change.Step) map[string]render.Machine {
		return func(s change.Step) map[string]render.Machine {
			return map[string]render.Machine{s.Node: machine("not this", kind+" "+strings.Join(s.Backends, " "))}
		}
	}
	r := &Runner{Desired: map[string]render.Machine{"cp-1": machine("wanted", "all")}, Render: by("now"),
		Last: map[string]render.Machine{"cp-1": machine("last", "all")}, RenderLast: by("last")}
	for name, test := range map[string]struct {
		step           change.Step
		rest, balancer string
	}{
		"all are there": {change.Step{Node: "cp-1"}, "wanted", "all"},
		"one leaves":    {change.Step{Node: "cp-1", Backends: []string{"cp-1", "cp-2"}}, "wanted", "now cp-1 cp-2"},
		"in the end":    {change.Step{Node: "cp-1", Backends: []string{"cp-1", "cp-2"}, Last: true}, "last", "last cp-1 cp-2"},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(machine(test.rest, test.balancer), r.desired(test.step)); diff != "" {
				t.Error(diff)
			}
		})
	}
}
