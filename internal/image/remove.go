package image

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/haplane/haplane/internal/component"
)

// ErrInUse means that machines are made from the image.
var ErrInUse = errors.New("in use")

// A Removal is something that was removed from the cache, or would be.
type Removal struct {
	Kind  string `json:"kind"` // image, base, component, unfinished
	Name  string `json:"name"`
	Bytes int64  `json:"bytes"` // that the disk has more by it
	dir   string
	do    func() error
}

// Remove removes images by their digests, or beginnings of them. It removes
// none if one of them is not there or in use, which is asked once nothing can be
// made from them any more.
func Remove(cache string, digests []string, users UsersFunc) ([]Removal, error) {
	release, err := component.HoldAlone(cache)
	if err != nil {
		return nil, err
	}
	defer release()
	inUse, err := users()
	if err != nil {
		return nil, err
	}
	var chosen []Image
	var errs []error
	for _, digest := range digests {
		img, err := Open(cache, digest)
		if err == nil && len(inUse[img.Digest]) > 0 {
			err = fmt.Errorf("remove image %.12s: %w by %s", img.Digest, ErrInUse, strings.Join(inUse[img.Digest], ", "))
		}
		if err == nil && !slices.ContainsFunc(chosen, func(c Image) bool { return c.Digest == img.Digest }) {
			chosen = append(chosen, img)
		}
		errs = append(errs, err)
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	var list []Removal
	for _, img := range chosen {
		list = append(list, folder("image", img.Digest, img.Dir))
	}
	return carryOut(list, false)
}

// folder is the removal of an image or a base. One that is cut off leaves
// nothing that looks whole, and the next builder clears it away.
func folder(kind, name, dir string) Removal {
	return Removal{Kind: kind, Name: name, dir: dir, do: func() error {
		temp := filepath.Join(filepath.Dir(dir), tempPrefix+"removed-"+filepath.Base(dir))
		if err := os.Rename(dir, temp); err != nil {
			return err
		}
		return os.RemoveAll(temp)
	}}
}

// carryOut measures and removes, in order, and returns what was removed.
func carryOut(list []Removal, dryRun bool) ([]Removal, error) {
	var u usage
	for i := range list {
		var err error
		if _, list[i].Bytes, err = u.add(list[i].dir); err != nil {
			return nil, fmt.Errorf("measure %s %s: %w", list[i].Kind, list[i].Name, err)
		}
	}
	if dryRun {
		return list, nil
	}
	for i, r := range list {
		if err := r.do(); err != nil {
			return list[:i], fmt.Errorf("remove %s %s: %w", r.Kind, r.Name, err)
		}
	}
	return list, nil
}
