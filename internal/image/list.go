package image

import (
	"cmp"
	"slices"
	"time"
)

// A Summary is an image in a line.
type Summary struct {
	Digest     string    `json:"digest"`
	Created    time.Time `json:"created"`
	Size       int64     `json:"size"`       // bytes on the disk; images of one base share files
	Kubernetes string    `json:"kubernetes"` // empty if the image has none
	InUseBy    []string  `json:"inUseBy"`    // clusters
	Dir        string    `json:"dir"`
}

// Details are all that is known of an image.
type Details struct {
	Manifest
	Size    int64    `json:"size"`
	InUseBy []string `json:"inUseBy"`
	Dir     string   `json:"dir"`
}

// Summaries describes the images of the cache, the newest first. inUse is what
// Users returns.
func Summaries(cache string, inUse map[string][]string) ([]Summary, error) {
	images, err := newest(cache)
	out := []Summary{}
	for _, img := range images {
		d, err := img.Details(inUse)
		if err != nil {
			return nil, err
		}
		out = append(out, Summary{Digest: d.Digest, Created: d.Created, Size: d.Size,
			Kubernetes: d.Kubernetes(), InUseBy: d.InUseBy, Dir: d.Dir})
	}
	return out, err
}

// Details adds to the manifest what is to be seen of the image.
func (img Image) Details(inUse map[string][]string) (Details, error) {
	var u usage
	size, _, err := u.add(img.Dir)
	return Details{Manifest: img.Manifest, Size: size, Dir: img.Dir,
		InUseBy: append([]string{}, inUse[img.Digest]...)}, err
}

// Kubernetes is the version of Kubernetes in the image; empty if it has none.
func (m Manifest) Kubernetes() string {
	for _, p := range m.Programs {
		if p.Component == "kube" {
			return p.Version
		}
	}
	return ""
}

// newest returns the images of the cache, the newest first.
func newest(cache string) ([]Image, error) {
	images, err := List(cache)
	slices.SortFunc(images, func(a, b Image) int {
		return cmp.Or(b.Manifest.Created.Compare(a.Manifest.Created), cmp.Compare(a.Digest, b.Digest))
	})
	return images, err
}

// Newest returns the image that was made last; the error is ErrNone if there is none.
func Newest(cache string) (Image, error) {
	images, err := newest(cache)
	if err == nil && len(images) == 0 {
		err = ErrNone
	}
	if err != nil {
		return Image{}, err
	}
	return images[0], nil
}
