package fileset

import (
	"maps"
	"path"
	"slices"
	"strings"
)

// AddManifest adds a file at the given path that lists all files of the set, itself
// included, one path a line: what a machine knows of what was put there.
func (s Set) AddManifest(file string) {
	s.Add(File{Path: file, Mode: 0o600})
	f := s[file]
	f.Data = []byte(strings.Join(s.Paths(), "\n") + "\n")
	s[file] = f
}

// Unwanted returns the paths of a machine's manifest that are not in the wanted set, in
// order: files that were put there and are to go. What the manifest does not list is
// never among them, and neither is a line that is no absolute and clean path.
func Unwanted(manifest string, want Set) []string {
	out := map[string]bool{}
	for line := range strings.Lines(manifest) {
		p, whole := strings.CutSuffix(line, "\n")
		if _, wanted := want[p]; whole && !wanted && path.IsAbs(p) && path.Clean(p) == p && p != "/" {
			out[p] = true
		}
	}
	return slices.Sorted(maps.Keys(out))
}
