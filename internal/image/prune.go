package image

import (
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"

	"github.com/haplane/haplane/internal/component"
	"github.com/haplane/haplane/internal/durable"
)

// PruneOptions tell what must stay.
type PruneOptions struct {
	Cache  string
	InUse  UsersFunc                  // these images stay; asked once nothing can be made from another any more
	Keep   func(component.Entry) bool // entries of components that stay although no image has them
	DryRun bool                       // only tell
}

// Prune removes the images that no machine is made from, then what no image
// that is left was made from and what this haplane would not use: bases,
// components and ready-made programs; and what runs that died left behind. The
// error is component.ErrHeld while a build runs.
func Prune(o PruneOptions) ([]Removal, error) {
	release, err := component.HoldAlone(o.Cache)
	if err != nil {
		return nil, err
	}
	defer release()
	inUse, err := o.InUse()
	if err != nil {
		return nil, err
	}
	if !o.DryRun {
		if _, err := uses(o.Cache, true); err != nil {
			return nil, err
		}
	}
	images, err := List(o.Cache)
	if err != nil {
		return nil, err
	}
	list, err := unfinished(o.Cache)
	if err != nil {
		return nil, err
	}
	var left []Image
	for _, img := range images {
		if len(inUse[img.Digest]) > 0 {
			left = append(left, img)
			continue
		}
		list = append(list, folder("image", img.Digest, img.Dir))
	}
	bases, err := staleBases(o.Cache, left)
	if err != nil {
		return nil, err
	}
	entries, err := staleEntries(o, left)
	if err != nil {
		return nil, err
	}
	return carryOut(slices.Concat(list, bases, entries), o.DryRun)
}

// unfinished are the folders that builders left behind that died.
func unfinished(cache string) ([]Removal, error) {
	var out []Removal
	for _, parent := range []string{imagesDir(cache), basesDir(cache)} {
		found, err := filepath.Glob(filepath.Join(parent, tempPrefix+"*"))
		if err != nil {
			return nil, err
		}
		for _, dir := range found {
			out = append(out, Removal{Kind: "unfinished", Name: filepath.Base(dir), dir: dir,
				do: func() error { return os.RemoveAll(dir) }})
		}
	}
	return out, nil
}

// staleBases are all but the one that the next image is made from, and those
// whose packages an image has that is left.
func staleBases(cache string, left []Image) ([]Removal, error) {
	current, err := baseKey()
	if err != nil {
		return nil, err
	}
	found, err := complete(basesDir(cache), baseFile)
	if err != nil {
		return nil, err
	}
	var out []Removal
	for _, dir := range found {
		var b base
		if err := durable.ReadJSON(filepath.Join(dir, baseFile), &b); err != nil {
			return nil, err
		}
		used := slices.ContainsFunc(left, func(img Image) bool { return reflect.DeepEqual(img.Manifest.Packages, b.Packages) })
		if key := filepath.Base(dir); key != current && !used {
			out = append(out, folder("base", key, dir))
		}
	}
	return out, nil
}

// staleEntries are those with no program of an image that is left.
func staleEntries(o PruneOptions, left []Image) ([]Removal, error) {
	entries, err := component.Entries(o.Cache)
	if err != nil {
		return nil, fmt.Errorf("list components: %w", err)
	}
	used := map[string]bool{}
	for _, img := range left {
		for _, p := range img.Manifest.Programs {
			used[p.SHA256] = true
		}
	}
	var out []Removal
	for _, e := range entries {
		if slices.ContainsFunc(e.Sums, func(sum string) bool { return used[sum] }) || o.Keep(e) {
			continue
		}
		kind := "component"
		if e.Unfinished() {
			kind = "unfinished"
		}
		out = append(out, Removal{Kind: kind, Name: e.Name, dir: e.Dir, do: e.Remove})
	}
	return out, nil
}
