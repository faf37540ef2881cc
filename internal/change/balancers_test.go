package change

import (
	"slices"
	"strings"
	"testing"

	"github.com/haplane/haplane/internal/observed"
	"github.com/haplane/haplane/internal/render"
	"github.com/haplane/haplane/internal/topology"
	"github.com/haplane/haplane/spec"
)

var planes = []string{"cp-1", "cp-2", "cp-3", "worker-1"}

func lacks(t *testing.T, c *Change, verbs ...string) {
	t.Helper()
	for _, s := range c.Steps {
		if slices.Contains(verbs, s.Verb) {
			t.Errorf("there is a step %s", s.ID)
		}
	}
}

// From one to two: the address stays on the machine that has it, which gets another one of its own; the second one
// starts when the first one talks to it, or it would take the address.
func TestOneLoadBalancerBecomesTwo(t *testing.T) {
	in, next := healthy(wanted(t, append(planes, "lb-1")...)), pair(t, planes...)
	in.Wanted, in.Desired = next, desired(next)
	c := plan(t, in)
	before(t, c, "readdress@lb-1", "lb-backends@lb-1/balancers", "address-drop@lb-1", "start@lb-2", "activate@lb-2")
	lacks(t, c, MoveAddress, RemoveMachine, Restart)
	if s, _ := c.Step("lb-backends@lb-1/balancers"); !slices.Equal(s.Balancers, []string{"lb-1", "lb-2"}) || len(s.Backends) != 3 {
		t.Errorf("%+v", s)
	}
	if s, _ := c.Step("readdress@lb-1"); s.Why[0].Old != "10.10.10.3" || s.Why[0].New != "10.10.10.4" {
		t.Errorf("%+v", s.Why)
	}
	if got := c.Warnings(); len(got) > 0 {
		t.Errorf("warnings: %q", got)
	}
	in.Back = true
	in.Wanted, in.Desired = wanted(t, append(planes, "lb-1")...), desired(wanted(t, append(planes, "lb-1")...))
	for i := range in.Record {
		if in.Record[i].Name == "lb-1" {
			in.Record[i].Node = next.LoadBalancers()[0]
		}
	}
	if _, err := Plan(in); err == nil || !strings.Contains(err.Error(), "it has given its address to all load balancers") {
		t.Errorf("back: %v", err)
	}
}

// Machines vote before the first one counts on the second: on those that are well, for the others have all that is new when they are mended.
func TestMachinesVoteBeforeTheSecondLoadBalancerComes(t *testing.T) {
	in, next := healthy(wanted(t, append(planes, "lb-1")...)), pair(t, planes...)
	in.Wanted, in.Desired = next, desired(next)
	for _, name := range []string{"cp-1", "cp-2", "cp-3"} {
		m := in.Desired[name]
		m.Units = append(m.Units, render.Unit{Name: render.Voter, Config: "new", Files: []string{"/key"}})
		in.Desired[name] = m
	}
	dies(&in, "cp-3", false)
	c := plan(t, in)
	for _, cp := range []string{"cp-1", "cp-2"} {
		before(t, c, "write-files@"+cp+"/voter", "start@"+cp+"/voter", "lb-backends@lb-1/balancers", "address-drop@lb-1", "start@lb-2")
		if s, _ := c.Step("write-files@" + cp + "/voter"); !slices.Equal(s.Files, []string{render.AgentBinary, "/etc/systemd/system/haplane-voter.service", "/key"}) {
			t.Errorf("%s writes %q", s.ID, s.Files)
		}
	}
	before(t, c, "start-machine@cp-3", "start@cp-3", "lb-backends@lb-1/balancers")
	if _, ok := c.Step("start@cp-3/voter"); ok {
		t.Error("one that is mended starts its voter twice")
	}
}

