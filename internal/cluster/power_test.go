package cluster

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/haplane/haplane/internal/apply"
	"github.com/haplane/haplane/internal/change"
	"github.com/haplane/haplane/internal/store"
	"github.com/haplane/haplane/spec"
)

// off makes a machine that was created once and does not run.
func (e *env) off(t *testing.T, node string) {
	t.Helper()
	dir := filepath.Join(e.Store.Machines(), node)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{"machine.json": `{"name": "` + node + `", "addresses": ["10.10.10.12"], "image": "/x"}`, "console.log": "bye\n"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

func TestAMachineThatIsOffShowsItsConsole(t *testing.T) {
	s := testStore(t)
	e := newEnv(spec.Default("demo"), testOptions(t, s))
	e.off(t, "cp-1")
	err := e.explain(t.Context(), &apply.MachineError{Node: "cp-1", Err: apply.ErrOff})
	want := &HintedError{Hint: "haplane up starts it again; its console is in " + s.Machines() + "/cp-1/console.log", Log: []string{"bye"}}
	got, ok := err.(*HintedError)
	if !ok || got.Error() != "the machine is off" {
		t.Fatal(err)
	}
	got.Err = nil
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// A cluster that was never up is not started.
func TestStartOfAnUnfinishedCluster(t *testing.T) {
	s := testStore(t)
	if err := s.Update(func(r *store.Record) error { r.Wanted = spec.Default("demo"); return nil }); err != nil {
		t.Fatal(err)
	}
	if _, err := Start(t.Context(), testOptions(t, s)); err == nil || err.Error() != "0 of 5 machines were made: bringing it up was cut off" {
		t.Errorf("error %v", err)
	}
}

// What was made is started, those that leave too; a node that joins and was not made is nobody's loss.
func TestStartOfWhatIsLeft(t *testing.T) {
	s := applied(t, commented)
	q := must[Request](t)(opened(t).RemoveNodes([]string{"cp-2"}))
	if err := asked(t, s, q).begin(); err != nil {
		t.Fatal(err)
	}
	err := s.Update(func(r *store.Record) error {
		r.Nodes = append(r.Nodes, store.Node{Name: "cp-9", Role: spec.RoleControlPlane, Address: "10.10.10.19", State: store.Joining})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	e := newEnv(must[*spec.Cluster](t)(s.Cluster()), testOptions(t, s))
	for _, node := range []string{"cp-1", "cp-2", "lb-1"} {
		e.off(t, node)
		for _, f := range []string{"upper", "data/etcd", "data/containerd", "data/kubelet"} {
			if err := os.MkdirAll(filepath.Join(s.Machines(), node, f), 0o755); err != nil {
				t.Fatal(err)
			}
		}
	}
	l, beside, gone, err := e.resumed()
	if err != nil {
		t.Fatal(err)
	}
	defer l.close()
	var started []string
	for _, step := range l.change.Steps {
		if step.Verb == change.StartMachine {
			started = append(started, step.Node)
		}
	}
	if diff := cmp.Diff([][]string{{"cp-1", "lb-1"}, {"cp-2"}, {"worker-1"}}, [][]string{started, beside, gone}); diff != "" {
		t.Error(diff)
	}
}
