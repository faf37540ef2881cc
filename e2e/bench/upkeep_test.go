package main

import (
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/haplane/haplane/e2e/bench/lanes"
	"github.com/haplane/haplane/e2e/rig"
	"github.com/haplane/haplane/internal/topology"
	"github.com/haplane/haplane/spec"
)

func TestFilesOfUpkeep(t *testing.T) {
	check := func(name, file string) {
		t.Run(name, func(t *testing.T) {
			parsed, err := spec.Parse("upkeep.yaml", []byte(file))
			if err != nil {
				t.Fatal(err)
			}
			shape := topology.New(parsed)
			if parsed.Metadata.Name != upkeepName || len(shape.ControlPlane()) != 3 || len(shape.LoadBalancers()) != 1 || len(shape.EtcdMembers()) != 3 || shape.NAT {
				t.Errorf("%+v", shape)
			}
		})
	}
	for _, s := range scenes {
		check(s.name, s.file)
		for _, one := range slices.Concat(s.groups(1)...) {
			if one.file != "" {
				check(one.what, one.file)
			}
		}
	}
}

// A group that changes the file ends with what the scene began with, so that another round can follow.
func TestGroupsOfUpkeep(t *testing.T) {
	shape := func(file string) spec.Spec {
		parsed, err := spec.Parse("upkeep.yaml", []byte(file))
		if err != nil {
			t.Fatal(err)
		}
		return parsed.Spec
	}
	var names []string
	for _, s := range scenes {
		for _, group := range s.groups(1) {
			for _, one := range group {
				names = append(names, one.what)
			}
			if last := group[len(group)-1]; last.file != "" && !cmp.Equal(shape(s.file), shape(last.file)) {
				t.Errorf("%s: another cluster than before %s: %s", last.what, group[0].what, cmp.Diff(shape(s.file), shape(last.file)))
			}
		}
	}
	if all := slices.Compact(slices.Sorted(slices.Values(names))); len(all) != len(names) {
		t.Errorf("two changes have the same name: %v", names)
	}
	for _, want := range []string{"^upgrade", "^back", "in place$", "^renew", "rotate ca", "rotate etcd-ca", "rotate front-proxy-ca", "rotate service-account", "rotate encryption",
		"shared to perNode", "perNode to shared", "shared to sharedCertificate", "sharedCertificate to shared", "perNode to sharedCertificate", "sharedCertificate to perNode",
		"kubelets", "port", "another machine", "etcd to machines", "etcd back", "defragment", "restore", "recover"} {
		if !slices.ContainsFunc(names, regexp.MustCompile(want).MatchString) {
			t.Errorf("no change is called %s", want)
		}
	}
}

func newUpkeep(match string, samples ...lanes.Sample) *upkeep {
	return &upkeep{options: roundOptions{rounds: 2, requests: 100, match: regexp.MustCompile(match)}, samples: samples}
}

// What is in the file counts, whatever run measured it: a run that was cut off goes on.
func TestWantingOfUpkeep(t *testing.T) {
	asked := func(n int) lanes.Measured {
		return lanes.Measured{Lanes: map[string]lanes.Figures{"write": {Requests: n}, "token": {Requests: 2 * n}}}
	}
	data := scene{groups: func(round int) [][]task {
		return [][]task{{{what: "out", args: []string{string(rune('0' + round))}}, {what: "back"}}, {{what: "restore", once: true}}}
	}}
	wants := func(u *upkeep) (out []string) {
		for _, one := range slices.Concat(u.wanting(data)...) {
			out = append(out, strings.TrimSpace(one.what+" "+strings.Join(one.args, "")))
		}
		return out
	}
	all := []lanes.Sample{{What: "out", Round: 1, Measured: asked(50)}, {What: "back", Round: 1, Measured: asked(49)}, {What: "out", Round: 2, Measured: asked(50)},
		{What: "restore", Round: 1}, {What: "restore", Round: 2}}
	cut := wants(newUpkeep("", all...))
	few := wants(newUpkeep("", append(all, lanes.Sample{What: "back", Round: 2, Measured: asked(50)})...))
	done := wants(newUpkeep("", append(all, lanes.Sample{What: "back", Round: 2, Measured: asked(51)})...))
	for name, c := range map[string]struct{ got, want []string }{
		"nothing measured":  {wants(newUpkeep("")), []string{"out 1", "back", "restore"}},
		"chosen":            {wants(newUpkeep("^back$")), []string{"out 1", "back"}},
		"nothing chosen":    {wants(newUpkeep("^$")), nil},
		"cut off":           {cut, []string{"out 3", "back"}},
		"too few requests":  {few, []string{"out 3", "back"}},
		"enough":            {done, nil},
		"never comes to it": {wants(newUpkeep("out", slices.Repeat([]lanes.Sample{{What: "out"}, {What: "back"}}, 2*mostRounds)...)), nil},
	} {
		t.Run(name, func(t *testing.T) {
			if d := cmp.Diff(c.want, c.got); d != "" {
				t.Error("-want +got\n" + d)
			}
		})
	}
}

func TestReadOfTask(t *testing.T) {
	const phase = `{"phase": "trust", "seconds": 3.5, "report": {"lanes": [{"name": "lb-new", "requests": 70, "failed": 1, "longestGapMs": 20}]}}`
	rotation := task{args: []string{"certs", "rotate", "ca"}}
	got, problem := rotation.read(rig.Result{Stdout: `{"name": "ca", "phases": [` + phase + `], "done": false}`})
	if problem != "" || got.Done || len(got.Phases) != 1 || got.Lanes["lb-new"].Requests != 70 {
		t.Errorf("%+v, %s", got, problem)
	}
	if got, problem = (task{args: []string{"certs", "renew"}}).read(rig.Result{Stdout: phase}); problem != "" || !got.Done || got.Seconds != 3.5 {
		t.Errorf("%+v, %s", got, problem)
	}
	if _, problem = rotation.read(rig.Result{Stdout: phase, Code: 4, Stderr: "error: cp-1 is away\n"}); problem != "exit code 4: error: cp-1 is away" {
		t.Error(problem)
	}
	if _, problem = rotation.read(rig.Result{Stdout: phase}); problem == "" {
		t.Error("no rotation, and no problem")
	}
}

func TestModeDefaults(t *testing.T) {
	m := mode{rounds: 5, requests: 100, rate: 40}
	if o := m.with(roundOptions{requests: -1}); o.rounds != 5 || o.requests != 100 || o.rate != 40 {
		t.Errorf("%+v", o)
	}
	if o := m.with(roundOptions{rounds: 1, rate: 10}); o.rounds != 1 || o.requests != 0 || o.rate != 10 {
		t.Errorf("%+v", o)
	}
}

// Samples are kept with all that upkeep measures.
func TestSampleOfUpkeepIsKept(t *testing.T) {
	want := []lanes.Sample{{What: "x", Phases: []lanes.Phase{{Name: "trust", Seconds: 2}}, Restored: &lanes.Restored{FirstWrite: 3, Lost: 4, Known: true}, Measured: lanes.Measured{Unauthorized: 2}}}
	file := filepath.Join(t.TempDir(), "samples.json")
	if err := lanes.Save(file, want); err != nil {
		t.Fatal(err)
	}
	got, err := lanes.Load[lanes.Sample](file)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}
