package change

import (
	"slices"
	"strings"
	"testing"

	"github.com/haplane/haplane/internal/fileset"
	"github.com/haplane/haplane/internal/observed"
	"github.com/haplane/haplane/internal/render"
	"github.com/haplane/haplane/spec"
)

// withWorkers are three control-plane nodes with two workers behind a load balancer.
func withWorkers(more ...string) []string {
	return append([]string{"lb-1", "cp-1", "cp-2", "cp-3", "worker-1", "worker-2"}, more...)
}

func TestNothingToDoWithLoadBalancersOfWorkers(t *testing.T) {
	if c := plan(t, becomeLocal(t, spec.Dedicated, withWorkers(), withWorkers(), true, true)); !c.Nothing() {
		t.Error(ids(c))
	}
}

// One worker begins after the other, when the list of its files has what is to go one day.
func TestWorkersGetLoadBalancersOfTheirOwn(t *testing.T) {
	c := plan(t, becomeLocal(t, spec.Dedicated, withWorkers(), withWorkers(), false, true))
	before(t, c, "write-files@worker-1", "lb-backends@worker-1/local", "lb-backends@worker-2/local")
	before(t, c, "write-files@worker-2", "lb-backends@worker-2/local")
	if len(c.Steps) != 4 {
		t.Errorf("nothing else changes: %v", ids(c))
	}
	if s, _ := c.Step("lb-backends@worker-1/local"); !slices.Equal(s.Backends, []string{"cp-1", "cp-2", "cp-3"}) || s.Balancers != nil {
		t.Errorf("%+v", s)
	}
}

func TestWorkersLoseLoadBalancersOfTheirOwn(t *testing.T) {
	c := plan(t, becomeLocal(t, spec.Dedicated, withWorkers(), withWorkers(), true, false))
	before(t, c, "write-files@worker-1", "write-files@worker-2")
	if len(c.Steps) != 2 {
		t.Errorf("nothing else changes: %v", ids(c))
	}
}

// All load balancers are told at once, whoever's they are; a drain is told to those that all clients reach.
func TestLoadBalancersOfWorkersAreToldOfAPIServers(t *testing.T) {
	for kind, balancers := range map[spec.BalancerKind][]string{spec.Dedicated: {"lb-1"}, spec.OnControlPlane: {"cp-1", "cp-4"}, spec.ExternalBalancer: nil} {
		t.Run(string(kind), func(t *testing.T) {
			from := withWorkers()
			if kind != spec.Dedicated {
				from = from[1:]
			}
			to := append(slices.DeleteFunc(slices.Clone(from), func(name string) bool { return name == "cp-3" }), "cp-4")
			c := plan(t, becomeLocal(t, kind, from, to, true, true))
			for _, worker := range []string{"worker-1", "worker-2"} {
				before(t, c, "start@cp-4/kube-apiserver", "lb-backends@"+worker+"/join", "lb-backends@"+worker+"/without-cp-3", "forget@cp-3")
				for _, lb := range balancers {
					if told := "lb-backends@" + lb + "/join"; reaches(c, told, "lb-backends@"+worker+"/join") || reaches(c, "lb-backends@"+worker+"/join", told) {
						t.Errorf("%s waits for %s, or it for that", worker, lb)
					}
				}
			}
			if s, _ := c.Step("lb-backends@worker-1/join"); !slices.Equal(s.Backends, []string{"cp-1", "cp-2", "cp-4", "cp-3"}) || s.Balancers != nil {
				t.Errorf("%+v", s)
			}
			if s, _ := c.Step("lb-backends@worker-2/without-cp-3"); !slices.Equal(s.Backends, []string{"cp-1", "cp-2", "cp-4"}) {
				t.Errorf("%+v", s)
			}
		})
	}
}

// A worker that was off gets what there is then, and hears of those that come.
func TestLoadBalancerOfAWorkerThatWasOffIsTold(t *testing.T) {
	in := becomeLocal(t, spec.Dedicated, withWorkers(), withWorkers("cp-4"), true, true)
	dies(&in, "worker-1", false)
	c := plan(t, in)
	before(t, c, "start-machine@worker-1", "write-files@worker-1", "start@worker-1", "lb-backends@worker-1/join")
	if s, _ := c.Step("write-files@worker-1"); !slices.Equal(s.Backends, []string{"cp-1", "cp-2", "cp-3"}) || s.Balancers != nil {
		t.Errorf("%+v", s)
	}
}

// One that was not told when others came, because it did not answer, is told by the next change.
func TestLoadBalancerOfAWorkerThatWasNotToldIsTold(t *testing.T) {
	in := becomeLocal(t, spec.Dedicated, withWorkers(), withWorkers(), true, true)
	f := localConfig([]string{"cp-1", "cp-2"})
	in.Observed.Machines["worker-2"].Files[f.Path] = fileset.State{Mode: f.Mode, Owner: "root", Sum: f.Sum()}
	if c := plan(t, in); !slices.Equal(ids(c), []string{"lb-backends@worker-2/local"}) {
		t.Error(ids(c))
	}
}

