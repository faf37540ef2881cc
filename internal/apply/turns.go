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
	"github.com/haplane/haplane/internal/kubeapi"
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

// whole says what of the cluster but the spared nodes does not do its part: API servers, etcd members, nodes, DNS.
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
	return errors.Join(append(errs, r.wholeEtcd(ctx, spared), r.wholeNodes(ctx, spared), r.wholeDNS(ctx))...)
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

// dnsPods are the label of CoreDNS' pods.
const dnsPods = "k8s-app=kube-dns"

// dnsBefore is how many pods of CoreDNS serve as an upgrade begins, or goes on: none where nobody could look, or it is away.
func (r *Runner) dnsBefore(ctx context.Context) int {
	ctx, cancel := context.WithTimeout(ctx, access.RequestTimeout)
	defer cancel()
	client, err := r.Cluster.API()
	if err != nil {
		return 0
	}
	d, err := client.Deployment(ctx, "kube-system", "coredns")
	if err != nil {
		r.Log.Warn("not known how many pods of CoreDNS serve", "err", err)
	}
	return d.Available
}

func (r *Runner) wholeDNS(ctx context.Context) error {
	if r.dns == 0 {
		return nil
	}
	client, err := r.Cluster.API()
	if err != nil {
		return err
	}
	return r.dnsServes(ctx, client, false)
}

// dnsServes says how far CoreDNS is from serving by as many pods as before, or as there are nodes that take one: each has one at
// most, and somebody may have cordoned some. Where it moves, no pod is to be of another version any more.
func (r *Runner) dnsServes(ctx context.Context, client *kubeapi.Client, moves bool) error {
	d, err := client.Deployment(ctx, "kube-system", "coredns")
	if err != nil {
		return err
	}
	nodes, err := client.Nodes(ctx)
	if err != nil {
		return err
	}
	open := 0
	for _, n := range nodes {
		if n.Ready && !n.Unschedulable {
			open++
		}
	}
	if d.Available >= min(r.dns, d.Wanted, open) && (d.Moved || !moves) {
		return nil
	}
	why := client.PodsRun(ctx, "kube-system", dnsPods, func(string) time.Time { return time.Time{} })
	return errors.Join(fmt.Errorf("CoreDNS: %s; as the upgrade began or went on: %d", d, r.dns), why)
}
