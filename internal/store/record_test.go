package store

import (
	"encoding/json"
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/haplane/haplane/spec"
)

func update(t *testing.T, s Store, fn func(*Record)) *Record {
	t.Helper()
	if err := s.Update(func(r *Record) error { fn(r); return nil }); err != nil {
		t.Fatal(err)
	}
	r, err := s.Record()
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestRecordGrowsWithEveryWrite(t *testing.T) {
	s := testStore(t)
	if _, err := s.Record(); !errors.Is(err, ErrNoCluster) {
		t.Fatalf("before: %v", err)
	}
	node := Node{Name: "cp-1", Role: spec.RoleControlPlane, Address: "10.10.10.11", State: Joining}
	first := update(t, s, func(r *Record) { r.Wanted, r.Nodes = spec.Default("demo"), append(r.Nodes, node) })
	if first.Schema != 1 || first.Serial != 1 || len(first.Lineage) < 20 {
		t.Errorf("first: %d %d %q", first.Schema, first.Serial, first.Lineage)
	}
	if diff := cmp.Diff(spec.Default("demo"), first.Wanted); diff != "" {
		t.Error(diff)
	}
	second := update(t, s, func(r *Record) { r.Node("cp-1").State = Active; r.Applied, r.Wanted = r.Wanted, nil })
	if second.Serial != 2 || second.Lineage != first.Lineage || second.Wanted != nil || second.Nodes[0].State != Active {
		t.Errorf("second: %+v", second)
	}
	if same := update(t, s, func(*Record) {}); same.Serial != 2 {
		t.Errorf("nothing changed, and its serial is %d", same.Serial)
	}
	boom := errors.New("boom")
	if err := s.Update(func(r *Record) error { r.Nodes = nil; return boom }); err != boom {
		t.Error(err)
	}
	if r, err := s.Record(); err != nil || len(r.Nodes) != 1 {
		t.Errorf("after a failed change: %+v, %v", r, err)
	}
	if info, err := os.Stat(s.path(recordFile)); err != nil || info.Mode().Perm() != 0o600 {
		t.Error(info.Mode(), err)
	}
}

func TestRecordWrittenMeanwhileIsNotOverwritten(t *testing.T) {
	s := testStore(t)
	update(t, s, func(r *Record) { r.Applied = spec.Default("demo") })
	err := s.Update(func(r *Record) error {
		update(t, s, func(r *Record) { r.Versions.Pause = "v1.37.2" })
		r.Versions.Pause = "v1.36.0"
		return nil
	})
	if !errors.Is(err, ErrConflict) || !strings.Contains(err.Error(), "serial is 2, expected 1") {
		t.Error(err)
	}
	if r, err := s.Record(); err != nil || r.Versions.Pause != "v1.37.2" {
		t.Errorf("%+v, %v", r, err)
	}
	err = s.Update(func(r *Record) error { // a cluster made anew has the same serial, perhaps
		if err := os.Remove(s.path(recordFile)); err != nil {
			return err
		}
		update(t, s, func(r *Record) { r.Applied = spec.Default("demo") })
		update(t, s, func(r *Record) { r.Applied = nil })
		r.Applied = nil
		return nil
	})
	if !errors.Is(err, ErrConflict) {
		t.Errorf("of another lineage: %v", err)
	}
}

func TestRecordOfAnOlderCluster(t *testing.T) {
	s := testStore(t)
	if err := s.SaveCluster(spec.Default("demo")); err != nil {
		t.Fatal(err)
	}
	r, err := s.Record()
	if err != nil {
		t.Fatal(err)
	}
	if r.Serial != 0 || len(r.Nodes) != 5 || r.Nodes[4] != (Node{Name: "lb-1", Role: spec.RoleLoadBalancer, Address: "10.10.10.3", State: Active}) ||
		!cmp.Equal(r.Versions, Versions{}) || !cmp.Equal(r.Applied, spec.Default("demo")) {
		t.Errorf("%+v", r)
	}
	if r := update(t, s, func(*Record) {}); r.Serial != 1 || len(r.Nodes) != 5 || r.Lineage == "" {
		t.Errorf("once written: %+v", r)
	}
}

// A write that was cut off leaves its file beside the record, and the record as it was.
func TestHalfWrittenRecordIsIgnored(t *testing.T) {
	s := testStore(t)
	want := update(t, s, func(r *Record) { r.Applied = spec.Default("demo") })
	if err := os.WriteFile(s.path(recordFile+".123.new"), []byte(`{"schema": 1, "lin`), 0o600); err != nil {
		t.Fatal(err)
	}
	got, err := s.Record()
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Error(diff, err)
	}
}

