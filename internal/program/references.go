package program

import (
	"bytes"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/haplane/haplane/internal/fileset"
)

// A reference is a file and the names under which it is spoken of: --tls-cert-file,
// tlsCertFile. Where it is spoken of without one, a name is empty.
type reference struct {
	path  string
	names map[string]bool
}

// only reports whether the file is spoken of under these names and no other.
func (r reference) only(names []string) bool {
	for name := range r.names {
		if !slices.Contains(names, name) {
			return false
		}
	}
	return true
}

// named finds absolute paths, and the word before each: --name=PATH, name: PATH,
// name = "PATH", name PATH.
var named = regexp.MustCompile(`(?:([\w-]+)["']?\s*[:=]?\s*["']?)?(/[^\s"'\\,;:(){}\[\]<>=|&$]+)`)

// references are the files of the set that the text names, by themselves or by a
// folder that they are in, and those that such files name in turn; in order.
func references(text string, files fileset.Set) []reference {
	found := map[string]reference{}
	follow(text, files, found)
	var out []reference
	for _, p := range slices.Sorted(maps.Keys(found)) {
		out = append(out, found[p])
	}
	return out
}

func follow(text string, files fileset.Set, found map[string]reference) {
	for _, match := range named.FindAllStringSubmatch(text, -1) {
		name, at := strings.TrimLeft(match[1], "-"), strings.TrimRight(match[2], "/.")
		if at == "" {
			continue // of https://[fd00::1]: all files are nobody's folder
		}
		for _, p := range files.Under(at).Paths() {
			r, known := found[p]
			if !known {
				r = reference{path: p, names: map[string]bool{}}
				found[p] = r
			}
			r.names[name] = true
			if data := files[p].Data; !known && !files[p].Keep && !bytes.HasPrefix(data, []byte("-----BEGIN")) {
				follow(string(data), files, found)
			}
		}
	}
}
