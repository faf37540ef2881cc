package cluster

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/haplane/haplane/internal/change"
	"github.com/haplane/haplane/internal/observed"
	"github.com/haplane/haplane/internal/phase"
	"github.com/haplane/haplane/internal/render"
	"github.com/haplane/haplane/internal/store"
	"github.com/haplane/haplane/internal/topology"
	"github.com/haplane/haplane/spec"
)

var halt = []phase.Phase[*env]{
	{ID: "stop-machines", Done: allStopped, Run: stopMachines},
}

// Stop shuts the machines down in good order; their data stays. It returns what it did.
func Stop(ctx context.Context, o Options) ([]string, error) {
	var changes []string
	err := onExisting(o, func(e *env) error {
		err := phase.Run(ctx, e, halt, e.report)
		changes = e.changes
		return e.explain(ctx, err)
	})
	return changes, err
}

// Start starts machines that were stopped, or that went down with the host, and waits
// until the cluster is as it was. Where a change was cut off, those that join or leave are started
// too: what is left of it may need them. It returns the steps that did something.
func Start(ctx context.Context, o Options) ([]string, error) {
	var changes []string
	err := onExisting(o, func(e *env) error {
		l, beside, gone, err := e.resumed()
		if err != nil {
			return err
		}
		if err := l.addressesFree(ctx, l.starting()); err != nil {
			return err
		}
		for _, name := range beside { // whatever becomes of them, the cluster is started
			if err := l.provider().Start(ctx, name); err != nil {
				l.Log.Warn("start machine", "node", name, "err", err)
			}
		}
		for _, s := range l.change.Steps {
			if s.Verb == change.StartMachine {
				changes = append(changes, s.ID)
			}
		}
		r := l.runner()
		r.Journal = unwritten{} // a change that was cut off has the journal
		err = r.Run(ctx, l.change)
		if len(gone) == 0 {
			return l.explain(ctx, err)
		}
		return withHint(errors.Join(fmt.Errorf("what is left of cluster %s was started; gone are the machines of %s", l.topology.Name, strings.Join(gone, ", ")), err),
			fmt.Sprintf("haplane node replace %s --cluster %s", strings.Join(gone, " "), l.topology.Name))
	})
	return changes, err
}

// onExisting does something with a cluster that was brought up before, under its lock.
func onExisting(o Options, do func(*env) error) error {
	c, err := o.Store.Cluster()
	if err != nil {
		return err
	}
	unlock, err := o.Store.Lock()
	if err != nil {
		return err
	}
	defer unlock()
	e := newEnv(c, o)
	defer e.close()
	if err := e.loadKeys(); err != nil {
		return err
	}
	return do(e)
}

// resumed has the steps that start a cluster again, as far as its machines were made, the
// machines of nodes that join or leave by a change that was cut off, and the nodes whose machines are gone.
func (e *env) resumed() (l *live, beside, gone []string, err error) {
	record, err := e.Store.Record()
	if err != nil {
		return nil, nil, nil, err
	}
	made, err := e.power()
	if err != nil {
		return nil, nil, nil, err
	}
	if record.Applied == nil {
		return nil, nil, nil, withHint(fmt.Errorf("%d of %d machines were made: %w", len(made), len(e.topology.Nodes), errUnfinished), "haplane up finishes it")
	}
	t := *e.topology
	t.Nodes = nil
	for _, n := range record.Nodes {
		node := topology.NewNode(n.Name, n.Role, n.Address)
		switch _, there := made[n.Name]; {
		case there && n.State == store.Active:
			t.Nodes = append(t.Nodes, node)
		case there:
			beside = append(beside, n.Name)
		case n.State == store.Active:
			gone = append(gone, n.Name)
		}
	}
	e.topology = &t
	l = &live{env: e, Request: Request{Wanted: e.cluster}, record: &store.Record{}}
	l.rendered = render.Render(render.Input{Topology: e.topology}) // the names of programs are all that matters
	l.seen.Machines = map[string]observed.Machine{}
	for name, running := range made {
		l.seen.Machines[name] = observed.Machine{Made: true, Running: running}
	}
	l.change = change.Resume(change.Input{Wanted: l.topology, Desired: l.rendered, Observed: l.seen})
	return l, beside, gone, l.connect()
}

// unwritten is the journal of steps that change nothing of what a cluster is.
type unwritten struct{}

func (unwritten) Note(change.Step, string) error                  { return nil }
func (unwritten) SetNode(topology.Node, change.State, bool) error { return nil }
func (unwritten) SetAddress(topology.Node) error                  { return nil }
func (unwritten) Forget(topology.Node) error                      { return nil }
func (unwritten) Issue() error                                    { return nil }

func allStopped(_ context.Context, e *env) (bool, error) {
	running, err := e.running()
	return len(running) == 0, err
}

func stopMachines(ctx context.Context, e *env) error {
	running, err := e.running()
	if err != nil {
		return err
	}
	e.changes = append(e.changes, "stopped the machines "+names(running))
	// API servers take long to end without etcd: machines that only have etcd go last.
	var first []string
	for _, n := range running {
		if n.Role != spec.RoleEtcd {
			first = append(first, n.Name)
		}
	}
	if len(first) > 0 && len(first) < len(running) {
		if err := e.provider().Stop(ctx, first...); err != nil {
			return err
		}
	}
	return e.provider().Stop(ctx)
}
