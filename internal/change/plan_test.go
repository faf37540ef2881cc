package change

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/haplane/haplane/internal/fileset"
	"github.com/haplane/haplane/internal/observed"
)

var three = []string{"cp-1", "cp-2", "cp-3", "worker-1", "lb-1"}

func with(names ...string) []string { return append(slices.Clone(three), names...) }

func without(name string) []string {
	return slices.DeleteFunc(slices.Clone(three), func(n string) bool { return n == name })
}

func plan(t *testing.T, in Input) *Change {
	t.Helper()
	c, err := Plan(in)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestHealthyClusterNeedsNothing(t *testing.T) {
	if c := plan(t, healthy(wanted(t, three...))); !c.Nothing() {
		t.Errorf("steps %v", ids(c))
	}
}

func TestJoinTwo(t *testing.T) {
	c := plan(t, become(t, three, with("cp-4", "cp-5")))
	before(t, c, "create-machine@cp-4", "write-files@cp-4", "member-add@cp-4", "start@cp-4/etcd", "member-promote@cp-4",
		"member-add@cp-5", "start@cp-5/etcd", "member-promote@cp-5", "start@cp-5/kube-apiserver", "lb-backends@lb-1/join")
	before(t, c, "start@cp-4/kube-apiserver", "lb-backends@lb-1/join")
	before(t, c, "start@cp-4/kube-apiserver", "start@cp-4/controllers", "activate@cp-4")
	before(t, c, "write-files@cp-4", "start@cp-4", "node-ready@cp-4", "activate@cp-4")
	if reaches(c, "create-machine@cp-5", "create-machine@cp-4") {
		t.Error("machines are not made side by side")
	}
	for _, s := range c.Steps { // nothing is done on the other machines but the load balancer
		if s.Node != "cp-4" && s.Node != "cp-5" && s.Node != "lb-1" {
			t.Errorf("step %s", s.ID)
		}
	}
	s, _ := c.Step("lb-backends@lb-1/join")
	if diff := cmp.Diff([]string{"cp-1", "cp-2", "cp-3", "cp-4", "cp-5"}, s.Backends); diff != "" {
		t.Error(diff)
	}
	s, _ = c.Step("member-promote@cp-5")
	if diff := cmp.Diff(&EtcdEffect{Before: Tolerance{4, 4, 1}, After: Tolerance{5, 5, 2}}, s.Etcd); diff != "" {
		t.Error(diff)
	}
}

func TestLeaveTheFirst(t *testing.T) {
	c := plan(t, become(t, three, without("cp-1")))
	before(t, c, "lb-drain@cp-1", "stop@cp-1/kube-apiserver", "lb-backends@lb-1/without-cp-1", "move-leader@cp-1")
	if reaches(c, "node-drain@cp-1", "stop@cp-1/kube-apiserver") {
		t.Error("pods are not drained beside the API server")
	}
	before(t, c, "node-drain@cp-1", "move-leader@cp-1", // what follows cannot be taken back
		"member-remove@cp-1", "stop@cp-1", "node-delete@cp-1", "remove-machine@cp-1", "forget@cp-1")
	s, _ := c.Step("lb-backends@lb-1/without-cp-1")
	if diff := cmp.Diff([]string{"cp-2", "cp-3"}, s.Backends); diff != "" {
		t.Error(diff)
	}
}

func TestJoinBeforeLeave(t *testing.T) {
	c := plan(t, become(t, three, append(without("cp-1"), "cp-4")))
	before(t, c, "member-promote@cp-4", "lb-backends@lb-1/join", "lb-drain@cp-1", "member-remove@cp-1")
}

func TestTheDeadLeaveFirst(t *testing.T) {
	in := become(t, three, append(without("cp-2"), "cp-4"))
	dies(&in, "cp-2", true)
	c := plan(t, in)
	before(t, c, "lb-backends@lb-1/without-cp-2", "member-remove@cp-2", "member-add@cp-4")
	for _, s := range c.Steps {
		if s.Node == "cp-2" && slices.Contains([]string{Stop, DrainBackend, DrainNode, MoveLeader}, s.Verb) {
			t.Errorf("step %s on a machine that is gone", s.ID)
		}
	}
}

func TestReplace(t *testing.T) {
	for name, dead := range map[string]bool{"alive": false, "dead": true} {
		t.Run(name, func(t *testing.T) {
			in := healthy(wanted(t, three...))
			in.Replace = []string{"cp-2"}
			if dead {
				dies(&in, "cp-2", true)
			}
			c := plan(t, in)
			before(t, c, "lb-backends@lb-1/without-cp-2", "member-remove@cp-2", "node-delete@cp-2", "remove-machine@cp-2", "create-machine@cp-2",
				"member-add@cp-2", "member-promote@cp-2", "start@cp-2/kube-apiserver", "lb-backends@lb-1/join")
			before(t, c, "start@cp-2/kube-apiserver", "activate@cp-2")
			before(t, c, "create-machine@cp-2", "node-ready@cp-2", "activate@cp-2")
			if _, forgotten := c.Step("forget@cp-2"); forgotten {
				t.Error("it is forgotten, and comes back under its name")
			}
		})
	}
}

func TestReplaceIsRefusedWhileAnotherIsDown(t *testing.T) {
	in := healthy(wanted(t, three...))
	in.Replace = []string{"cp-2"}
	dies(&in, "cp-3", false)
	_, err := Plan(in)
	var refused *Refused
	if !errors.As(err, &refused) || !strings.Contains(err.Error(), "quorum") {
		t.Fatalf("error %v", err)
	}
}

func TestSurgeWhileAnotherIsDown(t *testing.T) {
	in := become(t, three, append(without("cp-2"), "cp-4"))
	dies(&in, "cp-3", false)
	c := plan(t, in)
	before(t, c, "start-machine@cp-3", "start@cp-3", "member-add@cp-4", "member-promote@cp-4", "member-remove@cp-2")
}

func TestLostMachineIsNamed(t *testing.T) {
	in := healthy(wanted(t, three...))
	dies(&in, "cp-2", true)
	_, err := Plan(in)
	var lost *LostError
	if !errors.As(err, &lost) || !slices.Equal(lost.Nodes, []string{"cp-2"}) ||
		err.Error() != "the machine of cp-2 is gone, and with it its API server and its etcd member with its data" {
		t.Fatalf("error %v", err)
	}
}

// After a power cut the nodes are waited for, not only the API.
func TestMachinesThatAreOffBecomeReadyNodes(t *testing.T) {
	in := healthy(wanted(t, three...))
	for _, node := range three {
		dies(&in, node, false)
	}
	in.Observed.Etcd, in.Observed.APISeen = observed.Etcd{Error: "no member answers"}, false
	c := plan(t, in)
	for _, node := range []string{"cp-1", "cp-2", "cp-3", "worker-1"} {
		before(t, c, "start-machine@"+node, "write-files@"+node, "start@"+node, "node-ready@"+node)
	}
	before(t, c, "start-machine@lb-1", "start@lb-1")
}

func TestUnreachableMachineIsNamed(t *testing.T) {
	for name, m := range map[string]observed.Machine{
		"no answer": {Made: true, Running: true, Error: "connection timed out"},
		"seen half": {Made: true, Running: true, Reachable: true, Error: "connection timed out"},
	} {
		t.Run(name, func(t *testing.T) {
			in := healthy(wanted(t, three...))
			in.Observed.Machines["cp-2"] = m
			_, err := Plan(in)
			var silent *UnreachableError
			if !errors.As(err, &silent) || err.Error() != "the machine of cp-2 runs and cannot be looked at: connection timed out" {
				t.Fatalf("error %v", err)
			}
			in.Replace = []string{"cp-2"}
			before(t, plan(t, in), "member-remove@cp-2", "remove-machine@cp-2", "create-machine@cp-2")
		})
	}
}

func TestTheSickAreMendedFirst(t *testing.T) {
	in := healthy(wanted(t, three...))
	for node, m := range in.Observed.Machines {
		if strings.HasPrefix(node, "cp-") {
			m.Units["kube-apiserver"] = observed.Unit{Active: true, Config: "old"}
		}
	}
	in.Observed.APIServers["cp-2"] = observed.APIServer{Error: "refused"}
	c := plan(t, in)
	before(t, c, "start@cp-2", "lb-drain@cp-1", "restart@cp-1/kube-apiserver", "lb-restore@cp-1", "restart@cp-3/kube-apiserver")
}

// A restart was cut off between lb-drain and lb-restore.
func TestDrainedServersGetTrafficAgain(t *testing.T) {
	in := healthy(wanted(t, three...))
	in.Observed.Balancers["lb-1"] = observed.Balancer{Seen: true, Draining: map[string]bool{"cp-1": true, "cp-2": false}}
	if diff := cmp.Diff([]string{"lb-restore@cp-1/drained"}, ids(plan(t, in))); diff != "" {
		t.Error(diff)
	}
	in.Observed.Machines["cp-2"].Units["kube-apiserver"] = observed.Unit{Active: true, Config: "old"}
	before(t, plan(t, in), "lb-restore@cp-1/drained", "lb-drain@cp-2")
}

// Two nodes are sick by their API servers alone: their members restart one after
// another, and not where that takes quorum.
func TestMendingIsGuardedWhereTheMemberIsHealthy(t *testing.T) {
	in := healthy(wanted(t, three...))
	for _, node := range []string{"cp-1", "cp-2"} {
		in.Observed.Machines[node].Units["etcd"] = observed.Unit{Active: true, Config: "old"}
		in.Observed.APIServers[node] = observed.APIServer{Error: "refused"}
	}
	c := plan(t, in)
	before(t, c, "start@cp-1", "start@cp-2")
	s, _ := c.Step("start@cp-2")
	n, _ := in.Wanted.Node("cp-2")
	if err := Check(s, n, in.Observed); err != nil {
		t.Error(err)
	}
	in.Observed.Etcd.Members[0].Healthy = false
	if err := Check(s, n, in.Observed); err == nil || !strings.Contains(err.Error(), "quorum") {
		t.Errorf("with the first member down the guard says %v", err)
	}
}

func TestEtcdRestartsBehindAStoppedAPIServer(t *testing.T) {
	in := healthy(wanted(t, three...))
	for _, node := range []string{"cp-1", "cp-2", "cp-3"} {
		in.Observed.Machines[node].Units["etcd"] = observed.Unit{Active: true, Config: "old"}
	}
	c := plan(t, in)
	before(t, c, "lb-drain@cp-1", "stop@cp-1/kube-apiserver", "move-leader@cp-1", "restart@cp-1/etcd", "start@cp-1/kube-apiserver", "lb-restore@cp-1", "lb-drain@cp-2")
}

// With machines of etcd's own, the guard asks its members, not API servers.
func TestExternalEtcdIsNotRestartedWithoutQuorum(t *testing.T) {
	in := healthy(wanted(t, "cp-1", "cp-2", "cp-3", "worker-1", "lb-1", "etcd-1", "etcd-2", "etcd-3"))
	for _, node := range []string{"etcd-1", "etcd-2"} {
		in.Observed.Machines[node].Units["etcd"] = observed.Unit{Active: true, Config: "old"}
	}
	in.Observed.Etcd.Members[2].Healthy, in.Observed.Etcd.Members[2].Error = false, "its disk is full"
	m := in.Observed.Machines["etcd-3"]
	m.Units["etcd"] = observed.Unit{Active: true, Config: "new"}
	c := plan(t, in) // etcd-3 is mended first, and may well be healthy then
	before(t, c, "start@etcd-3", "restart@etcd-1/etcd", "restart@etcd-2/etcd")
	s, _ := c.Step("restart@etcd-1/etcd")
	n, _ := in.Wanted.Node("etcd-1")
	if err := Check(s, n, in.Observed); err == nil || !strings.Contains(err.Error(), "quorum") {
		t.Errorf("the guard right before the restart says %v", err)
	}
}

func TestCertificateRollsOutWithoutARestart(t *testing.T) {
	in := healthy(wanted(t, three...))
	in.Issued = []Reason{{What: "certificate apiserver", Old: "no cp-4"}}
	for _, node := range []string{"cp-1", "cp-2", "cp-3"} {
		delete(in.Observed.Machines[node].Files, servingCertificate)
	}
	c := plan(t, in)
	before(t, c, IssueCertificates, "write-files@cp-1", "serve-certificate@cp-1")
	for _, s := range c.Steps {
		if s.Verb == Restart || s.Verb == Stop {
			t.Errorf("step %s", s.ID)
		}
	}
}

// Where certificates are renewed, all nodes take turns, and each shows what it serves before the next one.
func TestRenewalGoesNodeByNode(t *testing.T) {
	in := healthy(wanted(t, append(slices.Clone(three), "worker-2")...))
	in.Issued, in.OneByOne = []Reason{{What: "certificate scheduler", Old: "1a"}}, true
	for _, node := range []string{"cp-1", "cp-2", "cp-3", "worker-1", "worker-2"} {
		m := in.Observed.Machines[node]
		delete(m.Files, servingCertificate)
		for _, unit := range []string{"kube-scheduler", "kubelet"} {
			if _, runs := m.Units[unit]; runs {
				m.Units[unit] = observed.Unit{Active: true, Config: "old"}
			}
		}
	}
	c := plan(t, in)
	before(t, c, IssueCertificates, "write-files@cp-1", "serve-certificate@cp-1", "restart@cp-1", "write-files@cp-2", "serve-certificate@cp-2", "restart@cp-2",
		"write-files@cp-3", "serve-certificate@cp-3", "restart@cp-3", "write-files@worker-1", "restart@worker-1", "write-files@worker-2", "restart@worker-2")
	if len(c.Steps) != 14 {
		t.Errorf("steps %v", ids(c))
	}
	if s, _ := c.Step("serve-certificate@cp-1"); !slices.Equal(s.Units, []string{"kube-apiserver"}) {
		t.Errorf("%+v", s)
	}
}

// A cluster in which every certificate has ended answers nobody: its nodes are mended all at once.
func TestEndedCertificatesAreMended(t *testing.T) {
	in := healthy(wanted(t, three...))
	in.Issued, in.OneByOne = []Reason{{What: "certificate apiserver", New: "ended"}}, true
	in.Observed.APISeen, in.Observed.Etcd = false, observed.Etcd{Error: "no member answers"}
	for _, node := range []string{"cp-1", "cp-2", "cp-3", "worker-1"} {
		in.Observed.Machines[node].Files[servingCertificate] = fileset.State{Sum: "other"}
		if node != "worker-1" {
			in.Observed.APIServers[node] = observed.APIServer{Error: "certificate has expired"}
		}
	}
	c := plan(t, in)
	for _, node := range []string{"cp-1", "cp-2", "cp-3"} {
		before(t, c, IssueCertificates, "write-files@"+node, "start@"+node, "write-files@worker-1")
	}
	if reaches(c, "start@cp-2", "start@cp-1") || reaches(c, "start@cp-1", "start@cp-2") {
		t.Error("one member waits for another, and neither is healthy alone")
	}
}

func TestInterruptedJoinGoesOn(t *testing.T) {
	in := healthy(wanted(t, with("cp-4")...))
	for i := range in.Record {
		if in.Record[i].Name == "cp-4" {
			in.Record[i].State = Joining
		}
	}
	members := in.Observed.Etcd.Members
	members[3] = observed.Member{ID: 4, PeerURLs: members[3].PeerURLs, Learner: true} // added, not started
	c := plan(t, in)
	if _, made := c.Step("create-machine@cp-4"); made {
		t.Error("its machine is there")
	}
	before(t, c, "member-add@cp-4", "start@cp-4/etcd", "member-promote@cp-4", "activate@cp-4")
}

func leaving(in Input, node string, rejoin bool) Input {
	for i := range in.Record {
		if in.Record[i].Name == node {
			in.Record[i].State, in.Record[i].Rejoin = Leaving, rejoin
		}
	}
	return in
}

// A removal was cut off before anything that cannot be taken back, and is not wanted any more.
func TestWhatWasToLeaveComesBack(t *testing.T) {
	t.Run("control-plane node that was stopped", func(t *testing.T) {
		in := leaving(healthy(wanted(t, three...)), "cp-1", false)
		in.Back = true
		in.Observed.APIServers["cp-1"] = observed.APIServer{Error: "refused"}
		in.Observed.Balancers["lb-1"] = observed.Balancer{Seen: true, Draining: map[string]bool{"cp-1": true}}
		c := plan(t, in)
		before(t, c, "start@cp-1", "lb-restore@cp-1/drained", "node-ready@cp-1", "node-uncordon@cp-1", "activate@cp-1")
		if len(c.Steps) != 5 {
			t.Errorf("steps %v", ids(c))
		}
	})
	t.Run("worker that was drained", func(t *testing.T) {
		c := plan(t, leaving(healthy(wanted(t, three...)), "worker-1", false))
		if diff := cmp.Diff([]string{"node-ready@worker-1", "node-uncordon@worker-1", "activate@worker-1"}, ids(c)); diff != "" {
			t.Error(diff)
		}
	})
}

func TestWhatIsGoneDoesNotComeBack(t *testing.T) {
	tests := map[string]struct {
		lose func(*Input)
		want string
	}{
		"machine": {func(in *Input) { dies(in, "cp-1", true) }, "cp-1 cannot come back as it was: its machine is gone"},
		"member":  {func(in *Input) { in.Observed.Etcd.Members = in.Observed.Etcd.Members[1:] }, "cp-1 cannot come back as it was: its etcd member was removed"},
		"all": {func(in *Input) {
			dies(in, "cp-1", true)
			in.Record, in.Observed.Etcd.Members = in.Record[1:], in.Observed.Etcd.Members[1:]
		}, "cp-1 cannot come back as it was: it is gone"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			in := leaving(healthy(wanted(t, three...)), "cp-1", false)
			test.lose(&in)
			in.Back = true
			_, err := Plan(in)
			var gone *GoneError
			if !errors.As(err, &gone) || err.Error() != test.want {
				t.Errorf("error %v, want %s", err, test.want)
			}
			in.Back = false // wanted again by another file: it is made anew
			before(t, plan(t, in), "create-machine@cp-1", "member-add@cp-1", "activate@cp-1")
		})
	}
}

