package component

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/haplane/haplane/internal/durable"
)

const manifestName = "manifest.json"

// A manifest is what an entry says of itself.
type manifest struct {
	Component string   `json:"component"`
	Version   string   `json:"version"`
	Module    string   `json:"module,omitempty"`
	Toolchain string   `json:"toolchain,omitempty"`
	Library   string   `json:"library,omitempty"`
	CGO       bool     `json:"cgo,omitempty"`
	Flags     []string `json:"flags,omitempty"`
	From      string   `json:"from,omitempty"` // folder or URL of a ready-made program
	Programs  []file   `json:"programs"`
}

// A file is a program as it was when it was built, fetched or found. Where size and time are
// the same it is not read again.
type file struct {
	Name     string    `json:"name"`
	SHA256   string    `json:"sha256"`
	Size     int64     `json:"size"`
	Modified time.Time `json:"modified"`
	Links    []string  `json:"links,omitempty"`
}

// check reports whether the program at path is still the one that was described. A copy of a
// cache, or one that was restored, has other times: there the sum tells, and the time is noted.
func (f *file) check(path string) (same, noted bool) {
	info, err := os.Stat(path)
	if err != nil || info.Size() != f.Size {
		return false, false
	}
	if info.ModTime().Equal(f.Modified) {
		return true, false
	}
	now, err := describe(path)
	if err != nil || now.SHA256 != f.SHA256 {
		return false, false
	}
	f.Modified = now.Modified
	return true, true
}

func readManifest(dir string) (manifest, error) {
	var m manifest
	text, err := os.ReadFile(filepath.Join(dir, manifestName))
	if err != nil {
		return m, err
	}
	return m, json.Unmarshal(text, &m)
}

func (m manifest) write(dir string) error {
	text, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		return err
	}
	return durable.WriteFile(filepath.Join(dir, manifestName), append(text, '\n'), 0o644)
}

// add describes the program at path, and puts the links to it beside it.
func (m *manifest) add(path string, links []string) error {
	file, err := describe(path)
	if err != nil {
		return err
	}
	file.Links = links
	for _, link := range links {
		if err := os.Symlink(file.Name, filepath.Join(filepath.Dir(path), link)); err != nil {
			return err
		}
	}
	m.Programs = append(m.Programs, file)
	return nil
}

func describe(path string) (file, error) {
	f, err := os.Open(path)
	if err != nil {
		return file{}, err
	}
	defer f.Close() //nolint:errcheck // read only
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return file{}, err
	}
	info, err := f.Stat()
	if err != nil {
		return file{}, err
	}
	return file{Name: filepath.Base(path), SHA256: hex.EncodeToString(h.Sum(nil)),
		Size: info.Size(), Modified: info.ModTime()}, nil
}
