package component

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// gather takes the chosen programs into the cache, as far as they are not there
// and unchanged. What is wrong with those of a folder comes in one error; a
// fetch that fails ends it.
func (p plan) gather(ctx context.Context, c cache, report func(Event)) ([]Program, error) {
	var all []Program
	var errs []error
	for _, chosen := range p.chosen {
		programs, err := chosen.get(ctx, c, report)
		if err != nil && (chosen.url != nil || ctx.Err() != nil) {
			return nil, err
		}
		errs = append(errs, err)
		all = append(all, programs...)
	}
	return all, errors.Join(errs...)
}

func (c choice) get(ctx context.Context, store cache, report func(Event)) ([]Program, error) {
	start := time.Now()
	tell := func(state State, programs []Program, err error) {
		e := Event{Component: c.component, Program: c.name, State: state, Elapsed: time.Since(start), Err: err}
		if len(programs) > 0 {
			e.Version = programs[0].Version
		}
		report(e)
	}
	if programs, ok := store.load(c.entry()); ok {
		tell(Cached, programs, nil)
		return programs, nil
	}
	end, take := Found, c.link
	if c.url != nil {
		end, take = Fetched, c.fetch
		tell(Fetching, nil, nil)
	}
	programs, found, err := store.fill(ctx, c.entry(), func(dir string) (manifest, error) {
		path := filepath.Join(dir, c.name)
		if err := take(ctx, path); err != nil {
			return manifest{}, err
		}
		return c.describe(ctx, path)
	})
	if err != nil {
		err = fmt.Errorf("take ready-made %s: %w", c.name, err)
		tell(Failed, nil, err)
		return nil, err
	}
	if found {
		end = Cached
	}
	tell(end, programs, nil)
	return programs, nil
}

// entry is the program's name in the cache: that of a fetched one has its sum,
// that of a found one leads to where it is.
func (c choice) entry() string {
	if c.url != nil {
		return c.name + "-sha256-" + c.sum
	}
	return fmt.Sprintf("%s-found-%x", c.name, sha256.Sum256([]byte(c.path)))[:len(c.name)+len("-found-")+16]
}

// link puts a link to the found program at path; the program stays where it is.
func (c choice) link(_ context.Context, path string) error { return os.Symlink(c.path, path) }

// describe checks the program at path and tells what it is.
func (c choice) describe(ctx context.Context, path string) (manifest, error) {
	m := manifest{Component: c.component, From: c.where()}
	if err := checkExecutable(path); err != nil {
		return m, fmt.Errorf("%s: %w", m.From, err)
	}
	var err error
	if m.Version, err = askForVersion(ctx, path, c.program); err != nil {
		return m, err
	}
	return m, m.add(path, c.links)
}
