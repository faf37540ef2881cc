package image

import (
	"cmp"
	"crypto/sha256"
	"debug/buildinfo"
	"encoding/hex"
	"encoding/json"
	"runtime"
	"slices"
	"time"

	"github.com/haplane/haplane/internal/component"
)

const manifestFile = "manifest.json"

// format changes when the same inputs make another image: bump it then.
const format = 1

// A Manifest tells all that is in an image.
type Manifest struct {
	Digest       string    `json:"digest"`
	Created      time.Time `json:"created"`
	Distribution string    `json:"distribution"` // Debian's suite
	Architecture string    `json:"architecture"` // as Go names it
	Packages     []Package `json:"packages"`
	Programs     []Program `json:"programs"`
	Images       []Archive `json:"images"`
}

// A Package is one of the distribution's.
type Package struct {
	Name    string `json:"name"`
	Version string `json:"version"`
	Sum     string `json:"sum"` // SHA-256 of the package's list of files and their sums
}

// A Program is an executable of a component.
type Program struct {
	Component string   `json:"component"`
	Name      string   `json:"name"`
	Version   string   `json:"version"`
	SHA256    string   `json:"sha256"`
	Links     []string `json:"links,omitempty"`
	Path      string   `json:"path,omitempty"` // in the image; empty when it is in a container image
	Modules   []Module `json:"modules,omitempty"`
}

// A Module is a Go module that a program was built from, by the program's own
// account. The main module of a component has no sum.
type Module struct {
	Path    string `json:"path"`
	Version string `json:"version"`
	Sum     string `json:"sum,omitempty"` // as in go.sum
}

// newManifest describes an image by what goes in. Its digest covers all of
// that, and is known before the image is made.
func newManifest(b base, programs []component.Program) (Manifest, error) {
	settings, err := settingsSum()
	if err != nil {
		return Manifest{}, err
	}
	m := Manifest{Distribution: suite, Architecture: runtime.GOARCH, Packages: b.Packages}
	for _, p := range programs {
		m.Programs = append(m.Programs, Program{
			Component: p.Component, Name: p.Name, Version: p.Version,
			SHA256: p.SHA256, Links: p.Links, Path: programPath(p),
		})
	}
	slices.SortFunc(m.Programs, func(a, b Program) int {
		return cmp.Or(cmp.Compare(a.Component, b.Component), cmp.Compare(a.Name, b.Name))
	})
	m.Digest, err = sumOf(struct {
		Format   int
		Settings string
		Store    string
		Manifest Manifest
	}{format, settings, storeScript, m})
	return m, err
}

// readModules asks the programs what they were built from. One that is not of
// Go, or says nothing, has no modules.
func (m *Manifest) readModules(programs []component.Program) {
	for i := range m.Programs {
		p := &m.Programs[i]
		at := slices.IndexFunc(programs, func(c component.Program) bool {
			return c.Component == p.Component && c.Name == p.Name
		})
		info, err := buildinfo.ReadFile(programs[at].Path)
		if err != nil {
			continue
		}
		p.Modules = []Module{{Path: info.Main.Path, Version: info.Main.Version, Sum: info.Main.Sum}}
		for _, d := range info.Deps {
			if d.Replace != nil {
				d = d.Replace
			}
			p.Modules = append(p.Modules, Module{Path: d.Path, Version: d.Version, Sum: d.Sum})
		}
	}
}

// sumOf is the SHA-256 of a value's JSON, in hexadecimal.
func sumOf(v any) (string, error) {
	data, err := json.Marshal(v)
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:]), nil
}
