// Package program owns what a program on a machine is made of, whatever runs it:
// its arguments, the files that these lead to, and the digests that tell whether a
// running one still is as wanted.
package program

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"

	"github.com/haplane/haplane/internal/fileset"
)

// ConfigVariable is the environment variable in which a running program carries the
// digest that it was started with.
const ConfigVariable = "HAPLANE_CONFIG"

// OnChange is what a program needs when a file changes that it reads.
type OnChange string

// A program that is reloaded reads all of its files again, and goes on meanwhile.
const (
	Restart OnChange = "restart"
	Reload  OnChange = "reload"
)

// A Program is what runs on a machine.
type Program struct {
	Text     string   // what runs it, with all arguments: a unit, for example
	OnChange OnChange // Restart where it is empty
	// Self names arguments, without dashes, and keys of configurations: the program by
	// itself reads the files again that these name, when they change.
	Self []string
	// Confine is what keeps files and rights from the program. It may name files that the program does not read.
	Confine string
	// Binary is the digest of the program itself, where that can change under one path.
	Binary string
}

// A State tells what a program is configured by.
type State struct {
	// Config is the digest of all that takes a restart when it changes.
	Config string
	// Load is the digest of the files that take a reload; "" where there are none.
	// A machine says which one it has loaded by the script of NoteLoaded.
	Load       string
	Restarting []string // files that it reads, for which it takes a restart
	Reloading  []string // for which it takes a reload
	Self       []string // for which it takes nothing
}

// State derives from its text which of the machine's files the program reads, and with
// them its digests. Files that are kept as they are (fileset.File.Keep) are no part of it.
func (p Program) State(files fileset.Set) State {
	var out State
	for _, r := range references(p.Text, files) {
		switch {
		case files[r.path].Keep:
		case r.only(p.Self):
			out.Self = append(out.Self, r.path)
		case p.OnChange == Reload:
			out.Reloading = append(out.Reloading, r.path)
		default:
			out.Restarting = append(out.Restarting, r.path)
		}
	}
	out.Config = p.config(out.Restarting, files)
	if len(out.Reloading) > 0 {
		out.Load = load(out.Reloading, files)
	}
	return out
}

func (p Program) config(paths []string, files fileset.Set) string {
	h := sha256.New()
	fmt.Fprintln(h, p.Text)
	for _, path := range paths {
		f := files[path]
		fmt.Fprintln(h, path, f.Mode, f.OwnerName(), f.Sum())
	}
	fmt.Fprint(h, p.Confine, p.Binary)
	return short(h.Sum(nil))
}

// short is enough of a digest to tell one configuration from another.
func short(sum []byte) string { return hex.EncodeToString(sum)[:shortLength] }

const shortLength = 16
