// Package phase runs a list of named steps. A step observes whether it is done
// before it runs, so a list that was cut off is finished by running it again.
package phase

import (
	"context"
	"fmt"
	"time"
)

// A Phase is one step. Without Done it always runs, and Run finds out by itself
// what is left to do.
type Phase[E any] struct {
	ID   string // kebab-case, stable
	Done func(context.Context, E) (bool, error)
	Run  func(context.Context, E) error
}

// State is how far a phase is.
type State string

// The states of a phase.
const (
	Started  State = "started"
	Current  State = "current" // Done said so: there was nothing to do
	Finished State = "finished"
	Failed   State = "failed"
	Stopped  State = "stopped" // it only waited beside one that failed
)

// An Event tells of a phase or a task. Elapsed is set once it has ended.
type Event struct {
	ID      string
	Group   string // that it is shown as, of Of that do the same; "" is by itself
	Of      int
	State   State
	Elapsed time.Duration
	Err     error
}

// Run runs the phases in order and stops at the first that fails; the error
// starts with its ID.
func Run[E any](ctx context.Context, env E, phases []Phase[E], report func(Event)) error {
	for _, p := range phases {
		if err := run(ctx, env, p, report); err != nil {
			return err
		}
	}
	return nil
}

func run[E any](ctx context.Context, env E, p Phase[E], report func(Event)) error {
	start := time.Now()
	report(Event{ID: p.ID, State: Started})
	state, err := attempt(ctx, env, p)
	if err != nil {
		state, err = Failed, fmt.Errorf("%s: %w", p.ID, err)
	}
	report(Event{ID: p.ID, State: state, Elapsed: time.Since(start), Err: err})
	return err
}

func attempt[E any](ctx context.Context, env E, p Phase[E]) (State, error) {
	if err := ctx.Err(); err != nil {
		return Failed, err
	}
	if p.Done != nil {
		if done, err := p.Done(ctx, env); done || err != nil {
			return Current, err
		}
	}
	return Finished, p.Run(ctx, env)
}
