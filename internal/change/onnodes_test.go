package change

import (
	"slices"
	"strings"
	"testing"

	"github.com/haplane/haplane/internal/observed"
	"github.com/haplane/haplane/internal/render"
	"github.com/haplane/haplane/spec"
)

func onNodes(t *testing.T, from, to []string) Input {
	t.Helper()
	return becomeOf(t, spec.OnControlPlane, from, to)
}

func TestNothingToDoWithLoadBalancersOnControlPlaneNodes(t *testing.T) {
	if c := plan(t, onNodes(t, planes, planes)); !c.Nothing() {
		t.Error(ids(c))
	}
}

// The load balancer of one that joins starts when its API server serves, and before the others hear of it: they may need its vote from then on.
func TestControlPlaneNodeJoinsWithItsLoadBalancer(t *testing.T) {
	c := plan(t, onNodes(t, planes, append(slices.Clone(planes), "cp-4")))
	for _, lb := range []string{"cp-1", "cp-2", "cp-3"} {
		before(t, c, "start@cp-4/kube-apiserver", "lb-backends@cp-4/join", "lb-backends@"+lb+"/join", "activate@cp-4")
	}
	before(t, c, "start@cp-4/kube-apiserver", "start@cp-4", "node-ready@cp-4") // its kubelet asks that one
	s, _ := c.Step("lb-backends@cp-4/join")
	if all := []string{"cp-1", "cp-2", "cp-3", "cp-4"}; !slices.Equal(s.Backends, all) || !slices.Equal(s.Balancers, all) {
		t.Errorf("%+v", s)
	}
	if s, _ := c.Step("start@cp-4"); slices.ContainsFunc(s.Units, isBalancer) {
		t.Errorf("its load balancer starts by itself: %v", s.Units)
	}
	lacks(t, c, MoveAddress)
	lacks(t, c, Restart)
}

// One that restarts gives the address away while those that are there are a majority: with as many that are to come nobody could take it.
func TestLoadBalancerOfAControlPlaneNodeRestartsBeforeOthersJoin(t *testing.T) {
	in := onNodes(t, planes, append(slices.Clone(planes), "cp-4", "cp-5", "cp-6"))
	in.Observed.Machines["cp-2"].Units["haproxy"] = observed.Unit{Active: true, Config: "old"}
	c := plan(t, in)
	before(t, c, "address-move@cp-2", "lb-backends@cp-2/configuration", "lb-backends@cp-4/join", "lb-backends@cp-1/join")
	if s, _ := c.Step("lb-backends@cp-1/configuration"); !slices.Equal(s.Balancers, []string{"cp-1", "cp-2", "cp-3"}) {
		t.Errorf("%+v", s)
	}
	if n := len(slices.DeleteFunc(ids(c), func(id string) bool { return id != "address-move@cp-2" })); n != 1 {
		t.Errorf("%d times in %v", n, ids(c))
	}
}

// One that leaves gives the address away first; its pods go before its API server, which its kubelet asks. The others know of it until its machine
// is gone: one that started again, and heard nobody, would take the address.
func TestControlPlaneNodeLeavesWithItsLoadBalancer(t *testing.T) {
	c := plan(t, onNodes(t, append(slices.Clone(planes), "cp-4"), planes))
	before(t, c, "address-move@cp-4", "lb-drain@cp-4", "stop@cp-4/kube-apiserver", "stop@cp-4", "remove-machine@cp-4", "lb-backends@cp-1/without-cp-4", "forget@cp-4")
	before(t, c, "address-move@cp-4", "node-drain@cp-4", "stop@cp-4/kube-apiserver") // a drain asks through the address, and its requests would be reset
	if s, _ := c.Step("lb-backends@cp-1/without-cp-4"); !slices.Equal(s.Backends, s.Balancers) || slices.Contains(s.Balancers, "cp-4") {
		t.Errorf("%+v", s)
	}
	if s, _ := c.Step("lb-drain@cp-4"); !slices.Equal(s.Balancers, []string{"cp-1", "cp-2", "cp-3", "cp-4"}) {
		t.Errorf("%+v", s)
	}
	if _, told := c.Step("lb-backends@cp-4/without-cp-4"); told {
		t.Error("one that leaves is told")
	}
}

