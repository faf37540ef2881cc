// Package apply carries a change out: for each step it looks whether it is done
// already, asks the step's guard, writes the journal, does it and verifies it. What
// a step's verb does is a row of one table.
package apply

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/haplane/haplane/internal/access"
	"github.com/haplane/haplane/internal/change"
	"github.com/haplane/haplane/internal/fileset"
	"github.com/haplane/haplane/internal/observed"
	"github.com/haplane/haplane/internal/phase"
	"github.com/haplane/haplane/internal/pki"
	"github.com/haplane/haplane/internal/poll"
	"github.com/haplane/haplane/internal/render"
	"github.com/haplane/haplane/internal/topology"
)

// A Provider makes, starts and removes machines, by the names of their nodes.
type Provider interface {
	Create(ctx context.Context, n topology.Node) error
	Start(ctx context.Context, n topology.Node) error
	Remove(ctx context.Context, n topology.Node) error
	// Ready waits until a machine that runs can be asked over SSH.
	Ready(ctx context.Context, n topology.Node) error
	// Status tells whether the machine was made, and whether it runs.
	Status(n topology.Node) (made, running bool, err error)
	// Readdress gives a machine that is there the addresses of its node. Those of before stay until DropAddresses, or until
	// it boots. Where they move now, and the machine has them, it keeps those that it has only once.
	Readdress(ctx context.Context, n topology.Node) error
	DropAddresses(ctx context.Context, n topology.Node, moves bool) error
}

// A Journal remembers, durably, how far a change is and what became of nodes.
type Journal interface {
	// Note writes down that a step begins, is done or has failed.
	Note(step change.Step, state string) error
	// SetNode writes down the state of a node.
	SetNode(n topology.Node, state change.State, rejoin bool) error
	// SetAddress writes down the address of a node, by which its machine is reached from then on.
	SetAddress(n topology.Node) error
	// Forget drops a node that is gone, with its keys.
	Forget(n topology.Node) error
	// Issue writes down the certificates of the change.
	Issue() error
}

// A Runner is what a change is carried out on.
type Runner struct {
	Cluster  *access.Cluster                             // with the wanted topology and the wanted keys
	Nodes    map[string]topology.Node                    // those wanted and those that leave
	Desired  map[string]render.Machine                   // of the wanted nodes
	Interim  map[string]render.Machine                   // between two versions, see change.Upgrade
	Programs map[string][]string                         // of all nodes, in the order in which they start
	Render   func(change.Step) map[string]render.Machine // for the backends and load balancers of a step
	// Last is what nodes have in the end, see change.Input; RenderLast and IssueLast are as Render and the journal's Issue.
	Last       map[string]render.Machine
	RenderLast func(change.Step) map[string]render.Machine
	IssueLast  func() error
	LastKeys   pki.Bundle
	// MoveKubeconfig has the user's kubeconfig lead to the load balancer; nil where there is none.
	MoveKubeconfig func(context.Context) error
	// Join is the file that tells a new etcd member whom to join.
	Join      func(initialCluster string) fileset.Set
	Members   []topology.Node // nodes that run an etcd member, or did, or will
	Task      *change.Task    // what is done to etcd; nil where nothing is
	Snapshot  string          // the file that Task restores
	Manifests [][]byte
	Provider  Provider
	Journal   Journal
	Rotation  *Rotation // the one that a phase is carried out of; nil where there is none

	// Held tells, right before a step that cannot be taken back, whether the lock on the
	// cluster is still ours; nil where there is none.
	Held func(context.Context) error

	Upgrades bool          // the change is an upgrade: between its turns DNS serves as before it
	Changed  []ProgramFile // programs that an upgrade in place brings to machines
	Images   []ImageFile   // container images that an upgrade brings to machines
	// SaveSnapshot saves etcd's data, and tells where.
	SaveSnapshot func(context.Context) (string, error)
	// Between is called between the turns of an upgrade, once the cluster is whole; an error ends it there.
	Between func(context.Context, change.Step) error

	Cordoned     []string            // nodes that somebody else than haplane cordoned
	Foreign      map[string][]string // files of nodes with somebody else's certificates, to be kept beside
	DrainTimeout time.Duration
	Force        bool   // let pods go that nothing makes anew
	Expendable   string // a label of pods that go without Force
	Report       func(phase.Event)
	Waiting      func(node, what string) // what is waited for; "" when that is over
	Detail       func(step, text string)
	Notice       func(step, text string) // what the user has to know of, or to do, and that stays on a terminal
	Log          *slog.Logger

	steps   []change.Step // of the change that is carried out
	dns     int           // pods of CoreDNS that served before it
	last    atomic.Int64  // revision of etcd's data before a restore
	begun   atomic.Bool   // some step is or was under way
	looked  sync.Map      // what Done saw for Do, by the step's ID
	started sync.Map      // when this run started a machine, by node
	gone    sync.Map      // nodes whose machine this run has removed, and not made anew
	blank   sync.Map      // nodes whose machine this run has made
	nodes   nodeList
	stopped chan struct{} // closed when a step has failed: nobody waits any more
}

