package store

import (
	"crypto/rand"
	"os"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/haplane/haplane/internal/pki"
	"github.com/haplane/haplane/internal/topology"
	"github.com/haplane/haplane/spec"
)

// A rotation may be cut off between any two files: which generation signs is what the record says.
func TestARotationCutOffAnywhereHasItsKeys(t *testing.T) {
	rows := pki.Catalogue(topology.New(spec.Default("demo")))
	for name, row := range pki.Rotatable {
		t.Run(name, func(t *testing.T) {
			s := testStore(t)
			before := makeKeys(t, s, rows)
			next, err := pki.Next(before, rows, row, time.Now(), rand.Reader)
			if err != nil {
				t.Fatal(err)
			}
			if err := s.SaveNext(name, next); err != nil {
				t.Fatal(err)
			}
			if info, err := os.Stat(s.path("pki", row+".next.key")); err != nil || info.Mode().Perm() != 0o600 {
				t.Errorf("the next key: %v, %v", info, err)
			}
			var cross []byte
			if name == pki.RotateCA || name == pki.RotateEtcdCA {
				if cross, err = pki.Cross(before.Generation(row), next, time.Now(), rand.Reader); err != nil {
					t.Fatal(err)
				}
			}
			inPhase := func(what string, phase pki.Phase, signs pki.Pair, beside *pki.Beside) {
				t.Helper()
				if err := s.Update(func(r *Record) error { r.Rotation = &Rotation{Name: name, Phase: phase, Cross: cross}; return nil }); err != nil {
					t.Fatal(err)
				}
				have, err := s.Keys(rows)
				if err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(signs, have.Generation(row)); diff != "" {
					t.Errorf("%s: another one signs than should:\n%s", what, diff)
				}
				if diff := cmp.Diff(beside, have.Beside); diff != "" {
					t.Errorf("%s: another one is trusted:\n%s", what, diff)
				}
			}
			inPhase("trust", pki.Trust, before.Generation(row), &pki.Beside{Name: row, Pair: next})
			inPhase("switch", pki.Switch, next, &pki.Beside{Name: row, Older: true, Pair: before.Generation(row), Cross: cross})
			inPhase("drop", pki.Drop, next, nil)
			// Promote, cut off after the key.
			cert, key, _, keyOf := nextFiles(name)
			if err := os.Rename(s.path("pki", key), s.path("pki", keyOf)); err != nil {
				t.Fatal(err)
			}
			inPhase("cut off", pki.Drop, next, nil)
			if done, err := s.Promoted(name); done || err != nil {
				t.Errorf("promoted: %v, %v", done, err)
			}
			for range 2 {
				if err := s.Promote(name); err != nil {
					t.Fatal(err)
				}
				inPhase("promoted", pki.Drop, next, nil)
			}
			if _, err := os.Stat(s.path("pki", cert)); !os.IsNotExist(err) {
				t.Errorf("%s is left", cert)
			}
			if err := s.Update(func(r *Record) error { r.Rotation = nil; return nil }); err != nil {
				t.Fatal(err)
			}
			if have, err := s.Keys(rows); err != nil || cmp.Diff(next, have.Generation(row)) != "" || have.Beside != nil {
				t.Errorf("after it: %v, %v", have.Beside, err)
			}
		})
	}
}

// What a rotation needs is never made anew.
func TestALostNextGenerationIsAnError(t *testing.T) {
	rows := pki.Catalogue(topology.New(spec.Default("demo")))
	for _, phase := range []pki.Phase{pki.Trust, pki.Switch} {
		s := testStore(t)
		makeKeys(t, s, rows)
		if err := s.Update(func(r *Record) error { r.Rotation = &Rotation{Name: "ca", Phase: phase}; return nil }); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Keys(rows); err == nil {
			t.Errorf("%s: no error", phase)
		}
	}
	s := testStore(t)
	for _, r := range []Rotation{{Name: "sa", Phase: pki.Trust}, {Name: "ca", Phase: "x"}, {Name: "ca", Phase: pki.Switch, Cross: []byte("x")}} {
		if err := s.Update(func(record *Record) error { record.Rotation = &r; return nil }); err == nil {
			t.Errorf("%+v was written", r)
		}
	}
}
