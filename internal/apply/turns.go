package apply

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/haplane/haplane/internal/access"
	"github.com/haplane/haplane/internal/change"
	"github.com/haplane/haplane/internal/render"
	"github.com/haplane/haplane/spec"
)

// desired is what the machine of a step should be by then.
func (r *Runner) desired(s change.Step) render.Machine {
	m, render := r.Desired[s.Node], r.Render
	if between, ok := r.Interim[s.Node]; ok && s.Interim {
		m = between
	}
	if s.Last {
		m, render = r.Last[s.Node], r.RenderLast
	}
	if len(s.Backends) > 0 { // of a control-plane node or a worker with a load balancer, which is told who there is by now
		return m.WithBalancer(render(s)[s.Node])
	}
	return m
}

func snapshot(ctx context.Context, r *Runner, s change.Step) error {
	where, err := r.SaveSnapshot(ctx)
	if err == nil {
		r.detail(s, "%s", where)
	}
	return err
}

// checkCluster waits until the cluster is whole after a turn, and asks whether the next may begin.
func checkCluster(ctx context.Context, r *Runner, s change.Step) error {
	err := r.until(ctx, s.Node, readyTimeout, func(ctx context.Context) error { return r.whole(ctx, s.Spared) })
	if err != nil || r.Between == nil {
		return err
	}
	return r.unlessStopped(ctx, func(ctx context.Context) error { return r.Between(ctx, s) })
}

// whole says what of the cluster but the spared nodes does not do its part: API servers, etcd members, nodes.
func (r *Runner) whole(ctx context.Context, spared []string) error {
	ctx, cancel := context.WithTimeout(ctx, access.RequestTimeout)
	defer cancel()
	var errs []error
	for _, n := range r.Nodes {
		if n.Role != spec.RoleControlPlane || slices.Contains(spared, n.Name) {
			continue
		}
		if err := r.Cluster.Ready(ctx, n); err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", n.Name, err))
		}
	}
	return errors.Join(append(errs, r.wholeEtcd(ctx, spared), r.wholeNodes(ctx, spared))...)
}

func (r *Runner) wholeEtcd(ctx context.Context, spared []string) error {
	seen := r.etcd(ctx)
	var errs []error
	for _, n := range r.Cluster.Topology.EtcdMembers() {
		m, ok := seen.Member(n.Name, n.EtcdPeerURL())
		switch {
		case slices.Contains(spared, n.Name):
		case !ok || m.Learner:
			errs = append(errs, fmt.Errorf("%s is no voting member of etcd", n.Name))
		case !m.Healthy:
			errs = append(errs, fmt.Errorf("etcd member %s: %s", n.Name, m.Error))
		case len(m.Problems) > 0:
			errs = append(errs, fmt.Errorf("etcd member %s: %s", n.Name, strings.Join(m.Problems, ", ")))
		}
	}
	return errors.Join(errs...)
}

func (r *Runner) wholeNodes(ctx context.Context, spared []string) error {
	client, err := r.Cluster.API()
	if err != nil {
		return err
	}
	nodes, err := client.Nodes(ctx)
	if err != nil {
		return err
	}
	var errs []error
	for name, n := range r.Nodes {
		if !r.Cluster.Topology.RunsKubelet(n) || slices.Contains(spared, name) {
			continue
		}
		if err := r.ready(nodes, name); err != nil {
			errs = append(errs, fmt.Errorf("node %s: %w", name, err))
		}
	}
	return errors.Join(errs...)
}