func TestControlPlaneNodeIsMadeAnewWithItsLoadBalancer(t *testing.T) {
	in := onNodes(t, planes, planes)
	in.Replace = []string{"cp-2"}
	c := plan(t, in)
	before(t, c, "address-move@cp-2", "lb-drain@cp-2", "remove-machine@cp-2", "lb-backends@cp-1/without-cp-2", "create-machine@cp-2", "start@cp-2/kube-apiserver",
		"lb-backends@cp-2/join", "lb-backends@cp-1/join", "activate@cp-2")
}

// One that is dead gives nothing away, and is not told: the others are.
func TestDeadControlPlaneNodeIsMadeAnewWithItsLoadBalancer(t *testing.T) {
	in := onNodes(t, planes, planes)
	dies(&in, "cp-2", true)
	in.Replace = []string{"cp-2"}
	c := plan(t, in)
	lacks(t, c, MoveAddress)
	before(t, c, "remove-machine@cp-2", "lb-backends@cp-1/without-cp-2", "create-machine@cp-2", "start@cp-2/kube-apiserver", "lb-backends@cp-2/join", "lb-backends@cp-3/join")
}

// Who serves as it should keeps doing so while its load balancer is told.
func TestLoadBalancerOfAControlPlaneNodeChangesByItself(t *testing.T) {
	in := onNodes(t, planes, planes)
	m := in.Observed.Machines["cp-2"]
	delete(m.Files, "/etc/haproxy/haproxy.cfg")
	m.Units["haproxy"] = observed.Unit{Active: true, Config: "old"}
	c := plan(t, in)
	before(t, c, "address-move@cp-2", "lb-backends@cp-2/configuration")
	if s, _ := c.Step("lb-backends@cp-2/configuration"); !slices.Equal(s.Units, []string{"haproxy"}) {
		t.Errorf("%+v", s)
	}
	for _, verb := range []string{WriteFiles, Restart, DrainBackend, Start} {
		lacks(t, c, verb)
	}
}

func TestLoadBalancerOfAControlPlaneNodeIsMended(t *testing.T) {
	in := onNodes(t, planes, append(slices.Clone(planes), "cp-4"))
	in.Observed.Machines["cp-1"].Units["keepalived"] = observed.Unit{}
	in.Observed.Balancers["cp-3"] = observed.Balancer{Seen: true, Address: observed.Address{StandsBy: true}}
	c := plan(t, in)
	before(t, c, "lb-backends@cp-1/mended", "lb-backends@cp-4/join")
	before(t, c, "lb-backends@cp-1/mended", "lb-backends@cp-2/join")
	before(t, c, "address-allow@cp-3", "member-add@cp-4")
	if s, _ := c.Step("lb-backends@cp-1/mended"); !slices.Equal(s.Balancers, []string{"cp-1", "cp-2", "cp-3"}) {
		t.Errorf("%+v", s)
	}
}

// While etcd moves too: others that join would count on one that does not run.
func TestLoadBalancerOfAControlPlaneNodeIsMendedWhileEtcdMoves(t *testing.T) {
	in := onNodes(t, []string{"cp-1", "worker-1"}, []string{"cp-1", "cp-2", "worker-1", "etcd-1"})
	in.Moving = true
	for _, unit := range render.BalancerUnits {
		in.Observed.Machines["cp-1"].Units[unit] = observed.Unit{}
	}
	c := plan(t, in)
	before(t, c, "lb-backends@cp-1/mended", "lb-backends@cp-2/join", "lb-backends@cp-1/join")
	if s, _ := c.Step("lb-backends@cp-1/mended"); !slices.Equal(s.Balancers, []string{"cp-1"}) {
		t.Errorf("%+v", s)
	}
}

// Those that do not vote are mended side by side: the first one would wait for the votes of the others. One that votes waits for them.
func TestControlPlaneNodesThatDoNotVoteAreMendedAtOnce(t *testing.T) {
	in := onNodes(t, planes, planes)
	for _, name := range []string{"cp-1", "cp-2", "cp-3"} {
		for _, unit := range render.BalancerUnits {
			if name != "cp-3" || unit == "haproxy" {
				in.Observed.Machines[name].Units[unit] = observed.Unit{}
			}
		}
	}
	c := plan(t, in)
	one, two, votes := "lb-backends@cp-1/mended", "lb-backends@cp-2/mended", "lb-backends@cp-3/mended"
	if reaches(c, one, two) || reaches(c, two, one) {
		t.Errorf("one waits for the other: %v", ids(c))
	}
	before(t, c, one, votes)
	before(t, c, two, votes)
}

