package change

import (
	"slices"
	"strings"
	"testing"

	"github.com/haplane/haplane/internal/observed"
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

// All balancers know of one that joins before its keepalived starts, and it serves before it is behind them.
func TestControlPlaneNodeJoinsWithItsLoadBalancer(t *testing.T) {
	c := plan(t, onNodes(t, planes, append(slices.Clone(planes), "cp-4")))
	for _, lb := range []string{"cp-1", "cp-2", "cp-3"} {
		before(t, c, "start@cp-4/kube-apiserver", "lb-backends@"+lb+"/join", "lb-backends@cp-4/join", "activate@cp-4")
	}
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

// One that leaves gives the address away first; its pods go before its API server, which its kubelet asks.
func TestControlPlaneNodeLeavesWithItsLoadBalancer(t *testing.T) {
	c := plan(t, onNodes(t, append(slices.Clone(planes), "cp-4"), planes))
	before(t, c, "address-move@cp-4", "lb-drain@cp-4", "stop@cp-4/kube-apiserver", "lb-backends@cp-1/without-cp-4", "stop@cp-4", "remove-machine@cp-4")
	before(t, c, "node-drain@cp-4", "stop@cp-4/kube-apiserver")
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
	before(t, c, "address-move@cp-2", "lb-drain@cp-2", "lb-backends@cp-1/without-cp-2", "remove-machine@cp-2", "start@cp-2/kube-apiserver",
		"lb-backends@cp-1/join", "lb-backends@cp-2/join", "activate@cp-2")
}

// One that is dead gives nothing away, and is not told: the others are.
func TestDeadControlPlaneNodeIsMadeAnewWithItsLoadBalancer(t *testing.T) {
	in := onNodes(t, planes, planes)
	dies(&in, "cp-2", true)
	in.Replace = []string{"cp-2"}
	c := plan(t, in)
	lacks(t, c, MoveAddress)
	before(t, c, "lb-backends@cp-1/without-cp-2", "start@cp-2/kube-apiserver", "lb-backends@cp-3/join", "lb-backends@cp-2/join")
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
	before(t, c, "lb-backends@cp-1/mended", "lb-backends@cp-2/join", "lb-backends@cp-4/join")
	before(t, c, "address-allow@cp-3", "member-add@cp-4")
	if s, _ := c.Step("lb-backends@cp-1/mended"); !slices.Equal(s.Balancers, []string{"cp-1", "cp-2", "cp-3"}) {
		t.Errorf("%+v", s)
	}
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
	before(t, c, "lb-backends@cp-1/join", "lb-backends@cp-4/join", "address-move@cp-3", "lb-backends@cp-4/without-cp-3")
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
			before(t, c, "address-move@cp-4", "lb-backends@cp-1/without-cp-4", "remove-machine@cp-4")
		})
	}
}