// errStopped ends what is waited for beside a step that failed.
var errStopped = errors.New("another step failed")

// Waits are bounded: what takes longer than this on a loaded machine is broken.
const (
	bootTimeout   = 3 * time.Minute
	readyTimeout  = 5 * time.Minute
	memberTimeout = 2 * time.Minute
	guardTimeout  = 20 * time.Second
	pollEvery     = 200 * time.Millisecond
)

// A verb is how a kind of step is done.
type verb struct {
	// Done looks whether there is nothing to do; nil: there always is.
	Done func(context.Context, *Runner, change.Step) (bool, error)
	Do   func(context.Context, *Runner, change.Step) error
	// Final says that it cannot be taken back.
	Final bool
}

// Run carries the change out. It stops at the first step that fails, with the
// cluster as that step left it: the same change planned again goes on from there.
func (r *Runner) Run(ctx context.Context, c *change.Change) error {
	var tasks []phase.Task
	r.steps = c.Steps
	if r.Upgrades {
		r.dns = r.dnsBefore(ctx)
	}
	for _, s := range c.Steps {
		tasks = append(tasks, phase.Task{ID: s.ID, Needs: s.Needs, Run: func(ctx context.Context) (phase.State, error) { return r.step(ctx, s) }})
	}
	return r.walk(ctx, tasks)
}

func (r *Runner) walk(ctx context.Context, tasks []phase.Task) error {
	r.stopped = make(chan struct{})
	var once sync.Once
	err := phase.RunGraph(ctx, tasks, func(e phase.Event) {
		switch {
		case errors.Is(e.Err, errStopped):
			e.State = phase.Stopped
		case e.State == phase.Failed:
			once.Do(func() { close(r.stopped) })
		}
		r.Report(e)
	})
	return r.outcome(err)
}

// outcome leaves out steps that only waited beside one that failed, and refusals of
// steps after others: those refuse no whole.
func (r *Runner) outcome(err error) error {
	joined, ok := err.(interface{ Unwrap() []error })
	if !ok {
		return err
	}
	var out []error
	for _, err := range joined.Unwrap() {
		var refused *change.Refused
		switch {
		case errors.Is(err, errStopped):
			continue
		case errors.As(err, &refused) && r.begun.Load():
			err = errors.New(err.Error())
		}
		out = append(out, err)
	}
	if len(out) == 0 {
		return err
	}
	return errors.Join(out...)
}

func (r *Runner) step(ctx context.Context, s change.Step) (phase.State, error) {
	v, ok := verbs[s.Verb]
	if !ok {
		panic("apply: no verb " + s.Verb)
	}
	if v.Done != nil {
		if done, err := v.Done(ctx, r, s); err != nil {
			return phase.Failed, r.off(s, err)
		} else if done {
			return phase.Current, r.Journal.Note(s, "done")
		}
	}
	if v.Final && r.Held != nil {
		if err := r.Held(ctx); err != nil {
			return phase.Failed, err
		}
	}
	if err := r.guard(ctx, s); err != nil {
		return phase.Failed, err
	}
	r.begun.Store(true)
	if err := r.Journal.Note(s, "doing"); err != nil {
		return phase.Failed, err
	}
	if err := v.Do(ctx, r, s); err != nil {
		_ = r.Journal.Note(s, "failed")
		return phase.Failed, r.off(s, err)
	}
	return phase.Finished, r.Journal.Note(s, "done")
}

