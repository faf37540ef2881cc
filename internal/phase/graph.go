package phase

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

// A Task is a step of a graph: it runs once all that it needs has ended well.
type Task struct {
	ID    string
	Needs []string // IDs of tasks before it in the list; others are met already
	Run   func(context.Context) (State, error)
}

// RunGraph runs the tasks, side by side where none needs the other. After the
// first that fails, no other begins; those under way end in their own time, so that
// none is cut off in the middle. It returns the errors of all that failed, each
// with the task's ID, or that of ctx.
func RunGraph(ctx context.Context, tasks []Task, report func(Event)) error {
	g := &graph{report: report, ended: map[string]chan struct{}{}}
	for _, t := range tasks {
		g.ended[t.ID] = make(chan struct{})
	}
	for _, t := range tasks {
		g.group.Go(func() { g.run(ctx, t) })
	}
	g.group.Wait()
	if err := errors.Join(g.errs...); err != nil {
		return err
	}
	return ctx.Err()
}

type graph struct {
	report func(Event)
	ended  map[string]chan struct{}
	group  sync.WaitGroup

	mu   sync.Mutex
	errs []error
}

func (g *graph) run(ctx context.Context, t Task) {
	defer close(g.ended[t.ID])
	for _, need := range t.Needs {
		if ended, ok := g.ended[need]; ok {
			<-ended
		}
	}
	if g.failed() || ctx.Err() != nil {
		return
	}
	start := time.Now()
	g.report(Event{ID: t.ID, State: Started})
	state, err := t.Run(ctx)
	if err != nil {
		state, err = Failed, fmt.Errorf("%s: %w", t.ID, err)
		g.mu.Lock()
		g.errs = append(g.errs, err)
		g.mu.Unlock()
	}
	g.report(Event{ID: t.ID, State: state, Elapsed: time.Since(start), Err: err})
}

func (g *graph) failed() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return len(g.errs) > 0
}
