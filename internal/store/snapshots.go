package store

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
)

// Snapshots is the folder of the snapshots that stay with the cluster's other secrets.
func (s Store) Snapshots() string { return s.path("snapshots") }

// SnapshotFiles lists the snapshots that are there, the oldest first: their names begin with the time.
func (s Store) SnapshotFiles() ([]string, error) {
	files, err := filepath.Glob(filepath.Join(s.Snapshots(), "*.tar*"))
	slices.Sort(files)
	return files, err
}

// RetainSnapshots removes all but the newest few.
func (s Store) RetainSnapshots(keep int) (removed []string, err error) {
	files, err := s.SnapshotFiles()
	for _, file := range files[:max(len(files)-keep, 0)] {
		if err := os.Remove(file); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return removed, err
		}
		removed = append(removed, file)
	}
	return removed, err
}

// Restored is where the database is that a restore gives to the members, until that has ended.
func (s Store) Restored(name string) string { return s.path("restore", filepath.Base(name)) }

// DropRestored removes it.
func (s Store) DropRestored(name string) error {
	err := os.Remove(s.Restored(name))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// RestoreFiles are the files that a snapshot has beside etcd's data, by their path in the
// store: what it takes to go on with the cluster from elsewhere.
func (s Store) RestoreFiles() (map[string][]byte, error) {
	out := map[string][]byte{}
	for _, part := range []string{clusterFile, recordFile, "pki", "ssh"} {
		err := filepath.WalkDir(s.path(part), func(path string, d fs.DirEntry, err error) error {
			if err != nil || !d.Type().IsRegular() {
				return err
			}
			name, err := filepath.Rel(s.Dir, path)
			if err == nil {
				out[name], err = os.ReadFile(path)
			}
			return err
		})
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
	}
	return out, nil
}
