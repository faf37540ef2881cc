package durable

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// ErrHeld means that another has the lock.
var ErrHeld = errors.New("held by another process")

const (
	exclusive = unix.LOCK_EX
	shared    = unix.LOCK_SH
)

// Lock takes a lock that the kernel frees when this process ends in whatever way.
// Whoever has it is in the file, by process id: holder, with an error that wraps
// ErrHeld. It makes the lock's folder, 0700, where there is none.
func Lock(path string) (unlock func(), holder string, err error) {
	f, err := acquire(path, exclusive, 0o600)
	if errors.Is(err, ErrHeld) {
		data, _ := os.ReadFile(path)
		return nil, strings.TrimSpace(string(data)), err
	}
	if err != nil {
		return nil, "", err
	}
	if err := errors.Join(f.Truncate(0), writePID(f)); err != nil {
		return nil, "", errors.Join(err, f.Close())
	}
	return release(f), "", nil
}

func writePID(f *os.File) error {
	_, err := fmt.Fprintf(f, "%d\n", os.Getpid())
	return err
}

// Exclusive takes a lock that nobody else has, Shared one that others may have in
// the same way. The error wraps ErrHeld where that is not to be had now.
func Exclusive(path string) (unlock func(), err error) { return take(path, exclusive) }

// Shared is like Exclusive.
func Shared(path string) (unlock func(), err error) { return take(path, shared) }

// release unlocks first: a process that is being started may have the file open for a moment.
func release(f *os.File) func() {
	return func() {
		_ = unix.Flock(int(f.Fd()), unix.LOCK_UN)
		_ = f.Close()
	}
}

func take(path string, how int) (unlock func(), err error) {
	f, err := acquire(path, how, 0o644)
	if err != nil {
		return nil, err
	}
	return release(f), nil
}

// acquire locks the file that is at path when it returns. One that its holder
// removed meanwhile guards nothing: others lock the one that came after it.
func acquire(path string, how int, mode fs.FileMode) (*os.File, error) {
	for {
		f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, mode) // Go opens with O_CLOEXEC
		if errors.Is(err, fs.ErrNotExist) {
			if err := MkdirAll(filepath.Dir(path), 0o700); err != nil {
				return nil, err
			}
			continue
		}
		if err != nil {
			return nil, err
		}
		if err := flock(f, how); err != nil {
			return nil, errors.Join(fmt.Errorf("lock %s: %w", path, err), f.Close())
		}
		if isAt(f, path) {
			return f, nil
		}
		f.Close()
	}
}

func flock(f *os.File, how int) error {
	for {
		switch err := unix.Flock(int(f.Fd()), how|unix.LOCK_NB); err {
		case unix.EINTR:
		case unix.EWOULDBLOCK:
			return ErrHeld
		default:
			return err
		}
	}
}

// isAt reports whether path is still the name of an open file.
func isAt(f *os.File, path string) bool {
	open, err1 := f.Stat()
	named, err2 := os.Lstat(path)
	return err1 == nil && err2 == nil && os.SameFile(open, named)
}
