package image

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/haplane/haplane/internal/durable"
)

// ErrNone means that the cache has no such image.
var ErrNone = errors.New("no such image")

// Open returns an image of the cache by its digest, or by the beginning of one
// that no other has. The error wraps ErrNone where there is none.
func Open(cache, digest string) (Image, error) {
	if !IsDigest(digest) {
		return Image{}, fmt.Errorf("open image %q: not hexadecimal digits", digest)
	}
	found, err := filepath.Glob(filepath.Join(imagesDir(cache), digest+"*", manifestFile))
	switch {
	case err != nil:
		return Image{}, err
	case len(found) == 0:
		return Image{}, fmt.Errorf("open image %s: %w", digest, ErrNone)
	case len(found) > 1:
		return Image{}, fmt.Errorf("open image %s: %d images have digests that begin so", digest, len(found))
	}
	dir := filepath.Dir(found[0])
	img := Image{Digest: filepath.Base(dir), Dir: dir, Root: filepath.Join(dir, "root")}
	return img, durable.ReadJSON(found[0], &img.Manifest)
}

// IsDigest reports whether a text may be a digest or the beginning of one.
func IsDigest(text string) bool {
	return text != "" && strings.Trim(text, "0123456789abcdef") == ""
}

// List returns the images of the cache by digest.
func List(cache string) ([]Image, error) {
	found, err := complete(imagesDir(cache), manifestFile)
	if err != nil {
		return nil, err
	}
	var out []Image
	for _, dir := range found {
		img, err := Open(cache, filepath.Base(dir))
		if err != nil {
			return nil, err
		}
		out = append(out, img)
	}
	return out, nil
}

// complete lists the folders in one that are not being made, in order.
func complete(parent, file string) ([]string, error) {
	found, err := filepath.Glob(filepath.Join(parent, "*", file))
	if err != nil {
		return nil, err
	}
	var out []string
	for _, path := range found {
		if dir := filepath.Dir(path); IsDigest(filepath.Base(dir)) {
			out = append(out, dir)
		}
	}
	return out, nil
}
