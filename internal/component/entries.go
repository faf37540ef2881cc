package component

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// An Entry is what the cache keeps together: a component that was built, or one
// ready-made program.
type Entry struct {
	Name string
	Dir  string
	Sums []string // SHA-256 of its programs; none if it is damaged or unfinished
}

// Entries lists what is in the cache, by name, with what runs that died left behind.
func Entries(dir string) ([]Entry, error) {
	c := cache{dir: filepath.Join(dir, cacheFolder)}
	found, err := os.ReadDir(c.dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	var out []Entry
	for _, f := range found {
		if !f.IsDir() {
			continue
		}
		e := Entry{Name: f.Name(), Dir: c.path(f.Name())}
		if m, err := readManifest(e.Dir); err == nil && !e.Unfinished() {
			for _, p := range m.Programs {
				e.Sums = append(e.Sums, p.SHA256)
			}
		}
		out = append(out, e)
	}
	return out, err
}

// Unfinished reports whether the entry is what a run left behind that died.
func (e Entry) Unfinished() bool { return strings.HasPrefix(e.Name, tempPrefix) }

// Remove removes the entry. One that is cut off leaves nothing that looks whole.
// The caller holds the cache alone.
func (e Entry) Remove() error {
	if !e.Unfinished() {
		temp := filepath.Join(filepath.Dir(e.Dir), tempPrefix+e.Name)
		if err := os.RemoveAll(temp); err != nil {
			return err
		}
		if err := os.Rename(e.Dir, temp); err != nil {
			return err
		}
		e = Entry{Name: tempPrefix + e.Name, Dir: temp}
	}
	lock := lockPrefix + strings.TrimPrefix(e.Name, tempPrefix)
	return errors.Join(os.RemoveAll(e.Dir), os.RemoveAll(filepath.Join(filepath.Dir(e.Dir), lock)))
}

// Current are the names of the entries that the modules in source are built
// into on this host, whether they are there or not.
func Current(ctx context.Context, source string) ([]string, error) {
	versions, err := Kubernetes(source)
	if err != nil {
		return nil, err
	}
	var out []string
	for _, kubernetes := range versions {
		jobs, err := newJobs(ctx, table(), source, kubernetes)
		if err != nil {
			return nil, err
		}
		for _, j := range jobs {
			if !slices.Contains(out, j.entry()) {
				out = append(out, j.entry())
			}
		}
	}
	return out, nil
}
