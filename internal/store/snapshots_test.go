package store

import (
	"os"
	"path/filepath"
	"slices"
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
