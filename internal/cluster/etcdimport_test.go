package cluster

import (
	"encoding/json"
	"errors"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/haplane/haplane/internal/snapshot"
	"github.com/haplane/haplane/internal/store"
)

// moved has haplane's folder be another, empty one.
func moved(t *testing.T) {
	t.Helper()
	t.Setenv("HAPLANE_HOME", t.TempDir())
}

// filesOf are those of a store by their names; its locks are none.
func filesOf(t *testing.T, s store.Store) map[string]string {
	t.Helper()
	out := map[string]string{}
	for path, data := range content(t, s) {
		if name, _ := filepath.Rel(s.Dir, path); filepath.Base(name) != "lock" && name != "record.lock" {
			out[name] = data
		}
	}
	return out
}

// Record and keys come out of a snapshot as they went in, secret from the first byte, and go again where nothing is begun.
func TestRecordOutOfASnapshot(t *testing.T) {
	s := keyed(t)
	before := filesOf(t, s)
	file := snapshotOf(t, s, func(*snapshot.Manifest, map[string][]byte) {})
	moved(t)
	h, undo, err := ImportSnapshot(file, "", nil)
	if err != nil {
		t.Fatal(err)
	}
	after := filesOf(t, h.env.Store)
	for _, name := range slices.Sorted(maps.Keys(before)) {
		if name != "record.json" && name != "ssh/config" && after[name] != before[name] {
			t.Errorf("%s differs", name)
		}
		info, err := os.Stat(filepath.Join(h.env.Store.Dir, name))
		if secret := strings.HasSuffix(name, ".key") || strings.HasPrefix(name, "ssh/") || name == "record.json"; err != nil || secret && info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v", name, info, err)
		}
	}
	if !strings.Contains(after["ssh/config"], h.env.Store.Dir) {
		t.Errorf("ssh finds no keys:\n%s", after["ssh/config"])
	}
	if _, _, err := ImportSnapshot(file, "", nil); err == nil || !strings.Contains(err.Error(), "cluster demo is on record in") {
		t.Errorf("where it is on record: %v", err)
	}
	q := must[Request](t)(h.RestoreSnapshot(t.Context(), file, nil, false))
	if !slices.Equal(q.Task.Made, []string{"cp-1", "cp-2", "worker-1", "lb-1"}) {
		t.Errorf("task %+v", q.Task)
	}
	if err := undo(); err != nil || len(filesOf(t, h.env.Store)) > 0 {
		t.Errorf("%v; left are %v", err, slices.Sorted(maps.Keys(filesOf(t, h.env.Store))))
	}
	h, undo, err = ImportSnapshot(file, "demo", nil)
	if err != nil {
		t.Fatal(err)
	}
	h.env.whole(t, "cp-1")
	if err := undo(); err != nil || len(filesOf(t, h.env.Store)) < len(before) {
		t.Errorf("a machine was made, and all is forgotten: %v", err)
	}
}

// The keys that machines have for their snapshots were sealed before a node joined: nobody has its host key, and its machine is made anew.
func TestRecordWithoutTheHostKeyOfANode(t *testing.T) {
	s := keyed(t)
	file := snapshotOf(t, s, func(_ *snapshot.Manifest, f map[string][]byte) { delete(f, "ssh/host-keys/cp-2") })
	moved(t)
	h, undo, err := ImportSnapshot(file, "", nil)
	if err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(filepath.Join(h.env.Store.Dir, "ssh/host-keys/cp-2"))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("its host key: %v, %v", info, err)
	}
	if err := undo(); err != nil || len(filesOf(t, h.env.Store)) > 0 {
		t.Errorf("%v; left are %v", err, slices.Sorted(maps.Keys(filesOf(t, h.env.Store))))
	}
}

