package durable

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// A temporary file is locked by who writes it, so that one that was left behind
// can be told from one that is being written, by this process or another.

func tempAffixes(path string) (prefix, suffix string) {
	return "." + filepath.Base(path) + ".", ".new"
}

// createTemp makes a temporary file beside path, 0600 from its first byte.
func createTemp(path string) (*os.File, error) {
	prefix, suffix := tempAffixes(path)
	for {
		f, err := os.CreateTemp(filepath.Dir(path), prefix+"*"+suffix)
		if err != nil {
			return nil, err
		}
		switch err := flock(f, exclusive); {
		case err == nil && isAt(f, f.Name()):
			return f, nil
		case err != nil && !errors.Is(err, ErrHeld):
			return nil, errors.Join(err, os.Remove(f.Name()), f.Close())
		}
		f.Close() // a sweeper was quicker than our lock, and has removed it
	}
}

// sweep removes what earlier writers of path left behind that died.
func sweep(path string) error {
	dir := filepath.Dir(path)
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	prefix, suffix := tempAffixes(path)
	for _, e := range entries {
		if e.Type().IsRegular() && strings.HasPrefix(e.Name(), prefix) && strings.HasSuffix(e.Name(), suffix) {
			if err := sweepFile(filepath.Join(dir, e.Name())); err != nil {
				return err
			}
		}
	}
	return nil
}

func sweepFile(path string) error {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer f.Close()
	if flock(f, exclusive) != nil || !isAt(f, path) {
		return nil // being written, or in its place by now
	}
	return os.Remove(path)
}
