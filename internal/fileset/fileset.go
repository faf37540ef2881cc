// Package fileset owns the files of a machine as values: path, mode, owner and
// bytes. It compares sets and writes them as one archive; it never touches a disk.
package fileset

import (
	"archive/tar"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"
)

// A File is one regular file on a machine.
type File struct {
	Path  string      // absolute, clean, slash-separated
	Mode  fs.FileMode // permission bits only; 0600 for keys
	Owner string      // user and group of the same name; empty is root
	Data  []byte
	// Digest is the SHA-256 of Data in hexadecimal where it is known already, of large files.
	Digest string
	// Keep is set for a file that is written where it is missing, and otherwise left as it is.
	Keep bool
	// Open is set for a file without a secret, whatever its mode: its content may be shown.
	Open bool
}

// Sum is the SHA-256 of the content in hexadecimal.
func (f File) Sum() string {
	if f.Digest != "" {
		return f.Digest
	}
	sum := sha256.Sum256(f.Data)
	return hex.EncodeToString(sum[:])
}

// Secret reports whether nobody but the owner must see the content.
func (f File) Secret() bool { return !f.Open && f.Mode.Perm()&0o077 == 0 }

// OwnerName is Owner with its default.
func (f File) OwnerName() string {
	if f.Owner == "" {
		return "root"
	}
	return f.Owner
}

// A Set holds the files of one machine by path. The zero value is empty and
// only to be read; New makes one to add to.
type Set map[string]File

// New returns a set of the given files. It panics as Add does.
func New(files ...File) Set {
	s := Set{}
	for _, f := range files {
		s.Add(f)
	}
	return s
}

// Add puts a file into the set. A relative or unclean path, a missing mode and
// a path that is there already are mistakes of the program: Add panics.
func (s Set) Add(f File) {
	if !path.IsAbs(f.Path) || path.Clean(f.Path) != f.Path || strings.ContainsAny(f.Path, "\n\x00") {
		panic(fmt.Sprintf("fileset: path %q is not absolute and clean", f.Path))
	}
	if f.Mode.Perm() == 0 {
		panic(fmt.Sprintf("fileset: %s has no mode", f.Path))
	}
	if _, ok := s[f.Path]; ok {
		panic(fmt.Sprintf("fileset: %s is there twice", f.Path))
	}
	s[f.Path] = f
}

// Paths lists the paths in order.
func (s Set) Paths() []string { return slices.Sorted(maps.Keys(s)) }

// Under returns the files at or below one of the given paths.
func (s Set) Under(roots ...string) Set {
	out := Set{}
	for p, f := range s {
		for _, root := range roots {
			if p == root || strings.HasPrefix(p, strings.TrimSuffix(root, "/")+"/") {
				out[p] = f
			}
		}
	}
	return out
}

// WriteTar writes the set as a tar archive with owners by name and every file at
// the path that place makes of its own, relative to the root. Directories are not in it.
func (s Set) WriteTar(w io.Writer, place func(string) string) error {
	tw := tar.NewWriter(w)
	for _, p := range s.Paths() {
		f := s[p]
		header := &tar.Header{
			Typeflag: tar.TypeReg, Format: tar.FormatPAX,
			Name: strings.TrimPrefix(place(p), "/"),
			Mode: int64(f.Mode.Perm()), Size: int64(len(f.Data)),
			Uname: f.OwnerName(), Gname: f.OwnerName(),
		}
		if err := tw.WriteHeader(header); err != nil {
			return fmt.Errorf("write archive: %s: %w", p, err)
		}
		if _, err := tw.Write(f.Data); err != nil {
			return fmt.Errorf("write archive: %s: %w", p, err)
		}
	}
	return tw.Close()
}

// A State is what a machine says of a file: enough to tell whether it is as wanted.
type State struct {
	Mode  fs.FileMode
	Owner string
	Sum   string // SHA-256 of the content in hexadecimal
}

// Current reports whether the state is that of the file.
func (f File) Current(s State) bool {
	if f.Keep {
		return true
	}
	return s.Mode.Perm() == f.Mode.Perm() && s.Owner == f.OwnerName() && s.Sum == f.Sum()
}

// Stale returns the files of the set that the machine lacks or has otherwise.
func (s Set) Stale(seen map[string]State) Set {
	out := Set{}
	for p, f := range s {
		if state, ok := seen[p]; !ok || !f.Current(state) {
			out[p] = f
		}
	}
	return out
}
