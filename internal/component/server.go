package component

import (
	"errors"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"
)

// onServer chooses the programs that have a sum. all are the rows whose
// programs may be named, rows those that are wanted.
func (r Ready) onServer(all, rows []row) ([]choice, error) {
	base, err := url.Parse(r.URL)
	if err != nil {
		return nil, err
	}
	known := map[string]bool{}
	for _, row := range all {
		for _, p := range slices.Concat(row.separate(), row.programs) {
			known[p.name] = true
		}
	}
	var errs []error
	for _, name := range slices.Sorted(maps.Keys(r.SHA256)) {
		if !known[name] {
			errs = append(errs, fmt.Errorf("sha256 names %q, which is no program of any component; there are %s",
				name, strings.Join(slices.Sorted(maps.Keys(known)), ", ")))
		}
	}
	var out []choice
	for _, row := range rows {
		programs, err := r.named(row)
		errs = append(errs, err)
		for _, p := range programs {
			out = append(out, choice{program: p, component: row.name, url: base.JoinPath(p.name), sum: strings.ToLower(r.SHA256[p.name])})
		}
	}
	return out, errors.Join(errs...)
}

// named returns the component's programs that have a sum. Of one that is built
// as a single program they must be all: they share code and state.
func (r Ready) named(row row) ([]program, error) {
	whole, parts := r.summed(row.programs), r.summed(row.separate())
	switch {
	case !row.linked():
		return parts, nil
	case len(whole) > 0 && len(parts) > 0:
		return nil, fmt.Errorf("sha256 names %s and also %s, which it has in it",
			whole[0].name, strings.Join(names(parts), ", "))
	case len(whole) > 0:
		return whole, nil
	case len(parts) > 0 && len(parts) < len(row.separate()):
		return nil, fmt.Errorf("sha256 names %s but lacks %s: all programs of Kubernetes must be from one release",
			strings.Join(names(parts), ", "), strings.Join(without(row.separate(), parts), ", "))
	}
	return parts, nil
}

func (r Ready) summed(programs []program) []program {
	return slices.DeleteFunc(slices.Clone(programs), func(p program) bool { return r.SHA256[p.name] == "" })
}

// without are the names of programs that are not among the others.
func without(programs, others []program) []string {
	return slices.DeleteFunc(names(programs), func(name string) bool { return slices.Contains(names(others), name) })
}
