// Package component owns the programs that run in a cluster: it builds them
// from the Go modules in components/, each pinned by its go.mod and go.sum, or
// takes ready-made ones from a folder or a URL, and keeps them in a cache that
// is addressed by what they come from.
package component

import (
	"cmp"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"time"
)

// A Program is one executable in the cache.
type Program struct {
	Component string   // the component it belongs to: etcd
	Name      string   // its file name: etcdctl
	Version   string   // as pinned, or as it tells; with its v: v3.7.3
	Path      string   // where it is, absolute
	SHA256    string   // hexadecimal
	Links     []string // names of symlinks that should lead to it: kubelet, kubectl
}

// State is how far a component is, or one of its programs that is ready-made.
type State string

// The states. Every component that is built, and every ready-made program, ends
// in one of cached, built, fetched, found and failed.
const (
	Cached   State = "cached"
	Building State = "building"
	Built    State = "built"
	Fetching State = "fetching" // from a URL
	Fetched  State = "fetched"
	Found    State = "found" // in a folder
	Failed   State = "failed"
)

// An Event reports that a component or a program came to a state.
type Event struct {
	Component string
	Program   string // the ready-made program that it is about
	Version   string // empty until a ready-made program has told it
	State     State
	Elapsed   time.Duration // since its turn came
	Err       error         // why it failed
}

// String is the event in a line, without a line end.
func (e Event) String() string {
	what := cmp.Or(e.Program, e.Component)
	if e.Version != "" {
		what += " " + e.Version
	}
	switch e.State {
	case Built, Fetched:
		return fmt.Sprintf("%s %s in %s", what, e.State, e.Elapsed.Round(100*time.Millisecond))
	case Failed:
		return fmt.Sprintf("%s failed: %v", what, e.Err)
	default:
		return fmt.Sprintf("%s %s", what, e.State)
	}
}

// Options say what to build, from where and to where.
type Options struct {
	Source string      // folder with one Go module per component; if empty, SourceDir is asked once something has to be built
	Cache  string      // folder to keep programs in; made if it is missing
	Names  []string    // components to build; all if empty
	Ready  Ready       // programs that are not built, and Kubernetes' version
	Report func(Event) // told of every state, one call at a time; may be nil
	// Progress is told how far a build is, many times a second; with nil, nobody counts.
	Progress func(Progress)
	Log      io.Writer // gets the compiler's whole output; may be nil
}

func (o Options) withDefaults() Options {
	if o.Report == nil {
		o.Report = func(Event) {}
	}
	if o.Log == nil {
		o.Log = io.Discard
	}
	return o
}

// Path is where a program can be called: its own path or, where it is one of
// the names of another, that of the link. It is empty if there is no such program.
func Path(programs []Program, name string) string {
	if p := named(programs, name); p != nil {
		return filepath.Join(filepath.Dir(p.Path), name)
	}
	return ""
}

// Version is the version of a program, by any of its names; empty if there is
// no such program.
func Version(programs []Program, name string) string {
	if p := named(programs, name); p != nil {
		return p.Version
	}
	return ""
}

func named(programs []Program, name string) *Program {
	for i, p := range programs {
		if p.Name == name || slices.Contains(p.Links, name) {
			return &programs[i]
		}
	}
	return nil
}
