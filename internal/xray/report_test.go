package xray

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/haplane/haplane/internal/xray/evidence"
	"github.com/haplane/haplane/internal/xray/evidence/evidencetest"
	"github.com/haplane/haplane/spec"
)

// partial are the ways that show a part only, as they leave each healthy cluster.
var partial = map[evidence.Way]func(*evidence.Evidence) *evidence.Evidence{
	evidence.API: evidencetest.APIOnly, evidence.Folder: evidencetest.Folder,
}

// What a way does not show is a skip with a reason, and no way invents a failure.
func TestWhatAWayDoesNotShowIsSkipped(t *testing.T) {
	for way, leave := range partial {
		for name, cluster := range clusters {
			t.Run(string(way)+"/"+name, func(t *testing.T) {
				warnings := slices.Concat(deserved[name], deserved[string(way)+"/"+name])
				for _, f := range Evaluate(leave(cluster()), Options{}).Findings {
					c, _ := Find(f.Check)
					switch {
					case f.Status == Skip && f.Observed == "":
						t.Errorf("no reason\n%s", show([]Finding{f}))
					case f.Status != Skip && !slices.Contains(c.Needs, way):
						t.Errorf("not to be seen this way\n%s", show([]Finding{f}))
					case f.Status == Fail || f.Status == Error || f.Status == Warn && !slices.Contains(warnings, f.Check):
						t.Errorf("nothing is wrong\n%s", show([]Finding{f}))
					}
				}
			})
		}
	}
}

func TestReasonsNameTheWaysIn(t *testing.T) {
	s := NewScene(&evidence.Evidence{Ways: []evidence.Way{evidence.Folder}}, Expectation{})
	tests := []struct {
		needs []evidence.Way
		want  string
	}{
		{[]evidence.Way{evidence.API}, "seen only with the API (--kubeconfig)"},
		{fromMachines, "seen only with machines over SSH (--machines or a cluster file)"},
		{[]evidence.Way{evidence.Machines, evidence.API}, "seen only with machines over SSH (--machines or a cluster file) or the API (--kubeconfig)"},
		{anyWay, "nothing that it judges was found"},
	}
	for _, test := range tests {
		c := Check{ID: "x", Needs: test.needs, Run: func(*Scene) []Finding { return nil }}
		found := c.findings(s)
		if len(found) != 1 || found[0].Status != Skip || found[0].Observed != test.want {
			t.Errorf("needs %v: want a skip that says %q, got\n%s", test.needs, test.want, show(found))
		}
	}
}

