package change

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/haplane/haplane/internal/observed"
	"github.com/haplane/haplane/internal/render"
	"github.com/haplane/haplane/internal/topology"
)

// lostAll is a restore in a cluster of which the machines of some nodes are gone, so that they are made anew first.
func lostAll(t *testing.T, names []string, gone ...string) Input {
	t.Helper()
	in := asked(t, Task{ID: "x", Kind: RestoreData, Made: gone}, names...)
	for _, n := range in.Wanted.EtcdMembers() {
		in.Task.Members = append(in.Task.Members, n.Name)
	}
	for _, name := range gone {
		dies(&in, name, true)
	}
	return in
}

// Machines are made before data comes, no etcd starts before all have it, and nothing else before the API takes writes.
func TestRestoreOnNewMachines(t *testing.T) {
	external := []string{"cp-1", "cp-2", "etcd-1", "etcd-2", "etcd-3", "worker-1", "lb-1"}
	for name, test := range map[string]struct {
		names, gone []string
		order       [][]string
		without     []string // parts of steps
	}{
		"the control plane is gone": {threeNodes, []string{"cp-1", "cp-2", "cp-3"}, [][]string{
			{"remove-machine@cp-1", "create-machine@cp-1", "write-files@cp-1", "etcd-stage@cp-1", "etcd-swap@cp-3", "start@cp-2/etcd", "start@cp-1/kube-apiserver", "start@cp-1/controllers", "node-register@worker-1", "activate@cp-1"},
			{"start@cp-3/etcd", "write-object", "release-leases", "start@cp-2/controllers"},
			{"write-object", "endpoints-release", "etcd-drop@cp-1"},
			{"write-object", "start@cp-1/node", "node-register@cp-1", "activate@cp-2"},
		}, []string{"halt@", "@lb-1", "create-machine@worker-1"}},
		"all is gone": {threeNodes, threeNodes, [][]string{
			{"write-files@lb-1", "start@lb-1/node", "write-object"},
			{"start@cp-3/kube-apiserver", "start@lb-1/node"},
			{"write-object", "start@worker-1/node", "node-register@worker-1", "activate@lb-1"},
		}, []string{"halt@"}},
		"etcd is gone": {external, []string{"etcd-1", "etcd-2", "etcd-3"}, [][]string{
			{"write-files@etcd-1", "etcd-stage@etcd-1", "halt@cp-1/kube-apiserver", "etcd-swap@etcd-2", "start@etcd-3/etcd", "start@cp-1/kube-apiserver", "activate@etcd-1"},
		}, []string{"halt@etcd", "create-machine@cp", "etcd-stage@cp"}},
		"the API servers are gone": {external, []string{"cp-1", "cp-2"}, [][]string{
			{"write-files@cp-1", "halt@etcd-1/etcd", "etcd-swap@etcd-2", "start@etcd-3/etcd", "start@cp-1/kube-apiserver", "activate@cp-1"},
		}, []string{"create-machine@etcd", "halt@cp"}},
	} {
		t.Run(name, func(t *testing.T) {
			in := lostAll(t, test.names, test.gone...)
			c, err := Restore(in)
			if err != nil {
				t.Fatal(err)
			}
			for _, order := range test.order {
				before(t, c, order...)
			}
			for _, part := range test.without {
				if i := slices.IndexFunc(ids(c), func(id string) bool { return strings.Contains(id, part) }); i >= 0 {
					t.Errorf("step %s", ids(c)[i])
				}
			}
			for _, s := range c.Steps {
				_, wanted := in.Wanted.Node(s.Node)
				if !wanted && s.Node != "" {
					t.Errorf("step %s", s.ID)
				}
			}
		})
	}
}

// Cut off, the same goes on: what runs by then is stopped before data is exchanged, and a machine that was lost again gets its data again.
func TestRestoreOnNewMachinesGoesOn(t *testing.T) {
	in := lostAll(t, threeNodes, "cp-1", "cp-2", "cp-3")
	for _, name := range []string{"cp-1", "cp-2"} { // they were made
		in.Observed.Machines[name] = healthy(in.Wanted).Observed.Machines[name]
	}
	c, err := Restore(in)
	if err != nil {
		t.Fatal(err)
	}
	before(t, c, "write-files@cp-1", "etcd-stage@cp-1", "halt@cp-2/etcd", "etcd-swap@cp-3", "start@cp-1/etcd", "activate@cp-1")
	before(t, c, "create-machine@cp-3", "etcd-stage@cp-3")
	if slices.Contains(ids(c), "create-machine@cp-1") || slices.Contains(ids(c), "remove-machine@cp-1") {
		t.Errorf("steps %v", ids(c))
	}
	in.Done = []string{"etcd-swap@cp-1", "etcd-swap@cp-2", "etcd-swap@cp-3"}
	if c, _ = Restore(in); !slices.Contains(ids(c), "etcd-swap@cp-3") {
		t.Errorf("cp-3 was lost with its data: %v", ids(c))
	}
	in.Observed.Machines["cp-3"] = in.Observed.Machines["cp-1"]
	if c, _ = Restore(in); slices.ContainsFunc(c.Steps, func(s Step) bool { return s.Verb == Halt || s.Verb == SwapData }) {
		t.Errorf("all have the data: %v", ids(c))
	}
	before(t, c, "write-files@cp-3", "start@cp-1/etcd", "activate@cp-3")
}

