package cluster

import (
	"slices"

	"github.com/haplane/haplane/internal/provider/nspawn"
	"github.com/haplane/haplane/internal/topology"
)

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

// power tells which machines were made, and whether each runs.
func (e *env) power() (map[string]bool, error) {
	list, err := e.provider().List()
	out := map[string]bool{}
	for _, m := range list {
		if !m.Lost || m.Running { // without its disk it is gone
			out[m.Name] = m.Running
		}
	}
	return out, err
}
