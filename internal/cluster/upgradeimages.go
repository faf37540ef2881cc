package cluster

import (
	"os"
	"path/filepath"

	"github.com/haplane/haplane/internal/apply"
	"github.com/haplane/haplane/internal/image"
	"github.com/haplane/haplane/internal/look"
	"github.com/haplane/haplane/internal/observed"
	"github.com/haplane/haplane/internal/topology"
)

// imageFiles are the container images of the image that an upgrade leads to: those that pods may have after it.
func (l *live) imageFiles() []apply.ImageFile {
	if l.Upgrade == nil {
		return nil
	}
	img, err := image.Open(l.Cache, l.image.Digest)
	if err != nil {
		return nil // which fails the first step that brings them
	}
	var out []apply.ImageFile
	for _, a := range img.Manifest.Images {
		out = append(out, apply.ImageFile{Image: observed.Image{Ref: a.Ref, ID: a.Digest}, From: filepath.Join(img.Root, a.Path)})
	}
	return out
}

// wantedImages are the container images that machines are to have. Of an image that is not in the cache, and is made before the
// first step, the names of those are known that haplane's own pods have.
func (l *live) wantedImages() []observed.Image {
	var out []observed.Image
	for _, f := range l.imageFiles() {
		out = append(out, f.Image)
	}
	if l.Upgrade != nil && out == nil {
		out = []observed.Image{{Ref: l.images.Pause}, {Ref: l.images.CoreDNS}}
	}
	return out
}

// podImages are their references.
func (l *live) podImages() []string {
	var out []string
	for _, i := range l.wantedImages() {
		out = append(out, i.Ref)
	}
	return out
}

// lookForImages has nodes that pods run on looked at for them.
func (l *live) lookForImages(wanted map[string]look.Want) {
	if l.Upgrade == nil {
		return
	}
	images := l.wantedImages()
	for _, n := range l.topology.KubeletNodes() {
		want := wanted[n.Name]
		want.Images = images
		wanted[n.Name] = want
	}
}

// roomForImages is how many bytes those take on a node that its machine lacks.
func (l *live) roomForImages(n topology.Node) (need int64) {
	if !l.topology.RunsKubelet(n) {
		return 0
	}
	there := map[string]bool{}
	for _, ref := range l.seen.Machines[n.Name].Images {
		there[ref] = true
	}
	for _, f := range l.imageFiles() {
		if info, err := os.Stat(f.From); err == nil && !there[f.Ref] {
			need += apply.Stored * info.Size()
		}
	}
	return need
}