// What a snapshot lacks, or says wrong, is one clear message, and nothing is written.
func TestRecordThatIsNotTaken(t *testing.T) {
	record := func(edit func(*store.Record)) func(*snapshot.Manifest, map[string][]byte) {
		return func(_ *snapshot.Manifest, f map[string][]byte) {
			var r store.Record
			_ = json.Unmarshal(f["record.json"], &r)
			edit(&r)
			f["record.json"], _ = json.Marshal(r)
		}
	}
	same := func(*snapshot.Manifest, map[string][]byte) {}
	drop := func(names ...string) func(*snapshot.Manifest, map[string][]byte) {
		return func(_ *snapshot.Manifest, f map[string][]byte) {
			maps.DeleteFunc(f, func(name string, _ []byte) bool {
				return slices.ContainsFunc(names, func(n string) bool { return strings.HasPrefix(name, n) })
			})
		}
	}
	for name, test := range map[string]struct {
		edit       func(*snapshot.Manifest, map[string][]byte)
		name, says string
	}{
		"without keys":       {drop("pki/ca.key", "pki/sa.key"), "", "nothing new is made in its place: pki/ca.key (missing), pki/sa.key"},
		"without all keys":   {drop("pki/", "ssh/"), "", "pki/encryption.key (missing)"},
		"without SSH keys":   {drop("ssh/id_ed25519"), "", "ssh/id_ed25519 (missing)"},
		"without a record":   {drop("record.json"), "", "it has no record of the cluster"},
		"with half a record": {func(_ *snapshot.Manifest, f map[string][]byte) { f["record.json"] = []byte("{") }, "", "the record in it"},
		"never brought up":   {record(func(r *store.Record) { r.Applied = nil }), "", "never brought up to its end"},
		"of another lineage": {record(func(r *store.Record) { r.Lineage = "other" }), "", "another cluster than its manifest says"},
		"of another name":    {same, "blue", "it is of cluster demo, and --cluster is blue"},
		"with a way out":     {func(_ *snapshot.Manifest, f map[string][]byte) { f["pki/../../x"] = nil }, "", "none of a cluster's"},
	} {
		t.Run(name, func(t *testing.T) {
			file := snapshotOf(t, keyed(t), test.edit)
			moved(t)
			_, _, err := ImportSnapshot(file, test.name, nil)
			var bad *SnapshotError
			if !errors.As(err, &bad) || !strings.Contains(err.Error(), test.says) {
				t.Errorf("error %v", err)
			}
			if left := filesOf(t, store.Store{Dir: must[string](t)(store.Home())}); len(left) > 0 {
				t.Errorf("left are %v", slices.Sorted(maps.Keys(left)))
			}
		})
	}
	t.Run("beside keys", func(t *testing.T) {
		s := keyed(t)
		file := snapshotOf(t, s, same)
		if err := errors.Join(os.Remove(filepath.Join(s.Dir, "record.json")), os.Remove(filepath.Join(s.Dir, "cluster.yaml"))); err != nil {
			t.Fatal(err)
		}
		if _, _, err := ImportSnapshot(file, "", nil); err == nil || !strings.Contains(err.Error(), "no record of it that can be read") {
			t.Errorf("error %v", err)
		}
	})
}

// A snapshot that was taken in the middle of a change is of what the cluster was before it.
func TestRecordOfBeforeAChange(t *testing.T) {
	s := keyed(t)
	wider := parsed(t, "cp-1", "cp-2", "cp-3", "worker-1", "lb-1")
	if err := s.Update(func(r *store.Record) error {
		r.Wanted, r.Versions, r.Previous = wider, store.Versions{Kubernetes: "v1.37.2"}, &store.Versions{Kubernetes: "v1.36.5"}
		r.Change = &store.Change{Command: "haplane upgrade", TextBefore: []byte(commented), TextAfter: []byte("other"), Upgrade: &store.Upgrade{From: "v1.36.5", To: "v1.37.2"}}
		r.Nodes[0].State, r.Nodes[0].Rejoin = store.Leaving, true
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	file := snapshotOf(t, s, func(_ *snapshot.Manifest, f map[string][]byte) { f["cluster.yaml"] = []byte("other") })
	moved(t)
	h, _, err := ImportSnapshot(file, "", nil)
	if err != nil {
		t.Fatal(err)
	}
	r := must[*store.Record](t)(h.env.Store.Record())
	if r.Change != nil || r.Wanted != nil || r.Versions.Kubernetes != "v1.36.5" || string(must[[]byte](t)(h.env.Store.ClusterText())) != commented {
		t.Errorf("record %+v", r)
	}
	if diff := cmp.Diff([]string{"cp-1", "cp-2", "worker-1", "lb-1"}, nodeNames(h.Request().Wanted)); diff != "" || r.Nodes[0].State != store.Active {
		t.Errorf("nodes %+v %s", r.Nodes, diff)
	}
}
