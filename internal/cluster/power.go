package cluster

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/haplane/haplane/internal/provider/nspawn"
	"github.com/haplane/haplane/internal/topology"
)

// errMachineOff means that a machine ended while it was waited for.
var errMachineOff = errors.New("the machine is off")

// running lists the nodes whose machines run.
func (e *env) running() ([]topology.Node, error) {
	list, err := e.provider().List()
	if err != nil {
		return nil, err
	}
	var out []topology.Node
	for _, n := range e.topology.Nodes {
		if slices.ContainsFunc(list, func(m nspawn.Status) bool { return m.Name == n.Name && m.Running }) {
			out = append(out, n)
		}
	}
	return out, nil
}

// isOff reports whether the node's machine was made and does not run. What cannot
// be looked at is not off: the wait for it goes on.
func (e *env) isOff(n topology.Node) bool {
	list, err := e.provider().List()
	return err == nil && slices.ContainsFunc(list, func(m nspawn.Status) bool { return m.Name == n.Name && !m.Running })
}

// noteStart remembers, just before machines are started, which of them do not run.
// What the API says of their nodes may be of the time before.
func (e *env) noteStart() error {
	running, err := e.running()
	if err != nil {
		return err
	}
	e.started = map[string]time.Time{}
	for _, n := range e.topology.Nodes {
		if !slices.ContainsFunc(running, func(r topology.Node) bool { return r.Name == n.Name }) {
			e.started[n.Name] = time.Now()
		}
	}
	return nil
}

// withConsole adds to an error about a machine the end of its console, and what to do.
func (e *env) withConsole(n topology.Node, err error) error {
	file := filepath.Join(e.Store.Machines(), n.Name, "console.log")
	console, _ := os.ReadFile(file)
	hint := "its console is in " + file
	if errors.Is(err, errMachineOff) {
		hint = "haplane up starts it again; " + hint
	}
	return &HintedError{Err: err, Hint: hint, Log: lastLines(string(console))}
}