// Made anew in a restore, machines vote before the write that proves it: it goes by the address.
func TestMachinesMadeAnewVoteBeforeTheWrite(t *testing.T) {
	in := healthy(pair(t, planes...))
	in.Task = &Task{ID: "x", Kind: RestoreData, Made: []string{"cp-1", "cp-2", "cp-3"}, Members: []string{"cp-1", "cp-2", "cp-3"}}
	for _, name := range in.Task.Made {
		m := in.Desired[name]
		m.Units = append(m.Units, render.Unit{Name: render.Voter, Config: "new"})
		in.Desired[name] = m
		dies(&in, name, true)
	}
	c, err := Restore(in)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range in.Task.Made {
		before(t, c, "start@"+name+"/kube-apiserver", "start@"+name+"/controllers")
		if s, _ := c.Step("start@" + name + "/kube-apiserver"); !slices.Contains(s.Units, render.Voter) {
			t.Errorf("%+v", s)
		}
	}
}

// From two to one: whoever leaves gives the address away first, and the other one talks to it until it is gone.
func TestOneOfTwoLoadBalancersLeaves(t *testing.T) {
	in := healthy(pair(t, planes...))
	next := pair(t, planes...)
	next.Nodes = slices.DeleteFunc(slices.Clone(next.Nodes), func(n topology.Node) bool { return n.Name == "lb-1" })
	in.Wanted, in.Desired = next, desired(next)
	c := plan(t, in)
	before(t, c, "address-move@lb-1", "stop@lb-1", "remove-machine@lb-1", "lb-backends@lb-2/without-lb-1")
	before(t, c, "remove-machine@lb-1", "forget@lb-1")
	lacks(t, c, Readdress)
	for _, s := range c.Steps {
		if s.Verb == SetBackends && !slices.Equal(s.Balancers, []string{"lb-2"}) {
			t.Errorf("%s tells of %s", s.ID, s.Balancers)
		}
		if s.Verb == MoveAddress && !slices.Contains(s.Why, Reason{What: "what is open through lb-1", New: "gets 30s to end"}) {
			t.Errorf("%s does not say what becomes of connections: %v", s.ID, s.Why)
		}
	}
	if got := c.Warnings(); len(got) > 0 {
		t.Errorf("warnings: %q", got)
	}

	dies(&in, "lb-1", false)
	c = plan(t, in)
	before(t, c, "remove-machine@lb-1", "lb-backends@lb-2/without-lb-1")
	lacks(t, c, MoveAddress, Stop)
}

// One that is made anew stays one of those that the other talks to.
func TestLoadBalancerOfTwoIsMadeAnew(t *testing.T) {
	in := healthy(pair(t, planes...))
	in.Replace = []string{"lb-1"}
	c := plan(t, in)
	before(t, c, "address-move@lb-1", "stop@lb-1", "remove-machine@lb-1", "create-machine@lb-1", "start@lb-1", "activate@lb-1")
	lacks(t, c, SetBackends, Readdress)
	if got := c.Warnings(); len(got) > 0 {
		t.Errorf("warnings: %q", got)
	}
}

// A third one: both know of it before it starts.
func TestThirdLoadBalancer(t *testing.T) {
	in := healthy(pair(t, planes...))
	next := pair(t, planes...)
	next.Nodes = append(slices.Clone(next.Nodes), topology.NewNode("lb-3", spec.RoleLoadBalancer, "10.10.10.6"))
	in.Wanted, in.Desired = next, desired(next)
	c := plan(t, in)
	before(t, c, "lb-backends@lb-1/balancers", "start@lb-3")
	before(t, c, "lb-backends@lb-2/balancers", "start@lb-3")
}

