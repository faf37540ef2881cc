package cluster

import (
	"context"
	"fmt"

	"github.com/haplane/haplane/internal/phase"
	"github.com/haplane/haplane/spec"
)

var halt = []phase.Phase[*env]{
	{ID: "stop-machines", Done: allStopped, Run: stopMachines},
}

// resume is bringUp without what a cluster that was up has already.
var resume = []phase.Phase[*env]{
	{ID: "start-machines", Done: machinesRunning, Run: startMachines},
	{ID: "wait-for-api-servers", Done: apiServersReady, Run: waitForAPIServers},
	{ID: "wait-for-nodes", Run: waitForNodes},
	{ID: "wait-for-dns", Run: waitForDNS},
}

// Stop shuts the machines down in good order; their data stays.
func Stop(ctx context.Context, o Options) ([]string, error) { return onExisting(ctx, o, halt) }

// Start starts machines that were stopped, or that went down with the host, and
// waits until the cluster is as it was.
func Start(ctx context.Context, o Options) ([]string, error) { return onExisting(ctx, o, resume) }

// onExisting runs phases on a cluster that was brought up before.
func onExisting(ctx context.Context, o Options, phases []phase.Phase[*env]) ([]string, error) {
	c, err := o.Store.Cluster()
	if err != nil {
		return nil, err
	}
	unlock, err := o.Store.Lock()
	if err != nil {
		return nil, err
	}
	defer unlock()
	e := newEnv(c, o)
	defer e.close()
	if err := e.loadKeys(); err != nil {
		return nil, err
	}
	err = phase.Run(ctx, e, phases, e.report)
	return e.changes.all(), e.explain(ctx, err)
}

func allStopped(_ context.Context, e *env) (bool, error) {
	running, err := e.running()
	return len(running) == 0, err
}

func stopMachines(ctx context.Context, e *env) error {
	running, err := e.running()
	if err != nil {
		return err
	}
	e.changes.add("stopped the machines " + names(running))
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

func startMachines(ctx context.Context, e *env) error {
	if list, err := e.provider().List(); err != nil || len(list) < len(e.topology.Nodes) {
		return withHint(fmt.Errorf("%d of %d machines were made: %w", len(list), len(e.topology.Nodes), errUnfinished), "haplane up finishes it")
	}
	if err := e.noteStart(); err != nil {
		return err
	}
	if err := e.provider().Start(ctx); err != nil {
		return err
	}
	e.addStarted()
	return e.waitForMachines(ctx)
}
