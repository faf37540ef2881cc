package pki

import (
	"crypto/rand"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestRenew(t *testing.T) {
	have, _ := complete(t, rows(), Bundle{}, now)
	ended := map[string]string{APIServer: Serial(have, APIServer), Scheduler: "", Admin: "abc"}
	plan := Renew(have, []Reissue{{Name: Admin, Reason: "ended"}}, ended, rows())
	var names []string
	for _, r := range plan {
		names = append(names, r.Name)
	}
	// The scheduler's has another serial than was asked for: it was made anew since. The administrator's is planned already.
	if diff := cmp.Diff([]string{Admin, APIServer}, names); diff != "" {
		t.Fatal(diff)
	}
	made, err := Issue(rows(), have, plan, now, rand.Reader)
	if err != nil || plan[1].OldSerial != Serial(have, APIServer) || Serial(made, APIServer) == Serial(have, APIServer) || Serial(made, Scheduler) != Serial(have, Scheduler) {
		t.Errorf("%v, %+v", err, plan)
	}
	if again := Renew(made, nil, ended, rows()); len(again) > 0 {
		t.Errorf("done, and planned once more: %+v", again)
	}
}

func TestLeaves(t *testing.T) {
	all, err := Leaves(rows(), nil)
	if err != nil || slices.Contains(all, CA) || !slices.Contains(all, APIServer) || len(all) != len(rows())-3 {
		t.Errorf("%v, %v", all, err)
	}
	for name, test := range map[string]struct {
		given, want []string
		err         string
	}{
		"one":           {given: []string{APIServer}, want: []string{APIServer}},
		"twice":         {given: []string{APIServer, APIServer}, want: []string{APIServer}},
		"of one node":   {given: []string{EtcdPeer("cp-2")}, want: []string{EtcdPeer("cp-2")}},
		"of all nodes":  {given: []string{"etcd/peer"}, want: []string{EtcdPeer("cp-1"), EtcdPeer("cp-2"), EtcdPeer("cp-3")}},
		"an authority":  {given: []string{EtcdCA}, err: "etcd/ca is an authority"},
		"misspelt":      {given: []string{"apisrver"}, err: `there is no certificate "apisrver"; did you mean apiserver?`},
		"nothing alike": {given: []string{"x", "ca"}, err: `there is no certificate "x"; haplane certs list shows all` + "\nca is an authority"},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := Leaves(rows(), test.given)
			if (err == nil) != (test.err == "") || err != nil && !strings.HasPrefix(err.Error(), test.err) {
				t.Fatalf("%v, want %q", err, test.err)
			}
			if diff := cmp.Diff(test.want, got); err == nil && diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestForeign(t *testing.T) {
	have, _ := complete(t, rows(), Bundle{}, now)
	other, _ := complete(t, rows(), Bundle{}, now)
	if got := Foreign(rows(), have); len(got) > 0 {
		t.Errorf("its own: %v", got)
	}
	have.Pairs[APIServer] = other.Pairs[APIServer]
	have.Pairs[Flannel] = Pair{}
	if diff := cmp.Diff([]string{APIServer}, Foreign(rows(), have)); diff != "" {
		t.Error(diff)
	}
}
