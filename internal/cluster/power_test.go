package cluster

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/haplane/haplane/internal/apply"
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

// A cluster of which a machine was never made is not started: it was never up.
func TestStartOfAnUnfinishedCluster(t *testing.T) {
	s := applied(t, commented)
	e := newEnv(must[*spec.Cluster](t)(s.Cluster()), testOptions(t, s))
	e.off(t, "cp-1")
	if _, err := Start(t.Context(), testOptions(t, s)); err == nil || err.Error() != "0 of 4 machines were made: bringing it up was cut off" {
		t.Errorf("error %v", err)
	}
}