// off tells of a machine that is off what made a step on it fail.
func (r *Runner) off(s change.Step, err error) error {
	var known *MachineError
	starts := s.Verb == change.CreateMachine || s.Verb == change.StartMachine // it was off before
	if _, wanted := r.Desired[s.Node]; !wanted || starts || errors.As(err, &known) || errors.Is(err, errStopped) {
		return err
	}
	if made, running, statusErr := r.Provider.Status(r.node(s)); statusErr != nil || !made || running {
		return err
	}
	return &MachineError{Node: s.Node, Err: fmt.Errorf("%w: %w", ErrOff, err)}
}

// guard looks anew at what the step must leave standing. What is missing for a moment,
// as on a machine that is busy, is waited for.
func (r *Runner) guard(ctx context.Context, s change.Step) error {
	if s.Guard == (change.Guard{}) {
		return nil
	}
	var last error
	err := r.until(ctx, s.Node, guardTimeout, func(ctx context.Context) error {
		last = r.check(ctx, s)
		return last
	})
	if err != nil && ctx.Err() == nil && last != nil && !errors.Is(err, errStopped) {
		return last
	}
	return err
}

func (r *Runner) check(ctx context.Context, s change.Step) error {
	var seen observed.State
	if s.Guard.Etcd != "" {
		seen.Etcd = r.etcd(ctx)
	}
	if s.Guard.OtherAPIServers {
		seen.APIServers = r.apiServers(ctx, s.Node)
	}
	return change.Check(s, r.node(s), seen)
}

func (r *Runner) node(s change.Step) topology.Node {
	n, ok := r.Nodes[s.Node]
	if !ok {
		panic("apply: no node " + s.Node)
	}
	return n
}

// until waits for fn, and tells what is waited for. Where another step fails meanwhile
// it ends: nothing begins after it any more.
func (r *Runner) until(ctx context.Context, node string, limit time.Duration, fn func(context.Context) error) error {
	return r.untilEvery(ctx, node, pollEvery, limit, fn)
}

func (r *Runner) untilEvery(ctx context.Context, node string, every, limit time.Duration, fn func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	defer r.Waiting(node, "")
	return poll.Until(ctx, every, func(ctx context.Context) error {
		began := time.Now()
		err := fn(ctx)
		if err == nil {
			return nil
		}
		if poll.Stopped(err) { // it has failed by itself
			return err
		}
		select {
		case <-r.stopped:
			return poll.Stop(onlyWaited(err))
		default:
		}
		r.Waiting(node, err.Error())
		r.Log.Debug("waiting", "node", node, "took", time.Since(began), "err", err)
		return err
	})
}

// unlessStopped runs what waits by itself; its ctx ends where another step fails.
func (r *Runner) unlessStopped(ctx context.Context, fn func(context.Context) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	go func() {
		select {
		case <-r.stopped:
			cancel(errStopped)
		case <-ctx.Done():
		}
	}()
	err := fn(ctx)
	if err != nil && errors.Is(context.Cause(ctx), errStopped) {
		return onlyWaited(err)
	}
	return err
}

// onlyWaited marks what a step saw that waited beside one that failed.
func onlyWaited(err error) error { return fmt.Errorf("%w; this one waited: %w", errStopped, err) }

func (r *Runner) detail(s change.Step, format string, args ...any) {
	r.Detail(s.ID, fmt.Sprintf(format, args...))
}

// notice tells what the user has to know of, or to do.
func (r *Runner) notice(s change.Step, format string, args ...any) {
	r.Notice(s.ID, fmt.Sprintf(format, args...))
}
