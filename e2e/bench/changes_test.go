package main

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/haplane/haplane/e2e/bench/lanes"
	"github.com/haplane/haplane/e2e/rig"
	"github.com/haplane/haplane/internal/topology"
	"github.com/haplane/haplane/spec"
)

func TestClusterFilesOfModes(t *testing.T) {
	for name, file := range map[string]string{"changes": changesFile, "identities": identitiesFile} {
		for _, identity := range []spec.Identity{spec.PerNode, spec.SharedCertificate, spec.Shared} {
			t.Run(name+" "+string(identity), func(t *testing.T) {
				parsed, err := spec.Parse("bench.yaml", fmt.Appendf(nil, file, identity))
				if err != nil {
					t.Fatal(err)
				}
				shape := topology.New(parsed)
				if parsed.Spec.Identity != identity || len(shape.ControlPlane()) != 3 || len(shape.LoadBalancers()) != 1 || len(shape.Nodes) != 5 || shape.NAT {
					t.Errorf("%+v", shape)
				}
			})
		}
	}
}

// A round leaves the nodes that it found, whatever the round.
func TestRoundsOfChanges(t *testing.T) {
	for round := 1; round <= 4; round++ {
		nodes := []string{"cp-1", "cp-2", "cp-3"}
		for _, one := range slices.Concat(slices.Concat(sharedChanges(round)...), slices.Concat(perNodeChanges(round)...)) {
			for _, name := range one.args {
				if !strings.HasPrefix(name, "cp-") {
					continue
				}
				there := slices.Contains(nodes, name)
				if there == (one.args[1] == "add") {
					t.Errorf("round %d: %v, with %v", round, one.args, nodes)
				}
				switch one.args[1] {
				case "add":
					nodes = append(nodes, name)
				case "remove":
					nodes = slices.DeleteFunc(nodes, func(n string) bool { return n == name })
				}
			}
		}
		if d := cmp.Diff([]string{"cp-1", "cp-2", "cp-3"}, nodes); d != "" {
			t.Errorf("round %d: %s", round, d)
		}
	}
}

func TestOtherFlag(t *testing.T) {
	text := fmt.Sprintf(changesFile, "shared")
	got, err := otherFlag(text, 412)
	if err != nil || got != strings.Replace(text, `"400"`, `"412"`, 1) {
		t.Errorf("%s, %v", got, err)
	}
	if got, err = otherFlag(got, 413); err != nil || !strings.Contains(got, `max-requests-inflight: "413"`) {
		t.Errorf("once more: %s, %v", got, err)
	}
	if _, err := otherFlag("spec: {}", 412); err == nil {
		t.Error("a file without the flag: no error")
	}
}

func TestSampleOfACommand(t *testing.T) {
	const outcome = `{"seconds": 3.5, "report": {"lanes": [{"name": "lb-new", "requests": 70, "failed": 1, "longestGapMs": 20}]}, "certificates": [{}], "newFailures": []}`
	for name, c := range map[string]struct {
		result rig.Result
		want   lanes.Sample
	}{
		"done": {rig.Result{Stdout: outcome, Elapsed: 4 * time.Second}, lanes.Sample{What: replace, Round: 2, Seconds: 4, Changing: 3.5, Certificates: 1, NewFailures: []string{},
			Measured: lanes.Measured{Lanes: map[string]lanes.Figures{"lb-new": {Requests: 70, Failed: 1, Gap: 20}}}}},
		"refused": {rig.Result{Code: 4, Stderr: "error: no quorum\n", Elapsed: time.Second}, lanes.Sample{What: replace, Round: 2, Seconds: 1, Error: "exit code 4: error: no quorum"}},
	} {
		t.Run(name, func(t *testing.T) {
			if d := cmp.Diff(c.want, sampleOf(replace, 2, c.result)); d != "" {
				t.Errorf("(-want +got):\n%s", d)
			}
		})
	}
	if s := sampleOf(replace, 2, rig.Result{Stdout: `{"seconds": 1}`}); !strings.Contains(s.Error, "no report") {
		t.Errorf("of nothing that was measured: %+v", s)
	}
}

func TestNextRound(t *testing.T) {
	samples := []lanes.Sample{{What: addOne, Round: 1}, {What: addOne, Round: 2}, {What: rollOut, Round: 9}}
	if a, b := nextRound(samples, addOne), nextRound(samples, replace); a != 3 || b != 1 {
		t.Errorf("%d and %d, want 3 and 1", a, b)
	}
}

// A change goes on while one of its lanes wants requests, with what belongs to it.
func TestWanting(t *testing.T) {
	figures := func(n int) lanes.Measured {
		return lanes.Measured{Lanes: map[string]lanes.Figures{"lb-new": {Requests: n}, "watch": {Requests: 2 * n}}}
	}
	samples := []lanes.Sample{{What: addOne, Measured: figures(60)}, {What: addOne, Measured: figures(40)}, {What: removeOne, Measured: figures(90)}, {What: replace, Measured: figures(100)}}
	if d := cmp.Diff([]string{addOne, removeOne, addTwo, removeTwo, flags, moveOut, moveBack}, namesOf(wanting(samples, sharedChanges(1), 100))); d != "" {
		t.Error(d)
	}
	if left := wanting(samples, sharedChanges(1)[2:3], 100); len(left) != 0 {
		t.Errorf("still wanting %v", left)
	}
}

func TestChosen(t *testing.T) {
	for match, want := range map[string][]string{
		"":         {addOne, removeOne, addTwo, removeTwo, replace, flags, moveOut, moveBack},
		"two":      {addTwo, removeTwo},
		"replace":  {replace},
		"^perNode": nil,
	} {
		if d := cmp.Diff(want, namesOf(chosen(sharedChanges(1), regexp.MustCompile(match)))); d != "" {
			t.Errorf("%q: %s", match, d)
		}
	}
}

func namesOf(groups [][]planned) (names []string) {
	for _, one := range slices.Concat(groups...) {
		names = append(names, one.what)
	}
	return names
}

func TestCheck(t *testing.T) {
	all := []string{"up", "changes", "identities"}
	o := roundOptions{rounds: 1, faultRounds: 1}
	if err := check(1, all, all, o); err != nil {
		t.Error(err)
	}
	o.samples = "x.json"
	if check(1, all, all, o) == nil || check(1, all[1:2], all, o) != nil {
		t.Error("a file of samples is for one mode")
	}
	if check(1, []string{"down"}, all, o) == nil || check(0, all[:1], all, o) == nil || check(1, all[:1], all, roundOptions{}) == nil {
		t.Error("no error for what cannot be measured, or no rounds")
	}
}