// Of two, the one that stays goes by its own vote before the other one stops: nobody would have the address meanwhile. Of three, the
// others know of it until its machine is gone. The Node is deleted through the address, and before one of that name comes.
func TestOneOfTwoControlPlaneNodesLeaves(t *testing.T) {
	two, one := []string{"cp-1", "cp-2", "worker-1"}, []string{"cp-1", "worker-1"}
	steps := []string{"address-move@cp-2", "stop@cp-2/kube-apiserver", "lb-backends@cp-1/without-cp-2", "stop@cp-2", "remove-machine@cp-2", "node-delete@cp-2"}
	c := plan(t, onNodes(t, two, one))
	before(t, c, append(slices.Clone(steps), "forget@cp-2")...)
	if s, _ := c.Step("lb-backends@cp-1/without-cp-2"); !slices.Equal(s.Balancers, []string{"cp-1"}) {
		t.Errorf("%+v", s)
	}
	in := onNodes(t, two, two)
	in.Replace = []string{"cp-2"}
	before(t, plan(t, in), append(slices.Clone(steps), "create-machine@cp-2")...)
	in = onNodes(t, two, append([]string{"cp-3"}, two...))
	in.Replace = []string{"cp-2"}
	before(t, plan(t, in), "remove-machine@cp-2", "lb-backends@cp-3/join", "lb-backends@cp-1/join")
	before(t, plan(t, onNodes(t, planes, two)), "stop@cp-3", "remove-machine@cp-3", "lb-backends@cp-1/without-cp-3", "node-delete@cp-3")
}

// A restart of the API server takes nobody's address away: the load balancer beside it sends clients to others.
func TestRestartOfAnAPIServerMovesNoAddress(t *testing.T) {
	in := onNodes(t, planes, planes)
	for _, name := range []string{"cp-1", "cp-2", "cp-3"} {
		in.Observed.Machines[name].Units["kube-apiserver"] = observed.Unit{Active: true, Config: "old"}
	}
	c := plan(t, in)
	before(t, c, "lb-drain@cp-1", "restart@cp-1/kube-apiserver", "lb-restore@cp-1", "lb-drain@cp-2")
	lacks(t, c, MoveAddress)
	lacks(t, c, SetBackends)
}

// While one comes and another leaves, the files that a node in between gets have both.
func TestFilesHaveWhoIsThereByThen(t *testing.T) {
	in := onNodes(t, planes, []string{"cp-1", "cp-2", "cp-4", "worker-1"})
	delete(in.Observed.Machines["cp-1"].Files, "/etc/file")
	c := plan(t, in)
	before(t, c, "lb-backends@cp-4/join", "lb-backends@cp-1/join", "address-move@cp-3", "lb-backends@cp-4/without-cp-3")
	s, ok := c.Step("write-files@cp-1")
	if !ok || strings.Join(s.Backends, " ") != "cp-1 cp-2 cp-4 cp-3" {
		t.Errorf("%+v", s)
	}
	if s, _ := c.Step("lb-backends@cp-4/join"); strings.Join(s.Balancers, " ") != "cp-1 cp-2 cp-4 cp-3" {
		t.Errorf("%+v", s)
	}
}

// One that joined when a run was cut off may have the address: the others are told of it, or it gives that away.
func TestLoadBalancerThatJoinedBeforeAKill(t *testing.T) {
	four := append(slices.Clone(planes), "cp-4")
	for name, to := range map[string][]string{"goes on": four, "goes back": planes} {
		t.Run(name, func(t *testing.T) {
			in := onNodes(t, four, to)
			in.Record[slices.IndexFunc(in.Record, func(n Node) bool { return n.Name == "cp-4" })].State = Joining
			c := plan(t, in)
			if name == "goes on" {
				before(t, c, "lb-backends@cp-1/join", "activate@cp-4")
				return
			}
			before(t, c, "address-move@cp-4", "remove-machine@cp-4", "lb-backends@cp-1/without-cp-4", "forget@cp-4")
		})
	}
}

