package agent

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"filippo.io/age"
	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/util/wait"

	"github.com/haplane/haplane/internal/etcdapi"
	"github.com/haplane/haplane/internal/render"
	"github.com/haplane/haplane/internal/snapshot"
	"github.com/haplane/haplane/spec"
)

// A fakeEtcd has a revision, and sends it as its data.
type fakeEtcd struct {
	leader   string
	sick     []string
	revision int
	asked    []string                        // whose data was sent
	sends    func(io.Writer) error           // instead of the data
	alone    func(cancel context.CancelFunc) // while it has the lock
}

func (f *fakeEtcd) Alone(ctx context.Context, fn func(context.Context) error) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	if f.alone != nil {
		f.alone(cancel)
	}
	return fn(ctx)
}

func (f *fakeEtcd) Survey(context.Context) etcdapi.Survey {
	s := etcdapi.Survey{ClusterID: 7, HasQuorum: true}
	for i, name := range []string{"cp-1", "cp-2", "cp-3"} {
		s.Members = append(s.Members, etcdapi.Status{Member: etcdapi.Member{ID: uint64(i + 1), Name: name}, Leader: name == f.leader,
			Healthy: !slices.Contains(f.sick, name), Version: "3.7.3", DBSize: 1 << 20})
	}
	return s
}

func (f *fakeEtcd) Snapshot(ctx context.Context, of etcdapi.Member, to io.Writer) error {
	f.asked = append(f.asked, of.Name)
	if f.sends != nil {
		return f.sends(to)
	}
	_, err := fmt.Fprintf(to, "revision %d", f.revision)
	return errors.Join(ctx.Err(), err)
}

func (f *fakeEtcd) Close() error { return nil }

// A schedule that is kept on cp-1, by a clock that stands.
type keptTest struct {
	*snapshotKeeper
	etcd   *fakeEtcd
	config render.SnapshotConfig
	clock  time.Time
	room   uint64
}

func newKept(t *testing.T) *keptTest {
	t.Helper()
	k := &keptTest{etcd: &fakeEtcd{leader: "cp-2", revision: 1}, room: 1 << 40, clock: time.Date(2026, 11, 28, 12, 0, 5, 0, time.UTC),
		config: render.SnapshotConfig{Cluster: "demo", Lineage: "L", Node: "cp-1", Schedule: "0 */6 * * *", Retain: 3, Encryption: "key1 00"}}
	o := SnapshotOptions{Dir: t.TempDir(), OperationsFile: filepath.Join(t.TempDir(), "lock"), Log: slog.New(slog.DiscardHandler)}
	k.snapshotKeeper = o.keeper()
	k.snapshotKeeper.config = func() (render.SnapshotConfig, error) { return k.config, nil }
	k.open = func() (storage, error) { return k.etcd, nil }
	k.now = func() time.Time { return k.clock }
	k.free = func(string) (uint64, error) { return k.room, nil }
	k.check = func(_ context.Context, database string) (s snapshot.State, err error) {
		data, err := os.ReadFile(database)
		if err != nil {
			return s, err
		}
		if _, err := fmt.Sscanf(string(data), "revision %d", &s.Revision); err != nil {
			return s, &snapshot.DamagedError{Err: err}
		}
		return s, nil
	}
	return k
}

// files are all that the folder has.
func (k *keptTest) files(t *testing.T) []string {
	t.Helper()
	entries, err := os.ReadDir(k.dir)
	must(t, err)
	var out []string
	for _, e := range entries {
		out = append(out, e.Name())
	}
	return out
}

func (k *keptTest) takes(t *testing.T) {
	t.Helper()
	if next, err := k.step(t.Context()); err != nil || next != 0 {
		t.Fatalf("no snapshot: %s, %v", next, err)
	}
}

func (k *keptTest) waits(t *testing.T) {
	t.Helper()
	if next, err := k.step(t.Context()); err != nil || next == 0 {
		t.Fatalf("not waited: %s, %v", next, err)
	}
}

