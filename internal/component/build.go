package component

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// Build returns the programs of the components, in a fixed order, and builds
// those that the cache does not hold. What keeps any of them from being built
// at all (a missing tool, an unreadable module) is reported before the first
// build. Runs that share a cache, at the same time or after one that was cut
// off, do not harm each other.
func Build(ctx context.Context, o Options) ([]Program, error) {
	return build(ctx, table(), o.withDefaults())
}

func build(ctx context.Context, rows []row, o Options) ([]Program, error) {
	rows, err := selectRows(rows, o.Names)
	if err != nil {
		return nil, err
	}
	if err := checkTools(ctx, rows); err != nil {
		return nil, err
	}
	jobs, err := newJobs(ctx, rows, o.Source)
	if err != nil {
		return nil, err
	}
	cache, err := openCache(o.Cache)
	if err != nil {
		return nil, err
	}
	var programs []Program
	// One at a time: the compiler uses every core by itself.
	for _, j := range jobs {
		built, err := j.get(ctx, cache, o)
		if err != nil {
			return nil, err
		}
		programs = append(programs, built...)
	}
	return programs, nil
}

// get takes the job's programs from the cache, or builds them into it.
func (j job) get(ctx context.Context, c cache, o Options) ([]Program, error) {
	start := time.Now()
	report := func(state State, err error) {
		o.Report(Event{Component: j.name, Version: j.version, State: state, Elapsed: time.Since(start), Err: err})
	}
	if programs, ok := c.load(j.entry()); ok {
		report(Cached, nil)
		return programs, nil
	}
	report(Building, nil)
	programs, found, err := j.buildLocked(ctx, c, o)
	switch {
	case err != nil:
		err = fmt.Errorf("build %s %s: %w", j.name, j.version, err)
		report(Failed, err)
	case found:
		report(Cached, nil)
	default:
		report(Built, nil)
	}
	return programs, err
}

// buildLocked builds under the entry's lock. found says that another run had
// built the entry by the time the lock was ours.
func (j job) buildLocked(ctx context.Context, c cache, o Options) (programs []Program, found bool, err error) {
	unlock, err := c.lock(ctx, j.entry())
	if err != nil {
		return nil, false, err
	}
	defer unlock()
	if programs, ok := c.load(j.entry()); ok {
		return programs, true, nil
	}
	temp := c.temp(j.entry())
	if err := remake(temp); err != nil {
		return nil, false, err
	}
	defer os.RemoveAll(temp) //nolint:errcheck // swept by the next run
	m, err := j.buildInto(ctx, temp, o)
	if err != nil {
		return nil, false, err
	}
	if err := c.store(j.entry(), m); err != nil {
		return nil, false, err
	}
	programs, ok := c.load(j.entry())
	if !ok {
		return nil, false, fmt.Errorf("cache entry %s changed while it was stored", c.path(j.entry()))
	}
	return programs, false, nil
}

// buildInto compiles the programs into dir, asks each for its version and
// returns what there is to know of them.
func (j job) buildInto(ctx context.Context, dir string, o Options) (manifest, error) {
	m := j.manifest()
	for _, p := range j.row.programs {
		path := filepath.Join(dir, p.name)
		if err := j.compile(ctx, p, path, o.Log); err != nil {
			return m, err
		}
		if err := checkVersion(ctx, path, p, j.version); err != nil {
			return m, err
		}
		file, err := describe(path)
		if err != nil {
			return m, err
		}
		file.Links = p.links
		for _, link := range p.links {
			if err := os.Symlink(p.name, filepath.Join(dir, link)); err != nil {
				return m, err
			}
		}
		m.Programs = append(m.Programs, file)
	}
	return m, nil
}

func remake(dir string) error {
	if err := os.RemoveAll(dir); err != nil {
		return err
	}
	return os.Mkdir(dir, 0o755)
}
