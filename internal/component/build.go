package component

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"time"
)

// Build returns the programs of the components, in a fixed order, and builds
// or fetches those that the cache does not hold. What keeps any of them from
// being built at all (a missing tool, an unreadable module, a program that a
// folder lacks) is reported before the first build. Runs that share a cache, at
// the same time or after one that was cut off, do not harm each other.
func Build(ctx context.Context, o Options) ([]Program, error) {
	return build(ctx, table(), o.withDefaults())
}

func build(ctx context.Context, rows []row, o Options) ([]Program, error) {
	plan, err := o.plan(rows)
	if err != nil {
		return nil, err
	}
	if err := checkTools(ctx, plan.build); err != nil {
		return nil, err
	}
	jobs, err := o.jobs(ctx, plan.build)
	if err != nil {
		return nil, err
	}
	release, err := Hold(ctx, o.Cache)
	if err != nil {
		return nil, err
	}
	defer release()
	cache, err := openCache(o.Cache)
	if err != nil {
		return nil, err
	}
	ready, err := plan.gather(ctx, cache, o.Report)
	if err != nil {
		return nil, err
	}
	if err := checkSkew(ready, o.Ready.KubernetesVersion); err != nil {
		return nil, err
	}
	meter := newMeter(ctx, cache.lacks(jobs), o)
	// One at a time: the compiler uses every core by itself.
	var built []Program
	for _, j := range jobs {
		programs, err := j.get(ctx, cache, o, meter)
		if err != nil {
			return nil, err
		}
		built = append(built, programs...)
	}
	return merge(plan.rows, ready, built), nil
}

// jobs reads the modules of the rows that are to be built.
func (o Options) jobs(ctx context.Context, rows []row) ([]job, error) {
	if len(rows) == 0 {
		return nil, nil
	}
	if o.Source == "" {
		var err error
		if o.Source, err = SourceDir(); err != nil {
			return nil, err
		}
	}
	jobs, err := newJobs(ctx, rows, o.Source, o.Ready.KubernetesVersion)
	if err != nil {
		return nil, err
	}
	return jobs, checkPinned(jobs, o.Source, o.Ready.KubernetesVersion)
}

// merge returns all programs in the order of the rows. A ready-made program
// takes the place of the one that was built with others of its component.
func merge(rows []row, ready, built []Program) []Program {
	var all []Program
	for _, r := range rows {
		for _, p := range slices.Concat(ready, built) {
			same := func(q Program) bool { return q.Name == p.Name && q.Component == r.name }
			if p.Component == r.name && !slices.ContainsFunc(all, same) {
				all = append(all, p)
			}
		}
	}
	return all
}

// get takes the job's programs from the cache, or builds them into it.
func (j job) get(ctx context.Context, c cache, o Options, m *meter) ([]Program, error) {
	start := time.Now()
	report := func(state State, err error) {
		o.Report(Event{Component: j.name, Version: j.version, State: state, Elapsed: time.Since(start), Err: err})
	}
	if programs, ok := c.load(j.entry()); ok {
		report(Cached, nil)
		return programs, nil
	}
	report(Building, nil)
	programs, found, err := c.fill(ctx, j.entry(), func(dir string) (manifest, error) { return j.buildInto(ctx, dir, o, m) })
	m.end(j)
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

// lacks are the jobs whose programs are to be built.
func (c cache) lacks(jobs []job) []job {
	var out []job
	for _, j := range jobs {
		if _, ok := c.load(j.entry()); !ok {
			out = append(out, j)
		}
	}
	return out
}

// buildInto compiles the programs into dir, asks each for its version and
// returns what there is to know of them.
func (j job) buildInto(ctx context.Context, dir string, o Options, meter *meter) (manifest, error) {
	m := j.manifest()
	meter.begin(j)
	for _, p := range j.row.programs {
		path := filepath.Join(dir, p.name)
		if err := j.compile(ctx, p, path, o.Log, meter); err != nil {
			return m, err
		}
		if err := checkVersion(ctx, path, p, j.version); err != nil {
			return m, err
		}
		if err := m.add(path, p.links); err != nil {
			return m, err
		}
	}
	return m, nil
}
