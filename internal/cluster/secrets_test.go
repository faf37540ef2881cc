package cluster

import (
	"crypto/rand"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/haplane/haplane/internal/pki"
	"github.com/haplane/haplane/internal/store"
	"github.com/haplane/haplane/spec"
)

// run is an env for a new run of haplane on the same store.
func run(s store.Store) *env {
	return newEnv(spec.Default("demo"), Options{Store: s, Log: slog.New(slog.DiscardHandler)})
}

// broughtUp is a store as a bring-up leaves it.
func broughtUp(t *testing.T, at time.Time) store.Store {
	t.Helper()
	s := testStore(t)
	e := run(s)
	plan, err := e.completeKeys(at)
	if err != nil {
		t.Fatal(err)
	}
	hosts, err := s.Hosts(e.topology)
	if err != nil {
		t.Fatal(err)
	}
	_, sshErr := s.PrepareSSH(hosts)
	if err := errors.Join(e.saveKeys(plan), sshErr, e.recordWanted(), e.recordApplied()); err != nil {
		t.Fatal(err)
	}
	return s
}

// content is every file of a store by its path.
func content(t *testing.T, s store.Store) map[string]string {
	t.Helper()
	out := map[string]string{}
	err := filepath.WalkDir(s.Dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := os.ReadFile(path)
		out[path] = string(data)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestLostSecretsOfAClusterAreNotMadeAnew(t *testing.T) {
	now := time.Now()
	for name, lose := range map[string][]string{
		"encryption key": {"pki/encryption.key"},
		"ca":             {"pki/ca.key", "pki/ca.crt"},
		"half a ca":      {"pki/ca.key"},
		"etcd's ca":      {"pki/etcd/ca.key"},
		"sa":             {"pki/sa.key"},
		"user":           {"ssh/id_ed25519"},
		"host":           {"ssh/host-keys/cp-2"},
		"several":        {"pki/encryption.key", "pki/sa.key", "ssh/host-keys/lb-1"},
	} {
		t.Run(name, func(t *testing.T) {
			for how, spoil := range map[string]func(string) error{"missing": os.Remove,
				"garbage": func(file string) error { return os.WriteFile(file, []byte("x"), 0o600) }} {
				s := broughtUp(t, now)
				for _, file := range lose {
					if err := spoil(filepath.Join(s.Dir, file)); err != nil {
						t.Fatal(err)
					}
				}
				before := content(t, s)
				err := makeKeys(t.Context(), run(s))
				var lost *store.LostError
				if !errors.As(err, &lost) || len(lost.Secrets) != len(lose) {
					t.Fatalf("%s: %v", how, err)
				}
				for _, file := range lose {
					if !strings.Contains(err.Error(), "\n"+file+": ") {
						t.Errorf("%s: no %s in %v", how, file, err)
					}
				}
				if diff := cmp.Diff(before, content(t, s)); diff != "" {
					t.Errorf("%s: the store changed: %s", how, diff)
				}
			}
		})
	}
}

func TestLeavesOfAClusterAreRenewed(t *testing.T) {
	now := time.Now()
	for name, test := range map[string]struct {
		age     time.Duration
		renewed int
	}{"half a year": {182 * 24 * time.Hour, 0}, "250 days": {250 * 24 * time.Hour, len(run(store.Store{}).rows) - 3}} {
		t.Run(name, func(t *testing.T) {
			s := broughtUp(t, now.Add(-test.age))
			before := content(t, s)
			plan, err := run(s).completeKeys(now)
			if err != nil || len(plan) != test.renewed {
				t.Fatalf("%v, %v", plan, err)
			}
			if diff := cmp.Diff(before, content(t, s)); diff != "" {
				t.Error("looking changed the store")
			}
			for _, r := range plan {
				if !strings.HasPrefix(r.Reason, "ends in 11") || r.OldSerial == "" {
					t.Errorf("%+v", r)
				}
			}
		})
	}
}

// A file is recorded as wanted before anything is made of it, and as applied once it is.
func TestRecordOfABringUp(t *testing.T) {
	s := testStore(t)
	e := run(s)
	record := func() *store.Record {
		t.Helper()
		r, err := s.Record()
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	if err := e.recordWanted(); err != nil {
		t.Fatal(err)
	}
	if r := record(); r.Applied != nil || r.Wanted == nil || len(r.Nodes) != 5 || r.Nodes[0].State != store.Joining {
		t.Errorf("under way: %+v", r)
	}
	if err := e.recordApplied(); err != nil {
		t.Fatal(err)
	}
	done := record()
	if done.Wanted != nil || len(done.Nodes) != 5 || done.Nodes[0] != (store.Node{Name: "cp-1", Role: spec.RoleControlPlane, Address: "10.10.10.11", State: store.Active}) {
		t.Errorf("done: %+v", done)
	}
	if err := errors.Join(run(s).recordWanted(), run(s).recordApplied()); err != nil || record().Serial != done.Serial {
		t.Errorf("again: serial %d, was %d, %v", record().Serial, done.Serial, err)
	}
}

func TestCertificateWarnings(t *testing.T) {
	now := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	const day = 24 * time.Hour
	e := run(store.Store{})
	plan, _ := pki.Plan(e.rows, pki.Bundle{}, now, false)
	keys, err := pki.Issue(e.rows, pki.Bundle{}, plan, now, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	leaves := "certificates apiserver, apiserver-kubelet-client, apiserver-etcd-client and 23 more "
	authorities := "authorities ca, etcd/ca, front-proxy-ca end in 60 days, on 2036-11-20; what they signed ends with them, and haplane does not renew authorities"
	if got, want := certificateWarnings(e.rows[:1], keys, now.Add(3650*day)), "authority ca ends within a day, on 2036-11-20; "; len(got) != 1 || !strings.HasPrefix(got[0], want) {
		t.Errorf("one: %v", got)
	}
	for name, test := range map[string]struct {
		at   time.Time
		want []string
	}{
		"61 days before":              {now.Add(365*day - 60*day - time.Second), []string{}},
		"60 days before":              {now.Add(365*day - 60*day), []string{leaves + "end in 60 days, on 2027-11-23; haplane up renews them"}},
		"60 days before those of CAs": {now.Add(3650*day - 60*day), []string{authorities, leaves + "ended on 2027-11-23; haplane up renews them"}},
	} {
		if diff := cmp.Diff(test.want, certificateWarnings(e.rows, keys, test.at)); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}
