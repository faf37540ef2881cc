package apply

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/haplane/haplane/internal/access"
	"github.com/haplane/haplane/internal/change"
	"github.com/haplane/haplane/internal/look"
	"github.com/haplane/haplane/internal/observed"
	"github.com/haplane/haplane/internal/poll"
	"github.com/haplane/haplane/internal/render"
	"github.com/haplane/haplane/internal/runtime/systemd"
	"github.com/haplane/haplane/internal/topology"
)

// A UnitError is a program that did not become what was waited for.
type UnitError struct {
	Node, Unit string
	Err        error
}

func (e *UnitError) Error() string { return fmt.Sprintf("%s: %v", e.Unit, e.Err) }
func (e *UnitError) Unwrap() error { return e.Err }

// all stands for every program that the node should run.
func all(units []string) bool { return slices.Equal(units, []string{"*"}) }

// wanted are the programs of a step as they should be.
func (r *Runner) wanted(s change.Step) []render.Unit {
	var out []render.Unit
	for _, u := range r.desired(s).Units {
		if all(s.Units) || slices.Contains(s.Units, u.Name) {
			out = append(out, u)
		}
	}
	return out
}

// startPrograms starts what does not run and restarts what runs with another
// configuration: on a node where nobody relies on them yet.
func startPrograms(ctx context.Context, r *Runner, s change.Step) error {
	m := r.Cluster.Machine(s.Node)
	var seen map[string]observed.Unit
	if !r.isBlank(s) {
		var err error
		if seen, err = look.Programs(ctx, m, names(r.wanted(s))); err != nil {
			return err
		}
	}
	var start []string
	for _, u := range r.wanted(s) {
		if state := seen[u.Name]; !state.Active || state.Config != u.Config || u.Load != "" && state.Loaded != u.Load {
			start = append(start, u.Name)
		}
	}
	if len(start) > 0 {
		r.detail(s, "starts %s", strings.Join(start, ", "))
		if err := systemd.Start(ctx, m, start...); err != nil {
			return err
		}
	}
	if slices.Contains(names(r.wanted(s)), "keepalived") {
		if err := r.mayHold(ctx, r.node(s)); err != nil {
			return err
		}
	}
	return r.waitForPrograms(ctx, s)
}

func restartPrograms(ctx context.Context, r *Runner, s change.Step) error {
	m, began := r.Cluster.Machine(s.Node), time.Now()
	if err := systemd.Restart(ctx, m, s.Units...); err != nil {
		return err
	}
	r.Log.Debug("restarted", "node", s.Node, "units", s.Units, "elapsed", time.Since(began))
	return r.waitForPrograms(ctx, s)
}

func reloadPrograms(ctx context.Context, r *Runner, s change.Step) error {
	return systemd.Reload(ctx, r.Cluster.Machine(s.Node), s.Units...)
}

func stopPrograms(ctx context.Context, r *Runner, s change.Step) error {
	units := s.Units
	if all(units) {
		units = slices.Clone(r.Programs[s.Node])
		slices.Reverse(units) // what started last ends first
	}
	return systemd.Stop(ctx, r.Cluster.Machine(s.Node), units...)
}

// programsServe waits for what started with its machine.
func programsServe(ctx context.Context, r *Runner, s change.Step) error {
	return r.waitForPrograms(ctx, s)
}

func names(units []render.Unit) []string {
	var out []string
	for _, u := range units {
		out = append(out, u.Name)
	}
	return out
}

// waitForPrograms waits until what was started does its work.
func (r *Runner) waitForPrograms(ctx context.Context, s change.Step) error {
	n := r.node(s)
	units := names(r.wanted(s))
	for _, u := range units {
		var err error
		switch u {
		case "etcd":
			if slices.Contains(units, "kube-apiserver") {
				continue // which is ready with its member only
			}
			err = r.waitForUnit(ctx, n, []string{"etcd"}, r.memberServes(n))
		case "kube-apiserver":
			err = r.waitForUnit(ctx, n, []string{"kube-apiserver", "etcd"}, func(ctx context.Context) error { return r.Cluster.Ready(ctx, n) })
		case "keepalived":
			err = r.waitForUnit(ctx, n, []string{"keepalived", "haplane-balancer"}, func(ctx context.Context) error { return r.sharesAddress(ctx, n) })
		case "haproxy":
			err = r.waitForUnit(ctx, n, []string{"haproxy"}, func(ctx context.Context) error { return balancerAnswers(ctx, r, n) })
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// A unit that systemd started again this often will not get well by itself.
const (
	crashLoop    = 10
	restartEvery = time.Second // RestartSec of all units
	lookEvery    = 3 * time.Second
)

// waitForUnit waits until ready returns nil. It gives up early when the machine is
// off or one of the units starts over and over.
func (r *Runner) waitForUnit(ctx context.Context, n topology.Node, units []string, ready func(context.Context) error) error {
	suspect, began := units[0], time.Now()
	looked := began
	err := r.until(ctx, n.Name, readyTimeout, func(ctx context.Context) error {
		ctx, cancel := context.WithTimeout(ctx, access.RequestTimeout)
		defer cancel()
		err := ready(ctx)
		if err == nil || time.Since(looked) < lookEvery {
			return err
		}
		looked = time.Now()
		if _, running, statusErr := r.Provider.Status(n); statusErr == nil && !running {
			return poll.Stop(ErrOff)
		}
		if time.Since(began) < crashLoop*restartEvery {
			return err // too early to tell: what it needs may have come only now
		}
		if unit, restarts := systemd.CrashLooping(ctx, r.Cluster.Machine(n.Name), units, crashLoop); unit != "" {
			suspect = unit
			return poll.Stop(fmt.Errorf("ended and was started again %d times: %w", restarts, err))
		}
		return err
	})
	switch {
	case errors.Is(err, ErrOff):
		return &MachineError{Node: n.Name, Err: err}
	case err != nil:
		return &UnitError{Node: n.Name, Unit: suspect, Err: err}
	}
	return nil
}