// Told of somebody else, one reloads after the other, and the one that has the address at last.
func TestHolderOfTheAddressIsToldLast(t *testing.T) {
	four := append(slices.Clone(planes), "cp-4")
	for name, test := range map[string]struct {
		in     Input
		holder string
		order  []string
	}{
		"nobody is seen to have it": {onNodes(t, planes, four), "", []string{"lb-backends@cp-4/join", "lb-backends@cp-1/join", "lb-backends@cp-2/join", "lb-backends@cp-3/join"}},
		"on control-plane nodes":    {onNodes(t, planes, four), "cp-2", []string{"lb-backends@cp-4/join", "lb-backends@cp-1/join", "lb-backends@cp-3/join", "lb-backends@cp-2/join"}},
		"after one left":            {onNodes(t, four, planes), "cp-1", []string{"lb-backends@cp-2/without-cp-4", "lb-backends@cp-3/without-cp-4", "lb-backends@cp-1/without-cp-4"}},
		"on machines of their own":  {pairThatGrows(t), "lb-1", []string{"lb-backends@lb-2/join", "lb-backends@lb-1/join"}},
	} {
		t.Run(name, func(t *testing.T) {
			test.in.Observed.Balancers[test.holder] = observed.Balancer{Seen: true, Address: observed.Address{Held: true}}
			c := plan(t, test.in)
			before(t, c, test.order...)
		})
	}
}

// pairThatGrows has a control-plane node join behind two load balancers.
func pairThatGrows(t *testing.T) Input {
	in, next := healthy(pair(t, planes...)), pair(t, append(slices.Clone(planes), "cp-4")...)
	in.Wanted, in.Desired = next, desired(next)
	return in
}

// What takes a restart of HAProxy is done on one after the other, each without the address.
func TestLoadBalancersRestartInTurns(t *testing.T) {
	in := healthy(pair(t, planes...))
	for _, lb := range []string{"lb-1", "lb-2"} {
		m := in.Observed.Machines[lb]
		u := m.Units["haproxy"]
		u.Config = "old"
		m.Units["haproxy"] = u
	}
	c := plan(t, in)
	before(t, c, "address-move@lb-1", "lb-backends@lb-1/configuration", "address-move@lb-2", "lb-backends@lb-2/configuration")
	if got := c.Warnings(); len(got) > 0 {
		t.Errorf("warnings: %q", got)
	}
}

// Those of a haplane without a lease restart side by side: each is well only when all are of the new one.
func TestLoadBalancersOfAnOlderHaplaneRestartAtOnce(t *testing.T) {
	in := healthy(pair(t, planes...))
	for _, lb := range []string{"lb-1", "lb-2"} {
		m := in.Observed.Machines[lb]
		delete(m.Files, render.ElectorateFile)
		for _, u := range []string{"haplane-balancer", "keepalived"} {
			m.Units[u] = observed.Unit{Active: true, Config: "old"}
		}
	}
	c := plan(t, in)
	lacks(t, c, MoveAddress)
	one, two := "lb-backends@lb-1/configuration", "lb-backends@lb-2/configuration"
	if got := ids(c); !slices.Equal(got, []string{one, two}) || reaches(c, two, one) {
		t.Errorf("steps are %q, one waits for the other: %v", got, reaches(c, two, one))
	}
	if got := c.Warnings(); len(got) != 2 || !strings.Contains(got[0], "lb-1 was made by an older haplane and cannot hand over 10.10.10.3") {
		t.Errorf("warnings: %q", got)
	}
}

// What only tells keepalived of HAProxy restarts beside both: as it was before, it is.
func TestAgentOfALoadBalancerRestartsWithoutAMove(t *testing.T) {
	in := healthy(pair(t, planes...))
	m := in.Observed.Machines["lb-1"]
	m.Units["haplane-balancer"] = observed.Unit{Active: true, Config: "old"}
	c := plan(t, in)
	if want := []string{"lb-backends@lb-1/configuration", "lb-backends@lb-2/configuration"}; !slices.Equal(ids(c), want) {
		t.Errorf("steps are %q, want %q", ids(c), want)
	}
	if got := c.Warnings(); len(got) > 0 {
		t.Errorf("warnings: %q", got)
	}
}

// One without keepalived is sick: it is mended first.
func TestLoadBalancerWithoutKeepalivedIsMended(t *testing.T) {
	in := healthy(pair(t, planes...))
	delete(in.Observed.Machines["lb-2"].Units, "keepalived")
	c := plan(t, in)
	if s, ok := c.Step("start@lb-2"); !ok || !all(s.Units) {
		t.Errorf("steps: %q", ids(c))
	}
}

