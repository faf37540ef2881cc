// Package image builds golden images: the root file system that every local
// machine starts from, with the programs of a cluster in it. An image is made
// in two stages, the distribution's packages and the components, each kept
// under a key of what goes in.
package image

import (
	"context"
	"fmt"
	"io"
	"path/filepath"
	"time"

	"github.com/haplane/haplane/internal/component"
	"github.com/haplane/haplane/internal/durable"
	"github.com/haplane/haplane/internal/topology"
)

// Options tell what to build and where to keep it.
type Options struct {
	Cache    string // images and bases are kept below, on one file system
	Programs []component.Program
	Mirror   string // of Debian; empty: the host's own
	Refresh  bool   // take the packages as they are today, not as they were at the last build
	Report   func(Event)
	Doing    func(string) // told what is done right now; may be nil
	Log      io.Writer    // what the builders print
}

// An Event tells that a stage ended.
type Event struct {
	Stage   string        `json:"stage"` // base or image
	Cached  bool          `json:"cached"`
	Elapsed time.Duration `json:"elapsed"`
}

// An Image is complete and is never changed.
type Image struct {
	Digest   string // SHA-256 in hexadecimal, of all that went in
	Dir      string
	Root     string // the root file system, to be read only
	Manifest Manifest
}

// Build returns the image with the given programs, and makes it if the cache
// has none. It needs root. A build that is cut off leaves nothing that a later
// one would use. Nothing is removed from the cache while it runs; see component.Hold.
func Build(ctx context.Context, o Options) (Image, error) {
	release, err := component.Hold(ctx, o.Cache)
	if err != nil {
		return Image{}, err
	}
	defer release()
	start := time.Now()
	base, err := o.base(ctx)
	if err != nil {
		return Image{}, fmt.Errorf("build base of image: %w", err)
	}
	manifest, err := newManifest(base, o.Programs)
	if err != nil {
		return Image{}, fmt.Errorf("describe image: %w", err)
	}
	if img, err := Open(o.Cache, manifest.Digest); err == nil {
		o.report(Event{Stage: "image", Cached: true, Elapsed: time.Since(start)})
		return img, nil
	}
	start = time.Now()
	dir := filepath.Join(imagesDir(o.Cache), manifest.Digest)
	err = makeEntry(ctx, dir, func(tmp string) error { return o.fill(ctx, tmp, base, &manifest) })
	if err != nil {
		return Image{}, fmt.Errorf("build image %.12s: %w", manifest.Digest, err)
	}
	o.report(Event{Stage: "image", Elapsed: time.Since(start)})
	return Open(o.Cache, manifest.Digest)
}

// fill makes the image in dir: the base, the settings, the programs, the
// container images, and what the manifest says of them.
func (o Options) fill(ctx context.Context, dir string, base base, m *Manifest) error {
	root := filepath.Join(dir, "root")
	o.doing("copy the programs")
	if err := run(ctx, o.log(), "cp", "-al", base.root(), root); err != nil {
		return err
	}
	if err := configure(root); err != nil {
		return err
	}
	if err := install(root, o.Programs); err != nil {
		return err
	}
	o.doing("make the container images")
	archives, err := writeArchives(filepath.Join(root, topology.ImageDir), o.Programs)
	if err != nil {
		return err
	}
	if component.Version(o.Programs, "containerd") != "" && len(archives) > 0 {
		o.doing("unpack the container images into containerd's store")
		if err := o.fillStore(ctx, root); err != nil {
			return err
		}
	}
	m.Images, m.Created = archives, time.Now().UTC().Truncate(time.Second)
	m.readModules(o.Programs)
	return durable.WriteJSON(filepath.Join(dir, manifestFile), m, 0o644)
}

func imagesDir(cache string) string { return filepath.Join(cache, "images") }

func (o Options) report(e Event) {
	if o.Report != nil {
		o.Report(e)
	}
}

func (o Options) doing(text string) {
	if o.Doing != nil {
		o.Doing(text)
	}
}

func (o Options) log() io.Writer {
	if o.Log == nil {
		return io.Discard
	}
	return o.Log
}
