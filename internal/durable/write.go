// Package durable changes files so that after a crash, of this program or of the
// host, each is what it was before or what it was to become, and nothing else.
package durable

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// WriteFile replaces a file at once. When it returns, the new content is on the disk.
// Its folder exists. A secret is never readable for others: the mode is given
// when all is written, until then it is 0600.
func WriteFile(path string, data []byte, mode fs.FileMode) error {
	return Replace(path, mode, bytes.NewReader(data))
}

// Replace is WriteFile with what it reads; from a file on the same file system the
// kernel copies. prepare is called with the new file before it takes its place.
func Replace(path string, mode fs.FileMode, from io.Reader, prepare ...func(*os.File) error) error {
	if err := replace(path, mode, from, prepare); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	return nil
}

func replace(path string, mode fs.FileMode, from io.Reader, prepare []func(*os.File) error) error {
	if err := sweep(path); err != nil {
		return err
	}
	f, err := createTemp(path)
	if err != nil {
		return err
	}
	defer f.Close()           // which unlocks it
	defer os.Remove(f.Name()) // not there any more when all went well
	if _, err := io.Copy(f, from); err != nil {
		return err
	}
	for _, fn := range append(prepare, func(f *os.File) error { return f.Chmod(mode) }) {
		if err := fn(f); err != nil {
			return err
		}
	}
	if err := f.Sync(); err != nil {
		return err
	}
	if err := os.Rename(f.Name(), path); err != nil {
		return err
	}
	return SyncDir(filepath.Dir(path))
}

// SyncDir has the names in a folder on the disk. File systems that cannot do so
// for a folder have no better way.
func SyncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	if err := d.Sync(); err != nil && !errors.Is(err, unix.EINVAL) && !errors.Is(err, unix.ENOTSUP) {
		return fmt.Errorf("sync folder %s: %w", dir, err)
	}
	return nil
}