// Nothing that serves is stopped for a way back where nobody has other data yet; and where somebody has, everybody goes back.
func TestRestoreBack(t *testing.T) {
	off := func(in *Input) { dies(in, "cp-3", false) }
	for name, test := range map[string]struct {
		begun   []string
		edit    func(*Input)
		steps   string // all of them, where nothing is exchanged
		refused bool
		warns   bool
	}{
		"nothing was begun":              {nil, func(*Input) {}, "etcd-drop@cp-1 etcd-drop@cp-2 etcd-drop@cp-3", false, false},
		"nothing was stopped":            {[]string{"etcd-stage@cp-1"}, func(*Input) {}, "etcd-drop@cp-1 etcd-drop@cp-2 etcd-drop@cp-3", false, false},
		"nothing, and a member is off":   {[]string{"etcd-stage@cp-3"}, off, "etcd-drop@cp-1 etcd-drop@cp-2", false, true},
		"all has its data, and stopped":  {[]string{"halt@cp-1/kube-apiserver"}, func(*Input) {}, "start@cp-1/etcd", false, false},
		"some have other data":           {[]string{"etcd-swap@cp-1"}, func(*Input) {}, "", false, false},
		"some have, and a member is off": {[]string{"etcd-swap@cp-1"}, off, "", true, false},
		"a way back that was cut off":    {[]string{"etcd-swap-back@cp-1"}, func(*Input) {}, "", false, false},
	} {
		t.Run(name, func(t *testing.T) {
			in := asked(t, Task{ID: "x", Kind: RestoreData, Members: []string{"cp-1", "cp-2", "cp-3"}}, threeNodes...)
			in.Begun = test.begun
			test.edit(&in)
			c, err := RestoreBack(in)
			var refused *Refused
			if errors.As(err, &refused) != test.refused {
				t.Fatal(err)
			}
			if err != nil {
				return
			}
			steps := strings.Join(ids(c), " ")
			stops := slices.ContainsFunc(c.Steps, func(s Step) bool { return s.Verb == Halt })
			if stops != (test.steps == "") || !strings.HasPrefix(steps, test.steps) || (len(c.Warnings()) > 0) != test.warns {
				t.Errorf("steps %s, warnings %v", steps, c.Warnings())
			}
		})
	}
}

// Where etcd was on its way to machines of its own, API servers ask these when they start again.
func TestRestoreInTheMiddleOfAMove(t *testing.T) {
	in := become(t, []string{"cp-1", "cp-2", "cp-3", "lb-1"}, []string{"cp-1", "cp-2", "cp-3", "etcd-1", "etcd-2", "etcd-3", "lb-1"})
	in.Moving = true
	in.Task = &Task{ID: "x", Kind: RestoreData, Interrupts: "haplane apply", Members: []string{"etcd-1", "etcd-2", "etcd-3"}, Made: []string{"etcd-1", "etcd-2", "etcd-3"}}
	dies(&in, "cp-2", true)
	dies(&in, "cp-3", true)
	c, err := Restore(in)
	if err != nil {
		t.Fatal(err)
	}
	before(t, c, "etcd-stage@etcd-1", "halt@cp-1/kube-apiserver", "write-files@cp-1", "etcd-swap@etcd-1", "start@etcd-2/etcd", "start@cp-1/kube-apiserver")
	in.Task.Interrupts = ""
	if c, _ = Restore(in); slices.Contains(ids(c), "write-files@cp-1") {
		t.Errorf("steps %v", ids(c))
	}
}

// A member that is lost after the data was written to is left out, and made anew as one that joins.
func TestAMemberThatForgotIsLeftOut(t *testing.T) {
	in := lostAll(t, threeNodes, "cp-1", "cp-2", "cp-3")
	for _, name := range []string{"cp-1", "cp-2"} { // they were made
		in.Observed.Machines[name] = healthy(in.Wanted).Observed.Machines[name]
	}
	in.Done = []string{"etcd-swap@cp-1", "etcd-swap@cp-2", "etcd-swap@cp-3", WriteObject}
	c, err := Restore(in)
	if err != nil {
		t.Fatal(err)
	}
	if i := slices.IndexFunc(c.Steps, func(s Step) bool { return s.Node == "cp-3" || s.Verb == Halt || s.Verb == SwapData }); i >= 0 {
		t.Errorf("step %s", c.Steps[i].ID)
	}
	next := healthy(in.Wanted)
	dies(&next, "cp-3", true)
	for i := range next.Record {
		if next.Record[i].Name == "cp-3" {
			next.Record[i].State = Joining
		}
	}
	if c, err = Plan(next); err != nil {
		t.Fatal(err)
	}
	before(t, c, "member-remove@cp-3", "member-add@cp-3", "activate@cp-3")
	before(t, c, "create-machine@cp-3", "member-add@cp-3")
}

