package apply

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

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

// DNS serves between turns by as many pods as before, or as there are nodes that take one; before the turns all are of one version.
func TestDNSServesAsBefore(t *testing.T) {
	now := of("cp-1", "cp-2", "cp-3", "worker-1", "worker-2", "lb-1")
	waiting := corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "coredns-1"}, Spec: corev1.PodSpec{NodeName: "worker-2"}, Status: corev1.PodStatus{ContainerStatuses: []corev1.ContainerStatus{
		{Name: "coredns", State: corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: "ImagePullBackOff"}}}}}}
	for name, test := range map[string]struct {
		before, updated, available int32
		cordoned                   bool
		whole, moved               string // what is said between turns, and before them; "" where all is well
	}{
		"as before":           {2, 2, 2, false, "", ""},
		"one less":            {2, 2, 1, false, "CoreDNS: 2 of 2 replicas updated, 1 available; as the upgrade began or went on: 2", "1 available"},
		"one less before":     {1, 2, 1, false, "", ""},
		"no node takes it":    {2, 2, 1, true, "", ""},
		"none":                {2, 2, 0, true, "0 available", "0 available"},
		"it was away":         {0, 2, 0, false, "", ""},
		"of another version":  {2, 1, 2, false, "", "CoreDNS: 1 of 2 replicas updated, 2 available"},
		"away, and of others": {0, 1, 0, false, "", "1 of 2 replicas updated"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, now)
			w.api.dns, w.api.dnsPods = appsv1.DeploymentStatus{Replicas: 2, UpdatedReplicas: 2, AvailableReplicas: test.before}, []corev1.Pod{waiting}
			r := w.runner(now)
			r.Upgrades = true
			if err := r.Run(t.Context(), &change.Change{}); err != nil {
				t.Fatal(err)
			}
			w.api.dns.UpdatedReplicas, w.api.dns.AvailableReplicas, w.api.cordoned["worker-2"] = test.updated, test.available, test.cordoned
			client, err := r.Cluster.API()
			if err != nil {
				t.Fatal(err)
			}
			for _, look := range []struct {
				says string
				err  error
			}{{test.whole, r.whole(t.Context(), nil)}, {test.moved, r.dnsServes(t.Context(), client, true)}} {
				if (look.err == nil) != (look.says == "") || look.says != "" && (!strings.Contains(look.err.Error(), look.says) || !strings.Contains(look.err.Error(), "on worker-2: ImagePullBackOff")) {
					t.Errorf("%v, want %q", look.err, look.says)
				}
			}
		})
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
