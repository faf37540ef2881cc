package store

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/haplane/haplane/internal/durable"
)

// save writes a file durably; a secret one is 0600 from its first byte.
func (s Store) save(name string, data []byte, mode fs.FileMode) error {
	file := s.path(name)
	if err := durable.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		return err
	}
	return durable.WriteFile(file, data, mode)
}

// modeOf is who may read a file of the store: certificates, public keys and the cluster file are no secrets.
func modeOf(name string) fs.FileMode {
	if name == clusterFile || strings.HasSuffix(name, ".crt") || strings.HasSuffix(name, ".pub") {
		return 0o644
	}
	return 0o600
}

// load reads a file; of one that is not there it returns nil.
func (s Store) load(name string) ([]byte, error) {
	data, err := os.ReadFile(s.path(name))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return data, err
}