// The members of a pair that is brought up begin side by side.
func TestBringUpOfTwoLoadBalancers(t *testing.T) {
	t2 := pair(t, planes...)
	c := BringUp(Input{Wanted: t2, Desired: desired(t2)})
	for _, lb := range []string{"lb-1", "lb-2"} {
		if s, ok := c.Step("start@" + lb + "/api"); !ok || !slices.Equal(s.Units, []string{"haproxy", "haplane-balancer", "keepalived"}) {
			t.Errorf("%+v", s)
		}
	}
	if reaches(c, "start@lb-1/api", "start@lb-2/api") {
		t.Error("lb-1 waits for lb-2")
	}
}

// A change that was cut off leaves a load balancer with the address for its own, or one that must not have it: the next one mends that.
func TestAddressesOfAChangeThatWasCutOff(t *testing.T) {
	in := healthy(pair(t, planes...))
	in.Observed.Balancers["lb-1"] = observed.Balancer{Seen: true, Address: observed.Address{Held: true, Own: true}}
	in.Observed.Balancers["lb-2"] = observed.Balancer{Seen: true, Address: observed.Address{StandsBy: true}}
	c := plan(t, in)
	if want := []string{"address-allow@lb-2", "address-drop@lb-1"}; !slices.Equal(ids(c), want) {
		t.Errorf("steps are %q, want %q", ids(c), want)
	}
	// keepalived is not there yet
	m := in.Observed.Machines["lb-1"]
	delete(m.Units, "keepalived")
	delete(m.Files, "/etc/keepalived")
	before(t, plan(t, in), "start@lb-1", "address-drop@lb-1")
}

// A change that was cut off before the others knew of the one that joins tells them first.
func TestThirdLoadBalancerAfterAKill(t *testing.T) {
	in := healthy(pair(t, planes...))
	next := pair(t, planes...)
	third := topology.NewNode("lb-3", spec.RoleLoadBalancer, "10.10.10.6")
	next.Nodes = append(slices.Clone(next.Nodes), third)
	in.Wanted, in.Desired = next, desired(next)
	in.Record = append(in.Record, Node{Node: third, State: Joining})
	c := plan(t, in)
	before(t, c, "lb-backends@lb-1/balancers", "start@lb-3")
	before(t, c, "lb-backends@lb-2/balancers", "start@lb-3")
}

// One that had not wholly come when a run was cut off, and is to go instead, is gone before the others are told so: it may know
// them, and have the address.
func TestLoadBalancerThatHadNotWhollyComeGoes(t *testing.T) {
	in := healthy(pair(t, planes...))
	next := pair(t, planes...)
	next.Nodes = slices.DeleteFunc(slices.Clone(next.Nodes), func(n topology.Node) bool { return n.Name == "lb-2" })
	in.Wanted, in.Desired = next, desired(next)
	for i := range in.Record {
		if in.Record[i].Name == "lb-2" {
			in.Record[i].State = Joining
		}
	}
	c := plan(t, in)
	before(t, c, "stop@lb-2", "remove-machine@lb-2", "lb-backends@lb-1/without-lb-2")
	lbs := slices.DeleteFunc(ids(c), func(id string) bool { return !strings.HasPrefix(id, SetBackends+"@") })
	if want := []string{"lb-backends@lb-1/without-lb-2"}; !slices.Equal(lbs, want) {
		t.Errorf("load balancers are told by %q, want %q", lbs, want)
	}
	dies(&in, "lb-2", false)
	before(t, plan(t, in), "remove-machine@lb-2", "lb-backends@lb-1/without-lb-2")
}

