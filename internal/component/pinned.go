package component

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
)

// A Pinned component is one with the version that is built.
type Pinned struct {
	Name    string `json:"name"`
	Version string `json:"version"`
}

// Versions reads the versions of the modules in source, by name. It builds and
// runs nothing.
func Versions(source string) ([]Pinned, error) {
	var out []Pinned
	var errs []error
	for _, r := range table() {
		version, err := pinnedVersion(filepath.Join(source, r.name), r.module)
		if err != nil {
			errs = append(errs, fmt.Errorf("component %s: %w", r.name, err))
		}
		out = append(out, Pinned{Name: r.name, Version: version})
	}
	slices.SortFunc(out, func(a, b Pinned) int { return strings.Compare(a.Name, b.Name) })
	return out, errors.Join(errs...)
}
