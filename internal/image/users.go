package image

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
)

// Users tells which clusters have machines made from which image: names of
// clusters by digest. home is the folder of the clusters' stores. What cannot be
// read is an error, lest an image be taken for unused.
func Users(home string) (map[string][]string, error) {
	clusters, err := folders(home)
	if err != nil {
		return nil, err
	}
	users := map[string][]string{}
	for _, cluster := range clusters {
		machines, err := folders(filepath.Join(home, cluster, "machines"))
		if err != nil {
			return nil, err
		}
		for _, machine := range machines {
			var record struct {
				Image string `json:"image"` // DIGEST/root
			}
			err := readJSON(filepath.Join(home, cluster, "machines", machine, "machine.json"), &record)
			if errors.Is(err, fs.ErrNotExist) {
				continue
			}
			if err != nil {
				return nil, err
			}
			digest := filepath.Base(filepath.Dir(record.Image))
			if !slices.Contains(users[digest], cluster) {
				users[digest] = append(users[digest], cluster)
			}
		}
	}
	return users, nil
}

// folders lists the folders in one that may be missing.
func folders(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("look for machines: %w", err)
	}
	var out []string
	for _, e := range entries {
		if e.IsDir() {
			out = append(out, e.Name())
		}
	}
	return out, nil
}
