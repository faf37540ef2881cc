package cluster

import (
	"crypto/rand"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/haplane/haplane/internal/pki"
	"github.com/haplane/haplane/internal/topology"
	"github.com/haplane/haplane/spec"
)

func store(t *testing.T) Store {
	t.Setenv("HAPLANE_HOME", t.TempDir())
	s, err := OpenStore("demo")
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestKeysComeBack(t *testing.T) {
	s := store(t)
	rows := pki.Catalogue(topology.New(spec.Default("demo")))
	made, issued, err := pki.Complete(rows, pki.Bundle{}, time.Now(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.saveKeys(made, issued); err != nil {
		t.Fatal(err)
	}
	read, err := s.Keys(rows)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(made, read); diff != "" {
		t.Error("what was saved is not what was read")
	}
	err = filepath.WalkDir(s.Dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		if strings.HasSuffix(path, ".key") && info.Mode().Perm() != 0o600 {
			t.Errorf("%s is %v", path, info.Mode())
		}
		if strings.HasSuffix(path, ".new") {
			t.Errorf("%s is left over", path)
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

func TestClusterComesBack(t *testing.T) {
	s := store(t)
	if _, err := s.Cluster(); !errors.Is(err, ErrNoCluster) {
		t.Errorf("before: %v", err)
	}
	want := spec.Default("demo")
	if err := s.saveCluster(want); err != nil {
		t.Fatal(err)
	}
	got, err := s.Cluster()
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if names, err := Names(); err != nil || !cmp.Equal(names, []string{"demo"}) {
		t.Error(names, err)
	}
}

func TestAnotherFileIsRefused(t *testing.T) {
	s := store(t)
	c := spec.Default("demo")
	if err := s.sameCluster(c); err != nil {
		t.Fatalf("no cluster yet: %v", err)
	}
	if err := s.saveCluster(c); err != nil {
		t.Fatal(err)
	}
	if err := s.sameCluster(spec.Default("demo")); err != nil {
		t.Errorf("the same file: %v", err)
	}
	flags := spec.Default("demo")
	flags.Spec.ExtraArgs = map[string]map[string]string{"etcd": {"snapshot-count": "5000"}}
	if err := s.sameCluster(flags); err != nil || len(flags.Spec.ExtraArgs) != 1 {
		t.Errorf("other flags of programs: %v; the file has now %v", err, flags.Spec.ExtraArgs)
	}
	other := spec.Default("demo")
	other.Spec.Identity, other.Spec.EndpointReconciler = spec.PerNode, spec.ReconcilerLease
	err := s.sameCluster(other)
	var hinted *HintedError
	if !errors.As(err, &hinted) || !strings.Contains(err.Error(), "+  identity: perNode") || !strings.Contains(hinted.Hint, "haplane down") {
		t.Errorf("another file: %v", err)
	}
}

func TestLockNamesItsHolder(t *testing.T) {
	s := store(t)
	unlock, err := s.Lock()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Lock(); err == nil || !strings.Contains(err.Error(), strconv.Itoa(os.Getpid())) {
		t.Errorf("second lock: %v", err)
	}
	unlock()
	again, err := s.Lock()
	if err != nil {
		t.Fatalf("after unlock: %v", err)
	}
	again()
}

func TestSSHKeysStay(t *testing.T) {
	s := store(t)
	topo := topology.New(spec.Default("demo"))
	first, err := s.prepareSSH(topo)
	if err != nil {
		t.Fatal(err)
	}
	again, err := s.prepareSSH(topo)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(first, again); diff != "" || len(first.HostKeys) != 5 {
		t.Errorf("%d host keys; they changed: %v", len(first.HostKeys), diff != "")
	}
	config, err := os.ReadFile(s.SSHConfig())
	if err != nil || !strings.Contains(string(config), "Host cp-2\n  HostName 10.10.10.12\n") ||
		!strings.Contains(string(config), "StrictHostKeyChecking yes") {
		t.Errorf("%s, %v", config, err)
	}
}