// One that is mended while the other one is dead, and leaves, hears it until its machine is gone: it may only have been cut off.
func TestLoadBalancerIsMendedWhileADeadOneLeaves(t *testing.T) {
	in := healthy(pair(t, planes...))
	next := pair(t, planes...)
	next.Nodes = slices.DeleteFunc(slices.Clone(next.Nodes), func(n topology.Node) bool { return n.Name == "lb-1" })
	in.Wanted, in.Desired = next, desired(next)
	dies(&in, "lb-1", false)
	dies(&in, "lb-2", false)
	c := plan(t, in)
	before(t, c, "start-machine@lb-2", "lb-backends@lb-2/mended", "remove-machine@lb-1", "lb-backends@lb-2/without-lb-1")
	if s, _ := c.Step("lb-backends@lb-2/mended"); !slices.Equal(s.Balancers, []string{"lb-1", "lb-2"}) {
		t.Errorf("%+v", s)
	}
}

// One that leaves while another one comes is told of that too: it may have the address until it goes.
func TestLoadBalancerLeavesWhileAnotherComes(t *testing.T) {
	in := healthy(pair(t, planes...))
	next := pair(t, planes...)
	next.Nodes = append(slices.DeleteFunc(slices.Clone(next.Nodes), func(n topology.Node) bool { return n.Name == "lb-1" }), topology.NewNode("lb-3", spec.RoleLoadBalancer, "10.10.10.6"))
	in.Wanted, in.Desired = next, desired(next)
	c := plan(t, in)
	before(t, c, "lb-backends@lb-1/balancers", "start@lb-3", "address-move@lb-1", "remove-machine@lb-1", "lb-backends@lb-2/without-lb-1")
	if s, _ := c.Step("lb-backends@lb-1/balancers"); !slices.Equal(s.Balancers, []string{"lb-1", "lb-2", "lb-3"}) {
		t.Errorf("%+v", s)
	}
	if s, _ := c.Step("lb-backends@lb-2/without-lb-1"); !slices.Equal(s.Balancers, []string{"lb-2", "lb-3"}) {
		t.Errorf("%+v", s)
	}
}

// New ones that are told of one another only would take the address from one that leaves after they came. Dead ones are gone before.
func TestAllLoadBalancersAreReplaced(t *testing.T) {
	in := healthy(pair(t, planes...))
	next := pair(t, planes...)
	next.Nodes = append(slices.DeleteFunc(slices.Clone(next.Nodes), func(n topology.Node) bool { return n.Role == spec.RoleLoadBalancer }),
		topology.NewNode("lb-3", spec.RoleLoadBalancer, "10.10.10.6"), topology.NewNode("lb-4", spec.RoleLoadBalancer, "10.10.10.7"))
	in.Wanted, in.Desired = next, desired(next)
	if _, err := Plan(in); err == nil || !strings.Contains(err.Error(), "no load balancer of now stays: keep lb-1 in this change") {
		t.Errorf("all are replaced: %v", err)
	}
	dies(&in, "lb-1", false)
	dies(&in, "lb-2", true)
	c := plan(t, in)
	for _, dead := range []string{"lb-1", "lb-2"} {
		for _, fresh := range []string{"lb-3", "lb-4"} {
			before(t, c, "remove-machine@"+dead, "start@"+fresh)
		}
	}

	in = healthy(pair(t, planes...)) // one is made anew, and the other one leaves
	next = pair(t, planes...)
	next.Nodes = slices.DeleteFunc(slices.Clone(next.Nodes), func(n topology.Node) bool { return n.Name == "lb-1" })
	in.Wanted, in.Desired, in.Replace = next, desired(next), []string{"lb-2"}
	if _, err := Plan(in); err == nil || !strings.Contains(err.Error(), "keep lb-1 in this change, and remove it in the next one") {
		t.Errorf("the one that stays is made anew: %v", err)
	}
}