// The machine was destroyed while it joined, its member had begun.
func TestJoinOfALostMachineBeginsAnew(t *testing.T) {
	in := healthy(wanted(t, with("cp-4")...))
	for i := range in.Record {
		if in.Record[i].Name == "cp-4" {
			in.Record[i].State = Joining
		}
	}
	dies(&in, "cp-4", true)
	in.Observed.Etcd.Members[3].Learner = true
	before(t, plan(t, in), "member-remove@cp-4", "create-machine@cp-4", "member-add@cp-4", "activate@cp-4")
}

func TestWorkerLeavesWhenItsReplacementIsThere(t *testing.T) {
	before(t, plan(t, become(t, three, append(without("worker-1"), "worker-2"))), "node-ready@worker-2", "activate@worker-2", "node-drain@worker-1")
}

func TestRestartsWaitForANewLoadBalancer(t *testing.T) {
	in := healthy(wanted(t, three...))
	in.Replace = []string{"lb-1"}
	in.Observed.Machines["cp-1"].Units["kube-apiserver"] = observed.Unit{Active: true, Config: "old"}
	before(t, plan(t, in), "remove-machine@lb-1", "create-machine@lb-1", "activate@lb-1", "lb-drain@cp-1")
}

func TestWorkersSideBySide(t *testing.T) {
	c := plan(t, become(t, with("worker-2", "worker-3"), three))
	before(t, c, "node-drain@worker-2", "stop@worker-2", "node-delete@worker-2", "remove-machine@worker-2", "forget@worker-2")
	if reaches(c, "node-drain@worker-3", "forget@worker-2") || reaches(c, "node-drain@worker-3", "node-drain@worker-2") {
		t.Error("workers leave one after another")
	}
}

