package image

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/haplane/haplane/internal/durable"
)

// The cache is shared by all homes, and nobody knows them all. So each machine has a
// link to its record beside the image that it is made from. One whose record is gone
// says nothing.

const usesFolder = "uses"

// Use notes that the machine of a record, which may be about to be written, is
// made from the image with a root folder. The image is there, and stays.
func Use(root, record string) error {
	dir := filepath.Join(filepath.Dir(root), usesFolder)
	link := filepath.Join(dir, useName(record))
	if to, err := os.Readlink(link); err == nil && to == record {
		return nil
	}
	if _, err := os.Stat(root); err != nil {
		return fmt.Errorf("use image: %w", err)
	}
	if err := durable.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("use image: %w", err)
	}
	if err := os.Symlink(record, link); err != nil && !errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("use image: %w", err)
	}
	return durable.SyncDir(dir)
}

// Unuse takes that back.
func Unuse(root, record string) error {
	err := durable.Remove(filepath.Join(filepath.Dir(root), usesFolder, useName(record)))
	if errors.Is(err, fs.ErrNotExist) {
		return nil // the image is gone
	}
	return err
}

func useName(record string) string {
	sum := sha256.Sum256([]byte(record))
	return hex.EncodeToString(sum[:8])
}

// uses lists the records that links of a cache lead to, by digest, and removes links
// whose record is gone, or is of another image by now, if sweep says so.
func uses(cache string, sweep bool) (map[string][]string, error) {
	links, err := filepath.Glob(filepath.Join(imagesDir(cache), "*", usesFolder, "*"))
	if err != nil {
		return nil, err
	}
	out := map[string][]string{}
	for _, link := range links {
		digest := filepath.Base(filepath.Dir(filepath.Dir(link)))
		record, err := os.Readlink(link)
		if err != nil || !IsDigest(digest) {
			continue
		}
		switch of, err := imageOf(record); {
		case err == nil && of != digest, errors.Is(err, fs.ErrNotExist):
			if !sweep {
				continue
			}
			if err := durable.Remove(link); err != nil {
				return nil, fmt.Errorf("sweep uses of image %.12s: %w", digest, err)
			}
		default: // a record that cannot be read may well be of this image
			out[digest] = append(out[digest], record)
		}
	}
	return out, nil
}

// imageOf is the digest of the image that the machine of a record is made from.
func imageOf(record string) (string, error) {
	var r struct {
		Image string `json:"image"` // DIGEST/root
	}
	err := durable.ReadJSON(record, &r)
	return filepath.Base(filepath.Dir(r.Image)), err
}
