package apply

import (
	"context"
	"slices"
	"strings"
	"testing"

	"github.com/haplane/haplane/internal/change"
	"github.com/haplane/haplane/internal/topology"
	"github.com/haplane/haplane/spec"
)

// behindSomebodyElses is a healthy cluster behind a load balancer that is none of its nodes, and its runner with what that told.
func behindSomebodyElses(t *testing.T, servers ...string) (*world, *Runner, *[]string) {
	t.Helper()
	now := of("cp-1", "cp-2", "cp-3", "worker-1")
	now.LBKind, now.LBPorts = spec.ExternalBalancer, []uint16{topology.APIServerPort}
	w := newWorld(t, now, "lb-1")
	w.outside = servers
	r, details := w.runner(now), new([]string)
	r.stopped = make(chan struct{})
	r.Detail = func(_, text string) { *details = append(*details, text) }
	r.Notice = r.Detail
	return w, r, details
}

// until ends what would wait for a load balancer that somebody may still set right, when it has seen twice what is to be seen: of
// the look in which it ends nothing is told.
func until(t *testing.T, r *Runner, seen string) context.Context {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	t.Cleanup(cancel)
	times := 0
	r.Waiting = func(_, what string) {
		if strings.Contains(what, seen) {
			times++
		}
		if times == 2 {
			cancel()
		}
	}
	return ctx
}

func TestCheckBalancer(t *testing.T) {
	w, r, details := behindSomebodyElses(t, "cp-1", "cp-2", "cp-3")
	if err := checkBalancer(t.Context(), r, change.Step{ID: change.CheckBalancer, Backends: []string{"cp-1", "cp-2", "cp-3"}}); err != nil {
		t.Fatal(err)
	}
	said := strings.Join(*details, "\n")
	for _, part := range []string{"lead to cp-1, cp-2, cp-3, and to nobody else", "the API server of cp-3 stopped in order", "none failed"} {
		if !strings.Contains(said, part) {
			t.Errorf("it does not say %q: %s", part, said)
		}
	}
	if !w.runs("cp-3", "kube-apiserver") {
		t.Error("the API server that was stopped does not run again")
	}
}

// Where others rely on the API servers, none is stopped.
func TestCheckBalancerOfAClusterThatLives(t *testing.T) {
	_, r, details := behindSomebodyElses(t, "cp-1", "cp-2", "cp-3")
	if err := checkBalancer(t.Context(), r, change.Step{ID: change.CheckBalancer + "/both", Backends: []string{"cp-1", "cp-2", "cp-3"}}); err != nil {
		t.Fatal(err)
	}
	if said := strings.Join(*details, "\n"); strings.Contains(said, "stopped") {
		t.Error(said)
	}
}

func TestCheckBalancerFindsWhatIsMissing(t *testing.T) {
	w, r, _ := behindSomebodyElses(t, "cp-1", "cp-2")
	err := checkBalancer(until(t, r, "none led to cp-3"), r, change.Step{ID: change.CheckBalancer, Backends: []string{"cp-1", "cp-2", "cp-3"}})
	if err == nil || !strings.Contains(err.Error(), "none led to cp-3") {
		t.Errorf("error is %v", err)
	}
	if !w.runs("cp-3", "kube-apiserver") {
		t.Error("an API server was stopped behind a load balancer that is not as it must be")
	}
}

func TestAPIServersBehindSomebodyElsesLoadBalancer(t *testing.T) {
	w, r, _ := behindSomebodyElses(t, "cp-1", "cp-2")
	if seen := r.apiServers(t.Context(), "cp-1"); !seen["cp-2"].Ready || seen["cp-3"].Ready || len(seen) != 2 {
		t.Errorf("seen are %+v", seen)
	}
	w.outside = []string{"cp-1"}
	if err := r.check(t.Context(), change.Step{ID: "restart@cp-1", Node: "cp-1", Guard: change.Guard{OtherAPIServers: true}}); err == nil {
		t.Error("the only API server to which the load balancer leads may be stopped")
	}
}

func TestServersComeAndGoBehindSomebodyElsesLoadBalancer(t *testing.T) {
	w, r, details := behindSomebodyElses(t, "cp-1", "cp-2")
	back := change.Step{ID: "lb-restore@cp-3/join", Node: "cp-3"}
	if err := restoreBackend(until(t, r, "add cp-3 "), r, back); err == nil || !strings.Contains(err.Error(), "add cp-3 ") {
		t.Errorf("cp-3 is not behind it: %v", err)
	}
	w.outside = []string{"cp-1", "cp-2", "cp-3"}
	if err := restoreBackend(t.Context(), r, back); err != nil {
		t.Error(err)
	}
	stop := change.Step{ID: "stop@cp-3", Node: "cp-3", Units: []string{"kube-apiserver"}}
	if err := stopPrograms(t.Context(), r, stop); err != nil {
		t.Fatal(err)
	}
	if err := withoutBackend(t.Context(), r, change.Step{ID: "lb-without@cp-3", Node: "cp-3"}); err != nil {
		t.Error(err)
	}
	if !slices.ContainsFunc(*details, func(text string) bool { return strings.HasPrefix(text, "take cp-3, at 127.") }) {
		t.Errorf("nobody is told to take cp-3 out: %q", *details)
	}
}

// Machines that are not made yet are not asked.
func TestCheckBalancerBeforeAMachineIsThere(t *testing.T) {
	w, r, _ := behindSomebodyElses(t, "cp-1", "cp-2", "cp-3")
	delete(w.hosts, "worker-1")
	if err := checkBalancer(t.Context(), r, change.Step{ID: change.CheckBalancer + "/both", Backends: []string{"cp-1", "cp-2", "cp-3"}}); err != nil {
		t.Error(err)
	}
}

// Who waits for one API server does not ask who else is behind the load balancer; the check of it does.
func TestOneServerBehindSomebodyElsesLoadBalancer(t *testing.T) {
	_, r, _ := behindSomebodyElses(t, "cp-1", "cp-2", "cp-3")
	delete(r.Nodes, "cp-3")
	if err := restoreBackend(t.Context(), r, change.Step{ID: "lb-restore@cp-2/start", Node: "cp-2"}); err != nil {
		t.Error(err)
	}
	err := checkBalancer(until(t, r, "lb-ours-alone"), r, change.Step{ID: change.CheckBalancer + "/both", Backends: []string{"cp-1", "cp-2"}})
	if err == nil || !strings.Contains(err.Error(), "lb-ours-alone") {
		t.Errorf("error is %v", err)
	}
}
