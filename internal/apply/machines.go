package apply

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/haplane/haplane/internal/change"
	"github.com/haplane/haplane/internal/fileset"
	"github.com/haplane/haplane/internal/look"
	"github.com/haplane/haplane/internal/machine"
	"github.com/haplane/haplane/internal/observed"
	"github.com/haplane/haplane/internal/poll"
	"github.com/haplane/haplane/internal/render"
	"github.com/haplane/haplane/internal/topology"
)

func machineAnswers(ctx context.Context, r *Runner, s change.Step) (bool, error) {
	_, running, err := r.Provider.Status(r.node(s))
	if err != nil || !running {
		return false, err
	}
	_, err = r.Cluster.Machine(s.Node).Run(ctx, machine.Cmd("true"))
	return err == nil, nil
}

func createMachine(ctx context.Context, r *Runner, s change.Step) error {
	if err := r.Journal.SetNode(r.node(s), change.Joining, false); err != nil {
		return err
	}
	if err := r.Provider.Create(ctx, r.node(s)); err != nil {
		return err
	}
	r.gone.Delete(s.Node)
	return r.waitForMachine(ctx, r.node(s))
}

func startMachine(ctx context.Context, r *Runner, s change.Step) error {
	r.started.Store(s.Node, time.Now())
	if err := r.Provider.Start(ctx, r.node(s)); err != nil {
		return err
	}
	return r.waitForMachine(ctx, r.node(s))
}

// errOff means that a machine ended while it was waited for.
var errOff = errors.New("the machine is off")

func (r *Runner) waitForMachine(ctx context.Context, n topology.Node) error {
	err := r.until(ctx, n.Name, bootTimeout, func(ctx context.Context) error {
		_, err := r.Cluster.Machine(n.Name).Run(ctx, machine.Cmd("true"))
		if err == nil {
			return nil
		}
		if _, running, statusErr := r.Provider.Status(n); statusErr == nil && !running {
			return poll.Stop(errOff)
		}
		return err
	})
	if err != nil {
		return &MachineError{Node: n.Name, Err: fmt.Errorf("machine does not answer over SSH: %w", err)}
	}
	return nil
}

// removeMachine takes away whatever is left of a machine, also of one that lost its record.
func removeMachine(ctx context.Context, r *Runner, s change.Step) error {
	if err := r.Provider.Remove(ctx, r.node(s)); err != nil {
		return err
	}
	r.gone.Store(s.Node, true)
	return nil
}

// seen looks at a machine with its files and programs.
func (r *Runner) seen(ctx context.Context, s change.Step) (observed.Machine, error) {
	var seen observed.Machine
	err := look.Machine(ctx, r.Cluster.Machine(s.Node), WantOf(r.Desired[s.Node]), &seen)
	return seen, err
}

// WantOf is what to look at on a machine that should be so.
func WantOf(m render.Machine) look.Want {
	return look.Want{Files: m.Files.Paths(), Programs: names(m.Units), Manifest: render.ManifestPath}
}

func filesCurrent(ctx context.Context, r *Runner, s change.Step) (bool, error) {
	seen, err := r.seen(ctx, s)
	if err != nil {
		return false, err
	}
	r.looked.Store(s.ID, seen)
	want := r.Desired[s.Node].Files
	return len(want.Stale(seen.Files))+len(fileset.Unwanted(seen.Manifest, want)) == 0, nil
}

func writeFiles(ctx context.Context, r *Runner, s change.Step) error {
	seen, _ := r.looked.Load(s.ID)
	return Write(ctx, r.Cluster.Machine(s.Node), r.Desired[s.Node].Files, seen.(observed.Machine))
}

func issueCertificates(_ context.Context, r *Runner, _ change.Step) error { return r.Journal.Issue() }

func activate(_ context.Context, r *Runner, s change.Step) error {
	return r.Journal.SetNode(r.node(s), change.Active, false)
}

func forget(_ context.Context, r *Runner, s change.Step) error { return r.Journal.Forget(r.node(s)) }

// A MachineError is a machine that does not answer.
type MachineError struct {
	Node string
	Err  error
}

func (e *MachineError) Error() string { return e.Err.Error() }
func (e *MachineError) Unwrap() error { return e.Err }
