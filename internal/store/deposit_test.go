package store

import (
	std "cmp"
	"crypto/rand"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/haplane/haplane/internal/pki"
	"github.com/haplane/haplane/internal/topology"
	"github.com/haplane/haplane/spec"
)

// A store that is made of a deposit has the keys and the record that it was made with, in every phase of every rotation.
func TestADepositIsAStore(t *testing.T) {
	c := spec.Default("demo")
	rows := pki.Catalogue(topology.New(c))
	first := makeKeys(t, testStore(t), rows)
	phases := []pki.Phase{"", pki.Trust, pki.Switch}
	for name, row := range pki.Rotatable {
		next, err := pki.Next(first, rows, row, time.Now(), rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		for _, phase := range phases {
			t.Run(name+"/"+string(phase), func(t *testing.T) {
				keys, record := first, Record{Lineage: "L", Applied: c, Nodes: []Node{{Name: "cp-1", Role: spec.RoleControlPlane, Address: "10.10.10.11", State: Active}}}
				if phase != "" {
					keys, record.Rotation = first.During(phase, row, next), &Rotation{Name: name, Phase: phase}
				}
				if phase == pki.Switch && name == pki.RotateCA {
					if record.Rotation.Cross, err = pki.Cross(first.Pairs[pki.CA], next, time.Now(), rand.Reader); err != nil {
						t.Fatal(err)
					}
					keys.Beside.Cross = record.Rotation.Cross
				}
				files, err := testStore(t).DepositFiles(record, keys, []byte("# mine\n"))
				if err != nil {
					t.Fatal(err)
				}
				made := testStore(t)
				for name, data := range files {
					file := filepath.Join(made.Dir, name)
					if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
						t.Fatal(err)
					}
					if err := os.WriteFile(file, data, 0o600); err != nil {
						t.Fatal(err)
					}
				}
				have, err := made.Keys(rows)
				if err != nil {
					t.Fatal(err)
				}
				keys.EncryptionName, have.EncryptionName = std.Or(keys.EncryptionName, "key1"), std.Or(have.EncryptionName, "key1")
				if diff := cmp.Diff(keys, have, cmpopts.EquateEmpty()); diff != "" {
					t.Error(diff)
				}
				if r, err := made.Record(); err != nil || r.Lineage != "L" || r.Change != nil || len(r.Nodes) != 1 || cmp.Diff(record.Rotation, r.Rotation) != "" {
					t.Errorf("record %+v, %v", r, err)
				}
			})
		}
	}
}
