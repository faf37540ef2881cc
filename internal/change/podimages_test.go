package change

import (
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/haplane/haplane/internal/observed"
)

const (
	older = "haplane.local/coredns:v1"
	newer = "haplane.local/coredns:v2"
)

// otherPods has machines with one version of CoreDNS' image, and an upgrade that leads to another one.
func otherPods(in Input, have, want string) Input {
	for name, m := range in.Observed.Machines {
		if n, _ := in.Wanted.Node(name); in.Wanted.RunsKubelet(n) {
			m.Images = nil
			if have == want {
				m.Images = []string{want}
			}
			in.Observed.Machines[name] = m
		}
	}
	in.Upgrade.Images = []string{want}
	if have != want {
		in.Objects = []Reason{{What: "Deployment coredns", New: "changed"}}
	}
	return in
}

// inPlace is an upgrade that leaves the machines, with programs that differ or without.
func inPlace(in Input, programs bool) Input {
	in.Upgrade.Left, in.Replace, in.Upgrade.InPlace, in.Upgrade.Programs = in.Replace, nil, true, programs
	for name, m := range in.Observed.Machines {
		for unit := range m.Units {
			if name != "lb-1" && unit != "etcd" && programs {
				m.Units[unit] = observed.Unit{Active: true, Config: "old"}
			}
		}
	}
	return in
}

var upgradable = []string{"cp-1", "cp-2", "cp-3", "worker-1", "lb-1"}

// Both ways and in place, each machine has the images of the version that is led to, and pods use these, before anything stops.
func TestPodsMoveBeforeTheTurns(t *testing.T) {
	for name, in := range map[string]Input{
		"forward":  otherPods(upgrading(wanted(t, upgradable...), false), older, newer),
		"back":     otherPods(upgrading(wanted(t, upgradable...), true), newer, older),
		"in place": inPlace(otherPods(upgrading(wanted(t, upgradable...), false), older, newer), true),
	} {
		t.Run(name, func(t *testing.T) {
			c := planned(t, in)
			for _, node := range upgradable[:4] {
				before(t, c, "bring-images@"+node, Snapshot, ApplyManifests, DNSReady, "node-drain@"+node, "check-cluster@"+node)
				if reaches(c, "bring-images@"+node, "bring-images@cp-1") && node != "cp-1" {
					t.Errorf("%s waits for cp-1", node)
				}
			}
			if s, _ := c.Step("bring-images@worker-1"); len(s.Why) != 1 || s.Why[0].New != in.Upgrade.Images[0] {
				t.Errorf("why: %v", s.Why)
			}
			if _, ok := c.Step("bring-images@lb-1"); ok {
				t.Error("a load balancer has no pods")
			}
			if ids := ids(c); slices.Index(ids, ApplyManifests) != slices.Index(ids, DNSReady)-1 {
				t.Errorf("%v", ids)
			}
		})
	}
}

// Where no image differs none is brought; that pods are of one version is looked at all the same: an earlier run may have told them.
func TestPodsOfTheSameVersion(t *testing.T) {
	c := planned(t, otherPods(upgrading(wanted(t, upgradable...), false), newer, newer))
	before(t, c, Snapshot, DNSReady, "node-drain@cp-2")
	for _, s := range c.Steps {
		if s.Verb == BringImages || s.Verb == ApplyManifests {
			t.Errorf("%s", s.ID)
		}
	}
}

// A run that was killed goes on with what is left: machines that have the images get them no second time, and one that came back without
// them, gets them.
func TestPodsThatMovedInParts(t *testing.T) {
	in := otherPods(upgrading(wanted(t, upgradable...), false), older, newer)
	for name, m := range in.Observed.Machines {
		if name != "worker-1" && name != "lb-1" {
			m.Images = []string{newer}
			in.Observed.Machines[name] = m
		}
	}
	c := planned(t, in)
	if got := slices.DeleteFunc(ids(c), func(id string) bool { return !strings.HasPrefix(id, "bring-images") }); !slices.Equal(got, []string{"bring-images@worker-1"}) {
		t.Errorf("are brought: %v", got)
	}
	in.Objects, in.Replace = nil, []string{"cp-3", "worker-1"} // it was away when the others were told
	before(t, planned(t, in), "bring-images@worker-1", DNSReady, "node-drain@cp-3", "node-drain@worker-1")
}

