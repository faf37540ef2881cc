package cluster

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/haplane/haplane/internal/machine"
	"github.com/haplane/haplane/internal/machine/machinetest"
	"github.com/haplane/haplane/internal/pki"
	"github.com/haplane/haplane/internal/snapshot"
	"github.com/haplane/haplane/internal/store"
)

// keyless is the file of a snapshot as a machine takes it, of when a key encrypted Secrets.
func keyless(t *testing.T, key pki.NamedKey) []byte {
	t.Helper()
	var out bytes.Buffer
	database := filepath.Join(t.TempDir(), "db")
	m := snapshot.Manifest{Cluster: "demo", Revision: 7, Taken: time.Unix(1e9, 0).UTC(), Encryption: snapshot.Fingerprint(key.Name, key.Key)}
	if err := errors.Join(os.WriteFile(database, bytes.Repeat([]byte{1}, 64<<10), 0o600), snapshot.Write(&out, m, database, nil, nil)); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// What machines keep is compared by the begin of each file; what is encrypted, or no snapshot, is left as it is.
func TestSnapshotsOfMachinesAreCompared(t *testing.T) {
	keyed(t)
	e := opened(t).env
	if err := e.loadKeys(); err != nil {
		t.Fatal(err)
	}
	now := e.keys.EncryptionKeys()[0]
	heads := map[string][]byte{"20261128T120005Z-r683.tar": keyless(t, pki.NamedKey{Name: "key0", Key: []byte("old")}), "20261128T180001Z-r690.tar": keyless(t, now), "20261129T180001Z-r700.tar": []byte("broken")}
	e.reach = func(node string) machine.Machine {
		return &machinetest.Recorder{NodeName: node, Answer: func([]string) (string, error) {
			out := "20200101T000000Z-r1.tar \n"
			for name, data := range heads {
				out += name + " " + base64.StdEncoding.EncodeToString(data[:min(len(data), 16384)]) + "\n"
			}
			return out, nil
		}}
	}
	cp1, _ := e.topology.Node("cp-1")
	list := parseKept("cp-1", "1 20261128T120005Z-r683.tar\n1 20261128T180001Z-r690.tar\n1 20261129T180001Z-r700.tar\n1 20261129T190001Z-r701.tar.age\n").list
	if err := e.compareKept(t.Context(), cp1, list); err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, s := range list {
		got = append(got, fmt.Sprintf("%d %v %v %v", s.Revision, s.EncryptedAnew(), s.WithoutKeys, s.Unreadable()))
	}
	if want := []string{"683 true true true", "690 false true false", "700 false false false", "701 false false false"}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}

// Those in haplane's folder are compared as well, with and without keys.
func TestSavedSnapshotsAreCompared(t *testing.T) {
	s := keyed(t)
	copies := map[string]string{"20261128T000000Z.tar": "", "20261129T000000Z.tar": "other"}
	for name, key := range copies {
		file := snapshotOf(t, s, func(_ *snapshot.Manifest, files map[string][]byte) {
			if key != "" {
				files["pki/encryption.key"] = []byte(key)
			}
		})
		data := must[[]byte](t)(os.ReadFile(file))
		if err := errors.Join(os.MkdirAll(s.Snapshots(), 0o700), os.WriteFile(filepath.Join(s.Snapshots(), name), data, 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	without := keyless(t, pki.NamedKey{Name: "key0", Key: []byte("old")})
	if err := os.WriteFile(filepath.Join(s.Snapshots(), "20261130T000000Z-r7-cp-1.tar"), without, 0o600); err != nil {
		t.Fatal(err)
	}
	list := must[[]Snapshot](t)(opened(t).Snapshots(nil))
	if len(list) != 3 || list[0].EncryptedAnew() || !list[1].EncryptedAnew() || list[1].Unreadable() || !list[2].Unreadable() {
		t.Errorf("%+v", list)
	}
	q := opened(t).RotateRequest(pki.RotateEncryption)
	l := asked(t, s, q)
	l.record.Applied = q.Wanted
	for name, rotation := range map[string]*store.Rotation{"encryption": {Name: pki.RotateEncryption, Phase: pki.Trust}, "ca": {Name: pki.RotateCA, Phase: pki.Trust}, "proved": {Name: pki.RotateEncryption, Phase: pki.Trust, Proved: true}} {
		l.rotation = rotation
		got := strings.Join(l.snapshotWarnings(t.Context()), "\n")
		if warns := strings.Contains(got, "20261130T000000Z-r7-cp-1.tar (2001-09-09)") && !strings.Contains(got, "20261129T000000Z.tar"); warns != (name == "encryption") || name != "encryption" && got != "" {
			t.Errorf("%s: %q", name, got)
		}
	}
}
