package cluster

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/haplane/haplane/internal/change"
	"github.com/haplane/haplane/internal/kubeapi"
	"github.com/haplane/haplane/internal/look"
	"github.com/haplane/haplane/internal/store"
	"github.com/haplane/haplane/spec"
)

func TestCompareCertificates(t *testing.T) {
	at := func(path, fingerprint string) look.Certificate {
		return look.Certificate{Path: path, Fingerprint: fingerprint}
	}
	before := map[string][]look.Certificate{
		"cp-1": {at("/a", "1"), at("/b", "2")},
		"cp-2": {at("/a", "1"), at("/old", "3")},
		"cp-3": {at("/a", "1")}, // leaves
		"cp-9": nil,             // could not be read
	}
	for name, c := range map[string]struct {
		after   map[string][]look.Certificate
		changed []string
		kept    int
	}{
		"the same": {map[string][]look.Certificate{"cp-1": before["cp-1"], "cp-2": before["cp-2"], "cp-4": {at("/a", "1")}}, nil, 4},
		"one in its place, one more, one less": {map[string][]look.Certificate{"cp-1": {at("/a", "1"), at("/b", "5"), at("/c", "6")}, "cp-2": {at("/a", "1")}},
			[]string{"cp-1:/b 2 5", "cp-1:/c  6", "cp-2:/old 3 "}, 2},
	} {
		t.Run(name, func(t *testing.T) {
			o := &Outcome{}
			o.compare(before, c.after)
			var changed []string
			for _, d := range o.Certificates {
				changed = append(changed, d.Node+":"+d.Path+" "+d.Before.Fingerprint+" "+d.After.Fingerprint)
			}
			if d := cmp.Diff([]string{"cp-9"}, o.CertificatesUnread); d != "" {
				t.Error("unread: " + d)
			}
			if d := cmp.Diff(c.changed, changed); d != "" || !o.Compared || o.CertificatesKept != c.kept {
				t.Errorf("compared %v, %d kept, want %d; changed (-want +got):\n%s", o.Compared, o.CertificatesKept, c.kept, d)
			}
			if data, err := json.Marshal(o.Certificates); err != nil || strings.Contains(string(data), "null") {
				t.Errorf("%s, %v: scripts read a list", data, err)
			}
		})
	}
}

func TestAnEmptyPlanHasNoNull(t *testing.T) {
	data, err := json.Marshal(newPlan())
	if err != nil {
		t.Fatal(err)
	}
	if want := `{"steps":[],"warnings":[],"files":[],"keys":[],"reissue":[],"objects":[]}`; string(data) != want {
		t.Errorf("got %s, want %s", data, want)
	}
}

// A certificate that changed is one that the plan has, or it is an error.
func TestUnplannedCertificates(t *testing.T) {
	at := func(node, path string) look.CertificateChange { return look.CertificateChange{Node: node, Path: path} }
	o := &Outcome{Certificates: []look.CertificateChange{at("cp-1", "/a"), at("cp-2", "/a"), at("cp-3", "/a"), at("cp-1", "/b")},
		Plan: &Plan{Files: []FileChange{{Node: "cp-1", Path: "/a"}, {Node: "cp-2", Path: "/b"}},
			Steps: []change.Step{{ID: "create-machine@cp-3", Verb: change.CreateMachine, Node: "cp-3"}}}}
	if d := cmp.Diff([]string{"cp-2:/a", "cp-1:/b"}, o.unplanned()); d != "" {
		t.Error(d)
	}
}

// A plan that is not what was shown any more names what differs.
func TestDiffer(t *testing.T) {
	step := func(id string, units ...string) change.Step { return change.Step{ID: id, Units: units} }
	shown := []change.Step{step("restart@cp-1", "etcd"), step("restart@cp-2", "etcd"), step("write-files@cp-3")}
	now := []change.Step{step("restart@cp-1", "etcd"), step("restart@cp-2", "etcd", "kubelet"), step("stop@cp-3")}
	if d := cmp.Diff([]string{"restart@cp-2", "write-files@cp-3"}, differ(shown, now)); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff([]string{"restart@cp-2", "stop@cp-3"}, differ(now, shown)); d != "" {
		t.Error(d)
	}
}

// What stopped in the middle says how to go on, and what is in the way.
func TestWayOn(t *testing.T) {
	l := &live{env: newEnv(spec.Default("demo"), testOptions(t, store.Store{}))}
	plain := errors.New("boom")
	if err := l.wayOn(plain); err != plain {
		t.Errorf("nothing was touched: %v", err)
	}
	l.touched.Store(true)
	l.settled = true
	if err := l.wayOn(plain); err != plain {
		t.Errorf("it has arrived: %v", err)
	}
	l.settled = false
	const on = "haplane apply --cluster demo goes on from there, and with --abort it goes back"
	for want, err := range map[string]error{
		on: plain,
		"--drain-timeout gives the pods longer; " + on:        fmt.Errorf("node-drain@w: %w", &kubeapi.DrainError{Node: "w"}),
		"--force lets pods go that nothing makes anew; " + on: &kubeapi.UnmanagedError{Node: "w", Pods: []string{"default/one"}},
		"its console is in /x; " + on:                         &HintedError{Err: plain, Hint: "its console is in /x", Log: []string{"bye"}},
	} {
		var hinted *HintedError
		if got := l.wayOn(err); !errors.As(got, &hinted) || hinted.Hint != want || got.Error() != err.Error() {
			t.Errorf("%v: hint %q, want %q", got, hinted.Hint, want)
		}
	}
}