// With machines of etcd's own no guard of etcd's speaks for the only API server.
func TestTheOnlyAPIServerIsNotReplaced(t *testing.T) {
	in := healthy(wanted(t, "cp-1", "worker-1", "lb-1", "etcd-1"))
	in.Replace = []string{"cp-1"}
	_, err := Plan(in)
	var refused *Refused
	if !errors.As(err, &refused) || err.Error() != "lb-drain@cp-1: refused: there is no other API server" {
		t.Fatalf("error %v", err)
	}
	dies(&in, "cp-1", true) // then there is nothing to lose
	before(t, plan(t, in), "remove-machine@cp-1", "start@cp-1/kube-apiserver", "activate@cp-1")
	in = become(t, []string{"cp-1", "cp-2", "worker-1", "lb-1", "etcd-1"}, []string{"cp-2", "worker-1", "lb-1", "etcd-1"})
	before(t, plan(t, in), "lb-drain@cp-1", "forget@cp-1")
}

func TestLastAPIServerIsGuarded(t *testing.T) {
	in := become(t, three, without("cp-1"))
	c := plan(t, in)
	s, _ := c.Step("stop@cp-1/kube-apiserver")
	n, _ := in.Wanted.Node("cp-2")
	seen := observed.State{APIServers: map[string]observed.APIServer{"cp-1": {Ready: true}, "cp-2": {Error: "refused"}, "cp-3": {Error: "hangs"}}, Etcd: in.Observed.Etcd}
	if err := Check(s, n, seen); err == nil || !strings.Contains(err.Error(), "cp-2: refused; cp-3: hangs") {
		t.Errorf("error %v", err)
	}
	seen.APIServers["cp-3"] = observed.APIServer{Ready: true}
	if err := Check(s, n, seen); err != nil {
		t.Error(err)
	}
}

