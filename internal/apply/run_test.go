package apply

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/haplane/haplane/internal/access"
	"github.com/haplane/haplane/internal/change"
	"github.com/haplane/haplane/internal/machine"
	"github.com/haplane/haplane/internal/phase"
	"github.com/haplane/haplane/internal/poll"
	"github.com/haplane/haplane/internal/runtime/systemd"
	"github.com/haplane/haplane/internal/runtime/systemd/systemdtest"
	"github.com/haplane/haplane/internal/topology"
)

var three = []string{"cp-1", "cp-2", "cp-3", "worker-1", "lb-1"}

// arrived fails the test unless the world is wholly what is wanted.
func (w *world) arrived(wanted *topology.Topology) {
	w.t.Helper()
	if c := w.plan(wanted); !c.Nothing() {
		w.t.Errorf("there is still to do: %v", c.Steps)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	var want, machines, record, members, voters []string
	for _, n := range wanted.Nodes {
		want = append(want, n.Name)
	}
	for name := range w.hosts {
		machines = append(machines, name)
	}
	for _, n := range w.record {
		record = append(record, n.Name)
		if n.State != change.Active {
			w.t.Errorf("%s is %s", n.Name, n.State)
		}
	}
	for _, n := range wanted.EtcdMembers() {
		voters = append(voters, n.Name)
	}
	for _, m := range w.etcd.members {
		members = append(members, m.Name)
		if m.IsLearner {
			w.t.Errorf("%s is a learner", m.Name)
		}
	}
	for _, list := range [][]string{want, machines, record, members, voters} {
		slices.Sort(list)
	}
	if diff := cmp.Diff([][]string{want, want, voters}, [][]string{machines, record, members}); diff != "" {
		w.t.Errorf("machines, record and members: %s", diff)
	}
	if diff := cmp.Diff(backends(wanted), w.loaded); diff != "" {
		w.t.Errorf("backends: %s", diff)
	}
	for name, drained := range w.drained {
		if drained {
			w.t.Errorf("%s drains still", name)
		}
	}
}

// Whatever the step at which a run is cut off, the next one plans what is left, and arrives.
func TestRunGoesOnWhereItWasCutOff(t *testing.T) {
	two := []string{"cp-1", "cp-2", "worker-1", "lb-1"}
	external := append(slices.Clone(two), "etcd-1")
	tests := map[string]struct {
		from    []string // three where it is nil
		to      []string
		replace []string
		old     string // unit that runs with another configuration on all control-plane nodes
	}{
		"the first control-plane node leaves": {to: []string{"cp-2", "cp-3", "worker-1", "lb-1"}},
		"a control-plane node comes":          {to: append(slices.Clone(three), "cp-4")},
		"one is made anew":                    {to: three, replace: []string{"cp-2"}},
		"etcd restarts":                       {to: three, old: "etcd"},
		"a worker for another":                {to: []string{"cp-1", "cp-2", "cp-3", "worker-2", "lb-1"}},
		"etcd gets machines of its own":       {from: two, to: external},
		"etcd comes back from its machines":   {from: external, to: two},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			wanted := of(test.to...)
			var steps []string
			run := func(t *testing.T, cut string) {
				from := test.from
				if from == nil {
					from = three
				}
				w := newWorld(t, of(from...), without(from, "cp-4", "worker-2", "etcd-1", "etcd-2")...)
				if test.old != "" {
					for _, n := range of(three...).ControlPlane() {
						w.hosts[n.Name].Running[test.old] = systemd.State{Active: true, Config: "old"}
					}
				}
				c := w.plan(wanted, test.replace...)
				w.begin(wanted, test.replace...)
				if cut != "" {
					w.runUntil(t, wanted, c, cut)
					c = w.plan(wanted)
				}
				if err := w.runner(wanted).Run(t.Context(), c); err != nil {
					t.Fatal(err)
				}
				w.arrived(wanted)
				steps = ids(c)
			}
			t.Run("not cut off", func(t *testing.T) { run(t, "") })
			for _, cut := range slices.Clone(steps) {
				t.Run(strings.ReplaceAll(cut, "/", "-"), func(t *testing.T) { run(t, cut) })
			}
		})
	}
}