func TestDueIsAfterTheLastOne(t *testing.T) {
	schedule, err := spec.ParseSchedule("0 */6 * * *")
	must(t, err)
	now := time.Date(2026, 11, 28, 13, 0, 0, 0, time.UTC)
	for name, test := range map[string]struct {
		last time.Duration // before now; 0 is none
		want time.Duration // from now
	}{
		"there is none":          {0, 0},
		"it is early":            {30 * time.Minute, 5 * time.Hour},
		"it is time":             {7*time.Hour + time.Minute, -7 * time.Hour},
		"many times were missed": {50 * time.Hour, -49 * time.Hour},
		"the clock went back":    {-90 * time.Minute, 0},
	} {
		t.Run(name, func(t *testing.T) {
			var list []snapshot.Kept
			if test.last != 0 {
				list = []snapshot.Kept{snapshot.NewKept(now.Add(-test.last), 1, false)}
			}
			if got := dueAt(schedule, list, now).Sub(now); got != test.want {
				t.Errorf("due in %s, want %s", got, test.want)
			}
		})
	}
}

func TestWhatIsTakenIsVerifiedAndKept(t *testing.T) {
	k := newKept(t)
	k.takes(t)
	if diff := cmp.Diff([]string{"20261128T120005Z-r1.tar"}, k.files(t)); diff != "" {
		t.Fatal(diff)
	}
	file := filepath.Join(k.dir, "20261128T120005Z-r1.tar")
	if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
		t.Error(info, err)
	}
	f, err := os.Open(file)
	must(t, err)
	defer f.Close()
	var data bytes.Buffer
	m, files, err := snapshot.Read(f, nil, &data)
	must(t, err)
	if len(files) > 0 || data.String() != "revision 1" {
		t.Errorf("beside %q it has %v", data.String(), files)
	}
	m.Files = nil
	want := snapshot.Manifest{Schema: 1, Cluster: "demo", Lineage: "L", EtcdCluster: "7", Member: "cp-1", Etcd: "3.7.3", Taken: k.clock, Revision: 1, Encryption: "key1 00"}
	if diff := cmp.Diff(want, m); diff != "" {
		t.Error(diff)
	}
	k.waits(t)
	if h := k.status.now(); h.Kept != 1 || h.Last == nil || h.Revision != 1 || h.Due != time.Date(2026, 11, 28, 18, 0, 0, 0, time.UTC) {
		t.Errorf("health %+v", h)
	}
}

// A follower is asked: that of the machine, or else another one; the leader where nobody else is well.
func TestWhoIsAsked(t *testing.T) {
	for name, test := range map[string]struct {
		leader string
		sick   []string
		want   string
	}{
		"it follows": {"cp-2", nil, "cp-1"}, "it leads": {"cp-1", nil, "cp-2"}, "it is sick": {"cp-2", []string{"cp-1"}, "cp-3"},
		"only the leader is well": {"cp-3", []string{"cp-1", "cp-2"}, "cp-3"}, "nobody is well": {"cp-3", []string{"cp-1", "cp-2", "cp-3"}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			k := newKept(t)
			k.etcd.leader, k.etcd.sick = test.leader, test.sick
			_, err := k.step(t.Context())
			if got := strings.Join(k.etcd.asked, " "); got != test.want || (err == nil) != (test.want != "") {
				t.Errorf("asked %q, %v", got, err)
			}
		})
	}
}

// Whoever was off for days takes one, and not one for each time that was missed.
func TestMissedTimesAreMadeUpOnce(t *testing.T) {
	k := newKept(t)
	k.takes(t)
	k.clock, k.etcd.revision = k.clock.Add(5*24*time.Hour), 9
	k.takes(t)
	k.waits(t)
	if diff := cmp.Diff([]string{"20261128T120005Z-r1.tar", "20261203T120005Z-r9.tar"}, k.files(t)); diff != "" {
		t.Error(diff)
	}
}

func TestTheOldestGoAfterTheNewOneIsThere(t *testing.T) {
	k := newKept(t)
	for range 5 {
		k.takes(t)
		k.clock = k.clock.Add(6 * time.Hour)
		k.etcd.revision++
	}
	want := []string{"20261129T000005Z-r3.tar", "20261129T060005Z-r4.tar", "20261129T120005Z-r5.tar"}
	if diff := cmp.Diff(want, k.files(t)); diff != "" {
		t.Fatal(diff)
	}
	// One that is damaged takes the place of none.
	k.etcd.sends = func(w io.Writer) error { _, err := io.WriteString(w, "rubbish"); return err }
	if _, err := k.step(t.Context()); err == nil || !strings.Contains(err.Error(), "verify the snapshot of cp-1") {
		t.Errorf("error %v", err)
	}
	if diff := cmp.Diff(want, k.files(t)); diff != "" {
		t.Error(diff)
	}
	// Fewer are wanted: with the next one.
	k.etcd.sends, k.config.Retain = nil, 1
	k.takes(t)
	if got := k.files(t); len(got) != 1 || got[0] != "20261129T180005Z-r6.tar" {
		t.Errorf("left are %v", got)
	}
	// The clock went back: one is taken, and not one after the other; those that look newer go first.
	k.config.Retain = 2
	for range 3 {
		k.clock = k.clock.Add(-30 * 24 * time.Hour)
		k.takes(t)
		k.waits(t)
	}
	k.clock = k.clock.Add(6 * time.Hour)
	k.takes(t)
	if diff := cmp.Diff([]string{"20260831T180005Z-r6.tar", "20260901T000005Z-r6.tar"}, k.files(t)); diff != "" {
		t.Error(diff)
	}
}

