package cluster

import (
	"context"
	"fmt"
	"time"

	"github.com/haplane/haplane/internal/phase"
)

// requestTimeout is for one question.
const requestTimeout = 5 * time.Second

// A Wait is what is waited for on a node, or in the cluster as a whole where Node
// is empty. With an empty For, that is over.
type Wait struct{ Node, For string }

// waiting tells what is waited for.
func (e *env) waiting(node, what string) { e.Report(Progress{Wait: &Wait{Node: node, For: what}}) }

// detail tells what a running phase does.
func (e *env) detail(id, format string, args ...any) {
	e.Report(Progress{Event: phase.Event{ID: id}, Detail: fmt.Sprintf(format, args...)})
}

// notice tells what the user has to know of, or to do.
func (e *env) notice(id, format string, args ...any) {
	e.Report(Progress{Event: phase.Event{ID: id}, Notice: fmt.Sprintf(format, args...)})
}

// doing tells what a phase does right now.
func (e *env) doing(id, text string) {
	e.Report(Progress{Event: phase.Event{ID: id}, Doing: text})
}

// bounded gives one request its own time, below the wait that it is part of.
func bounded(ctx context.Context, fn func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	return fn(ctx)
}
