package cluster

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"filippo.io/age"
	"github.com/google/go-cmp/cmp"

	"github.com/haplane/haplane/internal/change"
	"github.com/haplane/haplane/internal/observed"
	"github.com/haplane/haplane/internal/snapshot"
	"github.com/haplane/haplane/internal/store"
)

// snapshotOf is a snapshot of a cluster in a file, and an etcdutl that takes its data for good.
func snapshotOf(t *testing.T, s store.Store, edit func(*snapshot.Manifest, map[string][]byte)) string {
	t.Helper()
	dir, bin := t.TempDir(), t.TempDir()
	etcdutl := "#!/bin/sh\n[ \"$2\" != status ] || echo '{\"revision\": 7, \"totalKey\": 3}'\n"
	database, file := filepath.Join(dir, "db"), filepath.Join(dir, "demo.tar")
	if err := errors.Join(os.WriteFile(filepath.Join(bin, "etcdutl"), []byte(etcdutl), 0o755), os.WriteFile(database, bytes.Repeat([]byte{1}, 1024), 0o600), snapshot.Seal(database)); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", bin+":"+os.Getenv("PATH"))
	m := snapshot.Manifest{Cluster: "demo", Lineage: must[*store.Record](t)(s.Record()).Lineage, Revision: 7, Taken: time.Unix(1e9, 0)}
	files := must[map[string][]byte](t)(s.RestoreFiles())
	edit(&m, files)
	if err := snapshot.WriteFile(file, m, database, files, nil); err != nil {
		t.Fatal(err)
	}
	return file
}

func withKeys(t *testing.T) store.Store {
	t.Helper()
	s := applied(t, commented)
	dir := filepath.Join(s.Dir, "pki")
	if err := errors.Join(os.MkdirAll(dir, 0o700), os.WriteFile(filepath.Join(dir, "encryption.key"), []byte("k"), 0o600), os.WriteFile(filepath.Join(dir, "sa.key"), []byte("k"), 0o600)); err != nil {
		t.Fatal(err)
	}
	return s
}

func TestSnapshotThatIsNotRestored(t *testing.T) {
	for name, test := range map[string]struct {
		edit  func(*snapshot.Manifest, map[string][]byte)
		cut   bool
		older bool
		says  string
	}{
		"of another cluster":          {func(m *snapshot.Manifest, _ map[string][]byte) { m.Lineage = "other" }, false, true, "it is of another cluster"},
		"with another key":            {func(_ *snapshot.Manifest, f map[string][]byte) { f["pki/encryption.key"] = []byte("other") }, false, true, "encrypted with a key key1 of then, and the cluster has another one of that name"},
		"truncated":                   {func(*snapshot.Manifest, map[string][]byte) {}, true, true, "it ends in the middle"},
		"of another revision":         {func(m *snapshot.Manifest, _ map[string][]byte) { m.Revision = 9 }, false, true, "ends at revision 7, its manifest says 9"},
		"nobody knows if it is older": {func(*snapshot.Manifest, map[string][]byte) {}, false, false, "nobody knows how much newer"},
	} {
		t.Run(name, func(t *testing.T) {
			s := withKeys(t)
			opened(t).env.whole(t, "cp-1") // of no machine, nothing could be newer
			file := snapshotOf(t, s, test.edit)
			if test.cut {
				info, err := os.Stat(file)
				if err == nil {
					err = os.Truncate(file, info.Size()/2)
				}
				if err != nil {
					t.Fatal(err)
				}
			}
			_, err := opened(t).RestoreSnapshot(t.Context(), file, nil, test.older)
			var bad *SnapshotError
			var refused *change.Refused
			if err == nil || !strings.Contains(err.Error(), test.says) || !(errors.As(err, &bad) || errors.As(err, &refused)) {
				t.Errorf("error %v", err)
			}
			left, _ := filepath.Glob(filepath.Join(s.Dir, "tmp", "*"))
			kept, _ := filepath.Glob(filepath.Join(s.Dir, "restore", "*"))
			if len(left)+len(kept) > 0 {
				t.Errorf("left are %v %v", left, kept)
			}
		})
	}
}