// What a run that was killed left is no snapshot, and does not stay.
func TestHalfOfOneDoesNotCount(t *testing.T) {
	k := newKept(t)
	must(t, os.MkdirAll(filepath.Join(k.dir, workDir, "test-restore-1"), 0o700))
	for _, name := range []string{workDir + "/" + snapshot.Database, workDir + "/.20261128T120005Z-r1.tar.77.new", "20261128T110000Z-r1.tar.part"} {
		must(t, os.WriteFile(filepath.Join(k.dir, name), []byte("half"), 0o600))
	}
	k.takes(t)
	if diff := cmp.Diff([]string{"20261128T110000Z-r1.tar.part", "20261128T120005Z-r1.tar"}, k.files(t)); diff != "" {
		t.Error(diff)
	}
	// A member that goes away in the middle leaves nothing.
	k.clock = k.clock.Add(6 * time.Hour)
	k.etcd.sends = func(w io.Writer) error { _, _ = io.WriteString(w, "revi"); return io.ErrUnexpectedEOF }
	if _, err := k.step(t.Context()); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Error(err)
	}
	if got := k.files(t); len(got) != 2 {
		t.Errorf("left are %v", got)
	}
}

func TestAFullDiskKeepsWhatIsThere(t *testing.T) {
	k := newKept(t)
	k.takes(t)
	k.clock, k.room = k.clock.Add(6*time.Hour), 200<<20
	if _, err := k.step(t.Context()); err == nil || !strings.Contains(err.Error(), "has 200 MiB left, and a snapshot takes 259") {
		t.Errorf("error %v", err)
	}
	if len(k.etcd.asked) != 1 {
		t.Error("etcd was asked for what there is no room for")
	}
	// It fills while it is written.
	k.room = 1 << 40
	k.etcd.sends = func(w io.Writer) error { _, _ = io.WriteString(w, "revision"); return syscall.ENOSPC }
	if _, err := k.step(t.Context()); !errors.Is(err, syscall.ENOSPC) {
		t.Error(err)
	}
	if diff := cmp.Diff([]string{"20261128T120005Z-r1.tar"}, k.files(t)); diff != "" {
		t.Error(diff)
	}
}

// Who loses the lock in the middle, as when etcd has no leader for long, keeps nothing, and takes it later.
func TestTheLockIsLostInTheMiddle(t *testing.T) {
	k := newKept(t)
	k.etcd.alone = func(cancel context.CancelFunc) {
		k.etcd.sends = func(w io.Writer) error {
			cancel()
			_, err := io.WriteString(w, "revision 1")
			return err
		}
	}
	if _, err := k.step(t.Context()); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if got := k.files(t); len(got) != 0 {
		t.Errorf("left are %v", got)
	}
	k.etcd.alone, k.etcd.sends = nil, nil
	k.etcd.leader = "cp-1" // another one meanwhile
	k.takes(t)
	if got := k.etcd.asked; got[len(got)-1] != "cp-2" {
		t.Errorf("asked %v", got)
	}
}

func TestChangesOfTheClusterGoFirst(t *testing.T) {
	k := newKept(t)
	must(t, os.WriteFile(k.operations, nil, 0o600))
	must(t, os.Chtimes(k.operations, k.clock, k.clock.Add(-5*time.Second)))
	k.waits(t)
	k.clock = k.clock.Add(time.Minute) // whoever it was is dead
	k.takes(t)
}

