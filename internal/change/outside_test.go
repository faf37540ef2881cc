package change

import (
	"slices"
	"testing"

	"github.com/haplane/haplane/internal/observed"
	"github.com/haplane/haplane/internal/topology"
	"github.com/haplane/haplane/spec"
)

// outside is wanted with a load balancer that is none of the nodes.
func outside(t *testing.T, names ...string) *topology.Topology {
	t.Helper()
	return wantedOf(t, spec.ExternalBalancer, slices.DeleteFunc(slices.Clone(names), func(name string) bool { return nodeOf(name).Role == spec.RoleLoadBalancer })...)
}

// noneOfOurs fails the test where a step is about load balancers that haplane configures.
func noneOfOurs(t *testing.T, c *Change) {
	t.Helper()
	lacks(t, c, SetBackends, MoveAddress, Readdress, DropAddress)
}

// Nothing relies on a load balancer before it was seen to do what it must; only a connection without traffic takes longer.
func TestBringUpBehindSomebodyElsesLoadBalancer(t *testing.T) {
	in := healthy(outside(t, three...))
	in.Record = nil
	for name := range in.Observed.Machines {
		in.Observed.Machines[name] = observed.Machine{}
	}
	c := BringUp(in)
	noneOfOurs(t, c)
	for _, node := range []string{"cp-1", "cp-2", "cp-3", "worker-1"} {
		if node != "worker-1" {
			before(t, c, "start@"+node+"/api", CheckBalancer)
		}
		before(t, c, CheckBalancer, "start@"+node+"/node", "activate@"+node)
		before(t, c, CheckBalancer, HoldIdle, "activate@"+node)
		if reaches(c, "start@"+node+"/node", HoldIdle) {
			t.Errorf("%s waits for the idle connection", node)
		}
	}
	before(t, c, "write-files@worker-1", CheckBalancer, ApplyManifests, DNSReady) // worker-1 looks at it too
}

func TestStartBehindSomebodyElsesLoadBalancer(t *testing.T) {
	in := healthy(outside(t, three...))
	in.Observed.Machines["cp-2"] = observed.Machine{Made: true}
	c := Resume(in)
	noneOfOurs(t, c)
	before(t, c, "start-machine@cp-2", "serve@cp-2", "lb-restore@cp-2/start", "node-ready@worker-1", DNSReady)
	lacks(t, c, CheckBalancer) // others rely on its API servers
}

// One that joins is one of those that others count on when the load balancer leads to it: a change that goes on waits for the others alone.
func TestJoinBehindSomebodyElsesLoadBalancer(t *testing.T) {
	in, next := healthy(outside(t, three...)), outside(t, with("cp-4")...)
	in.Wanted, in.Desired = next, desired(next)
	c := plan(t, in)
	noneOfOurs(t, c)
	before(t, c, "start@cp-4/kube-apiserver", "lb-restore@cp-4/join", "activate@cp-4")
	if s, _ := c.Step("lb-restore@cp-4/join"); s.Verb != RestoreBackend || s.Node != "cp-4" {
		t.Errorf("step %+v", s)
	}
}

func TestReplaceBehindSomebodyElsesLoadBalancer(t *testing.T) {
	in := healthy(outside(t, three...))
	in.Replace = []string{"cp-2"}
	c := plan(t, in)
	noneOfOurs(t, c)
	before(t, c, "lb-drain@cp-2", "stop@cp-2/kube-apiserver", "lb-without@cp-2", "member-remove@cp-2", "remove-machine@cp-2", "create-machine@cp-2",
		"member-promote@cp-2", "start@cp-2/kube-apiserver", "lb-restore@cp-2/join", "activate@cp-2")
}

// One that comes up beside that, before the first one stops, is not counted on until the load balancer leads to it.
func TestReplaceWhileAnotherJoinsBehindSomebodyElsesLoadBalancer(t *testing.T) {
	own := []string{"cp-1", "cp-2", "cp-3", "worker-1", "etcd-1"}
	in := becomeOf(t, spec.ExternalBalancer, own, append(slices.Clone(own), "cp-4"))
	in.Replace, in.Resumed = []string{"cp-1"}, true
	c := planned(t, in)
	noneOfOurs(t, c)
	before(t, c, "lb-restore@cp-3/again", "lb-drain@cp-1")
	before(t, c, "start@cp-4/kube-apiserver", "lb-restore@cp-4/join", "activate@cp-4")
	if reaches(c, "start@cp-4/kube-apiserver", "lb-drain@cp-1") || reaches(c, "lb-drain@cp-1", "start@cp-4/kube-apiserver") {
		t.Error("one waits for the other")
	}
}