// runUntil carries a change out and is cut off in a step, unless that finds nothing to do.
func (w *world) runUntil(t *testing.T, wanted *topology.Topology, c *change.Change, cut string) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	w.doing = func(id string) {
		if id == cut {
			cancel()
		}
	}
	if err := w.runner(wanted).Run(ctx, c); (err != nil) != slices.Contains(w.noted("doing"), cut) {
		t.Fatalf("it was not cut off in %s: %v", cut, err)
	}
	w.doing = nil
}

// Of nothing comes a cluster, whatever the step at which an earlier run was cut off.
func TestBringUpGoesOnWhereItWasCutOff(t *testing.T) {
	wanted := of(three...)
	var steps []string
	run := func(t *testing.T, cut string) {
		w := newWorld(t, wanted)
		w.hosts, w.loaded = map[string]*systemdtest.Host{}, nil
		for i := range w.record {
			w.record[i].State = change.Joining
		}
		c := change.BringUp(w.input(wanted))
		steps = ids(c)
		if cut != "" {
			w.runUntil(t, wanted, c, cut)
			c = change.BringUp(w.input(wanted))
		}
		if err := w.runner(wanted).Run(t.Context(), c); err != nil {
			t.Fatal(err)
		}
		w.arrived(wanted)
		for _, n := range wanted.Nodes {
			if did := w.hosts[n.Name].Did(); cut == "" && (len(did) > 2 || slices.ContainsFunc(did, func(one string) bool { return !strings.HasPrefix(one, "start ") })) {
				t.Errorf("%s was told to %q", n.Name, did)
			}
		}
	}
	t.Run("not cut off", func(t *testing.T) { run(t, "") })
	for _, cut := range slices.Clone(steps) {
		t.Run(strings.ReplaceAll(cut, "/", "-"), func(t *testing.T) { run(t, cut) })
	}
}

// A machine that loses its power in the middle of a step is named as off, whatever that step saw.
func TestAStepOnAMachineThatGoesOff(t *testing.T) {
	w := newWorld(t, of(three...))
	r := w.runner(of(three...))
	r.Provider = powerless{w}
	r.stopped = make(chan struct{})
	delete(w.hosts, "cp-2")
	_, err := r.step(t.Context(), change.Step{ID: "reload@cp-2", Verb: change.Reload, Node: "cp-2", Units: []string{"haproxy"}})
	var off *MachineError
	if !errors.As(err, &off) || off.Node != "cp-2" || !errors.Is(err, ErrOff) || !strings.Contains(err.Error(), "the machine is off: reload haproxy: ") {
		t.Errorf("error %v", err)
	}
}

// A powerless world's machines are all off.
type powerless struct{ *world }

func (powerless) Status(topology.Node) (made, running bool, err error) { return true, false, nil }

// Units that fail again and again are given up, but not at once: what they need may have come only now.
func TestWaitingEndsWhenAUnitCrashesOverAndOver(t *testing.T) {
	synctest.Test(t, testWaitingEndsWhenAUnitCrashesOverAndOver) // the time that it waits is not ours
}

func testWaitingEndsWhenAUnitCrashesOverAndOver(t *testing.T) {
	h := systemdtest.New("cp-1")
	h.Running["etcd"] = systemd.State{Restarts: 12}
	w := &world{hosts: map[string]*systemdtest.Host{"cp-1": h}}
	r := &Runner{Provider: w, Cluster: &access.Cluster{Machine: func(string) machine.Machine { return h }}, Log: slog.New(slog.DiscardHandler),
		Waiting: func(string, string) {}, stopped: make(chan struct{})}
	began, boom := time.Now(), errors.New("connection refused")
	err := r.waitForUnit(t.Context(), nodeOf("cp-1"), []string{"kube-apiserver", "etcd"}, func(context.Context) error { return boom })
	var unit *UnitError
	if !errors.As(err, &unit) || unit.Unit != "etcd" || !errors.Is(err, boom) || !strings.Contains(err.Error(), "12 times") {
		t.Error(err)
	}
	if waited := time.Since(began); waited < crashLoop*restartEvery {
		t.Errorf("given up after %s", waited)
	}
}

