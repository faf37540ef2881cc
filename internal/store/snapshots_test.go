package store

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestRetainSnapshots(t *testing.T) {
	s := Store{Dir: t.TempDir()}
	if err := os.MkdirAll(s.Snapshots(), 0o700); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"20260102T000000Z.tar", "20260101T000000Z.tar.age", "20260103T000000Z.tar", "notes"} {
		if err := os.WriteFile(filepath.Join(s.Snapshots(), name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, keep := range []int{5, 2, 2} {
		if _, err := s.RetainSnapshots(keep); err != nil {
			t.Fatal(err)
		}
	}
	left, err := s.SnapshotFiles()
	want := []string{filepath.Join(s.Snapshots(), "20260102T000000Z.tar"), filepath.Join(s.Snapshots(), "20260103T000000Z.tar")}
	if _, kept := os.Stat(filepath.Join(s.Snapshots(), "notes")); err != nil || kept != nil || !slices.Equal(left, want) {
		t.Errorf("left are %v, %v, %v", left, err, kept)
	}
}

func TestRestoreFilesAreWhatGoesWithTheCluster(t *testing.T) {
	s := Store{Dir: t.TempDir()}
	for _, name := range []string{"record.json", "cluster.yaml", "pki/etcd/ca.key", "ssh/id_ed25519", "logs/up.log", "snapshots/a.tar", "machines/cp-1/disk"} {
		file := filepath.Join(s.Dir, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(name), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	files, err := s.RestoreFiles()
	if err != nil || len(files) != 4 || string(files["pki/etcd/ca.key"]) != "pki/etcd/ca.key" || files["ssh/id_ed25519"] == nil {
		t.Errorf("%v, %v", files, err)
	}
}

// A cluster at revision 7 was restored at 5 and leapt by 100, and had three writes since.
func TestLeaptRevisionsAreNotLost(t *testing.T) {
	r := &Record{Leaps: []Leap{{After: 5, By: 100}}}
	for span, want := range map[[2]int64]int64{{3, 108}: 100, {5, 108}: 100, {105, 108}: 0, {106, 108}: 0, {1, 4}: 0} {
		if got := r.Leapt(span[0], span[1]); got != want {
			t.Errorf("%v: %d, want %d", span, got, want)
		}
	}
}

// Data has the leaps behind it of the restores that it comes from, and no others; one that was cut off counts where it was written to.
func TestLeapsOfDataThatIsGone(t *testing.T) {
	r := &Record{}
	for _, step := range []struct {
		leap            Leap
		after, to, want int64
	}{
		{Leap{5, 100}, 5, 110, 100},
		{Leap{5, 210}, 5, 220, 210},     // restored again, at 110
		{Leap{218, 100}, 5, 320, 310},   // of a snapshot since
		{Leap{107, 400}, 5, 510, 500},   // of one from before the second, at 320
		{Leap{107, 400}, 216, 510, 291}, // which would lose the three after 507, beside what is gone
	} {
		if !slices.Contains(r.Leaps, step.leap) {
			r.Leaps = append(r.Leaps, step.leap)
		}
		if got := r.Leapt(step.after, step.to); got != step.want {
			t.Errorf("with %v: from %d to %d: %d, want %d", r.Leaps, step.after, step.to, got, step.want)
		}
	}
	r.Change = &Change{Task: &Task{Revision: 510, Bump: 100}}
	for revision, want := range map[int64]int64{512: 500, 615: 600} { // the data of before, and the restored
		over := *r
		over.KeepLeap(revision)
		if got := over.Leapt(5, revision); got != want {
			t.Errorf("taken over at %d: %d, want %d", revision, got, want)
		}
	}
}

// The key that a snapshot brings along is nobody else's to read, and goes with the restore.
func TestKeyOfASnapshot(t *testing.T) {
	s := Store{Dir: t.TempDir()}
	const own = "key1 0123456789abcdef"
	if err := s.SaveRestoredKey(own, []byte("secret")); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(s.Path("restore", "encryption-0123456789abcdef.key")); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info, err)
	}
	if got, err := s.RestoredKey(own); err != nil || string(got.Cert) != "key1" || string(got.Key) != "secret" {
		t.Errorf("%q %q, %v", got.Cert, got.Key, err)
	}
	if err := errors.Join(s.DropRestoredKey(own), s.DropRestoredKey(own), s.DropRestoredKey("")); err != nil {
		t.Error(err)
	}
	if _, err := s.RestoredKey(own); err == nil || !strings.Contains(err.Error(), "is missing") {
		t.Errorf("it is there still: %v", err)
	}
}
