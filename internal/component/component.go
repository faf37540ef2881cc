// Package component owns the programs that run in a cluster: it builds them
// from the Go modules in components/, each pinned by its go.mod and go.sum,
// and keeps them in a cache that is addressed by what they were built from.
package component

import (
	"fmt"
	"io"
	"time"
)

// A Program is one executable in the cache.
type Program struct {
	Component string   // the component it belongs to: etcd
	Name      string   // its file name: etcdctl
	Version   string   // as pinned, with its v: v3.7.3
	Path      string   // where it is, absolute
	SHA256    string   // hexadecimal
	Links     []string // names of symlinks that should lead to it: kubelet, kubectl
}

// State is how far a component is.
type State string

// The states of a component. Every component ends cached, built or failed.
const (
	Cached   State = "cached"
	Building State = "building"
	Built    State = "built"
	Failed   State = "failed"
)

// An Event reports that a component came to a state.
type Event struct {
	Component string
	Version   string
	State     State
	Elapsed   time.Duration // since the component's turn came
	Err       error         // why it failed
}

// String is the event in a line, without a line end.
func (e Event) String() string {
	switch e.State {
	case Built:
		return fmt.Sprintf("%s %s built in %s", e.Component, e.Version, e.Elapsed.Round(100*time.Millisecond))
	case Failed:
		return fmt.Sprintf("%s %s failed: %v", e.Component, e.Version, e.Err)
	default:
		return fmt.Sprintf("%s %s %s", e.Component, e.Version, e.State)
	}
}

// Options say what to build, from where and to where.
type Options struct {
	Source string      // folder with one Go module per component; see SourceDir
	Cache  string      // folder to keep programs in; made if it is missing
	Names  []string    // components to build; all if empty
	Report func(Event) // told of every state, one call at a time; may be nil
	Log    io.Writer   // gets the compiler's whole output; may be nil
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
