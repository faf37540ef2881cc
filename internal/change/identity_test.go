package change

import (
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/haplane/haplane/internal/fileset"
	"github.com/haplane/haplane/internal/observed"
	"github.com/haplane/haplane/internal/render"
)

var handover = &Handover{Why: []Reason{{What: "endpoints"}}, Hold: true, Meanwhile: []string{"10.10.10.3:6443"},
	Then: []string{"10.10.10.11:6443", "10.10.10.12:6443", "10.10.10.13:6443"}}

// runsOld has programs of a node run with another configuration than they should.
func runsOld(in *Input, node string, programs ...string) {
	for _, u := range programs {
		in.Observed.Machines[node].Units[u] = observed.Unit{Active: true, Config: "old"}
	}
}

// otherIdentity is a cluster of three whose API servers are all to become of another kind.
func otherIdentity(t *testing.T) Input {
	in := healthy(wanted(t, three...))
	in.Handover = handover
	for _, node := range three[:3] {
		runsOld(&in, node, "kube-apiserver")
	}
	return in
}

func TestEndpointsAreHandedOver(t *testing.T) {
	in := otherIdentity(t)
	in.Last, in.Narrowed = map[string]render.Machine{}, []Reason{{What: "certificate apiserver"}}
	for _, node := range three[:3] {
		in.Last[node] = in.Desired[node]
	}
	c := plan(t, in)
	before(t, c, HoldEndpoints, "endpoints-set/meanwhile", "lb-drain@cp-1", "restart@cp-1/kube-apiserver", "lb-restore@cp-1",
		"restart@cp-2/kube-apiserver", "restart@cp-3/kube-apiserver", SetEndpoints, ReleaseEndpoints,
		"issue-certificates/last", "write-files@cp-2/last", "serve-certificate@cp-2/last")
	if s, _ := c.Step(SetEndpoints); !slices.Equal(s.Endpoints, handover.Then) {
		t.Errorf("in the end the endpoints are %v", s.Endpoints)
	}
}

// An API server that is mended is of the new kind, so the others keep off the endpoints first; where none
// serves there is nobody to ask.
func TestHoldsBeforeItMends(t *testing.T) {
	in := otherIdentity(t)
	in.Observed.APIServers["cp-2"] = observed.APIServer{Error: "refused"}
	before(t, plan(t, in), HoldEndpoints, "start@cp-2", "restart@cp-1/kube-apiserver")
	for _, node := range three[:3] {
		in.Observed.APIServers[node] = observed.APIServer{Error: "refused"}
	}
	before(t, plan(t, in), "start@cp-2", HoldEndpoints, ReleaseEndpoints)
}

func TestNothingToHoldAnyMore(t *testing.T) {
	in := healthy(wanted(t, three...))
	in.Handover = handover
	if got := ids(plan(t, in)); !slices.Equal(got, []string{SetEndpoints, ReleaseEndpoints}) {
		t.Errorf("all API servers are new, and steps are %v", got)
	}
}

// Cut off anywhere and run again: no API server that becomes another one does so while the endpoints are not
// held, they are released when all have, and in the end they are.
func TestNoEndpointsAreLost(t *testing.T) {
	outer := t
	rapid.Check(t, func(t *rapid.T) {
		in := otherIdentity(outer)
		for _, node := range three[:3] {
			if rapid.Bool().Draw(t, node+" is sick") && node != "cp-1" {
				in.Observed.APIServers[node] = observed.APIServer{Error: "refused"}
			}
		}
		w, held := &world{in: in}, false
		for round := 0; ; round++ {
			c, err := Plan(w.in)
			if err != nil {
				t.Fatal(err)
			}
			cut := len(c.Steps)
			if round < 4 {
				cut = rapid.IntRange(0, len(c.Steps)).Draw(t, "cut off")
			}
			var done []string
			for range cut {
				s := rapid.SampledFrom(slices.DeleteFunc(slices.Clone(c.Steps), func(s Step) bool {
					waits := slices.ContainsFunc(s.Needs, func(n string) bool { return !slices.Contains(done, n) })
					return waits || slices.Contains(done, s.ID)
				})).Draw(t, "step")
				switch n := w.in.Observed.Machines[s.Node]; {
				case s.Verb == HoldEndpoints:
					held = true
				case s.Verb == ReleaseEndpoints:
					held = false
					for _, node := range three[:3] {
						if w.in.Observed.Machines[node].Units["kube-apiserver"].Config != "new" {
							t.Fatalf("released while %s is of the old kind", node)
						}
					}
				case actsOnAPIServer(s, nodeIn(w.in.Record, s.Node)) && n.Units["kube-apiserver"].Config == "old" && !held:
					t.Fatalf("%s while the endpoints are not held", s.ID)
				}
				w.do(s)
				done = append(done, s.ID)
			}
			if round >= 4 {
				break
			}
		}
		if held {
			t.Fatal("the endpoints are held in the end")
		}
	})
}

// The load balancer serves its new place before anybody is told of it, and the old one until all have moved.
func TestLoadBalancerMoves(t *testing.T) {
	in := healthy(wanted(t, three...))
	in.Relocates = []Reason{{What: "spec.loadBalancer"}}
	stale := in.Observed.Machines["lb-1"]
	stale.Files = map[string]fileset.State{}
	in.Observed.Machines["lb-1"] = stale
	in.Last = map[string]render.Machine{"lb-1": in.Desired["lb-1"]}
	for _, node := range []string{"cp-1", "cp-2", "worker-1"} {
		runsOld(&in, node, "kubelet")
	}
	c := plan(t, in)
	for _, node := range []string{"cp-1", "cp-2", "worker-1"} {
		before(t, c, "lb-backends@lb-1/both", "restart@"+node, ClientsMoved, MoveKubeconfig, "lb-backends@lb-1/last")
	}
	if s, _ := c.Step("lb-backends@lb-1/last"); !s.Last || !slices.Equal(s.Backends, three[:3]) {
		t.Errorf("%+v", s)
	}
}