// A finding has its check's name and, where something is to be mended, its fix.
func TestFindingsAreFilledIn(t *testing.T) {
	statuses := []Status{Fail, Warn, Error, Skip, Pass}
	c := Check{ID: "x", Subject: Etcd, Title: "It is so", Fix: "Make it so.", Run: func(*Scene) []Finding {
		var out []Finding
		for _, s := range statuses {
			out = append(out, Finding{Status: s}, Finding{Status: s, Fix: "Own."})
		}
		return out
	}}
	want := []string{"Make it so.", "Own.", "Make it so.", "Own.", "", "Own.", "", "", "", ""}
	var got []string
	for _, f := range c.findings(nil) {
		got = append(got, f.Fix)
		if f.Check != "x" || f.Subject != Etcd || f.Title != "It is so" {
			t.Errorf("not filled in: %+v", f)
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("fixes (-want +got):\n%s", diff)
	}
}

func TestFindingsAreInOrder(t *testing.T) {
	e := evidencetest.Healthy(spec.Shared)
	evidencetest.Fail(e, "cp-3")
	rank := func(f Finding) int {
		return slices.Index(subjects, f.Subject)*len(statuses) + slices.Index(statuses, f.Status)
	}
	found := Evaluate(e, Options{}).Findings
	if !slices.IsSortedFunc(found, func(a, b Finding) int { return rank(a) - rank(b) }) {
		t.Errorf("not by subject, the worst first:\n%s", show(found))
	}
	if len(found) == 0 || found[0].Subject != Article {
		t.Errorf("the first finding is not of %s:\n%s", Article, show(found))
	}
}

func TestOnlyAndSkip(t *testing.T) {
	ids := func(o Options) []string {
		var out []string
		for _, f := range Evaluate(evidencetest.Healthy(spec.Shared), o).Findings {
			out = append(out, f.Check)
		}
		return slices.Compact(out)
	}
	if diff := cmp.Diff([]string{"clock-skew", "coredns-spread"}, ids(Options{Only: []string{"coredns-spread", "clock-skew"}})); diff != "" {
		t.Errorf("only (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"clock-skew"}, ids(Options{Only: []string{"coredns-spread", "clock-skew"}, Skip: []string{"coredns-spread"}})); diff != "" {
		t.Errorf("only and skip (-want +got):\n%s", diff)
	}
	if got := ids(Options{Skip: []string{"clock-skew"}}); slices.Contains(got, "clock-skew") || !slices.Contains(got, "coredns-spread") {
		t.Errorf("skipped one, got %v", got)
	}
}

// The verdict on failures does not depend on which checks were chosen.
func TestVerdictCountsWhatWasChosen(t *testing.T) {
	e := evidencetest.Healthy(spec.Shared)
	evidencetest.Fail(e, "cp-3")
	all, one := Evaluate(e, Options{}).Verdict, Evaluate(e, Options{Only: []string{"nodes-ready"}}).Verdict
	if one.Counts[Fail] != 1 || !strings.HasSuffix(one.Summary, "; 1 finding failed") {
		t.Errorf("want one failed finding: %v, %s", one.Counts, one.Summary)
	}
	if diff := cmp.Diff(all.ToleratedFailures, one.ToleratedFailures); diff != "" || all.ToleratedFailures == nil {
		t.Errorf("tolerated failures (-all +one):\n%s", diff)
	}
}

func TestFailedAndBlind(t *testing.T) {
	tests := []struct {
		counts             map[Status]int
		fail, warn, unseen bool
	}{
		{map[Status]int{Pass: 3, Skip: 2}, false, false, false},
		{map[Status]int{Warn: 1}, false, true, false},
		{map[Status]int{Fail: 1}, true, true, false},
		{map[Status]int{Error: 1}, false, false, true},
	}
	for _, test := range tests {
		r := Report{Verdict: Verdict{Counts: test.counts}}
		if r.Failed(Fail) != test.fail || r.Failed(Warn) != test.warn || r.Blind() != test.unseen {
			t.Errorf("%v: failed %t, with warnings %t, blind %t", test.counts, r.Failed(Fail), r.Failed(Warn), r.Blind())
		}
	}
}

// Judging changes nothing, and comes to the same again.
func TestEvaluateIsPure(t *testing.T) {
	for name, cluster := range clusters {
		e := cluster()
		first := Evaluate(e, Options{})
		if diff := cmp.Diff(first, Evaluate(e, Options{})); diff != "" {
			t.Errorf("%s: the second report differs (-first +second):\n%s", name, diff)
		}
		if diff := cmp.Diff(first, Evaluate(cluster(), Options{})); diff != "" {
			t.Errorf("%s: the report of used evidence differs (-used +new):\n%s", name, diff)
		}
	}
}

// Nothing at all is no reason to crash, nor to say that something is right.
func TestNothingWasSeen(t *testing.T) {
	for _, ways := range [][]evidence.Way{nil, {evidence.Machines}, {evidence.API}, {evidence.Folder}} {
		e := &evidence.Evidence{Ways: ways}
		if slices.Contains(ways, evidence.API) {
			e.API = &evidence.Cluster{}
		}
		r := Evaluate(e, Options{})
		for _, f := range r.Findings {
			if f.Status != Skip && f.Check != "evidence-complete" {
				t.Errorf("%v: %s", ways, show([]Finding{f}))
			}
		}
		if r.Verdict.ToleratedFailures != nil || !strings.Contains(r.Verdict.Summary, "not known") {
			t.Errorf("%v: %v, %s", ways, r.Verdict.ToleratedFailures, r.Verdict.Summary)
		}
	}
}

// Flags of static pods name files by their paths in the container; whoever mends one
// does so on the machine.
func TestFilesOfContainersAreOnTheMachine(t *testing.T) {
	e := evidencetest.Kubeadm()
	m := evidencetest.Machine(e, "cp-2")
	m.OnHost = map[string]string{evidencetest.ServingCert: "/srv/pki/apiserver.crt"}
	m.Certificates[evidencetest.ServingCert] = []evidence.Certificate{{Err: "x509: malformed certificate"}}
	check, _ := Find("evidence-complete")
	found := check.findings(NewScene(e, Expectation{}))
	if len(found) != 1 || found[0].Source != "/srv/pki/apiserver.crt (in its container "+evidencetest.ServingCert+")" || !strings.Contains(found[0].Fix, "names /srv/pki/apiserver.crt on cp-2") {
		t.Errorf("%s\n%+v", show(found), found)
	}
}
