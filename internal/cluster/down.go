package cluster

import (
	"context"
	"fmt"
	"slices"

	"github.com/haplane/haplane/internal/machine/ssh"
	"github.com/haplane/haplane/internal/phase"
	"github.com/haplane/haplane/spec"
)

var takeDown = []phase.Phase[*env]{
	{ID: "remove-machines", Run: removeMachines},
	{ID: "remove-state", Run: removeState},
}

// Down removes everything of the cluster from this host, also of one that was
// never finished, and returns what it removed; none means that there was nothing.
func Down(ctx context.Context, o Options) ([]string, error) {
	unlock, err := o.Store.Lock()
	if err != nil {
		return nil, err
	}
	defer unlock()
	c, err := o.Store.Cluster()
	lost := err != nil
	if lost {
		// Machines and network are found by the cluster's name; the rest of its file does
		// not matter here. The default network may well be another cluster's.
		c = spec.Default(o.Store.Name())
	}
	e := newEnv(c, o)
	if lost {
		e.topology.Machines = nil
	}
	defer e.close()
	err = phase.Run(ctx, e, takeDown, e.report)
	slices.Sort(e.changes)
	return e.changes, err
}

func removeMachines(ctx context.Context, e *env) error {
	removed, err := e.provider().Destroy(ctx)
	e.changes = append(e.changes, removed...)
	return err
}

func removeState(_ context.Context, e *env) error {
	kept, err := e.Store.Kept()
	if err != nil {
		return err
	}
	if kept {
		e.changes = append(e.changes, "state "+e.Store.Dir)
	}
	ssh.Sweep()
	if err := e.Store.Remove(); err != nil {
		return fmt.Errorf("remove state: %w", err)
	}
	return nil
}