// Connections to a member that died with its machine are ended before it is removed: etcd would wait for one that is
// written to. Those to a member that lives are none of our business.
func TestConnectionsToADeadMemberAreEnded(t *testing.T) {
	for name, dead := range map[string]bool{"dead": true, "alive": false} {
		t.Run(name, func(t *testing.T) {
			was := of(three...)
			w := newWorld(t, was)
			if dead {
				delete(w.hosts, "cp-2")
			}
			w.begin(was, "cp-2")
			if err := w.runner(was).Run(t.Context(), w.plan(was, "cp-2")); err != nil {
				t.Fatal(err)
			}
			w.arrived(was)
			want := " dst " + nodeOf("cp-2").Address.String() + " ( sport = :2380 or dport = :2380 )"
			for _, other := range []string{"cp-1", "cp-3"} {
				ended := slices.ContainsFunc(w.hosts[other].Commands(), func(c string) bool {
					return strings.HasPrefix(c, "ss --kill ") && strings.HasSuffix(c, want)
				})
				if ended != dead {
					t.Errorf("%s has ended them: %v", other, ended)
				}
			}
		})
	}
}

// A removal that was cut off goes back, until something is gone: then it says what.
func TestAbortGoesBackOrSaysWhyNot(t *testing.T) {
	for name, last := range map[string]string{"cp-1": "member-remove@cp-1", "worker-1": "remove-machine@worker-1"} {
		t.Run(name, func(t *testing.T) {
			was, wanted := of(three...), of(slices.DeleteFunc(slices.Clone(three), func(n string) bool { return n == name })...)
			var steps []string
			t.Run("plan", func(t *testing.T) { steps = ids(newWorld(t, was).plan(wanted)) })
			gone := false
			for _, cut := range steps {
				t.Run(strings.ReplaceAll(cut, "/", "-"), func(t *testing.T) {
					w := newWorld(t, was)
					w.begin(wanted)
					w.runUntil(t, wanted, w.plan(wanted), cut)
					in := w.input(was)
					in.Back = true
					c, err := change.Plan(in)
					var lost *change.GoneError
					if gone {
						if !errors.As(err, &lost) || !strings.HasPrefix(err.Error(), name+" cannot come back as it was: ") {
							t.Errorf("error %v", err)
						}
						return
					}
					if err != nil {
						t.Fatal(err)
					}
					if err := w.runner(was).Run(t.Context(), c); err != nil {
						t.Fatal(err)
					}
					w.arrived(was)
					if w.api.cordoned[name] {
						t.Error("it is cordoned still")
					}
				})
				gone = gone || cut == last
			}
		})
	}
}

func ids(c *change.Change) []string {
	var out []string
	for _, s := range c.Steps {
		out = append(out, s.ID)
	}
	return out
}

func TestDoneStepsAreSkippedAndNoted(t *testing.T) {
	wanted := of(three...)
	w := newWorld(t, wanted)
	r := w.runner(wanted)
	states := map[string]phase.State{}
	r.Report = func(e phase.Event) { states[e.ID] = e.State }
	steps := []change.Step{
		{ID: "write-files@cp-1", Verb: change.WriteFiles, Node: "cp-1"},
		{ID: "member-promote@cp-1", Verb: change.PromoteMember, Node: "cp-1", Needs: []string{"write-files@cp-1"}},
		{ID: "move-leader@cp-2", Verb: change.MoveLeader, Node: "cp-2", Needs: []string{"member-promote@cp-1"}},
	}
	if err := r.Run(t.Context(), &change.Change{Steps: steps}); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"write-files@cp-1", "member-promote@cp-1", "move-leader@cp-2"}, w.noted("done")); diff != "" {
		t.Error(diff)
	}
	if begun := w.noted("doing"); len(begun) > 0 {
		t.Errorf("begun %v", begun)
	}
	for id, state := range states {
		if state != phase.Current {
			t.Errorf("%s is %s", id, state)
		}
	}
}

