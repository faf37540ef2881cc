package change

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/haplane/haplane/internal/observed"
	"github.com/haplane/haplane/internal/render"
)

// Two nodes that are hurt are made anew one after the other, both ways: whose turn is to come is not waited for. A dead
// etcd member goes before one that is well, which could not be spared.
func TestUpgradeOfTwoThatAreHurt(t *testing.T) {
	for name, down := range map[string]bool{"forward": false, "back": true} {
		t.Run(name, func(t *testing.T) {
			in := upgrading(wanted(t, "cp-1", "cp-2", "cp-3", "worker-1", "worker-2", "lb-1"), down)
			in.Observed.APIServers["cp-2"] = observed.APIServer{Error: "refused"}
			dies(&in, "cp-3", false)
			in.Observed.Nodes["worker-2"] = observed.Node{Reason: "NodeStatusUnknown"}
			c := planned(t, in)
			before(t, c, "etcd-snapshot", "create-machine@cp-3", "check-cluster@cp-3", "create-machine@cp-2", "check-cluster@cp-2", "create-machine@cp-1", "check-cluster@cp-1")
			spared := map[string]string{"cp-3": "cp-2 worker-2", "cp-2": "worker-2", "cp-1": "worker-2", "worker-2": "", "worker-1": ""}
			if down {
				spared["cp-1"] = ""
			}
			for node, want := range spared {
				if s, _ := c.Step("check-cluster@" + node); strings.Join(s.Spared, " ") != want {
					t.Errorf("after the turn of %s are spared %v, want %s", node, s.Spared, want)
				}
			}
			before(t, c, "node-drain@worker-2", "check-cluster@worker-2", "node-drain@worker-1")
			warned := strings.Join(c.Warnings(), "\n")
			for _, says := range []string{"cp-2 is hurt already (its API server is not ready: refused): its turn comes before the others",
				"cp-3 is hurt already (its machine is off or does not answer)", "worker-2 is hurt already (its node is not Ready: NodeStatusUnknown): its turn comes with those of the workers"} {
				if !strings.Contains(warned, says) {
					t.Errorf("no %q in\n%s", says, warned)
				}
			}
		})
	}
}

// One that tells nothing when the plan is made is drained all the same: whether it does is seen then. The plan says so.
func TestANodeThatIsMuteLeaves(t *testing.T) {
	in := become(t, three, without("worker-1"))
	for _, reason := range []string{"NodeStatusUnknown", ""} {
		in.Observed.Nodes["worker-1"] = observed.Node{Ready: reason == "", Reason: reason}
		s, drains := plan(t, in).Step("node-drain@worker-1")
		if says := strings.Contains(fmt.Sprint(s.Why), "its node is not Ready: if its kubelet tells nothing still"); !drains || says != (reason != "") {
			t.Errorf("%q: its drain: %+v", reason, s)
		}
	}
}

// On the way back, one whose kubelet alone is hurt serves, and comes with those that are well; each has one turn.
func TestUpgradeBackOfOneThatIsHurtAndOneThatIsSick(t *testing.T) {
	in := upgrading(wanted(t, "cp-1", "cp-2", "cp-3", "worker-1", "lb-1"), true)
	in.Observed.Nodes["cp-1"] = observed.Node{Reason: "KubeletNotReady"}
	in.Observed.APIServers["cp-2"] = observed.APIServer{Error: "refused"}
	c := planned(t, in)
	before(t, c, "check-cluster@cp-2", "check-cluster@worker-1", "check-cluster@cp-1")
	turns := map[string]int{}
	for _, s := range c.Steps {
		if turns[s.ID]++; turns[s.ID] > 1 {
			t.Errorf("%s is planned twice", s.ID)
		}
	}
}

// Where quorum would go, nothing is begun.
func TestUpgradeOfTwoDeadMembers(t *testing.T) {
	in := upgrading(wanted(t, "cp-1", "cp-2", "cp-3", "worker-1", "lb-1"), false)
	dies(&in, "cp-2", false)
	dies(&in, "cp-3", false)
	in.Observed.Etcd.Quorum = false
	if _, err := Plan(in); err == nil || !strings.Contains(err.Error(), "refused: etcd has no quorum") {
		t.Errorf("error %v", err)
	}
}

// A worker that is off starts with what it has, and gets the newer kubelet after the API servers.
func TestUpgradeInPlaceOfAWorkerThatIsOff(t *testing.T) {
	in := upgrading(wanted(t, "cp-1", "cp-2", "cp-3", "worker-1", "worker-2", "lb-1"), false)
	in.Upgrade.Left, in.Replace, in.Upgrade.InPlace = in.Replace, nil, true
	for name, m := range in.Observed.Machines {
		for unit := range m.Units {
			if name != "lb-1" {
				m.Units[unit] = observed.Unit{Active: true, Config: "old"}
			}
		}
	}
	in.Observed.Machines["worker-2"], in.Observed.Nodes["worker-2"] = observed.Machine{Made: true}, observed.Node{Reason: "NodeStatusUnknown"}
	c := planned(t, in)
	before(t, c, "start-machine@worker-2", "bring-programs@worker-2", "etcd-snapshot", "check-cluster@cp-1", "restart@cp-1/through", "node-drain@worker-2", "use-programs@worker-2", "write-files@worker-2", "start@worker-2",
		"node-ready@worker-2", "node-uncordon@worker-2", "activate@worker-2", "check-cluster@worker-2")
	if s, _ := c.Step("check-cluster@cp-2"); !slices.Equal(s.Spared, []string{"worker-2"}) {
		t.Errorf("after the turn of cp-2 are spared %v", s.Spared)
	}
	in.Upgrade.Left = []string{"worker-1"} // it had its turn before it went off
	c = planned(t, in)
	before(t, c, "start-machine@worker-2", "start@worker-2", "node-ready@worker-2")
	if _, turn := c.Step("check-cluster@worker-2"); turn {
		t.Error("it has a second turn")
	}
}

// A control-plane node whose load balancer does not run comes first too: those that are made anew before it would wait for its vote.
func TestUpgradeOfOneWhoseLoadBalancerIsStopped(t *testing.T) {
	in := onNodes(t, planes, planes)
	upgrade := upgrading(in.Wanted, false)
	in.Replace, in.Upgrade = upgrade.Replace, upgrade.Upgrade
	for _, unit := range render.BalancerUnits {
		in.Observed.Machines["cp-2"].Units[unit] = observed.Unit{}
	}
	c := planned(t, in)
	before(t, c, "create-machine@cp-2", "check-cluster@cp-2", "node-drain@cp-3", "check-cluster@cp-3")
	before(t, c, "check-cluster@cp-2", "node-drain@cp-1")
	if want := []string{"cp-2 is hurt already (its load balancer does not run): its turn comes before the others, and until then nothing waits for it"}; !slices.Equal(c.Warnings(), want) {
		t.Errorf("%q", c.Warnings())
	}
}
