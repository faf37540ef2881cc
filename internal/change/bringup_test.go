package change

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/haplane/haplane/internal/observed"
)

// nothing is a cluster of which there is nothing yet.
func nothing(t *testing.T, names ...string) Input {
	t.Helper()
	in := healthy(wanted(t, names...))
	in.Record, in.Observed = nil, observed.State{}
	in.Issued = []Reason{{What: "certificate ca", New: "there is none"}}
	return in
}

func TestBringUpOfNothing(t *testing.T) {
	c := BringUp(nothing(t, three...))
	for _, node := range three {
		before(t, c, IssueCertificates, "create-machine@"+node, "write-files@"+node, "activate@"+node)
		if node != "worker-1" {
			before(t, c, "write-files@"+node, "start@"+node+"/api")
		}
		if node == "lb-1" {
			continue
		}
		for _, serving := range []string{"cp-1", "cp-2", "cp-3", "lb-1"} {
			before(t, c, "start@"+serving+"/api", "start@"+node+"/node", "node-ready@"+node, "activate@"+node)
		}
		before(t, c, "node-ready@"+node, DNSReady)
	}
	before(t, c, "start@cp-2/api", ApplyManifests, DNSReady)
	before(t, c, "start@cp-3/api", "start@lb-1/api")
	if s, _ := c.Step("start@cp-1/api"); !slices.Equal(s.Units, []string{"etcd", "kube-apiserver"}) {
		t.Errorf("the API of cp-1 are %v", s.Units)
	}
	for _, s := range c.Steps { // nobody is the first one
		for _, need := range s.Needs {
			if one, _ := c.Step(need); s.Node != "lb-1" && s.Verb == one.Verb && s.Kind() == one.Kind() {
				t.Errorf("%s waits for %s", s.ID, need)
			}
		}
	}
}

// What an earlier run has made stays, and is started with what it has.
func TestBringUpOfWhatIsThereInPart(t *testing.T) {
	in := healthy(wanted(t, three...))
	in.Observed.Machines["cp-2"] = observed.Machine{Made: true}
	stale := in.Observed.Machines["cp-3"]
	stale.Files = nil
	in.Observed.Machines["cp-3"] = stale
	var made []string
	for _, s := range BringUp(in).Steps {
		if s.Verb == IssueCertificates || s.Verb == CreateMachine || s.Verb == WriteFiles {
			made = append(made, s.ID)
		}
	}
	if diff := cmp.Diff([]string{"create-machine@cp-2", "write-files@cp-2", "write-files@cp-3"}, made); diff != "" {
		t.Error(diff)
	}
}

// A cluster is started again without a change to anything on it.
func TestResume(t *testing.T) {
	in := healthy(wanted(t, append(slices.Clone(three), "etcd-1", "etcd-2", "etcd-3")...))
	for _, node := range []string{"cp-2", "lb-1"} {
		in.Observed.Machines[node] = observed.Machine{Made: true}
	}
	c := Resume(in)
	want := []string{"start-machine@cp-2", "start-machine@lb-1", "serve@cp-1", "serve@cp-2", "serve@cp-3", "serve@lb-1", "serve@etcd-1", "serve@etcd-2", "serve@etcd-3",
		"node-ready@cp-1", "node-ready@cp-2", "node-ready@cp-3", "node-ready@worker-1", DNSReady}
	got := ids(c)
	slices.Sort(want)
	slices.Sort(got)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	before(t, c, "start-machine@cp-2", "serve@cp-2", "node-ready@worker-1", DNSReady)
}

func TestKindOfAStep(t *testing.T) {
	var kinds []string
	for _, s := range BringUp(nothing(t, three...)).Steps {
		if len(kinds) == 0 || kinds[len(kinds)-1] != s.Kind() {
			kinds = append(kinds, s.Kind())
		}
	}
	if text := strings.Join(kinds, " "); strings.Contains(text, "@") || !strings.HasPrefix(text, "issue-certificates create-machine") || !slices.Contains(kinds, "start/api") {
		t.Errorf("kinds %s", text)
	}
}
