// Package machinetest has a machine that records commands and keeps files in
// memory, for tests of what would be done on a real one.
package machinetest

import (
	"context"
	"io"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/haplane/haplane/internal/fileset"
	"github.com/haplane/haplane/internal/machine"
)

// A Recorder is a machine without a host.
type Recorder struct {
	NodeName string
	// Answer tells what a command prints and returns; nil is success in silence.
	Answer func(argv []string) (string, error)

	mu       sync.Mutex
	commands [][]string
	files    fileset.Set
	uploads  [][]string
}

var _ machine.Machine = (*Recorder)(nil)

// Name is the node's name.
func (r *Recorder) Name() string { return r.NodeName }

// Run records the command.
func (r *Recorder) Run(_ context.Context, cmd machine.Command) (machine.Result, error) {
	r.mu.Lock()
	r.commands = append(r.commands, slices.Clone(cmd.Argv))
	r.mu.Unlock()
	if r.Answer == nil {
		return machine.Result{}, nil
	}
	out, err := r.Answer(cmd.Argv)
	if cmd.Stdout != nil {
		_, _ = io.WriteString(cmd.Stdout, out)
	}
	return machine.Result{Stdout: out}, err
}

// Upload keeps the files.
func (r *Recorder) Upload(_ context.Context, files fileset.Set) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.files == nil {
		r.files = fileset.Set{}
	}
	maps.Copy(r.files, files)
	if len(files) > 0 {
		r.uploads = append(r.uploads, files.Paths())
	}
	return nil
}

// Stat tells of the files kept.
func (r *Recorder) Stat(_ context.Context, paths []string) (map[string]fileset.State, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	out := map[string]fileset.State{}
	for _, p := range paths {
		if f, ok := r.files[p]; ok {
			out[p] = fileset.State{Mode: f.Mode, Owner: f.OwnerName(), Sum: f.Sum()}
		}
	}
	return out, nil
}

// Commands lists what was run so far, each in one line.
func (r *Recorder) Commands() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	var out []string
	for _, argv := range r.commands {
		out = append(out, strings.Join(argv, " "))
	}
	return out
}

// Argvs lists what was run so far, as it was given.
func (r *Recorder) Argvs() [][]string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.commands)
}

// Files is what was uploaded so far.
func (r *Recorder) Files() fileset.Set {
	r.mu.Lock()
	defer r.mu.Unlock()
	return maps.Clone(r.files)
}

// Uploads lists the paths of each upload so far.
func (r *Recorder) Uploads() [][]string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.uploads)
}