// One that was to leave, and stays: the others, who may not know of it if it was cut off while it joined, or left as one of two, are told when it runs, and
// it is counted on when they know.
func TestControlPlaneNodeThatWasToLeaveComesBackWithItsLoadBalancer(t *testing.T) {
	for name, edit := range map[string]func(*Input){
		"its API server was stopped": func(in *Input) {
			in.Observed.APIServers["cp-3"] = observed.APIServer{Error: "stopped"}
			in.Observed.Machines["cp-3"].Units["kube-apiserver"] = observed.Unit{}
		},
		"its load balancer was stopped": func(in *Input) {
			for _, unit := range render.BalancerUnits {
				in.Observed.Machines["cp-3"].Units[unit] = observed.Unit{}
			}
		},
		"its machine is off": func(in *Input) { dies(in, "cp-3", false) },
	} {
		t.Run(name, func(t *testing.T) {
			in := onNodes(t, planes, planes)
			in.Record[slices.IndexFunc(in.Record, func(n Node) bool { return n.Name == "cp-3" })].State = Leaving
			in.Observed.Balancers["cp-3"] = observed.Balancer{Seen: true, Address: observed.Address{StandsBy: true}}
			edit(&in)
			c := plan(t, in)
			for _, told := range []string{"lb-backends@cp-1/settled", "lb-backends@cp-2/settled", "lb-backends@cp-3/settled"} {
				before(t, c, told, "activate@cp-3")
				for _, s := range c.Steps {
					if s.Node == "cp-3" && slices.Contains([]string{StartMachine, Start}, s.Verb) {
						before(t, c, s.ID, told)
					}
				}
			}
			if s, _ := c.Step("lb-backends@cp-1/settled"); !slices.Equal(s.Balancers, []string{"cp-1", "cp-2", "cp-3"}) {
				t.Errorf("%+v", s)
			}
		})
	}
}

// A load balancer of a sick node is mended with it: it gives the address away once, and is not restarted again when others join.
func TestSickControlPlaneNodeGivesTheAddressAwayOnce(t *testing.T) {
	in := onNodes(t, planes, append(slices.Clone(planes), "cp-4"))
	in.Observed.APIServers["cp-1"] = observed.APIServer{Error: "not ready"}
	in.Observed.Machines["cp-1"].Units["haproxy"] = observed.Unit{Active: true, Config: "old"}
	c := plan(t, in)
	before(t, c, "address-move@cp-1", "start@cp-1", "lb-backends@cp-1/join")
	if n := len(slices.DeleteFunc(ids(c), func(id string) bool { return id != "address-move@cp-1" })); n != 1 {
		t.Errorf("%d times in %v", n, ids(c))
	}
}

// Of a single one, nobody has the address while its load balancer restarts.
func TestLoadBalancerOfOneControlPlaneNodeRestarts(t *testing.T) {
	one := []string{"cp-1", "worker-1"}
	in := onNodes(t, one, one)
	in.Observed.Machines["cp-1"].Units["haproxy"] = observed.Unit{Active: true, Config: "old"}
	c := plan(t, in)
	lacks(t, c, MoveAddress)
	if want := []string{"while cp-1 is away, the API cannot be reached through it, and there is no other load balancer"}; !slices.Equal(c.Warnings(), want) {
		t.Errorf("warnings %q", c.Warnings())
	}
}

// Made anew in a restore, its load balancer starts when its API server serves, and before the write that proves it.
func TestRestoreOnNewControlPlaneNodesWithLoadBalancers(t *testing.T) {
	in := onNodes(t, planes, planes)
	in.Task = &Task{ID: "x", Kind: RestoreData, Made: []string{"cp-1", "cp-2", "cp-3"}, Members: []string{"cp-1", "cp-2", "cp-3"}}
	for _, name := range in.Task.Made {
		dies(&in, name, true)
	}
	c, err := Restore(in)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range in.Task.Made {
		before(t, c, "start@cp-1/kube-apiserver", "start@"+name+"/balancer", "write-object", "start@"+name+"/node", "activate@"+name)
		if s, _ := c.Step("start@" + name + "/node"); slices.ContainsFunc(s.Units, isBalancer) {
			t.Errorf("%+v", s)
		}
		if s, _ := c.Step("start@" + name + "/balancer"); len(s.Units) != 3 {
			t.Errorf("%+v", s)
		}
	}
}

