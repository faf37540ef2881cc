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

var testNow = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

func testStore(t *testing.T) Store {
	t.Setenv("HAPLANE_HOME", t.TempDir())
	s, err := Open("demo")
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func makeKeys(t *testing.T, s Store, rows []pki.Row) pki.Bundle {
	t.Helper()
	plan, _ := pki.Plan(rows, pki.Bundle{}, time.Now(), false)
	made, err := pki.Issue(rows, pki.Bundle{}, plan, time.Now(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, r := range plan {
		names = append(names, r.Name)
	}
	if err := s.SaveKeys(made, names); err != nil {
		t.Fatal(err)
	}
	return made
}

func TestKeysComeBack(t *testing.T) {
	s := testStore(t)
	rows := pki.Catalogue(topology.New(spec.Default("demo")))
	made := makeKeys(t, s, rows)
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
	pid := strconv.Itoa(os.Getpid())
	if _, err := s.Lock(); err == nil || !strings.Contains(err.Error(), "(pid "+pid+")") {
		t.Errorf("second lock: %v", err)
	}
	change := &Change{Command: "haplane node add cp-4", Holder: "ann@desk pid " + pid, Started: time.Date(2026, 11, 28, 4, 8, 57, 0, time.UTC)}
	if err := s.Update(func(r *Record) error { r.Change = change; return nil }); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Lock(); err == nil || !strings.Contains(err.Error(), "(pid "+pid+": haplane node add cp-4, begun 2026-11-28 04:08:57 UTC)") {
		t.Errorf("beside a change: %v", err)
	}
	unlock()
	again, err := s.Lock()
	if err != nil {
		t.Fatalf("after unlock: %v", err)
	}
	again()
}