// Whose pods nobody can move, a node that is not Ready or off, has its turn first: made anew, it has the images with its machine. One that
// stays gets them in its turn, when its containerd runs again.
func TestPodsOfNodesThatAreHurt(t *testing.T) {
	in := otherPods(upgrading(wanted(t, upgradable...), true), newer, older)
	dies(&in, "cp-2", false)
	in.Observed.Nodes["cp-2"], in.Observed.Nodes["cp-3"] = observed.Node{Reason: "NodeStatusUnknown"}, observed.Node{Reason: "KubeletNotReady"}
	c := planned(t, in)
	before(t, c, "bring-images@cp-1", ApplyManifests, "create-machine@cp-2", "check-cluster@cp-2", "node-drain@worker-1")
	for _, node := range []string{"cp-2", "cp-3"} {
		if _, ok := c.Step("bring-images@" + node); ok {
			t.Errorf("images are brought to %s, where containerd may not run", node)
		}
	}
	in = inPlace(otherPods(upgrading(wanted(t, "cp-1", "cp-2", "cp-3", "worker-1", "worker-2", "lb-1"), false), older, newer), true)
	in.Observed.Machines["worker-2"], in.Observed.Nodes["worker-2"] = observed.Machine{Made: true}, observed.Node{Reason: "NodeStatusUnknown"}
	in.Observed.Nodes["worker-1"] = observed.Node{Reason: "KubeletNotReady"}
	in.Observed.APIServers["cp-2"] = observed.APIServer{Error: "refused"} // mended first
	c = planned(t, in)
	before(t, c, "use-programs@worker-1", "restart@worker-1", "bring-images@worker-1", "node-ready@worker-1")
	before(t, c, "start-machine@worker-2", "check-cluster@cp-1", "start@worker-2", "bring-images@worker-2", "node-ready@worker-2")
	before(t, c, "start@cp-2", "bring-images@cp-2", Snapshot)
}

// Where the API does not answer, nobody can be told before the turns: manifests come last.
func TestPodsWhenTheAPIIsAway(t *testing.T) {
	in := otherPods(upgrading(wanted(t, upgradable...), true), newer, older)
	in.Observed.APISeen, in.Observed.Nodes = false, map[string]observed.Node{}
	c := planned(t, in)
	before(t, c, "bring-images@cp-1", "check-cluster@cp-1", ApplyManifests)
}

// In place, where nothing but pods' images differs, no node is drained: what it has now is written down.
func TestUpgradeInPlaceOfPodsAlone(t *testing.T) {
	in := inPlace(otherPods(upgrading(wanted(t, upgradable...), false), older, newer), false)
	c := planned(t, in)
	want := []string{"bring-images@cp-1", "bring-images@cp-2", "bring-images@cp-3", "bring-images@worker-1", Snapshot, ApplyManifests, DNSReady,
		"activate@cp-1", "activate@cp-2", "activate@cp-3", "activate@worker-1"}
	if got := ids(c); !slices.Equal(got, want) {
		t.Errorf("steps %v, want %v", got, want)
	}
	before(t, c, DNSReady, "activate@worker-1")
	in.Observed.Nodes["worker-1"] = observed.Node{Ready: true, Unschedulable: true, Drained: true} // by a run that was killed
	before(t, planned(t, in), DNSReady, "node-drain@worker-1", "node-uncordon@worker-1", "activate@worker-1")
	in.Observed.Nodes["worker-1"] = observed.Node{Ready: true}
	m := in.Observed.Machines["cp-2"]
	m.Units["kubelet"] = observed.Unit{Active: true, Config: "names another pause"}
	c = planned(t, in)
	before(t, c, "bring-images@cp-2", Snapshot, "node-drain@cp-2", "restart@cp-2", "node-uncordon@cp-2", "check-cluster@cp-2")
	for _, s := range c.Steps {
		if s.Verb == BringPrograms || s.Verb == UsePrograms {
			t.Errorf("%s, and none differs", s.ID)
		}
	}
}

