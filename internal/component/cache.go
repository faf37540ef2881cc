package component

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/haplane/haplane/internal/poll"
)

const (
	tempPrefix   = ".building-" // an entry that is being built, under its lock
	lockPrefix   = ".lock-"
	lockInterval = 200 * time.Millisecond
)

// A cache is a folder of entries, each the programs of one component.
type cache struct{ dir string }

// openCache makes the folder and clears away what runs that died left in it.
func openCache(dir string) (cache, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return cache{}, err
	}
	c := cache{dir: filepath.Join(dir, "components")}
	if err := os.MkdirAll(c.dir, 0o755); err != nil {
		return c, fmt.Errorf("make component cache: %w", err)
	}
	return c, c.sweep()
}

func (c cache) path(entry string) string { return filepath.Join(c.dir, entry) }
func (c cache) temp(entry string) string { return c.path(tempPrefix + entry) }

// sweep removes unfinished entries whose lock nobody holds.
func (c cache) sweep() error {
	left, err := filepath.Glob(c.temp("*"))
	if err != nil {
		return err
	}
	for _, path := range left {
		unlock, err := c.tryLock(strings.TrimPrefix(filepath.Base(path), tempPrefix))
		if err != nil {
			continue // being built by another run
		}
		err = os.RemoveAll(path)
		unlock()
		if err != nil {
			return fmt.Errorf("sweep component cache: %w", err)
		}
	}
	return nil
}

// load returns an entry's programs if it is whole.
func (c cache) load(entry string) ([]Program, bool) {
	m, err := readManifest(c.path(entry))
	if err != nil || len(m.Programs) == 0 {
		return nil, false
	}
	var programs []Program
	for _, f := range m.Programs {
		path := filepath.Join(c.path(entry), f.Name)
		if !f.untouched(path) {
			return nil, false
		}
		programs = append(programs, Program{Component: m.Component, Name: f.Name,
			Version: m.Version, Path: path, SHA256: f.SHA256, Links: f.Links})
	}
	return programs, true
}

// store turns the entry's temporary folder into the entry, all at once.
func (c cache) store(entry string, m manifest) error {
	if err := m.write(c.temp(entry)); err != nil {
		return err
	}
	// What is there already is damaged, or it would have been loaded.
	if err := os.RemoveAll(c.path(entry)); err != nil {
		return err
	}
	return os.Rename(c.temp(entry), c.path(entry))
}

// lock waits for the entry's lock. The kernel drops it when its holder dies.
func (c cache) lock(ctx context.Context, entry string) (unlock func(), err error) {
	err = poll.Until(ctx, lockInterval, func(context.Context) error {
		unlock, err = c.tryLock(entry)
		if err != nil && !errors.Is(err, syscall.EWOULDBLOCK) {
			return poll.Stop(err)
		}
		return err
	})
	return unlock, err
}

func (c cache) tryLock(entry string) (unlock func(), err error) {
	f, err := os.OpenFile(c.path(lockPrefix+entry), os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		_ = f.Close()
		return nil, fmt.Errorf("lock %s: %w", f.Name(), err)
	}
	return func() { _ = f.Close() }, nil
}
