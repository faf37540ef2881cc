package cluster

import (
	"context"
	"fmt"
	"time"

	"github.com/haplane/haplane/internal/phase"
	"github.com/haplane/haplane/internal/poll"
)

// Waits are bounded: what takes longer than this on a loaded machine is broken.
const (
	bootTimeout    = time.Minute
	apiTimeout     = 3 * time.Minute
	nodesTimeout   = 3 * time.Minute
	requestTimeout = 5 * time.Second
)

// pollEvery is for questions to the API and to sshd: each takes CPU that what is
// waited for could use.
const pollEvery = 200 * time.Millisecond

// A Wait is what is waited for on a node, or in the cluster as a whole where Node
// is empty. With an empty For, that is over.
type Wait struct{ Node, For string }

// waiting tells what is waited for.
func (e *env) waiting(node, what string) { e.Report(Progress{Wait: &Wait{Node: node, For: what}}) }

// detail tells what a running phase does.
func (e *env) detail(id, format string, args ...any) {
	e.Report(Progress{Event: phase.Event{ID: id}, Detail: fmt.Sprintf(format, args...)})
}

// until waits for fn as poll.Until does, and tells what it waits for.
func (e *env) until(ctx context.Context, node string, fn func(context.Context) error) error {
	defer e.waiting(node, "")
	return poll.Until(ctx, pollEvery, func(ctx context.Context) error {
		err := fn(ctx)
		if err != nil {
			e.waiting(node, err.Error())
		}
		return err
	})
}

// bounded gives one request its own time, below the wait that it is part of.
func bounded(ctx context.Context, fn func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	return fn(ctx)
}
