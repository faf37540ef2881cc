package change

import (
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/haplane/haplane/internal/observed"
	"github.com/haplane/haplane/internal/render"
	"github.com/haplane/haplane/internal/topology"
	"github.com/haplane/haplane/spec"
)

// upgrading is a healthy cluster all of whose nodes but load balancers are to be made anew.
func upgrading(t *topology.Topology, down bool) Input {
	in := healthy(t)
	in.Upgrade = &Upgrade{From: "v1.36.3", To: "v1.37.2", AtOnce: 1, Down: down, Interim: map[string]render.Machine{}, Programs: true}
	for _, n := range t.Nodes {
		if n.Role != spec.RoleLoadBalancer {
			in.Replace = append(in.Replace, n.Name)
		}
		if n.Role == spec.RoleControlPlane {
			m := desired(t)[n.Name]
			m.Units = slices.Clone(m.Units)
			m.Units[len(m.Units)-1].Config = "interim" // the kubelet's
			in.Upgrade.Interim[n.Name] = m
		}
	}
	return in
}

func planned(t *testing.T, in Input) *Change {
	t.Helper()
	c, err := Plan(in)
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for _, s := range c.Steps {
		if seen[s.ID] {
			t.Errorf("two steps are named %s", s.ID)
		}
		for _, need := range s.Needs {
			if !seen[need] {
				t.Errorf("%s comes before %s, which it needs", s.ID, need)
			}
		}
		seen[s.ID] = true
	}
	return c
}

// The snapshot comes first; control-plane nodes one after another, etcd's leader last; then kubelets ask through
// the load balancer again, and workers go.
func TestUpgradeTakesTurns(t *testing.T) {
	c := planned(t, upgrading(wanted(t, "cp-1", "cp-2", "cp-3", "worker-1", "worker-2", "lb-1"), false)) // cp-1 leads
	before(t, c, "etcd-snapshot", "node-drain@cp-2", "remove-machine@cp-2", "create-machine@cp-2", "member-promote@cp-2", "activate@cp-2", "check-cluster@cp-2",
		"lb-drain@cp-3", "activate@cp-3", "check-cluster@cp-3", "node-drain@cp-1", "check-cluster@cp-1", "write-files@cp-2/through", "restart@cp-2/through",
		"node-drain@worker-1", "check-cluster@worker-1", "node-drain@worker-2", "check-cluster@worker-2")
	for _, s := range c.Steps {
		cp := strings.HasPrefix(s.Node, "cp-")
		if through := strings.HasSuffix(s.ID, "/through"); s.Interim != (cp && !through) {
			t.Errorf("%s: interim %v", s.ID, s.Interim)
		}
	}
	if s, _ := c.Step("restart@cp-3/through"); !slices.Equal(s.Units, []string{"kubelet"}) {
		t.Errorf("restarts %v", s.Units)
	}
}

// On the way to an older version kubelets must not be newer than the API servers that they ask: workers go first,
// and those of control-plane nodes ask beside them until their own turn.
func TestTheWayBackTakesTurns(t *testing.T) {
	c := planned(t, upgrading(wanted(t, "cp-1", "cp-2", "cp-3", "worker-1", "lb-1"), true))
	before(t, c, "etcd-snapshot", "node-drain@worker-1", "check-cluster@worker-1", "write-files@cp-1/beside", "restart@cp-1/beside",
		"node-drain@cp-2", "check-cluster@cp-2", "node-drain@cp-3", "check-cluster@cp-3", "node-drain@cp-1", "check-cluster@cp-1")
	before(t, c, "node-drain@cp-3", "stop@cp-3/kube-apiserver") // its kubelet asks that
	for _, s := range c.Steps {
		if beside := strings.HasSuffix(s.ID, "/beside"); s.Interim != beside {
			t.Errorf("%s: interim %v", s.ID, s.Interim)
		}
	}
}

// What an earlier run left without its machine comes first, and is told nothing before that.
func TestTheWayBackBeginsWithWhoIsHurt(t *testing.T) {
	in := upgrading(wanted(t, "cp-1", "cp-2", "cp-3", "worker-1", "lb-1"), true)
	dies(&in, "cp-2", true)
	in.Observed.Etcd.Members = slices.DeleteFunc(in.Observed.Etcd.Members, func(m observed.Member) bool { return m.Name == "cp-2" })
	c := planned(t, in)
	before(t, c, "etcd-snapshot", "create-machine@cp-2", "check-cluster@cp-2", "node-drain@worker-1", "check-cluster@worker-1", "restart@cp-1/beside", "node-drain@cp-3")
	if _, ok := c.Step("write-files@cp-2/beside"); ok {
		t.Error("cp-2 has no machine that files could be written to")
	}
}

