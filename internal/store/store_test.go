package store

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

func testStore(t *testing.T) Store {
	t.Setenv("HAPLANE_HOME", t.TempDir())
	s, err := Open("demo")
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestKeysComeBack(t *testing.T) {
	s := testStore(t)
	rows := pki.Catalogue(topology.New(spec.Default("demo")))
	made, issued, err := pki.Complete(rows, pki.Bundle{}, time.Now(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.SaveKeys(made, issued); err != nil {
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
	s := testStore(t)
	if _, err := s.Cluster(); !errors.Is(err, ErrNoCluster) {
		t.Errorf("before: %v", err)
	}
	want := spec.Default("demo")
	if err := s.SaveCluster(want); err != nil {
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

func TestLockNamesItsHolder(t *testing.T) {
	s := testStore(t)
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
	s := testStore(t)
	topo := topology.New(spec.Default("demo"))
	first, err := s.PrepareSSH(topo)
	if err != nil {
		t.Fatal(err)
	}
	again, err := s.PrepareSSH(topo)
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
