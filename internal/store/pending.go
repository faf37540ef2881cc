package store

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

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
		for _, ext := range []string{".crt", ".csr", ".key"} {
			if err := os.Remove(s.path(pendingDir, name+ext)); err != nil && !errors.Is(err, fs.ErrNotExist) {
				errs = append(errs, err)
			}
		}
	}
	return errors.Join(errs...)
}

// SaveRequest keeps what is to be signed for a key that waits, and returns the file.
func (s Store) SaveRequest(name string, request []byte) (string, error) {
	file := filepath.Join(pendingDir, name+".csr")
	return s.path(file), s.save(file, request, 0o644)
}

// Requests are what waits to be signed, and the keys of it, by name: also of certificates of nodes that are still to come. Unread tells
// of files that could not be read, by the certificate; the error is of the folder.
func (s Store) Requests() (requests, keys map[string][]byte, unread map[string]error, err error) {
	requests, keys, unread = map[string][]byte{}, map[string][]byte{}, map[string]error{}
	root := s.path(pendingDir)
	err = filepath.WalkDir(root, func(file string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		within, err := filepath.Rel(root, file)
		if err != nil {
			return err
		}
		for ext, into := range map[string]map[string][]byte{".csr": requests, ".key": keys} {
			if name, is := strings.CutSuffix(filepath.ToSlash(within), ext); is {
				text, err := os.ReadFile(file)
				if err != nil {
					unread[name] = errors.Join(unread[name], err)
					continue
				}
				into[name] = text
			}
		}
		return nil
	})
	if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	return requests, keys, unread, err
}

// Authorities are the certificates of authorities that the store has, by name.
func (s Store) Authorities() (map[string][]byte, error) {
	out, errs := map[string][]byte{}, []error(nil)
	for _, name := range []string{pki.CA, pki.EtcdCA, pki.FrontProxyCA} {
		cert, err := s.load(filepath.Join("pki", name+".crt"))
		if errs = append(errs, err); len(cert) > 0 {
			out[name] = cert
		}
	}
	return out, errors.Join(errs...)
}