// The next node's turn comes when the load balancer leads to the one before again.
func TestRestartsBehindSomebodyElsesLoadBalancer(t *testing.T) {
	in := healthy(outside(t, three...))
	for _, name := range []string{"cp-1", "cp-2"} {
		runsOld(&in, name, "kube-apiserver")
	}
	c := plan(t, in)
	noneOfOurs(t, c)
	before(t, c, "lb-drain@cp-1", "restart@cp-1/kube-apiserver", "lb-restore@cp-1", "lb-drain@cp-2", "restart@cp-2/kube-apiserver", "lb-restore@cp-2")
}

// The next node's turn comes when it leads to the one before, which came back with another process.
func TestUpgradeBehindSomebodyElsesLoadBalancer(t *testing.T) {
	c := planned(t, upgrading(outside(t, three...), false))
	noneOfOurs(t, c)
	before(t, c, "lb-without@cp-2", "remove-machine@cp-2", "start@cp-2/kube-apiserver", "lb-restore@cp-2/with-cp-2", "activate@cp-2", "check-cluster@cp-2", "lb-drain@cp-3",
		"lb-restore@cp-3/with-cp-3", "check-cluster@cp-3", "lb-drain@cp-1")
}

// Nothing healthy is touched until it leads to what was mended, and to all that a run before may have restarted.
func TestMendedBehindSomebodyElsesLoadBalancer(t *testing.T) {
	in := healthy(outside(t, three...))
	dies(&in, "cp-2", false)
	runsOld(&in, "cp-1", "kube-apiserver")
	c := planned(t, in)
	before(t, c, "start@cp-2", "lb-restore@cp-2/again", "lb-drain@cp-1", "lb-restore@cp-1")
	if _, ok := c.Step("lb-restore@cp-3/again"); ok {
		t.Error("cp-3 was not touched, and is waited for")
	}
	in.Resumed = true
	before(t, planned(t, in), "lb-restore@cp-3/again", "lb-drain@cp-1")
}

// Its new place is looked at before any client goes there.
func TestSomebodyElsesLoadBalancerMoves(t *testing.T) {
	in := healthy(outside(t, three...))
	in.Relocates = []Reason{{What: "spec.loadBalancer", Old: "10.10.10.3:6443", New: "10.10.10.9:6443"}}
	runsOld(&in, "worker-1", "kubelet")
	c := plan(t, in)
	noneOfOurs(t, c)
	before(t, c, "lb-check/both", "restart@worker-1", ClientsMoved, MoveKubeconfig)
	dies(&in, "cp-2", false)
	c = planned(t, in)
	before(t, c, "start@cp-2", "lb-check/both")
	if s, _ := c.Step("lb-check/both"); !slices.Equal(s.Backends, []string{"cp-1", "cp-2", "cp-3"}) {
		t.Errorf("it is to lead to %v", s.Backends)
	}
}

// What was restored is over when it leads to the API servers again, which all were stopped at once; nothing of etcd's that was kept goes before.
func TestRestoreBehindSomebodyElsesLoadBalancer(t *testing.T) {
	in := healthy(outside(t, three...))
	in.Task = &Task{ID: "x", Kind: RestoreData, Members: []string{"cp-1", "cp-2", "cp-3"}}
	c, err := Restore(in)
	if err != nil {
		t.Fatal(err)
	}
	noneOfOurs(t, c)
	for _, node := range in.Task.Members {
		before(t, c, "halt@"+node+"/kube-apiserver", "start@"+node+"/kube-apiserver", "lb-restore@"+node+"/restored", "etcd-drop@cp-1")
		if reaches(c, WriteObject, "lb-restore@"+node+"/restored") {
			t.Errorf("the write waits for %s, and needs no more than one API server", node)
		}
	}
	in.Begun = []string{"etcd-swap@cp-1"}
	if c, err = RestoreBack(in); err != nil {
		t.Fatal(err)
	}
	before(t, c, "etcd-swap-back@cp-1", "start@cp-3/kube-apiserver", "lb-restore@cp-3/restored")
}

// An API server that served nobody is started in its turn, when etcd moves, and the next turn is not before it is reached.
func TestEtcdMovesBehindSomebodyElsesLoadBalancer(t *testing.T) {
	own := []string{"cp-1", "cp-2", "cp-3", "worker-1", "etcd-1"}
	in := becomeOf(t, spec.ExternalBalancer, own, own[:4])
	in.Observed.APIServers["cp-2"] = observed.APIServer{Error: "refused"}
	c := planned(t, in)
	noneOfOurs(t, c)
	before(t, c, "member-promote@cp-2", "start@cp-2/kube-apiserver", "lb-restore@cp-2", "lb-drain@cp-1", "start@cp-1/kube-apiserver", "lb-restore@cp-1", "lb-drain@cp-3")
	if _, ok := c.Step("lb-restore@cp-3/again"); ok {
		t.Error("cp-3 was not touched, and is waited for")
	}
	in.Resumed = true
	before(t, planned(t, in), "lb-restore@cp-3/again", "lb-drain@cp-1")
}
