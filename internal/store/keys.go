package store

import (
	"errors"
	"io/fs"
	"path/filepath"
	"strings"

	"github.com/haplane/haplane/internal/pki"
)

// Keys reads the keys that the store has, in the phase of a rotation that the record has. What is
// missing is empty, also half of a pair.
func (s Store) Keys(rows []pki.Row) (pki.Bundle, error) {
	r, err := s.readRecord()
	if err != nil {
		return pki.Bundle{}, err
	}
	if r == nil {
		r = &Record{}
	}
	return s.KeysDuring(rows, r.Rotation)
}

// first reads the keys of before a rotation that is under way.
func (s Store) first(rows []pki.Row) (pki.Bundle, error) {
	b := pki.Bundle{Pairs: map[string]pki.Pair{}}
	var errs []error
	read := func(name string) []byte {
		data, err := s.load(filepath.Join("pki", name))
		errs = append(errs, err)
		return data
	}
	for _, row := range rows {
		if p := (pki.Pair{Cert: read(row.Name + ".crt"), Key: read(row.Name + ".key")}); len(p.Cert)+len(p.Key) > 0 {
			b.Pairs[row.Name] = p
		}
	}
	b.ServiceAccountKey, b.ServiceAccountPub, b.EncryptionKey = read("sa.key"), read("sa.pub"), read("encryption.key")
	b.EncryptionName = strings.TrimSpace(string(read("encryption.name")))
	return b, errors.Join(errs...)
}

// SaveKeys writes those of the keys that are named: rows, pki.ServiceAccount and pki.Encryption.
// A key is written before its certificate; a pair that is half there is made again.
func (s Store) SaveKeys(b pki.Bundle, names []string) error {
	var errs []error
	write := func(name string, data []byte, mode fs.FileMode) {
		errs = append(errs, s.save(filepath.Join("pki", name), data, mode))
	}
	for _, name := range names {
		switch name {
		case pki.ServiceAccount:
			write("sa.key", b.ServiceAccountKey, 0o600)
			write("sa.pub", b.ServiceAccountPub, 0o644)
		case pki.Encryption:
			write("encryption.key", b.EncryptionKey, 0o600)
		default:
			write(name+".key", b.Pairs[name].Key, 0o600)
			write(name+".crt", b.Pairs[name].Cert, 0o644)
		}
	}
	return errors.Join(errs...)
}

// SaveAdminKubeconfig writes the administrator's kubeconfig for programs that take
// a file, and returns its path.
func (s Store) SaveAdminKubeconfig(data []byte) (string, error) {
	const name = "admin.conf"
	return s.path(name), s.save(name, data, 0o600)
}