func TestLoadBalancerOfAWorkerIsMended(t *testing.T) {
	in := becomeLocal(t, spec.OnControlPlane, withWorkers()[1:], withWorkers()[1:], true, true)
	in.Observed.Machines["worker-2"].Units["haproxy"] = observed.Unit{}
	if c := plan(t, in); !slices.Equal(ids(c), []string{"lb-backends@worker-2/local"}) {
		t.Error(ids(c))
	}
}

// A worker's files are written before the API servers that join with it serve: it hears of them when they do.
func TestWorkerJoinsWithItsLoadBalancer(t *testing.T) {
	c := plan(t, becomeLocal(t, spec.Dedicated, withWorkers(), withWorkers("cp-4", "worker-3"), true, true))
	before(t, c, "write-files@worker-3", "start@worker-3", "lb-backends@worker-3/join", "activate@worker-3")
	before(t, c, "start@cp-4/kube-apiserver", "lb-backends@worker-3/join")
	if s, _ := c.Step("start@worker-3"); !slices.Contains(s.Units, "haproxy") {
		t.Errorf("%+v", s)
	}
	c = plan(t, becomeLocal(t, spec.Dedicated, withWorkers(), withWorkers("worker-3"), true, true))
	lacks(t, c, SetBackends)
}

// A load balancer that all clients reach comes or goes: workers' own lead to API servers, and need not know.
func TestLoadBalancersOfWorkersAreToldOfAPIServersAlone(t *testing.T) {
	in := healthy(pair(t, withWorkers()[1:]...))
	in.Wanted.NodeLocal = true
	in = Input{Wanted: in.Wanted, Desired: desired(in.Wanted), Observed: healthy(in.Wanted).Observed, Record: in.Record}
	in.Replace = []string{"lb-2"}
	for _, s := range plan(t, in).Steps {
		if strings.HasPrefix(s.Node, "worker-") {
			t.Errorf("%s", s.ID)
		}
	}
}

// A worker that leaves, or is made anew, stops its own before API servers that it leads to go: nobody tells it of those that come.
func TestWorkerThatLeavesStopsItsLoadBalancer(t *testing.T) {
	to := []string{"lb-1", "cp-4", "cp-5", "cp-6", "worker-2"}
	c := plan(t, becomeLocal(t, spec.Dedicated, withWorkers(), to, true, true))
	before(t, c, "stop@worker-1/haproxy", "node-drain@worker-1", "stop@worker-1")
	before(t, c, "stop@worker-1/haproxy", "stop@cp-1/kube-apiserver")
	in := becomeLocal(t, spec.Dedicated, withWorkers(), append(to, "worker-1"), true, true)
	in.Replace = []string{"worker-1"}
	before(t, plan(t, in), "stop@worker-1/haproxy", "stop@cp-1/kube-apiserver")
	if _, stops := plan(t, becomeLocal(t, spec.Dedicated, withWorkers(), to, false, false)).Step("stop@worker-1/haproxy"); stops {
		t.Error("it has none")
	}
}

func TestWorkersLoseLoadBalancersOfTheirOwnBeforeAPIServersLeave(t *testing.T) {
	c := plan(t, becomeLocal(t, spec.Dedicated, withWorkers(), []string{"lb-1", "cp-4", "worker-1", "worker-2"}, true, false))
	before(t, c, "write-files@worker-2", "stop@cp-1/kube-apiserver")
}

func TestWorkerThatJoinsIsToldBeforeAPIServersLeave(t *testing.T) {
	c := plan(t, becomeLocal(t, spec.Dedicated, []string{"lb-1", "cp-1", "worker-1"}, []string{"lb-1", "cp-4", "worker-1", "worker-3"}, true, true))
	before(t, c, "lb-backends@worker-3/join", "stop@cp-1/kube-apiserver", "lb-backends@worker-3/without-cp-1")
}

// What is led to a worker's own load balancer beside what is wanted, as from the port of before, goes in the end. A worker serves no certificate.
func TestWorkersLeadFromTheOldPortUntilTheEnd(t *testing.T) {
	in := becomeLocal(t, spec.Dedicated, withWorkers(), withWorkers(), true, true)
	in.Last = map[string]render.Machine{"worker-1": in.Desired["worker-1"]}
	c := plan(t, in)
	if s, _ := c.Step("lb-backends@worker-1/last"); !slices.Equal(ids(c), []string{"lb-backends@worker-1/last"}) || !s.Last || len(s.Backends) != 3 {
		t.Errorf("%v: %+v", ids(c), s)
	}
}

// In a bring-up a worker's own load balancer begins with the worker, when there is an API that it leads to.
func TestBringUpWithLoadBalancersOfWorkers(t *testing.T) {
	to := wanted(t, withWorkers()...)
	to.NodeLocal = true
	c := BringUp(Input{Wanted: to, Desired: desired(to), Observed: observed.State{}})
	before(t, c, "start@lb-1/api", "start@worker-1/node")
	if s, _ := c.Step("start@worker-1/node"); !slices.Contains(s.Units, "haproxy") {
		t.Errorf("%+v", s)
	}
	if _, first := c.Step("start@worker-1/api"); first {
		t.Error("it begins before")
	}
}