// Etcd's data is not exchanged in the middle of something else, which goes on first where it can: not where the machines
// of most members are gone.
func TestARestoreWaitsForAChangeThatWasCutOff(t *testing.T) {
	for name, test := range map[string]struct {
		there  []string
		refuse bool
	}{"most are there": {[]string{"cp-1", "cp-2"}, true}, "half are gone": {[]string{"cp-1"}, false}, "all are gone": {nil, false}} {
		t.Run(name, func(t *testing.T) {
			s := keyed(t)
			file := snapshotOf(t, s, func(*snapshot.Manifest, map[string][]byte) {})
			for _, node := range test.there {
				opened(t).env.whole(t, node)
			}
			if err := s.Update(func(r *store.Record) error { r.Change = &store.Change{Command: "node add"}; return nil }); err != nil {
				t.Fatal(err)
			}
			interrupts, err := opened(t).interrupted(t.Context(), must[*store.Record](t)(s.Record()))
			if refused := err != nil && strings.Contains(err.Error(), "a change was cut off: node add"); refused != test.refuse || !refused && (err != nil || interrupts != "node add") {
				t.Errorf("%q, %v", interrupts, err)
			}
			_, err = opened(t).RestoreSnapshot(t.Context(), file, nil, true)
			_, also := opened(t).Recover(t.Context())
			for _, err := range []error{err, also} {
				if refused := err != nil && strings.Contains(err.Error(), "a change was cut off"); refused != test.refuse {
					t.Errorf("error %v", err)
				}
			}
		})
	}
}

// The whole of a cluster of which no machine is left: all are made anew, nothing newer is discarded, and the database waits in the store. Its
// revisions go beyond those of a restore before, which nobody is left to tell of.
func TestRestoreRequest(t *testing.T) {
	s := withKeys(t)
	if err := s.Update(func(r *store.Record) error { r.Leaps = []store.Leap{{After: 5, By: 100}}; return nil }); err != nil {
		t.Fatal(err)
	}
	file := snapshotOf(t, s, func(*snapshot.Manifest, map[string][]byte) {})
	q := must[Request](t)(opened(t).RestoreSnapshot(t.Context(), file, nil, false))
	if len(q.Replace) > 0 || !slices.Equal(q.Task.Made, []string{"cp-1", "cp-2", "worker-1", "lb-1"}) || q.Task.Revision != 7 || q.Task.Bump != leap+105-7 || !slices.Equal(q.Task.Members, []string{"cp-1", "cp-2"}) {
		t.Errorf("request %+v, task %+v", q, q.Task)
	}
	if info, err := os.Stat(s.Restored(q.Task.Snapshot)); err != nil || info.Mode().Perm() != 0o600 || info.Size() != 1024+32 {
		t.Errorf("%v, %v", info, err)
	}
}

// Half a restore goes before all else; the same command, and apply, go on with it.
func TestARestoreThatWasCutOff(t *testing.T) {
	cut := store.Task{ID: "a", Kind: change.RestoreData, Sum: "s", Members: []string{"cp-1"}}
	done := store.StepRecord{ID: "etcd-swap@cp-1", Verb: change.SwapData, State: store.Done}
	wrote := store.StepRecord{ID: change.WriteObject, Verb: change.WriteObject, State: store.Done}
	for name, test := range map[string]struct {
		q       func(Request) Request
		steps   []store.StepRecord
		replace []string
		taken   bool
		says    string
	}{
		"apply":                    {func(q Request) Request { return q }, nil, nil, true, ""},
		"the same again":           {func(q Request) Request { q.Task = &change.Task{ID: "b", Kind: change.RestoreData, Sum: "s"}; return q }, nil, nil, true, ""},
		"another snapshot":         {func(q Request) Request { q.Task = &change.Task{ID: "b", Kind: change.RestoreData, Sum: "z"}; return q }, nil, nil, false, "that comes first"},
		"another change":           {func(q Request) Request { q.Replace = []string{"worker-1"}; return q }, nil, nil, false, "that comes first"},
		"back":                     {func(q Request) Request { q.Abort = true; return q }, nil, nil, true, ""},
		"back, after it was used":  {func(q Request) Request { q.Abort = true; return q }, []store.StepRecord{wrote}, nil, false, "would lose these writes"},
		"back to no quorum at all": {func(q Request) Request { q.Abort = true; return q }, nil, []string{"cp-2"}, false, "nothing to go back to"},
		"back, after a way back":   {func(q Request) Request { q.Abort = true; return q }, []store.StepRecord{wrote, {ID: "etcd-swap-back@cp-1", Verb: change.SwapDataBack, Node: "cp-1", At: time.Unix(9, 0)}}, nil, true, ""},
	} {
		t.Run(name, func(t *testing.T) {
			s := applied(t, commented)
			task := cut
			if err := s.Update(func(r *store.Record) error {
				r.Change = &store.Change{ID: "1", Command: "haplane etcd restore", Task: &task, Steps: append(test.steps, done), Replace: test.replace}
				return nil
			}); err != nil {
				t.Fatal(err)
			}
			l := asked(t, s, test.q(opened(t).Request()))
			l.whole(t, "cp-1")
			l.whole(t, "lb-1")
			err := l.takeTask()
			if test.says != "" && (err == nil || !strings.Contains(err.Error(), test.says)) || test.says == "" && err != nil {
				t.Fatalf("error %v", err)
			}
			if taken := l.Task != nil && l.Task.ID == "a"; taken != test.taken {
				t.Errorf("task %+v", l.Task)
			}
			if err == nil && !l.Abort && !slices.Equal(l.doneBefore(), []string{"etcd-swap@cp-1"}) {
				t.Errorf("done before: %v", l.doneBefore())
			}
		})
	}
}