// Machines that take snapshots with another haplane's program get that of now before anything stops: one that is older may keep snapshots of
// data that goes again, in the place of those that are good.
func TestWhoTakesSnapshotsKnowsOfTheRestore(t *testing.T) {
	in := asked(t, Task{ID: "x", Kind: RestoreData, Members: []string{"cp-1", "cp-2", "cp-3"}}, threeNodes...)
	for _, n := range in.Wanted.EtcdMembers() {
		m := in.Desired[n.Name]
		m.Units = append(slices.Clone(m.Units), render.Unit{Name: "haplane-snapshots", Config: "new"})
		in.Desired[n.Name] = m
		seen := map[string]string{"cp-1": "old", "cp-2": "new"}[n.Name]
		in.Observed.Machines[n.Name].Units["haplane-snapshots"] = observed.Unit{Active: seen != "", Config: seen}
	}
	for name, done := range map[string][]string{"from the start": nil, "cut off": {"etcd-swap@cp-1", "etcd-swap@cp-2", "etcd-swap@cp-3"}} {
		t.Run(name, func(t *testing.T) {
			in.Done = done
			c, err := Restore(in)
			if err != nil {
				t.Fatal(err)
			}
			next := "halt@cp-2/kube-apiserver"
			if done != nil {
				next = "start@cp-2/etcd"
			}
			before(t, c, "write-files@cp-1/haplane-snapshots", "restart@cp-1/haplane-snapshots", next)
			written, _ := c.Step("write-files@cp-1/haplane-snapshots")
			if want := []string{render.AgentBinary, topology.UnitDir + "/haplane-snapshots.service"}; !slices.Equal(written.Files, want) {
				t.Errorf("writes %v", written.Files)
			}
			for _, id := range ids(c) {
				if strings.HasSuffix(id, "/haplane-snapshots") && !strings.Contains(id, "@cp-1/") {
					t.Errorf("step %s", id) // it has it, or takes none
				}
			}
		})
	}
}

// The Secrets of a snapshot that has its own key are rewritten before what was kept goes; API servers get that key to read with before they start, and on the
// way back lose it before they do.
func TestRestoreWithAKeyOfItsOwn(t *testing.T) {
	in := asked(t, Task{ID: "x", Kind: RestoreData, Members: []string{"cp-1", "cp-2", "cp-3"}, Encryption: "key1 0123456789abcdef"}, threeNodes...)
	c, err := Restore(in)
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range []string{"cp-1", "cp-2", "cp-3"} {
		before(t, c, "halt@"+n+"/kube-apiserver", "write-files@"+n, "start@cp-1/kube-apiserver", RewriteSecrets, ProveUnused, "etcd-drop@"+n)
		before(t, c, "write-files@"+n, WriteObject)
		before(t, c, "start@"+n+"/controllers", RewriteSecrets)
	}
	for _, s := range c.Steps {
		if s.Verb == WriteFiles && !strings.HasPrefix(s.Node, "cp-") {
			t.Errorf("step %s", s.ID)
		}
	}
	in.Done = []string{"etcd-swap@cp-1", "etcd-swap@cp-2", "etcd-swap@cp-3", WriteObject}
	if c, _ = Restore(in); slices.ContainsFunc(c.Steps, func(s Step) bool { return s.Verb == Halt || s.Verb == WriteFiles }) {
		t.Errorf("all have the data, and the key to read it: %v", ids(c))
	}
	before(t, c, WriteObject, RewriteSecrets, ProveUnused, "etcd-drop@cp-1")
	in.Begun = []string{"etcd-swap@cp-1"}
	back, err := RestoreBack(in)
	if err != nil {
		t.Fatal(err)
	}
	before(t, back, "halt@cp-2/etcd", "write-files@cp-1", "etcd-swap-back@cp-3", "start@cp-1/kube-apiserver")
	in.Begun = []string{"halt@cp-1/kube-apiserver"}
	if back, err = RestoreBack(in); err != nil {
		t.Fatal(err)
	}
	before(t, back, "write-files@cp-2", "start@cp-1/etcd", "start@cp-1/kube-apiserver", "etcd-drop@cp-1")
	if slices.Contains(ids(back), RewriteSecrets) {
		t.Errorf("the way back rewrites Secrets: %v", ids(back))
	}
}
