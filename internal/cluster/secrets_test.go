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

	"github.com/haplane/haplane/internal/change"
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
	l := &live{env: run(s), Request: Request{Wanted: spec.Default("demo")}, record: &store.Record{},
		change: &change.Change{Steps: []change.Step{{ID: change.IssueCertificates}}}}
	var err error
	if l.issues, err = l.completeKeys(at); err != nil {
		t.Fatal(err)
	}
	j := &journal{live: l}
	if err := errors.Join(l.prepareSSH(), l.begin(), j.Issue()); err != nil {
		t.Fatal(err)
	}
	for _, n := range l.topology.Nodes {
		if err := j.SetNode(n, change.Active, false); err != nil {
			t.Fatal(err)
		}
	}
	if err := l.settle(); err != nil {
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
				_, err := run(s).completeKeys(now)
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
	l := must[*live](t)(newBringUp(Request{Command: "haplane up", Wanted: spec.Default("demo")}, testOptions(t, s)))
	if _, err := os.Stat(s.Dir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("preparing it made %s: %v", s.Dir, err)
	}
	if err := errors.Join(l.plan(t.Context()), l.begin()); err != nil {
		t.Fatal(err)
	}
	r := must[*store.Record](t)(s.Record())
	if r.Applied != nil || r.Wanted == nil || len(r.Nodes) != 5 || r.Nodes[0].State != store.Joining || r.Change == nil || r.Change.Command != "haplane up" {
		t.Errorf("under way: %+v", r)
	}
	text := string(must[[]byte](t)(s.ClusterText()))
	if parsed := must[*spec.Cluster](t)(spec.Parse("text", []byte(text))); len(parsed.Spec.Nodes) != 5 {
		t.Errorf("cluster file:\n%s", text)
	}
	// What goes on does so with the file that is there.
	again := must[*live](t)(newBringUp(Request{Wanted: r.Wanted}, testOptions(t, s)))
	if err := errors.Join(again.plan(t.Context()), again.begin()); err != nil {
		t.Fatal(err)
	}
	if err := again.settle(); err != nil {
		t.Fatal(err)
	}
	done := must[*store.Record](t)(s.Record())
	if done.Wanted != nil || done.Change != nil || done.Applied == nil || len(done.Nodes) != 5 {
		t.Errorf("done: %+v", done)
	}
	if is := string(must[[]byte](t)(s.ClusterText())); is != text {
		t.Errorf("the file became:\n%s", is)
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
	authorities := "authorities ca, etcd/ca, front-proxy-ca end in 60 days, on 2036-11-20; what they signed ends with them; haplane certs rotate makes new ones"
	if got, want := certificateWarnings(e.rows[:1], keys, now.Add(3650*day)), "authority ca ends within a day, on 2036-11-20; "; len(got) != 1 || !strings.HasPrefix(got[0], want) {
		t.Errorf("one: %v", got)
	}
	if got, want := certificateWarnings(e.rows[:1], keys, now.Add(3651*day)), []string{"authority ca ended on 2036-11-20; what it signed is good for nothing without it; haplane certs renew makes it anew with its key"}; !cmp.Equal(got, want) {
		t.Errorf("one that has ended: %v", got)
	}
	ended := "authorities ca, etcd/ca, front-proxy-ca ended on 2036-11-20; what they signed is good for nothing without them; haplane certs renew makes them anew with their keys"
	for name, test := range map[string]struct {
		at   time.Time
		want []string
	}{
		"afterwards":                  {now.Add(3651 * day), []string{ended, leaves + "ended on 2027-11-23; haplane certs renew renews them"}},
		"61 days before":              {now.Add(365*day - 60*day - time.Second), []string{}},
		"60 days before":              {now.Add(365*day - 60*day), []string{leaves + "end in 60 days, on 2027-11-23; haplane certs renew renews them"}},
		"60 days before those of CAs": {now.Add(3650*day - 60*day), []string{authorities, leaves + "ended on 2027-11-23; haplane certs renew renews them"}},
	} {
		if diff := cmp.Diff(test.want, certificateWarnings(e.rows, keys, test.at)); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}