// A guard that refuses ends the run before the journal says that the step begins.
func TestRefusedStepsDoNotBegin(t *testing.T) {
	tests := map[string]struct {
		step change.Step
		down map[string]string // a unit that does not run, by node
		want string
	}{
		"the last API server": {change.Step{ID: "stop@cp-1", Verb: change.Stop, Node: "cp-1", Units: []string{"kube-apiserver"}, Guard: change.Guard{OtherAPIServers: true}},
			map[string]string{"cp-2": "kube-apiserver", "cp-3": "kube-apiserver"}, "no other API server would serve meanwhile: cp-2: "},
		"the only one with requests": {change.Step{ID: "stop@cp-1", Verb: change.Stop, Node: "cp-1", Units: []string{"kube-apiserver"}, Guard: change.Guard{OtherAPIServers: true}},
			map[string]string{"lb-1": "haproxy"}, "cp-2: no load balancer sends requests to it"},
		"restart of one too many": {change.Step{ID: "restart@cp-1", Verb: change.Restart, Node: "cp-1", Units: []string{"etcd"}, Guard: change.Guard{Etcd: change.OpStop}},
			map[string]string{"cp-2": "etcd"}, "after it 3 voters of which 1 is healthy, quorum 2"},
		"removal of one too many": {change.Step{ID: "member-remove@cp-1", Verb: change.RemoveMember, Node: "cp-1", Guard: change.Guard{Etcd: change.OpRemove}},
			map[string]string{"cp-2": "etcd"}, "after it 2 voters of which 1 is healthy, quorum 2"},
		"a learner without quorum": {change.Step{ID: "member-add@cp-4", Verb: change.AddMember, Node: "cp-4", Guard: change.Guard{Etcd: change.OpAdd}},
			map[string]string{"cp-1": "etcd", "cp-2": "etcd"}, "without quorum no membership changes"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, of(three...), "cp-4")
			for node, unit := range test.down {
				delete(w.hosts[node].Running, unit)
				if unit == "haproxy" {
					w.loaded = []string{"cp-1"}
				}
			}
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			r := w.runner(of(append(slices.Clone(three), "cp-4")...))
			r.Waiting = func(_, what string) {
				if what != "" {
					cancel() // else it would wait for that to pass
				}
			}
			err := r.Run(ctx, &change.Change{Steps: []change.Step{test.step}})
			var refused *change.Refused
			if !errors.As(err, &refused) || !strings.Contains(err.Error(), test.want) {
				t.Errorf("error %v", err)
			}
			if len(w.notes) > 0 || len(w.hosts["cp-1"].Did()) > 0 || len(w.etcd.members) != 3 {
				t.Errorf("it has begun: %v, %v", w.notes, w.hosts["cp-1"].Did())
			}
		})
	}
}

// A lock that was lost ends the run before what cannot be taken back.
func TestNothingFinalWithoutTheLock(t *testing.T) {
	wanted := of(three...)
	w := newWorld(t, wanted)
	r := w.runner(wanted)
	r.Held = func(context.Context) error { return errors.New("somebody else has the lock") }
	err := r.Run(t.Context(), &change.Change{Steps: []change.Step{{ID: "remove-machine@worker-1", Verb: change.RemoveMachine, Node: "worker-1"}}})
	if err == nil || err.Error() != "remove-machine@worker-1: somebody else has the lock" || len(w.notes) > 0 || w.hosts["worker-1"] == nil {
		t.Errorf("error %v, notes %v", err, w.notes)
	}
}

// The first step that fails is noted, and no other begins.
func TestAFailureStopsTheOthers(t *testing.T) {
	wanted := of(three...)
	w := newWorld(t, wanted)
	delete(w.hosts, "worker-1")
	err := w.runner(wanted).Run(t.Context(), &change.Change{Steps: []change.Step{
		{ID: "reload@worker-1", Verb: change.Reload, Node: "worker-1", Units: []string{"kubelet"}},
		{ID: "restart@cp-1", Verb: change.Restart, Node: "cp-1", Units: []string{"kube-scheduler"}, Needs: []string{"reload@worker-1"}},
	}})
	if err == nil || err.Error() != "reload@worker-1: reload kubelet: connect to worker-1: no route to host" {
		t.Errorf("error %v", err)
	}
	if diff := cmp.Diff([]string{"doing reload@worker-1", "failed reload@worker-1"}, w.notes); diff != "" {
		t.Error(diff)
	}
	if did := w.hosts["cp-1"].Did(); len(did) > 0 {
		t.Errorf("cp-1 was told %v", did)
	}
}

