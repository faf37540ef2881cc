package apply

import (
	"context"
	"errors"
	"fmt"
	"maps"
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
	made, running, err := r.Provider.Status(r.node(s))
	if err != nil {
		return err
	}
	ofEarlier := r.Task != nil && r.Task.Kind == change.RestoreData // the data may have the Node of an earlier machine
	if (made || ofEarlier) && !running {                            // by a run that was cut off; this starts it
		r.started.Store(s.Node, time.Now())
	}
	if err := r.Provider.Create(ctx, r.node(s)); err != nil {
		return err
	}
	r.gone.Delete(s.Node)
	if err := r.waitForMachine(ctx, r.node(s)); err != nil || made {
		return err
	}
	r.blank.Store(s.Node, true)
	return nil
}

// isBlank reports whether a machine has nothing yet of what this run puts there: there is
// no need to look.
func (r *Runner) isBlank(s change.Step) bool {
	_, blank := r.blank.Load(s.Node)
	return blank
}

func startMachine(ctx context.Context, r *Runner, s change.Step) error {
	r.started.Store(s.Node, time.Now())
	if err := r.Provider.Start(ctx, r.node(s)); err != nil {
		return err
	}
	return r.waitForMachine(ctx, r.node(s))
}

// ErrOff means that a machine ended while it was waited for.
var ErrOff = errors.New("the machine is off")

func (r *Runner) waitForMachine(ctx context.Context, n topology.Node) error {
	err := r.until(ctx, n.Name, bootTimeout, func(ctx context.Context) error {
		// A machine that boots is not asked with ssh again and again: each is a process, and
		// takes the CPU that all machines need to boot.
		r.Waiting(n.Name, "its sshd does not answer yet")
		err := r.Provider.Ready(ctx, n)
		if err == nil {
			_, err = r.Cluster.Machine(n.Name).Run(ctx, machine.Cmd("true"))
		}
		if err == nil {
			return nil
		}
		if _, running, statusErr := r.Provider.Status(n); statusErr == nil && !running {
			return poll.Stop(ErrOff)
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
	err := look.Machine(ctx, r.Cluster.Machine(s.Node), WantOf(r.desired(s)), &seen)
	return seen, err
}

// WantOf is what to look at on a machine that should be so.
func WantOf(m render.Machine) look.Want {
	return look.Want{Files: m.Files.Paths(), Programs: names(m.Units), Manifest: render.ManifestPath}
}

func filesCurrent(ctx context.Context, r *Runner, s change.Step) (bool, error) {
	if r.isBlank(s) && !s.Last {
		return false, nil
	}
	seen, err := r.seen(ctx, s)
	if err != nil {
		return false, err
	}
	r.looked.Store(s.ID, seen)
	want := r.desired(s).Files
	if len(s.Files) > 0 {
		return len(want.Under(s.Files...).Stale(seen.Files)) == 0, nil
	}
	return len(want.Stale(seen.Files))+len(fileset.Unwanted(seen.Manifest, want)) == 0, nil
}

func writeFiles(ctx context.Context, r *Runner, s change.Step) error {
	if r.isBlank(s) && !s.Last { // but for haplane's own program, which it was made with
		files := maps.Clone(r.desired(s).Files)
		delete(files, render.AgentBinary)
		return upload(ctx, r.Cluster.Machine(s.Node), files)
	}
	if err := r.keepForeign(ctx, s); err != nil {
		return err
	}
	seen, _ := r.looked.Load(s.ID)
	if len(s.Files) > 0 {
		return upload(ctx, r.Cluster.Machine(s.Node), r.desired(s).Files.Under(s.Files...).Stale(seen.(observed.Machine).Files))
	}
	return Write(ctx, r.Cluster.Machine(s.Node), r.desired(s).Files, seen.(observed.Machine))
}

func issueCertificates(_ context.Context, r *Runner, s change.Step) error {
	if s.Last {
		return r.IssueLast()
	}
	return r.Journal.Issue()
}

// activate writes down that a node is one of the cluster: others count on it from then on, also to take the address that load balancers move.
func activate(ctx context.Context, r *Runner, s change.Step) error {
	n := r.node(s)
	if t := r.Cluster.Topology; t.Virtual && t.Balances(n) {
		err := r.waitForUnit(ctx, n, []string{"keepalived", "haplane-balancer", "haproxy"}, func(ctx context.Context) error { return r.couldHave(ctx, n) })
		if err != nil {
			return err
		}
	}
	return r.Journal.SetNode(n, change.Active, false)
}

func forget(_ context.Context, r *Runner, s change.Step) error { return r.Journal.Forget(r.node(s)) }

// A MachineError is a machine that does not answer.
type MachineError struct {
	Node string
	Err  error
}

func (e *MachineError) Error() string { return e.Err.Error() }
func (e *MachineError) Unwrap() error { return e.Err }
