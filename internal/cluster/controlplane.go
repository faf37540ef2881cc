package cluster

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/haplane/haplane/internal/apply"
	"github.com/haplane/haplane/internal/poll"
	"github.com/haplane/haplane/internal/render"
	"github.com/haplane/haplane/internal/runtime/systemd"
	"github.com/haplane/haplane/internal/topology"
	"github.com/haplane/haplane/spec"
)

// The units that make up the API; all others need it and start after it.
var apiUnits = []string{"etcd", "kube-apiserver", "haproxy"}

// A unit that systemd started again this often will not get well by itself.
const (
	crashLoop    = 10
	restartEvery = time.Second // RestartSec of all units
	lookEvery    = 3 * time.Second
)

func isAPIUnit(u render.Unit) bool  { return slices.Contains(apiUnits, u.Name) }
func isNodeUnit(u render.Unit) bool { return !isAPIUnit(u) }

// planned looks at those of the units that which picks, plans what to do with
// them, and reports whether that is nothing.
func (e *env) planned(ctx context.Context, which func(render.Unit) bool) (bool, error) {
	var err error
	e.plan, err = gather(ctx, e.topology.Nodes, func(ctx context.Context, n topology.Node) (unitPlan, error) {
		var units []render.Unit
		for _, u := range e.rendered[n.Name].Units {
			if which(u) {
				units = append(units, u)
			}
		}
		if len(units) == 0 {
			return unitPlan{}, nil
		}
		seen, err := systemd.Observe(ctx, e.machine(n), unitNames(units))
		return planUnits(units, seen), err
	})
	for _, p := range e.plan {
		if !p.empty() {
			return false, err
		}
	}
	return true, err
}

// execute carries the plan out: units that do not run start everywhere at once;
// those that run with an older configuration reload or restart on one machine after another.
func (e *env) execute(ctx context.Context) error {
	err := onNodes(ctx, e.topology.Nodes, func(ctx context.Context, n topology.Node) error {
		units := e.plan[n.Name].start
		if len(units) == 0 {
			return nil
		}
		e.changes.add(fmt.Sprintf("started on %s: %s", n.Name, strings.Join(units, ", ")))
		return systemd.Start(ctx, e.machine(n), units...)
	})
	if err != nil {
		return err
	}
	for _, n := range e.topology.Nodes {
		if units := e.plan[n.Name].reload; len(units) > 0 {
			e.changes.add(fmt.Sprintf("reloaded on %s: %s", n.Name, strings.Join(units, ", ")))
			if err := systemd.Reload(ctx, e.machine(n), units...); err != nil {
				return fmt.Errorf("%s: %w", n.Name, err)
			}
		}
		if err := e.restart(ctx, n, e.plan[n.Name].restart); err != nil {
			return fmt.Errorf("%s: %w", n.Name, err)
		}
	}
	return nil
}

func (e *env) restart(ctx context.Context, n topology.Node, units []string) error {
	if len(units) == 0 {
		return nil
	}
	// The others must be able to do without this one, which may be the one to mend.
	if n.Role == spec.RoleControlPlane || n.Role == spec.RoleEtcd {
		others := slices.DeleteFunc(e.topology.ControlPlane(), func(o topology.Node) bool { return o.Name == n.Name })
		if err := e.waitForAPIServersOf(ctx, others); err != nil {
			return fmt.Errorf("restart %s: %w", strings.Join(units, ", "), err)
		}
	}
	e.changes.add(fmt.Sprintf("restarted on %s: %s", n.Name, strings.Join(units, ", ")))
	if err := systemd.Restart(ctx, e.machine(n), units...); err != nil {
		return err
	}
	switch n.Role {
	case spec.RoleControlPlane:
		return e.waitForAPIServersOf(ctx, []topology.Node{n})
	case spec.RoleEtcd:
		return e.waitForUnit(ctx, n, []string{"etcd"}, func(ctx context.Context) error { return e.memberHealthy(ctx, n) })
	}
	return nil
}

func controlPlaneStarted(ctx context.Context, e *env) (bool, error) { return e.planned(ctx, isAPIUnit) }

func startControlPlane(ctx context.Context, e *env) error { return e.execute(ctx) }

// apiServersReady asks every API server, and the load balancer, once.
func apiServersReady(ctx context.Context, e *env) (bool, error) {
	if err := ctx.Err(); err != nil {
		return false, err
	}
	errs := onNodes(ctx, e.topology.ControlPlane(), e.apiServerReady)
	return errors.Join(errs, e.loadBalancerReady(ctx)) == nil, nil
}

func waitForAPIServers(ctx context.Context, e *env) error {
	if err := e.waitForAPIServersOf(ctx, e.topology.ControlPlane()); err != nil {
		return err
	}
	return onNodes(ctx, e.topology.LoadBalancers(), func(ctx context.Context, n topology.Node) error {
		return e.waitForUnit(ctx, n, []string{"haproxy"}, e.loadBalancerReady)
	})
}

func (e *env) waitForAPIServersOf(ctx context.Context, nodes []topology.Node) error {
	return onNodes(ctx, nodes, func(ctx context.Context, n topology.Node) error {
		ready := func(ctx context.Context) error { return e.apiServerReady(ctx, n) }
		if err := e.waitForUnit(ctx, n, []string{"kube-apiserver", "etcd"}, ready); err != nil {
			return err
		}
		e.detail("wait-for-api-servers", "%s is ready", n.Name)
		return nil
	})
}

// waitForUnit waits until ready returns nil. It gives up early when the machine
// is off or one of the units starts over and over; of that one, the user is shown the log.
func (e *env) waitForUnit(ctx context.Context, n topology.Node, units []string, ready func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, apiTimeout)
	defer cancel()
	suspect, began := units[0], time.Now()
	looked := began
	err := e.until(ctx, n.Name, func(ctx context.Context) error {
		err := ready(ctx)
		if err == nil || time.Since(looked) < lookEvery {
			return err
		}
		looked = time.Now()
		if e.isOff(n) {
			return poll.Stop(errMachineOff)
		}
		if time.Since(began) < crashLoop*restartEvery {
			return err // too early to tell
		}
		if unit, restarts := systemd.CrashLooping(ctx, e.machine(n), units, crashLoop); unit != "" {
			suspect = unit
			return poll.Stop(fmt.Errorf("ended and was started again %d times: %w", restarts, err))
		}
		return err
	})
	if errors.Is(err, errMachineOff) {
		return e.withConsole(n, err)
	}
	if err != nil {
		return &apply.UnitError{Node: n.Name, Unit: suspect, Err: err}
	}
	return nil
}

// apiServerReady asks the node's own API server, past the load balancer.
func (e *env) apiServerReady(ctx context.Context, n topology.Node) error {
	return e.access().Ready(ctx, n)
}

func (e *env) loadBalancerReady(ctx context.Context) error {
	client, err := e.api()
	if err != nil {
		return poll.Stop(err)
	}
	return bounded(ctx, client.ReadyZ)
}
