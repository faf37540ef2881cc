package store

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/haplane/haplane/internal/pki"
)

// pendingDir has keys that wait for a signature, and the certificates that came back for
// them until these are on the nodes.
const pendingDir = "pki/pending"

// Pending are the keys that wait for a signature, with the certificates that have come back.
func (s Store) Pending(rows []pki.Row) (map[string]pki.Pair, error) {
	out, errs := map[string]pki.Pair{}, []error(nil)
	for _, row := range rows {
		key, err := s.load(filepath.Join(pendingDir, row.Name+".key"))
		cert, certErr := s.load(filepath.Join(pendingDir, row.Name+".crt"))
		if errs = append(errs, err, certErr); len(key) > 0 {
			out[row.Name] = pki.Pair{Cert: cert, Key: key}
		}
	}
	return out, errors.Join(errs...)
}

// SavePending keeps a key that waits, and its certificate where that is there.
func (s Store) SavePending(name string, p pki.Pair) error {
	err := s.save(filepath.Join(pendingDir, name+".key"), p.Key, 0o600)
	if err != nil || len(p.Cert) == 0 {
		return err
	}
	return s.save(filepath.Join(pendingDir, name+".crt"), p.Cert, 0o644)
}

// DropPending forgets what waited: the certificate first, so that no key is left without one.
func (s Store) DropPending(names []string) error {
	var errs []error
	for _, name := range names {
		for _, ext := range []string{".crt", ".key"} {
			if err := os.Remove(s.path(pendingDir, name+ext)); err != nil && !errors.Is(err, fs.ErrNotExist) {
				errs = append(errs, err)
			}
		}
	}
	return errors.Join(errs...)
}