// What is not there for a time is said before it goes.
func TestWarnings(t *testing.T) {
	two := []string{"cp-1", "cp-2", "worker-1", "lb-1"}
	for name, c := range map[string]struct {
		nodes   []string
		replace string
		want    []string
	}{
		"one of three":      {three, "cp-2", nil},
		"one of two":        {two, "cp-2", []string{"for a time cp-1 is the only API server; now there are 2"}},
		"the load balancer": {three, "lb-1", []string{"while lb-1 is away, the API cannot be reached through it, and there is no other load balancer"}},
		"a worker":          {two, "worker-1", nil},
	} {
		t.Run(name, func(t *testing.T) {
			in := healthy(wanted(t, c.nodes...))
			in.Replace = []string{c.replace}
			plan, err := Plan(in)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.want, plan.Warnings()); diff != "" {
				t.Error(diff)
			}
		})
	}
	c := plan(t, become(t, three, []string{"cp-1", "worker-1", "lb-1"}))
	if diff := cmp.Diff([]string{"cp-1 is the only API server then; now there are 3"}, c.Warnings()); diff != "" {
		t.Error(diff)
	}
}

// A load balancer reloads what it sends where; one whose program itself is another is restarted, and away for
// that time.
func TestLoadBalancerThatIsRestarted(t *testing.T) {
	for config, want := range map[string][]string{"": nil, "old": {"haproxy"}} {
		in := become(t, three, with("cp-4"))
		units := in.Observed.Machines["lb-1"].Units
		if config != "" {
			u := units["haproxy"]
			u.Config = config
			units["haproxy"] = u
		}
		c := plan(t, in)
		i := slices.IndexFunc(c.Steps, func(s Step) bool { return s.Verb == SetBackends })
		if diff := cmp.Diff(want, c.Steps[i].Units); diff != "" {
			t.Error(diff)
		}
		if warned := len(c.Warnings()) > 0; warned != (want != nil) {
			t.Errorf("restarts %v, warnings %v", want, c.Warnings())
		}
	}
}

// Where members are only off, a change counts on those that it starts first: its guards ask again.
func TestChangeOfAClusterThatIsMendedFirst(t *testing.T) {
	in := become(t, three, with("cp-4"))
	dies(&in, "cp-2", false)
	dies(&in, "cp-3", false)
	c, err := Plan(in)
	if err != nil {
		t.Fatal(err)
	}
	before(t, c, "start-machine@cp-2", "start@cp-2", "member-add@cp-4")
	in = become(t, three, without("cp-3")) // what leaves is not started here
	dies(&in, "cp-2", true)
	dies(&in, "cp-3", false)
	if _, err := Plan(in); err == nil {
		t.Error("a plan without a quorum")
	}
}