// A machine of etcd's alone whose member was cut off as a learner goes before the other members: they could not join again beside it.
func TestTheWayBackOfALearner(t *testing.T) {
	in := upgrading(wanted(t, "cp-1", "cp-2", "etcd-1", "etcd-2", "etcd-3", "worker-1", "lb-1"), true)
	in.Replace = []string{"cp-1", "cp-2", "etcd-2", "etcd-3"} // the others have not had their turn
	in.Observed.Etcd.Members[2].Learner = true
	in.Record[4].State = Joining
	before(t, planned(t, in), "member-remove@etcd-3", "member-promote@etcd-3", "check-cluster@etcd-3", "member-remove@etcd-2", "check-cluster@etcd-2")
}

func TestWorkersTakeTurnsTogether(t *testing.T) {
	in := upgrading(wanted(t, "cp-1", "cp-2", "cp-3", "worker-1", "worker-2", "worker-3", "lb-1"), false)
	in.Upgrade.AtOnce = 2
	c := planned(t, in)
	before(t, c, "node-drain@worker-2", "check-cluster@worker-1", "node-drain@worker-3", "check-cluster@worker-3")
	if reaches(c, "node-drain@worker-2", "node-drain@worker-1") {
		t.Error("worker-2 waits for worker-1")
	}
}

// In place, programs are brought to all machines before anything stops, and machines stay.
func TestUpgradeInPlace(t *testing.T) {
	in := upgrading(wanted(t, "cp-1", "cp-2", "cp-3", "worker-1", "lb-1"), false)
	in.Replace, in.Upgrade.InPlace = nil, true
	for name, m := range in.Observed.Machines {
		for unit := range m.Units {
			if name != "lb-1" && unit != "etcd" { // whose program is the same in both
				m.Units[unit] = observed.Unit{Active: true, Config: "old"}
			}
		}
	}
	c := planned(t, in)
	for _, node := range []string{"cp-1", "cp-2", "cp-3", "worker-1"} {
		before(t, c, "bring-programs@"+node, "etcd-snapshot", "node-drain@"+node, "use-programs@"+node, "restart@"+node, "node-ready@"+node, "node-uncordon@"+node, "activate@"+node)
	}
	before(t, c, "use-programs@cp-2", "lb-drain@cp-2", "restart@cp-2/kube-apiserver", "lb-restore@cp-2", "check-cluster@cp-2", "node-drain@cp-3", "check-cluster@cp-3",
		"node-drain@cp-1", "check-cluster@cp-1", "restart@cp-1/through", "node-drain@worker-1", "check-cluster@worker-1")
	for _, s := range c.Steps {
		if s.Verb == CreateMachine || s.Verb == RemoveMember || s.Verb == RemoveMachine || s.Node == "lb-1" {
			t.Errorf("%s in an upgrade in place", s.ID)
		}
		if cp, through := strings.HasPrefix(s.Node, "cp-"), strings.HasSuffix(s.ID, "/through"); s.Interim != (cp && !through) {
			t.Errorf("%s: interim %v", s.ID, s.Interim)
		}
	}
}

// An upgrade that is cut off anywhere and planned again ends with every machine made anew once more at most, and with
// quorum at each step.
func TestUpgradesGoOn(t *testing.T) {
	outer := t
	rapid.Check(t, func(t *rapid.T) {
		names := rapid.SampledFrom([][]string{{"cp-1", "cp-2", "cp-3", "worker-1", "lb-1"}, {"cp-1", "cp-2", "cp-3", "cp-4", "cp-5", "worker-1", "worker-2", "lb-1"},
			{"cp-1", "cp-2", "etcd-1", "etcd-2", "etcd-3", "worker-1", "lb-1"}}).Draw(t, "nodes")
		in := upgrading(wanted(outer, names...), rapid.Bool().Draw(t, "down"))
		anew := in.Replace
		w, made := &world{in: in}, map[string]int{}
		for round := 0; ; round++ {
			if round > 12 {
				t.Fatalf("not upgraded after %d runs", round)
			}
			w.in.Replace = nil // as the record has it: those that were not made anew yet
			for _, name := range anew {
				if made[name] == 0 {
					w.in.Replace = append(w.in.Replace, name)
				}
			}
			c, err := Plan(w.in)
			if err != nil {
				t.Fatal(err)
			}
			if c.Nothing() {
				break
			}
			stop := len(c.Steps)
			if round < 8 {
				stop = rapid.IntRange(1, len(c.Steps)+5).Draw(t, "cut off at")
			}
			for i, s := range c.Steps {
				if i == stop {
					break
				}
				if err := Check(s, w.in.Wanted.Nodes[slices.IndexFunc(w.in.Wanted.Nodes, func(n topology.Node) bool { return n.Name == s.Node || s.Node == "" })], w.in.Observed); err != nil {
					t.Fatalf("%s: %v", s.ID, err)
				}
				w.do(s)
				if s.Verb == CreateMachine {
					made[s.Node]++
				}
				if v := w.in.Observed.Etcd.Voting(); !v.HasQuorum() {
					t.Fatalf("%s leaves etcd without quorum: %v", s.ID, v)
				}
			}
		}
		for _, name := range anew {
			if made[name] != 1 {
				t.Errorf("%s was made anew %d times", name, made[name])
			}
		}
	})
}