func TestKubeletsGo(t *testing.T) {
	in := healthy(wanted(t, three...))
	in.Wanted.KubeletOnCP = false
	for _, node := range three[:3] {
		in.Observed.Nodes[node] = observed.Node{Ready: true}
		m := in.Observed.Machines[node]
		m.Manifest = "/etc/file\n" + kubeletUnit + "\n"
		in.Observed.Machines[node] = m
		d := in.Desired[node]
		d.Units = slices.DeleteFunc(slices.Clone(d.Units), func(u render.Unit) bool { return u.Name == "kubelet" })
		delete(d.Files, kubeletUnit)
		in.Desired[node] = d
	}
	in.Objects = []Reason{{What: "Deployment coredns"}} // of which fewer run, when those that are there have moved
	c := plan(t, in)
	before(t, c, "node-delete@cp-3", ApplyManifests)
	before(t, c, "node-drain@cp-1", "kubelet-remove@cp-1", "write-files@cp-1", "node-delete@cp-1",
		"node-drain@cp-2", "kubelet-remove@cp-2", "write-files@cp-2", "node-delete@cp-2", "node-drain@cp-3")
	for _, s := range c.Steps {
		if actsOnAPIServer(s, nodeIn(in.Record, s.Node)) {
			t.Errorf("%s touches an API server", s.ID)
		}
	}
	delete(in.Observed.Nodes, "cp-1") // cut off, and what is left is done
	if _, drains := plan(t, in).Step("node-drain@cp-1"); drains {
		t.Error("a node that is none is drained")
	}
}

// A change that was to take the kubelets off was cut off after a drain, and goes back.
func TestKubeletsStay(t *testing.T) {
	in := healthy(wanted(t, three...))
	in.Observed.Nodes["cp-1"] = observed.Node{Ready: true, Unschedulable: true}
	if c := plan(t, in); !c.Nothing() {
		t.Errorf("a node that somebody cordoned: %v", ids(c))
	}
	in.KubeletsBack = true
	if c := plan(t, in); !c.Nothing() {
		t.Errorf("somebody's cordon is taken away: %v", ids(c))
	}
	in.Observed.Nodes["cp-1"] = observed.Node{Ready: true, Unschedulable: true, Drained: true}
	if got := ids(plan(t, in)); !slices.Equal(got, []string{"node-uncordon@cp-1"}) {
		t.Errorf("steps %v", got)
	}
}

func TestKubeletsCome(t *testing.T) {
	in := healthy(wanted(t, three...))
	for _, node := range three[:3] {
		in.Observed.Machines[node].Units["kubelet"] = observed.Unit{}
	}
	c := plan(t, in)
	for _, node := range three[:3] {
		before(t, c, "start@"+node, "node-ready@"+node)
	}
}

// Another load balancer with another address is there before the one that clients go through leaves, and API
// servers serve a certificate for both addresses before anybody goes to the new one.
func TestLoadBalancerIsReplacedBeforeItLeaves(t *testing.T) {
	in := become(t, three, []string{"cp-1", "cp-2", "cp-3", "worker-1", "lb-2"})
	in.Relocates, in.Readdressed = []Reason{{What: "spec.loadBalancer"}}, true
	in.Last, in.Narrowed = map[string]render.Machine{"cp-1": in.Desired["cp-1"]}, []Reason{{What: "certificate apiserver"}}
	for _, node := range three[:3] {
		m := in.Observed.Machines[node]
		delete(m.Files, servingCertificate)
		runsOld(&in, node, "kubelet")
	}
	runsOld(&in, "worker-1", "kubelet")
	c := plan(t, in)
	for _, node := range []string{"cp-1", "worker-1"} {
		before(t, c, "write-files@cp-2/certificate", "serve-certificate@cp-2/certificate", "restart@"+node, ClientsMoved)
		before(t, c, "create-machine@lb-2", "start@lb-2", "activate@lb-2", "restart@"+node, ClientsMoved, MoveKubeconfig,
			"clients-gone@lb-1", "stop@lb-1", "remove-machine@lb-1", "issue-certificates/last", "serve-certificate@cp-1/last")
	}
	if s, _ := c.Step("write-files@cp-2/certificate"); len(s.Files) != 2 {
		t.Errorf("%+v", s)
	}
	if len(c.Warnings()) > 0 {
		t.Errorf("warnings %v", c.Warnings())
	}
}

// The new load balancer is active already, of a run that was cut off: the old one still waits for its clients.
func TestLoadBalancerStaysUntilItsClientsMovedAlsoWhenResumed(t *testing.T) {
	in := become(t, three, []string{"cp-1", "cp-2", "cp-3", "worker-1", "lb-2"})
	in.Relocates = []Reason{{What: "spec.loadBalancer"}}
	lb, _ := in.Wanted.Node("lb-2")
	in.Record = append(in.Record, Node{Node: lb, State: Active})
	in.Observed.Machines["lb-2"] = healthy(in.Wanted).Observed.Machines["lb-2"]
	runsOld(&in, "worker-1", "kubelet")
	c := plan(t, in)
	before(t, c, "restart@worker-1", ClientsMoved, MoveKubeconfig, "clients-gone@lb-1", "stop@lb-1", "remove-machine@lb-1")
	if len(c.Warnings()) > 0 {
		t.Errorf("warnings %v", c.Warnings())
	}
}