// What waits beside a step that has failed does not go on waiting, and is not what failed.
func TestAFailureEndsWhatWaits(t *testing.T) {
	r := &Runner{Report: func(phase.Event) {}, Waiting: func(string, string) {}, Log: slog.New(slog.DiscardHandler)}
	waiting := make(chan struct{})
	waits := func(ctx context.Context) (phase.State, error) {
		var once sync.Once
		return phase.Failed, r.until(ctx, "cp-1", time.Hour, func(context.Context) error {
			once.Do(func() { close(waiting) })
			return errors.New("not yet")
		})
	}
	fails := func(context.Context) (phase.State, error) {
		<-waiting
		return phase.Failed, &UnitError{Node: "cp-2", Unit: "etcd", Err: errors.New("broken")}
	}
	err := r.walk(t.Context(), []phase.Task{{ID: "wait@cp-1", Run: waits}, {ID: "start@cp-2", Run: fails}})
	if err == nil || err.Error() != "start@cp-2: etcd: broken" {
		t.Errorf("error %v", err)
	}
}

// A guard that waits beside a step that has failed refuses nothing; a drain ends too; what
// has failed by itself is told.
func TestAFailureBesideGuardsAndDrains(t *testing.T) {
	r := &Runner{Report: func(phase.Event) {}, Waiting: func(string, string) {}, Log: slog.New(slog.DiscardHandler), stopped: make(chan struct{})}
	close(r.stopped)
	err := r.until(t.Context(), "cp-1", time.Hour, func(context.Context) error { return poll.Stop(ErrOff) })
	if errors.Is(err, errStopped) || !errors.Is(err, ErrOff) {
		t.Errorf("what has failed by itself: %v", err)
	}
	err = r.unlessStopped(t.Context(), func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() })
	if !errors.Is(err, errStopped) {
		t.Errorf("a drain: %v", err)
	}
	w := newWorld(t, of(three...))
	delete(w.hosts["cp-2"].Running, "etcd")
	r = w.runner(of(three...))
	r.stopped = make(chan struct{})
	close(r.stopped)
	err = r.guard(t.Context(), change.Step{ID: "member-remove@cp-1", Verb: change.RemoveMember, Node: "cp-1", Guard: change.Guard{Etcd: change.OpRemove}})
	if !errors.Is(err, errStopped) {
		t.Errorf("a guard: %v", err)
	}
}

// A step that is refused after others is no refusal of the whole; what else is known of
// the errors stays known.
func TestARefusalInTheMiddle(t *testing.T) {
	r := &Runner{Report: func(phase.Event) {}}
	r.begun.Store(true)
	err := r.walk(t.Context(), []phase.Task{
		{ID: "a", Run: func(context.Context) (phase.State, error) {
			return phase.Failed, &change.Refused{Step: "a", Err: errors.New("no quorum")}
		}},
	})
	var refused *change.Refused
	if errors.As(err, &refused) || err == nil || err.Error() != "a: a: refused: no quorum" {
		t.Errorf("error %v", err)
	}
	err = r.outcome(errors.Join(&change.Refused{Step: "a", Err: errors.New("no quorum")}, &UnitError{Node: "cp-2", Unit: "etcd", Err: errors.New("broken")}))
	var unit *UnitError
	if errors.As(err, &refused) || !errors.As(err, &unit) {
		t.Errorf("error %v", err)
	}
}

func TestDrainNamesWhatStandsInTheWay(t *testing.T) {
	wanted := of(three...)
	w := newWorld(t, wanted)
	w.api.pods = []corev1.Pod{pod("web-1", "worker-1"), pod("other-1", "elsewhere")}
	w.api.budget = &policyv1.PodDisruptionBudget{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "web"},
		Spec:   policyv1.PodDisruptionBudgetSpec{Selector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": "web"}}},
		Status: policyv1.PodDisruptionBudgetStatus{CurrentHealthy: 1, DesiredHealthy: 1}}
	drain := &change.Change{Steps: []change.Step{{ID: "node-drain@worker-1", Verb: change.DrainNode, Node: "worker-1"}}}
	err := w.runner(wanted).Run(t.Context(), drain)
	const want = "pod default/web-1: PodDisruptionBudget web allows 0 disruptions (1 healthy, 1 needed)"
	if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "other-1") || !w.api.cordoned["worker-1"] {
		t.Errorf("error %v", err)
	}
	w.api.budget = nil
	r := w.runner(wanted)
	r.DrainTimeout = time.Minute
	if err := r.Run(t.Context(), drain); err != nil || len(w.api.pods) != 1 {
		t.Errorf("error %v, left %d pods", err, len(w.api.pods))
	}
}

