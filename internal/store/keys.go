package store

import (
	"errors"
	"path"
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
	pair := func(row string) pki.Pair {
		cert, key := pairFiles(row)
		return pki.Pair{Cert: read(cert), Key: read(key)}
	}
	for _, row := range rows {
		if p := pair(row.Name); len(p.Cert)+len(p.Key) > 0 {
			b.Pairs[row.Name] = p
		}
	}
	serviceAccount, encryption := pair(pki.ServiceAccount), pair(pki.Encryption)
	b.ServiceAccountKey, b.ServiceAccountPub, b.EncryptionKey = serviceAccount.Key, serviceAccount.Cert, encryption.Key
	b.EncryptionName = strings.TrimSpace(string(encryption.Cert))
	return b, errors.Join(errs...)
}

// SaveKeys writes those of the keys that are named: rows, pki.ServiceAccount and pki.Encryption.
// A key is written before its certificate; a pair that is half there is made again.
func (s Store) SaveKeys(b pki.Bundle, names []string) error {
	var errs []error
	files := keyFiles(b, nil)
	for _, name := range names {
		cert, key := pairFiles(name)
		for _, file := range []string{key, cert} {
			if data := files[path.Join("pki", file)]; len(data) > 0 {
				errs = append(errs, s.save(filepath.Join("pki", file), data, modeOf(file)))
			}
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
