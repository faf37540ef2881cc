package store

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/haplane/haplane/internal/pki"
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

// restoredKey is where the encryption key of a snapshot is, below the cluster's folder.
func restoredKey(fingerprint string) (name, file string) {
	name, sum, _ := strings.Cut(fingerprint, " ")
	return name, filepath.Join("restore", "encryption-"+filepath.Base(sum)+".key")
}

// SaveRestoredKey keeps the encryption key that a snapshot brings along, by its fingerprint, until the restore has ended.
func (s Store) SaveRestoredKey(fingerprint string, key []byte) error {
	_, file := restoredKey(fingerprint)
	return s.save(file, key, 0o600)
}

// RestoredKey reads it, in the form of pki.Beside.Pair.
func (s Store) RestoredKey(fingerprint string) (pki.Pair, error) {
	name, file := restoredKey(fingerprint)
	key, err := s.load(file)
	if err == nil && len(key) == 0 {
		err = fmt.Errorf("%s is missing: it is the key that Secrets of the snapshot are encrypted with; the same haplane etcd restore brings it again", s.path(file))
	}
	return pki.Pair{Cert: []byte(name), Key: key}, err
}

// DropRestoredKey removes it; "" is none.
func (s Store) DropRestoredKey(fingerprint string) error {
	if fingerprint == "" {
		return nil
	}
	_, file := restoredKey(fingerprint)
	return s.remove(file)
}

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