// Whether a kubelet is mute is looked at when its node is drained: the pods of one that is and does not come back are not waited for, and those
// of one that has come back leave as ever. Pods that nothing makes anew are asked about where their Node goes, and not where it stays.
func TestDrainOfWhoIsMute(t *testing.T) {
	wanted := of(three...)
	drain := change.Step{ID: "node-drain@worker-1", Verb: change.DrainNode, Node: "worker-1"}
	gone := change.Step{ID: "node-delete@worker-1", Verb: change.DeleteNode, Node: "worker-1", Needs: []string{drain.ID}}
	for name, test := range map[string]struct {
		mute, bare bool
		steps      []change.Step
		err        string
	}{
		"mute":                            {mute: true, steps: []change.Step{drain}},
		"back":                            {steps: []change.Step{drain}},
		"mute, a bare pod, it stays":      {mute: true, bare: true, steps: []change.Step{drain}},
		"mute, a bare pod, its Node goes": {mute: true, bare: true, steps: []change.Step{drain, gone}, err: "nothing would make these pods anew: default/web-1"},
		"back, a bare pod":                {bare: true, steps: []change.Step{drain}, err: "nothing would make these pods anew: default/web-1"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, wanted)
			one := pod("web-1", "worker-1")
			if test.bare {
				one.OwnerReferences = nil
			}
			w.api.pods, w.api.mute["worker-1"] = []corev1.Pod{one}, test.mute
			r := w.runner(wanted)
			r.DrainTimeout = 2 * time.Second // in which it would have to come back
			var told []string
			r.Detail = func(_, text string) { told = append(told, text) }
			r.Notice = r.Detail
			err := r.Run(t.Context(), &change.Change{Steps: test.steps})
			if (err == nil) != (test.err == "") || err != nil && !strings.Contains(err.Error(), test.err) {
				t.Fatalf("error %v", err)
			}
			says := slices.ContainsFunc(told, func(s string) bool { return strings.HasPrefix(s, "its kubelet tells nothing: 1 pods there") })
			if left := len(w.api.pods) == 1; left != (test.mute || err != nil) || says != (test.mute && err == nil) || !w.api.cordoned["worker-1"] {
				t.Errorf("pods left: %v, told %q", left, told)
			}
		})
	}
}

// A node that is gone leaves no Lease behind.
func TestDeletedNodesHaveNoLease(t *testing.T) {
	wanted := of(three...)
	w := newWorld(t, wanted)
	var steps []change.Step
	for _, name := range []string{"worker-1", "cp-1"} {
		steps = append(steps, change.Step{ID: fmt.Sprint("node-delete@", name), Verb: change.DeleteNode, Node: name})
	}
	if err := w.runner(wanted).Run(t.Context(), &change.Change{Steps: steps}); err != nil {
		t.Fatal(err)
	}
	slices.Sort(w.api.leases)
	if diff := cmp.Diff([]string{"cp-1", "worker-1"}, w.api.leases); diff != "" || !w.api.deleted["worker-1"] {
		t.Error(diff)
	}
}

// A machine that runs and never answers ends the wait, and is named.
func TestAMachineThatDoesNotBoot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &Runner{Provider: mute{&world{hosts: map[string]*systemdtest.Host{}}}, Nodes: map[string]topology.Node{"cp-4": nodeOf("cp-4")}, Journal: &world{},
			Waiting: func(string, string) {}, Log: slog.New(slog.DiscardHandler), stopped: make(chan struct{})}
		began := time.Now()
		err := createMachine(t.Context(), r, change.Step{ID: "create-machine@cp-4", Verb: change.CreateMachine, Node: "cp-4"})
		var silent *MachineError
		if !errors.As(err, &silent) || silent.Node != "cp-4" || !strings.HasPrefix(err.Error(), "machine does not answer over SSH: ") || !strings.HasSuffix(err.Error(), "no greeting") {
			t.Errorf("error %v", err)
		}
		if waited := time.Since(began); waited < bootTimeout {
			t.Errorf("given up after %s", waited)
		}
		if r.isBlank(change.Step{Node: "cp-4"}) {
			t.Error("it is taken for one that was made whole")
		}
	})
}

// A mute world's machines run, and their sshd says nothing.
type mute struct{ *world }

func (mute) Ready(context.Context, topology.Node) error { return errors.New("no greeting") }

// without are the names that a list does not have.
func without(list []string, names ...string) []string {
	return slices.DeleteFunc(names, func(n string) bool { return slices.Contains(list, n) })
}
