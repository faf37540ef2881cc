package program

import (
	"crypto/sha256"
	"fmt"
	"strconv"
	"strings"

	"github.com/haplane/haplane/internal/fileset"
)

// LoadedDir is where, in NAME.loaded, the digest of the files is that a program loaded last.
const LoadedDir = "/run/haplane"

// LoadedFile is that file of a program. Its time is that of when the program was last told to load its files.
func LoadedFile(dir, name string) string { return dir + "/" + name + ".loaded" }

// load is the digest that the script of NoteLoaded makes on the machine.
func load(paths []string, files fileset.Set) string {
	h := sha256.New()
	for _, p := range paths {
		fmt.Fprintf(h, "%s  %s\n", files[p].Sum(), p) // as sha256sum prints it
	}
	return short(h.Sum(nil))
}

// NoteLoaded is a script for a POSIX shell that notes, below dir, the digest of the files
// at the paths. It runs right before the program reads them: one that changes in between
// is loaded once more, and none is taken for loaded that is not.
func NoteLoaded(dir, name string, paths []string) string {
	return "mkdir -p " + dir + " && sha256sum -- " + strings.Join(paths, " ") +
		" | sha256sum | cut -c-" + strconv.Itoa(shortLength) + " >" + LoadedFile(dir, name)
}