// One that was cut off before its load balancer started has no address to give away, and nobody to tell who is behind it.
func TestControlPlaneNodeLeavesBeforeItsLoadBalancerStarted(t *testing.T) {
	in := onNodes(t, append(slices.Clone(planes), "cp-4"), planes)
	for _, unit := range render.BalancerUnits {
		in.Observed.Machines["cp-4"].Units[unit] = observed.Unit{}
	}
	c := plan(t, in)
	lacks(t, c, MoveAddress)
	before(t, c, "lb-drain@cp-4", "stop@cp-4/kube-apiserver", "remove-machine@cp-4", "lb-backends@cp-1/without-cp-4", "forget@cp-4")
	if s, _ := c.Step("lb-drain@cp-4"); !slices.Equal(s.Balancers, []string{"cp-1", "cp-2", "cp-3"}) {
		t.Errorf("%+v", s)
	}
}

// One that leaves, and of which nobody knows whether it runs, may have the address: whoever is told of others meanwhile is told of it too. A change
// that was cut off has it written down as one that leaves already.
func TestControlPlaneNodeThatIsNotReachedIsKnownUntilItIsGone(t *testing.T) {
	to := append(slices.Clone(planes), "etcd-1")
	in := onNodes(t, append(slices.Clone(to), "cp-4"), to)
	in.Record[slices.IndexFunc(in.Record, func(n Node) bool { return n.Name == "cp-4" })].State = Leaving
	dies(&in, "cp-4", false)
	dies(&in, "cp-3", false)
	c := plan(t, in)
	before(t, c, "start@cp-3", "remove-machine@cp-4", "lb-backends@cp-1/without-cp-4", "forget@cp-4")
	for _, s := range c.Steps {
		if s.Node == "cp-3" && s.Verb == Start && !slices.Equal(s.Balancers, []string{"cp-1", "cp-2", "cp-3", "cp-4"}) {
			t.Errorf("%s has it know of %v", s.ID, s.Balancers)
		}
	}
	if s, _ := c.Step("lb-backends@cp-1/without-cp-4"); !slices.Equal(s.Balancers, []string{"cp-1", "cp-2", "cp-3"}) {
		t.Errorf("%+v", s)
	}
}

// Of two that were to join when a run was cut off one came. It was told of the other one too, waits for that, and cannot have the address: it goes by
// those that are there before one of them hands the address over.
func TestOneOfTwoThatWereToJoinCame(t *testing.T) {
	nodes := append(slices.Clone(planes), "etcd-1")
	in := onNodes(t, nodes, nodes)
	for i, n := range in.Record {
		if n.Name == "cp-2" || n.Name == "cp-3" {
			in.Record[i].State = Joining
			in.Observed.Balancers[n.Name] = observed.Balancer{Address: observed.Address{New: true}}
		}
	}
	for _, unit := range append(slices.Clone(render.BalancerUnits), "kube-apiserver") {
		in.Observed.Machines["cp-3"].Units[unit] = observed.Unit{}
	}
	in.Observed.APIServers["cp-3"] = observed.APIServer{Error: "refused"}
	in.Observed.Balancers["cp-1"] = observed.Balancer{Seen: true, Address: observed.Address{Held: true}}
	in.Resumed = true

	c := plan(t, in)
	before(t, c, "lb-backends@cp-2/settled", "lb-backends@cp-1/settled", "lb-backends@cp-3/join", "lb-backends@cp-2/join", "lb-backends@cp-1/join", "activate@cp-2")

	in.Replace = []string{"cp-1"}
	c = plan(t, in)
	before(t, c, "lb-backends@cp-2/settled", "lb-backends@cp-1/settled", "address-move@cp-1", "lb-backends@cp-2/without-cp-1", "remove-machine@cp-1", "lb-backends@cp-3/join")
	for _, name := range []string{"cp-1", "cp-2"} {
		if s, _ := c.Step("lb-backends@" + name + "/settled"); !slices.Equal(s.Balancers, []string{"cp-1", "cp-2"}) {
			t.Errorf("%+v", s)
		}
	}
}