func TestDamagedRecord(t *testing.T) {
	for name, test := range map[string]struct{ data, want string }{
		"empty":         {"", "unexpected end"},
		"garbage":       {"\x00\x00", "invalid character"},
		"cut off":       {`{"schema": 1, "lineage": "x"`, "unexpected end"},
		"newer":         {`{"schema": 2}`, "its schema is 2, this haplane knows 1"},
		"unknown field": {`{"schema": 1, "lineage": "x", "serial": 1, "more": 1}`, `unknown field "more"`},
		"two":           {`{"schema": 1, "lineage": "x", "serial": 1}{}`, "after top-level value"},
		"no serial":     {`{"schema": 1, "lineage": "x"}`, "no lineage or serial"},
		"bad cluster":   {`{"schema": 1, "lineage": "x", "serial": 1, "applied": {"apiVersion": "x"}}`, "applied: "},
		"bad state":     {`{"schema": 1, "lineage": "x", "serial": 1, "nodes": [{"name": "a", "state": "gone"}]}`, `node a: its state is "gone"`},
		"twice":         {`{"schema": 1, "lineage": "x", "serial": 1, "nodes": [{"name": "a", "state": "active"}, {"name": "a", "state": "active"}]}`, "twice"},
	} {
		t.Run(name, func(t *testing.T) {
			s := testStore(t)
			if err := errors.Join(os.MkdirAll(s.Dir, 0o700), os.WriteFile(s.path(recordFile), []byte(test.data), 0o600),
				s.SaveCluster(spec.Default("demo"))); err != nil {
				t.Fatal(err)
			}
			for what, err := range map[string]error{"update": s.Update(func(r *Record) error { r.Nodes = nil; return nil }),
				"cluster": second(s.Cluster()), "record": second(s.Record())} {
				var damaged *DamagedError
				if !errors.As(err, &damaged) || !strings.Contains(err.Error(), test.want) || damaged.File != s.path(recordFile) {
					t.Errorf("%s: %v", what, err)
				}
			}
			if data, _ := os.ReadFile(s.path(recordFile)); string(data) != test.data {
				t.Errorf("it was overwritten with %s", data)
			}
		})
	}
}

func second[T any](_ T, err error) error { return err }

func TestClusterIsWhatTheChangeLeadsTo(t *testing.T) {
	s := testStore(t)
	file, applied, wanted := spec.Default("demo"), spec.Default("demo"), spec.Default("demo")
	applied.Spec.LoadBalancer.DNSNames, wanted.Spec.LoadBalancer.DNSNames = []string{"applied"}, []string{"wanted"}
	raw := "# mine\napiVersion: haplane/v1alpha1\nkind: Cluster\nmetadata: {name: demo}\n"
	if err := s.SaveClusterText([]byte(raw)); err != nil {
		t.Fatal(err)
	}
	for _, step := range []struct {
		name   string
		change func(*Record)
		want   *spec.Cluster
	}{
		{"only the file", nil, file},
		{"applied", func(r *Record) { r.Applied = applied }, applied},
		{"under way", func(r *Record) { r.Wanted = wanted }, wanted},
	} {
		if step.change != nil {
			update(t, s, step.change)
		}
		got, err := s.Cluster()
		if diff := cmp.Diff(step.want, got); diff != "" || err != nil {
			t.Errorf("%s: %v %s", step.name, err, diff)
		}
	}
	data, err := os.ReadFile(s.path(clusterFile))
	if info, _ := os.Stat(s.path(clusterFile)); string(data) != raw || err != nil || info.Mode().Perm() != 0o644 {
		t.Errorf("the user's file is %v %q, %v", info.Mode(), data, err)
	}
}

func TestRecordSaysWhatItHas(t *testing.T) {
	data, err := json.Marshal(Record{Schema: 1, Nodes: []Node{{Name: "cp-1", State: Leaving, Rejoin: true}},
		Change: &Change{ID: "x", Steps: []StepRecord{{ID: "etcd-remove@cp-1", Verb: "member-remove", Node: "cp-1", State: Doing}}}})
	want := `{"schema":1,"lineage":"","serial":0,"versions":{},"nodes":[{"name":"cp-1","role":"","address":"","state":"leaving","rejoin":true` +
		`}],"change":{"id":"x","command":"","started":"0001-01-01T00:00:00Z","holder":"",` +
		`"steps":[{"id":"etcd-remove@cp-1","verb":"member-remove","node":"cp-1","state":"doing","at":"0001-01-01T00:00:00Z"}]}}`
	if diff := cmp.Diff(want, string(data)); diff != "" || err != nil {
		t.Error(diff, err)
	}
}
