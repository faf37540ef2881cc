package component

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/haplane/haplane/internal/durable"
)

const (
	cacheFolder = "components"
	tempPrefix  = ".building-" // an entry that is being made, under its lock
)

// A cache is a folder of entries, each the programs of one component or one
// program that is ready-made.
type cache struct{ dir string }

// openCache makes the folder and clears away what runs that died left in it.
func openCache(dir string) (cache, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return cache{}, err
	}
	c := cache{dir: filepath.Join(dir, cacheFolder)}
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
			continue // being made by another run
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
	renew := false
	for i := range m.Programs {
		f := &m.Programs[i]
		path := filepath.Join(c.path(entry), f.Name)
		same, noted := f.check(path)
		if !same {
			return nil, false
		}
		renew = renew || noted
		programs = append(programs, Program{Component: m.Component, Name: f.Name,
			Version: m.Version, Path: path, SHA256: f.SHA256, Links: f.Links})
	}
	if renew {
		_ = m.write(c.path(entry)) // where it cannot be written, the programs are read again each time
	}
	return programs, true
}

// fill makes an entry under its lock: put puts the programs into dir and says
// what they are. found says that another run had made the entry by then.
func (c cache) fill(ctx context.Context, entry string, put func(dir string) (manifest, error)) (programs []Program, found bool, err error) {
	unlock, err := c.lock(ctx, entry)
	if err != nil {
		return nil, false, err
	}
	defer unlock()
	if programs, ok := c.load(entry); ok {
		return programs, true, nil
	}
	if err := remake(c.temp(entry)); err != nil {
		return nil, false, err
	}
	defer os.RemoveAll(c.temp(entry)) //nolint:errcheck // swept by the next run
	m, err := put(c.temp(entry))
	if err != nil {
		return nil, false, err
	}
	if err := c.store(entry, m); err != nil {
		return nil, false, err
	}
	programs, ok := c.load(entry)
	if !ok {
		return nil, false, fmt.Errorf("cache entry %s changed while it was stored", c.path(entry))
	}
	return programs, false, nil
}

func remake(dir string) error {
	if err := os.RemoveAll(dir); err != nil {
		return err
	}
	return os.Mkdir(dir, 0o755)
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
	return durable.Rename(c.temp(entry), c.path(entry))
}
