package cluster

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/haplane/haplane/internal/outside"
	"github.com/haplane/haplane/internal/topology"
)

// announce tells what to set at a load balancer that is somebody else's, and is an error where somebody answers there who
// is not this cluster: before anything is made.
func (l *live) announce(ctx context.Context) error {
	const id = "load-balancer"
	if !l.topology.ExternalBalancer() {
		return nil
	}
	return shown(ctx, l.Report, id, func(ctx context.Context) error {
		b, err := l.access().Outside(l.topology.ControlPlane())
		if err != nil {
			return err
		}
		l.notice(id, "set at the load balancer, which is not haplane's:")
		for _, line := range b.Settings(l.topology.ShutdownDelay()) {
			l.notice(id, "  %s", line)
		}
		return b.Stranger(ctx)
	})
}

// outside sees a load balancer that is somebody else's by new connections through it. What is not right there is a warning.
func (c *collector) outside(ctx context.Context) error {
	t := c.env.topology
	b, err := c.env.access().Outside(t.ControlPlane())
	if err != nil {
		return err
	}
	seen, _ := gather(ctx, t.ControlPlane(), func(ctx context.Context, n topology.Node) (bool, error) {
		return c.env.access().Ready(ctx, n) == nil, nil
	})
	var ready []string // others are none to be sent to
	for _, n := range t.ControlPlane() {
		if seen[n.Name] {
			ready = append(ready, n.Name)
		}
	}
	v, err := b.Look(ctx, b.Places[0], ready)
	lb, warnings, err := seenThrough(b, v, ready, err)
	c.warn(warnings...)
	c.status.LoadBalancers = append(c.status.LoadBalancers, lb)
	return err
}

// seenThrough is what connections through a load balancer tell of it, and what is not right there, when those API servers are ready. What
// kept from looking is the error.
func seenThrough(b *outside.Balancer, v outside.View, ready []string, failed error) (lb LBStatus, warnings []string, err error) {
	lb = LBStatus{External: true, HoldsAddress: len(v.Answered) > 0, Backends: []BackendStatus{}}
	for _, s := range b.Servers {
		lb.Backends = append(lb.Backends, BackendStatus{Node: s.Node, Up: v.Answered[s.Node] > 0})
	}
	if failed == nil && len(ready) == 0 {
		failed = errors.New("no API server is ready that could be behind it")
	}
	if failed == nil || len(v.Failed) > 0 { // where each takes its time, not all were tried
		for _, f := range b.Findings(v, ready) {
			warnings = append(warnings, f.Error())
		}
	}
	if failed == nil {
		return lb, warnings, nil
	}
	lb.Error = strings.TrimSpace(failed.Error())
	return lb, warnings, fmt.Errorf("look at the load balancer from outside: %w", failed)
}
