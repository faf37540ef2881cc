package cluster

import (
	"fmt"
	"maps"
	"path"
	"path/filepath"
	"slices"

	"github.com/haplane/haplane/internal/apply"
	"github.com/haplane/haplane/internal/image"
	"github.com/haplane/haplane/internal/store"
	"github.com/haplane/haplane/spec"
)

// keepMachines sees which programs the machines lack that stay, in place of those of the image that they were made of.
func (u *Upgrade) keepMachines(c *spec.Cluster, o Options) error {
	record, err := o.Store.Record()
	if err != nil {
		return err
	}
	u.Versions.Programs, err = programsBetween(o.Cache, record.Versions, u.Versions)
	if err != nil {
		return withHint(err, byReplacing(c))
	}
	return nil
}

// programsBetween are the digests of the programs that differ between two images, and of those that differed
// before, by path and by each name that leads there.
func programsBetween(cache string, old, new store.Versions) (map[string]string, error) {
	before, err := image.Open(cache, old.Image)
	if err != nil {
		return nil, fmt.Errorf("what the machines have is not known: %w", err)
	}
	after, err := image.Open(cache, new.Image)
	if err != nil {
		return nil, err
	}
	if err := onlyPrograms(before.Manifest, after.Manifest); err != nil {
		return nil, err
	}
	out := map[string]string{}
	maps.Copy(out, old.Programs)
	for _, p := range after.Manifest.Programs {
		same := func(o image.Program) bool { return o.Path == p.Path && o.SHA256 == p.SHA256 }
		if p.Path == "" || slices.ContainsFunc(before.Manifest.Programs, same) {
			continue
		}
		out[p.Path] = p.SHA256
		for _, link := range p.Links {
			out[path.Join(path.Dir(p.Path), link)] = p.SHA256
		}
	}
	return out, nil
}

// bringsPrograms reports whether there are such programs, or nobody knows before the image is made that has them.
func (l *live) bringsPrograms() bool {
	_, err := image.Open(l.Cache, l.image.Digest)
	return l.Upgrade.InPlace && (err != nil || len(l.changedPrograms()) > 0)
}

// changedPrograms are those that an upgrade in place brings to machines.
func (l *live) changedPrograms() []apply.ProgramFile {
	if l.Upgrade == nil || !l.Upgrade.InPlace {
		return nil
	}
	img, err := image.Open(l.Cache, l.image.Digest)
	if err != nil {
		return nil // which fails the first step: nothing is brought
	}
	var out []apply.ProgramFile
	for _, p := range img.Manifest.Programs {
		if sum := l.inPlace[p.Path]; p.Path != "" && sum == p.SHA256 {
			out = append(out, apply.ProgramFile{Path: p.Path, SHA256: sum, From: filepath.Join(img.Root, p.Path)})
		}
	}
	return out
}
