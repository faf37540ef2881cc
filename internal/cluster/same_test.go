package cluster

import (
	"errors"
	"strings"
	"testing"

	"github.com/haplane/haplane/internal/store"
	"github.com/haplane/haplane/spec"
)

func testStore(t *testing.T) store.Store {
	t.Setenv("HAPLANE_HOME", t.TempDir())
	s, err := store.Open("demo")
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestAnotherFileIsRefused(t *testing.T) {
	s := testStore(t)
	c := spec.Default("demo")
	if err := sameCluster(s, c); err != nil {
		t.Fatalf("no cluster yet: %v", err)
	}
	if err := s.SaveCluster(c); err != nil {
		t.Fatal(err)
	}
	if err := sameCluster(s, spec.Default("demo")); err != nil {
		t.Errorf("the same file: %v", err)
	}
	flags := spec.Default("demo")
	flags.Spec.ExtraArgs = map[string]map[string]string{"etcd": {"snapshot-count": "5000"}}
	if err := sameCluster(s, flags); err != nil || len(flags.Spec.ExtraArgs) != 1 {
		t.Errorf("other flags of programs: %v; the file has now %v", err, flags.Spec.ExtraArgs)
	}
	other := spec.Default("demo")
	other.Spec.Identity, other.Spec.EndpointReconciler = spec.PerNode, spec.ReconcilerLease
	err := sameCluster(s, other)
	var hinted *HintedError
	if !errors.As(err, &hinted) || !strings.Contains(err.Error(), "+  identity: perNode") || !strings.Contains(hinted.Hint, "haplane down") {
		t.Errorf("another file: %v", err)
	}
}