// The programs of one that leaves do not run: it leaves before others join, which would wait for its word, and is known until its machine is gone, with
// which they would start. One that never began is known to nobody.
func TestControlPlaneNodeWhoseLoadBalancerWasStoppedLeaves(t *testing.T) {
	to := []string{"cp-1", "cp-2", "cp-4", "worker-1"}
	for name, began := range map[string]bool{"stopped": true, "never began": false} {
		t.Run(name, func(t *testing.T) {
			in := onNodes(t, planes, to)
			for _, unit := range render.BalancerUnits {
				in.Observed.Machines["cp-3"].Units[unit] = observed.Unit{}
			}
			in.Observed.Machines["cp-2"].Units["keepalived"] = observed.Unit{}
			in.Observed.Balancers["cp-3"] = observed.Balancer{Address: observed.Address{New: !began}}
			in.Record[slices.IndexFunc(in.Record, func(n Node) bool { return n.Name == "cp-3" })].State = Leaving
			c := plan(t, in)
			lacks(t, c, MoveAddress)
			before(t, c, "lb-backends@cp-2/mended", "stop@cp-3", "remove-machine@cp-3", "lb-backends@cp-1/without-cp-3", "member-add@cp-4", "lb-backends@cp-4/join", "lb-backends@cp-1/join")
			want := []string{"cp-1", "cp-2"}
			if began {
				want = append(want, "cp-3")
			}
			if s, _ := c.Step("lb-backends@cp-2/mended"); !slices.Equal(s.Balancers, want) {
				t.Errorf("%+v", s)
			}
		})
	}
}

// Where etcd has machines of its own most of the control plane may be dead, and nobody has the address: who is left is told when all machines that are
// dead have ended, of all at once, and so are several that are left. Of those that are gone already nobody is told to know.
func TestMostControlPlaneNodesAreMadeAnew(t *testing.T) {
	nodes := []string{"cp-1", "cp-2", "cp-3", "cp-4", "cp-5", "worker-1", "etcd-1"}
	for name, gone := range map[string]bool{"gone": true, "off": false} {
		t.Run(name, func(t *testing.T) {
			in := onNodes(t, nodes, nodes)
			for _, name := range []string{"cp-2", "cp-3", "cp-5"} {
				dies(&in, name, gone)
				in.Replace = append(in.Replace, name)
			}
			in.Record[slices.IndexFunc(in.Record, func(n Node) bool { return n.Name == "cp-4" })].State = Leaving
			in.Observed.Balancers["cp-1"], in.Observed.Balancers["cp-4"] = observed.Balancer{Seen: true}, observed.Balancer{Seen: true}
			c := plan(t, in)
			for _, name := range in.Replace {
				for _, left := range []string{"cp-1", "cp-4"} {
					before(t, c, "remove-machine@"+name, "lb-backends@"+left+"/without-cp-5", "node-delete@"+name, "create-machine@"+name)
				}
			}
			if one, other := "lb-backends@cp-1/without-cp-5", "lb-backends@cp-4/without-cp-5"; reaches(c, one, other) || reaches(c, other, one) {
				t.Error("one waits for the other, and neither has the address alone")
			}
			for _, s := range c.Steps {
				if s.Verb != SetBackends || strings.HasSuffix(s.ID, "/join") {
					continue
				}
				if now := []string{"cp-1", "cp-4"}; !slices.Equal(s.Balancers, now) {
					t.Errorf("%s counts on %v", s.ID, s.Balancers)
				}
			}
		})
	}
}

// Two of four are left, one is gone and one is off: the two may go by the votes of all four still, so nobody has the address, and nothing asks for it
// before both have been told that they are alone, also where one has to restart.
func TestHalfOfControlPlaneNodesAreMadeAnew(t *testing.T) {
	nodes := []string{"cp-1", "cp-2", "cp-3", "cp-4", "worker-1", "etcd-1"}
	in := onNodes(t, nodes, nodes)
	dies(&in, "cp-1", true)
	dies(&in, "cp-3", false)
	in.Replace = []string{"cp-1", "cp-3"}
	in.Record[slices.IndexFunc(in.Record, func(n Node) bool { return n.Name == "cp-4" })].State = Leaving
	in.Observed.Machines["cp-4"].Units["haproxy"] = observed.Unit{Active: true, Config: "old"}
	in.Observed.Balancers["cp-2"], in.Observed.Balancers["cp-4"] = observed.Balancer{Seen: true}, observed.Balancer{Seen: true}
	c := plan(t, in)
	lacks(t, c, MoveAddress)
	for _, left := range []string{"cp-2", "cp-4"} {
		before(t, c, "remove-machine@cp-3", "lb-backends@"+left+"/without-cp-3", "node-delete@cp-1", "create-machine@cp-1")
		if s, _ := c.Step("lb-backends@" + left + "/without-cp-3"); !slices.Equal(s.Balancers, []string{"cp-2", "cp-4"}) {
			t.Errorf("%+v", s)
		}
		if _, settled := c.Step("lb-backends@" + left + "/settled"); settled {
			t.Errorf("%s waits for one that is off", left)
		}
	}
}
