package view

import (
	"fmt"
	"io"

	"github.com/haplane/haplane/internal/image"
)

// Removed is what was removed from the cache or, of a dry run, would be.
type Removed struct {
	DryRun  bool            `json:"dryRun"`
	Bytes   int64           `json:"bytes"`
	Removed []image.Removal `json:"removed"`
}

// NewRemoved adds the sizes up.
func NewRemoved(list []image.Removal, dryRun bool) Removed {
	r := Removed{DryRun: dryRun, Removed: append([]image.Removal{}, list...)}
	for _, one := range list {
		r.Bytes += one.Bytes
	}
	return r
}

// Text writes a line for each thing, and what the disk has more by all of them.
func (r Removed) Text(w io.Writer) error {
	if len(r.Removed) == 0 {
		_, err := fmt.Fprintln(w, "nothing to remove")
		return err
	}
	removed, freed := "removed", "freed"
	if r.DryRun {
		removed, freed = "would remove", "would free"
	}
	for _, one := range r.Removed {
		name := one.Name
		if one.Kind == "image" || one.Kind == "base" {
			name = fmt.Sprintf("%.*s", shortDigest, name)
		}
		fmt.Fprintf(w, "%s %s %s (%s)\n", removed, one.Kind, name, Bytes(one.Bytes))
	}
	_, err := fmt.Fprintf(w, "%s %s\n", freed, Bytes(r.Bytes))
	return err
}