// Data that may be taken back still is not kept as a snapshot: neither while nobody is at it, nor where that began meanwhile.
func TestRestoredDataIsNoSnapshotYet(t *testing.T) {
	k := newKept(t)
	mark := filepath.Join(k.dir, snapshot.RestoringFile)
	refuses := func() {
		t.Helper()
		if _, err := k.step(t.Context()); err == nil || !strings.Contains(err.Error(), "a restore of etcd's data was cut off: haplane apply goes on") {
			t.Errorf("error %v", err)
		}
		if diff := cmp.Diff([]string{snapshot.RestoringFile}, k.files(t)); diff != "" {
			t.Error(diff)
		}
	}
	must(t, os.WriteFile(mark, nil, 0o600))
	refuses()
	must(t, os.Remove(mark))
	k.etcd.sends = func(to io.Writer) error {
		_, err := io.WriteString(to, "revision 1")
		return errors.Join(err, os.WriteFile(mark, nil, 0o600))
	}
	refuses()
	must(t, os.Remove(mark))
	k.etcd.sends = nil
	k.takes(t)
}

func TestTroubleIsToldUntilItIsOver(t *testing.T) {
	k := newKept(t)
	k.backoff = func() wait.Backoff { return wait.Backoff{Duration: time.Millisecond, Steps: 100} }
	k.etcd.sick = []string{"cp-1", "cp-2", "cp-3"}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); k.run(ctx) }()
	trouble := filepath.Join(k.dir, snapshot.TroubleFile)
	await(t, func(context.Context) error { _, err := os.Stat(trouble); return err })
	text, err := os.ReadFile(trouble)
	must(t, err)
	if want := "2026-11-28T12:00:05Z no etcd member is healthy: what it has may be old\n"; string(text) != want {
		t.Errorf("trouble %q", text)
	}
	cancel()
	<-done
	server := httptest.NewRecorder()
	k.status.handler().ServeHTTP(server, httptest.NewRequest("GET", "/healthz", nil))
	var health SnapshotHealth
	must(t, json.Unmarshal(server.Body.Bytes(), &health))
	if !health.OK || health.Last != nil || !strings.Contains(health.Error, "no etcd member is healthy") {
		t.Errorf("health %+v", health)
	}
	k.etcd.sick = nil
	k.takes(t)
	if got := k.files(t); len(got) != 1 || k.status.now().Error != "" {
		t.Errorf("left are %v, %+v", got, k.status.now())
	}
}

// With recipients it is encrypted, and has what was deposited: which the machine cannot read.
func TestKeysGoAlongEncrypted(t *testing.T) {
	key, err := age.GenerateX25519Identity()
	must(t, err)
	k := newKept(t)
	sealed, err := snapshot.SealFiles(map[string][]byte{"pki/ca.key": []byte("secret"), "record.json": []byte("{}")}, []age.Recipient{key.Recipient()})
	must(t, err)
	k.config.Recipients, k.config.Deposit = []string{key.Recipient().String()}, filepath.Join(t.TempDir(), "deposit")
	if _, err := k.step(t.Context()); err == nil || !strings.Contains(err.Error(), "read the keys that go along") {
		t.Errorf("without them: %v", err)
	}
	must(t, os.WriteFile(k.config.Deposit, sealed, 0o600))
	k.takes(t)
	data, err := os.ReadFile(filepath.Join(k.dir, "20261128T120005Z-r1.tar.age"))
	must(t, err)
	if _, _, err := snapshot.Read(bytes.NewReader(data), nil, io.Discard); !errors.Is(err, snapshot.ErrEncrypted) {
		t.Errorf("without the key: %v", err)
	}
	_, files, err := snapshot.Read(bytes.NewReader(data), []age.Identity{key}, io.Discard)
	must(t, err)
	if diff := cmp.Diff(map[string][]byte{"pki/ca.key": []byte("secret"), "record.json": []byte("{}")}, files); diff != "" {
		t.Error(diff)
	}
}

func TestSnapshotOptionsAreChecked(t *testing.T) {
	config := filepath.Join(t.TempDir(), "config")
	for text, want := range map[string]string{
		"":   "read configuration",
		"{}": "lacks the cluster",
		`{"cluster": "demo", "lineage": "L", "retain": 3, "schedule": "never"}`: `schedule "never" must be five fields of cron`,
	} {
		must(t, os.WriteFile(config, []byte(text), 0o600))
		if err := RunSnapshots(t.Context(), SnapshotOptions{Config: config, Listen: "127.0.0.1:10272"}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", text, err)
		}
	}
	if err := RunSnapshots(t.Context(), SnapshotOptions{Config: config, Listen: "0.0.0.0:10272"}); err == nil || !strings.Contains(err.Error(), "loopback") {
		t.Error(err)
	}
}