// Forward and back, cut off anywhere and turned round, wherever a pod of CoreDNS may come to, at each step, the machine has the image that
// it is to have then; and at last all machines are of one version.
func TestPodsFindTheirImage(t *testing.T) {
	outer := t
	rapid.Check(t, func(t *rapid.T) {
		names := rapid.SampledFrom([][]string{upgradable, {"cp-1", "cp-2", "etcd-1", "etcd-2", "etcd-3", "worker-1", "worker-2", "lb-1"}}).Draw(t, "nodes")
		topo := wanted(outer, names...)
		w, of, pods := &world{in: upgrading(topo, false)}, map[string]string{}, older // by machine, and of the Deployment
		for _, name := range w.in.Replace {
			of[name] = older
		}
		w.images(func(string) []string { return []string{older} })
		target, rounds := newer, 0
		for {
			if rounds++; rounds > 12 {
				t.Fatalf("not of one version after %d runs", rounds)
			}
			w.in.Upgrade.Down, w.in.Replace, w.in.Objects = target == older, nil, nil
			for _, name := range names {
				if of[name] != "" && of[name] != target {
					w.in.Replace = append(w.in.Replace, name)
				}
			}
			if pods != target {
				w.in.Objects = []Reason{{What: "Deployment coredns"}}
			}
			for i := range w.in.Record {
				w.in.Record[i].Rejoin = false // the image of its machine tells
			}
			w.seeImages(target)
			c, err := Plan(w.in)
			if err != nil {
				t.Fatal(err)
			}
			if c.Nothing() {
				break
			}
			w.begin()
			stop := len(c.Steps)
			if rounds < 8 {
				stop = rapid.IntRange(1, len(c.Steps)+5).Draw(t, "cut off at")
			}
			for i, s := range c.Steps {
				if i == stop {
					break
				}
				w.do(s)
				switch n, _ := topo.Node(s.Node); {
				case s.Verb == ApplyManifests:
					pods = target
				case s.Verb == BringImages:
					w.has[s.Node] = append(w.has[s.Node], target)
				case s.Verb == CreateMachine:
					of[s.Node] = target
					if w.has[s.Node] = nil; topo.RunsKubelet(n) {
						w.has[s.Node] = []string{target}
					}
				}
				for _, n := range topo.KubeletNodes() {
					if w.in.Observed.Machines[n.Name].Made && !slices.Contains(w.has[n.Name], pods) {
						t.Fatalf("after %s a pod may come to %s, which has no %s", s.ID, n.Name, pods)
					}
				}
			}
			if rounds < 8 && rapid.Bool().Draw(t, "turned round") {
				target = map[string]string{older: newer, newer: older}[target]
			}
		}
		for name, version := range of {
			if version != target || pods != target {
				t.Errorf("%s is of %s and pods of %s, wanted %s", name, version, pods, target)
			}
		}
	})
}

// images has each machine with a kubelet have some.
func (w *world) images(of func(node string) []string) {
	w.has = map[string][]string{}
	for _, n := range w.in.Wanted.KubeletNodes() {
		w.has[n.Name] = of(n.Name)
	}
}

// seeImages looks at which machines have the one that is wanted.
func (w *world) seeImages(target string) {
	w.in.Upgrade.Images = []string{target}
	for name, m := range w.in.Observed.Machines {
		m.Images = nil
		if slices.Contains(w.has[name], target) {
			m.Images = []string{target}
		}
		w.in.Observed.Machines[name] = m
	}
}