func TestWhatIsLostIsSaid(t *testing.T) {
	for want, task := range map[string]change.Task{
		"lost are the revisions 8 to 10 (3)":      {Revision: 7, Newest: 10},
		"nobody could tell which revision":        {Revision: 7},
		"etcd goes on with the data of cp-1":      {Revision: 7, Newest: 7, Note: "etcd goes on with the data of cp-1"},
		"afterwards cp-2, cp-3 are made anew":     {Revision: 7, Newest: 7},
		"the API answers nobody from the first h": {Revision: 7, Newest: 7},
		"(caBundle) have the old one":             {Stale: []string{"ca"}},
		"trusts the old one still. Delete it":     {Stale: []string{"front-proxy-ca"}},
		"tokens in Secrets of type":               {Stale: []string{"ca", "service-account"}},
		"the restore begins anew for all members": {Attempt: 1},
	} {
		task.Kind = change.RestoreData
		l := &live{Request: Request{Task: &task, Replace: []string{"cp-2", "cp-3"}}}
		if text := strings.Join(l.taskWarnings(), "\n"); !strings.Contains(text, want) {
			t.Errorf("no %q in %q", want, text)
		}
	}
}

// What is encrypted has the keys in no form that can be read, and nobody else may read the file.
func TestSnapshotFile(t *testing.T) {
	s := withKeys(t)
	key, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	database := filepath.Join(t.TempDir(), "db")
	if err := os.WriteFile(database, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	h := opened(t)
	file := h.SnapshotFile(true)
	if h.Leaves(file) || !h.Leaves(filepath.Join(t.TempDir(), "x.tar")) || !h.Leaves(filepath.Join(s.Dir, "..", "x.tar")) {
		t.Error("where haplane's folder ends is not known")
	}
	m := snapshot.Manifest{Cluster: "demo", Revision: 9}
	if err := snapshot.WriteFile(file, m, database, map[string][]byte{"pki/sa.key": []byte("secret")}, []age.Recipient{key.Recipient()}); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(file)
	data, _ := os.ReadFile(file)
	if err != nil || info.Mode().Perm() != 0o600 || bytes.Contains(data, []byte("secret")) {
		t.Errorf("%v %v", info, err)
	}
	for revision, identities := range map[int64][]age.Identity{0: nil, 9: {key}} {
		list := must[[]Snapshot](t)(h.Snapshots(identities))
		if len(list) != 1 || list[0].Revision != revision || !list[0].Encrypted {
			t.Errorf("%s", fmt.Sprint(list))
		}
	}
}

// An alarm is told with what it means and the way on: a cluster that takes no writes looks well otherwise.
func TestAlarmsAreTold(t *testing.T) {
	e := observed.Etcd{Members: []observed.Member{{ID: 1, Name: "cp-1"}, {ID: 2, Name: "cp-2"}},
		Alarms: []observed.Alarm{{Member: 2, Kind: "NOSPACE"}, {Member: 1, Kind: "NOSPACE"}, {Member: 2, Kind: "CORRUPT"}, {Member: 0xab, Kind: "OTHER"}}}
	want := []string{"etcd has raised the alarm CORRUPT on cp-2: its data is not that of the others; haplane node replace cp-2 --cluster demo makes it anew",
		"etcd has raised the alarm NOSPACE on cp-1, cp-2: it has reached its quota, and takes deletions alone; haplane etcd alarm disarm --cluster demo makes room and clears it",
		"etcd has raised the alarm OTHER on ab"}
	if diff := cmp.Diff(want, alarmWarnings(e, "demo")); diff != "" {
		t.Error(diff)
	}
	if got := alarmWarnings(observed.Etcd{}, "demo"); got != nil {
		t.Errorf("without alarms: %v", got)
	}
}