// Those that are made anew start when all of these are gone, and none could hand the address over. Dead ones have nothing to hand over.
func TestAllLoadBalancersAreMadeAnew(t *testing.T) {
	for name, test := range map[string]struct {
		anew, dead []string
		joining    string
		keep       string // "" where it is not refused
	}{
		"both live":       {anew: []string{"lb-1", "lb-2"}, keep: "lb-1"},
		"one lives":       {anew: []string{"lb-1", "lb-2"}, dead: []string{"lb-1"}, keep: "lb-2"},
		"both are gone":   {anew: []string{"lb-1", "lb-2"}, dead: []string{"lb-1", "lb-2"}},
		"one of both":     {anew: []string{"lb-1"}},
		"the other joins": {anew: []string{"lb-1"}, joining: "lb-2", keep: "lb-1"},
	} {
		t.Run(name, func(t *testing.T) {
			in := healthy(pair(t, planes...))
			in.Replace = test.anew
			for _, n := range test.dead {
				dies(&in, n, true)
			}
			if test.joining != "" {
				in.Record[slices.IndexFunc(in.Record, func(n Node) bool { return n.Name == test.joining })].State = Joining
			}
			if test.keep != "" {
				if _, err := Plan(in); err == nil || !strings.Contains(err.Error(), "keep "+test.keep+" in this change, and make it anew in the next one") {
					t.Errorf("%v", err)
				}
				return
			}
			c := plan(t, in)
			for _, gone := range test.anew {
				for _, fresh := range test.anew {
					before(t, c, "remove-machine@"+gone, "start@"+fresh, "activate@"+fresh)
				}
			}
			if len(test.dead) > 0 {
				lacks(t, c, MoveAddress)
			}
		})
	}
}

// The only one cannot hand over to one that is not there yet.
func TestOnlyLoadBalancerRestartsBeforeAnotherComes(t *testing.T) {
	next := pair(t, planes...)
	alone := pair(t, planes...)
	alone.Nodes = slices.DeleteFunc(slices.Clone(alone.Nodes), func(n topology.Node) bool { return n.Name == "lb-2" })
	in := healthy(alone)
	in.Wanted, in.Desired = next, desired(next)
	in.Observed.Machines["lb-1"].Units["haproxy"] = observed.Unit{Active: true, Config: "old"}
	c := plan(t, in)
	lacks(t, c, MoveAddress)
	before(t, c, "lb-backends@lb-1/balancers", "start@lb-2")
}

// One that is mended hears the one that leaves until that is gone.
func TestLoadBalancerIsMendedWhileAnotherLeaves(t *testing.T) {
	in := healthy(pair(t, planes...))
	next := pair(t, planes...)
	next.Nodes = slices.DeleteFunc(slices.Clone(next.Nodes), func(n topology.Node) bool { return n.Name == "lb-1" })
	in.Wanted, in.Desired = next, desired(next)
	dies(&in, "lb-2", false)
	c := plan(t, in)
	before(t, c, "start-machine@lb-2", "lb-backends@lb-2/mended", "address-move@lb-1", "remove-machine@lb-1", "lb-backends@lb-2/without-lb-1")
	if s, _ := c.Step("lb-backends@lb-2/mended"); !slices.Equal(s.Balancers, []string{"lb-1", "lb-2"}) {
		t.Errorf("%+v", s)
	}
	lacks(t, c, WriteFiles, Start)
}

// One that was cut off while it joined, was to leave then, and stays: it waits for the other one, which is told, and is counted on when that knows.
func TestLoadBalancerThatWasToLeaveComesBack(t *testing.T) {
	in := healthy(pair(t, planes...))
	in.Record[slices.IndexFunc(in.Record, func(n Node) bool { return n.Name == "lb-2" })].State = Leaving
	in.Observed.Machines["lb-2"].Units["keepalived"] = observed.Unit{}
	c := plan(t, in)
	before(t, c, "start@lb-2", "activate@lb-2")
	lacks(t, c, MoveAddress, SetBackends) // the other one knows
	delete(in.Observed.Machines["lb-1"].Files, "/etc/keepalived")
	c = plan(t, in)
	before(t, c, "lb-backends@lb-1/configuration", "activate@lb-2")
	if s, _ := c.Step("lb-backends@lb-1/configuration"); !slices.Equal(s.Balancers, []string{"lb-1", "lb-2"}) {
		t.Errorf("%+v", s)
	}
	lacks(t, c, MoveAddress)
}
