package apply

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/haplane/haplane/internal/change"
	"github.com/haplane/haplane/internal/outside"
	"github.com/haplane/haplane/internal/pki"
	"github.com/haplane/haplane/internal/poll"
	"github.com/haplane/haplane/internal/runtime/systemd"
	"github.com/haplane/haplane/internal/topology"
	"github.com/haplane/haplane/spec"
)

// outsideTimeout is how long somebody else's load balancer gets to see that an API server is there, or has gone: one that
// asks every 10 s and wants three answers takes half a minute. Of one that is known to be slower, twice what it takes.
func (r *Runner) outsideTimeout() time.Duration {
	return max(time.Minute, 2*r.Cluster.Topology.ShutdownDelay())
}

// outsideEvery is how often it is looked at meanwhile.
const outsideEvery = time.Second

// theirs is the load balancer, somebody else's, before the API servers of all nodes that the change knows but some.
func (r *Runner) theirs(except ...string) (*outside.Balancer, error) {
	var nodes []topology.Node
	for _, n := range r.Nodes {
		if n.Role == spec.RoleControlPlane && !slices.Contains(except, n.Name) {
			nodes = append(nodes, n)
		}
	}
	slices.SortFunc(nodes, func(a, b topology.Node) int { return a.Address.Compare(b.Address) })
	return r.Cluster.Outside(nodes)
}

// reachedThrough are the API servers that new connections lead to, of those that are ready.
func (r *Runner) reachedThrough(ctx context.Context, ready map[string]error) map[string]bool {
	up := map[string]bool{}
	b, err := r.theirs()
	if err != nil {
		return up
	}
	var wanted []string
	for name, err := range ready {
		if err == nil {
			wanted = append(wanted, name)
		}
	}
	v, err := b.Look(ctx, b.Places[0], wanted)
	if err != nil {
		r.Log.Debug("look at the load balancer from outside", "err", err)
	}
	for node, n := range v.Answered {
		up[node] = n > 0
	}
	return up
}

// seenAs waits until the load balancer leads to some API servers, wherever it listens, to nobody else, and no connection fails; what
// is not right then is the error, all of it.
func (r *Runner) seenAs(ctx context.Context, node string, b *outside.Balancer, wanted []string) error {
	return r.looks(ctx, node, b, wanted, func(v outside.View) []error { return b.Findings(v, wanted) })
}

// leadsTo waits until the load balancer leads to an API server, wherever it listens; how it treats others is not asked.
func (r *Runner) leadsTo(ctx context.Context, node string, b *outside.Balancer) error {
	wanted := []string{node}
	return r.looks(ctx, node, b, wanted, func(v outside.View) []error {
		if len(v.Missing(wanted)) == 0 {
			return nil
		}
		return b.Findings(v, wanted)
	})
}

// looks waits until nothing is wrong with what connections to each place see, or one gets a certificate that is not the cluster's.
func (r *Runner) looks(ctx context.Context, node string, b *outside.Balancer, wanted []string, wrong func(outside.View) []error) error {
	var last error
	err := r.untilEvery(ctx, node, outsideEvery, r.outsideTimeout(), func(ctx context.Context) error {
		var found []error
		final := false
		for _, place := range b.Places {
			v, err := b.Look(ctx, place, wanted)
			if err != nil {
				if ctx.Err() == nil {
					last = fmt.Errorf("look at the load balancer: %w", err)
				}
				return err
			}
			found = append(found, wrong(v)...)
			final = final || v.Terminated != nil
		}
		if last = errors.Join(found...); last != nil && final {
			return poll.Stop(last)
		}
		return last
	})
	if err != nil && ctx.Err() == nil && last != nil && !errors.Is(err, errStopped) {
		return last
	}
	return err
}

// reached waits until new connections lead to the step's API server, and tells what to set where they do not.
func (r *Runner) reached(ctx context.Context, s change.Step) error {
	b, err := r.theirs()
	if err != nil {
		return err
	}
	r.notice(s, "waits until the load balancer at %s leads to %s, at %s", b.Places[0], s.Node, outsideAddress(b, s.Node))
	return r.leadsTo(ctx, s.Node, b)
}

// withoutBackend waits until connections that are new lead to others than an API server that has gone, and says that it can
// be taken out of the load balancer, of which nobody can see from outside whether it is.
func withoutBackend(ctx context.Context, r *Runner, s change.Step) error {
	b, err := r.theirs()
	if err != nil {
		return err
	}
	r.notice(s, "take %s, at %s, out of the servers of the load balancer, unless it comes back there", s.Node, outsideAddress(b, s.Node))
	if b, err = r.theirs(s.Node); err != nil {
		return err
	}
	return r.seenAs(ctx, s.Node, b, nil)
}

func outsideAddress(b *outside.Balancer, node string) string {
	for _, s := range b.Servers {
		if s.Node == node {
			return s.Address.String()
		}
	}
	panic("apply: no API server on " + node)
}

// checkBalancer looks from outside whether the load balancer does what it must, and tells all that it does not. How it treats an API server that
// stops is tried where nobody relies on one yet: in a bring-up.
func checkBalancer(ctx context.Context, r *Runner, s change.Step) error {
	b, err := r.theirs() // also of API servers that an earlier run had join
	if err != nil {
		return err
	}
	found := []error{r.seenAs(ctx, "", b, s.Backends)}
	if ctx.Err() != nil || errors.Is(found[0], errStopped) {
		return found[0]
	}
	if found[0] == nil {
		r.detail(s, "new connections through %s lead to %s, and to nobody else", b.Places[0], strings.Join(s.Backends, ", "))
	}
	found = append(found, r.fromNodes(ctx, b)...)
	if found[0] == nil && s.ID == change.CheckBalancer {
		found = append(found, r.stopsOne(ctx, s, b))
	}
	return errors.Join(found...)
}

// nodesAtOnce is how many machines look at a time: each makes many connections at once, and local ones share a host.
const nodesAtOnce = 2

// fromNodes has each machine that is there and runs what needs the API look for itself. What fails only once is a machine that is busy.
func (r *Runner) fromNodes(ctx context.Context, b *outside.Balancer) []error {
	t := r.Cluster.Topology
	r.Waiting("", "how machines reach the load balancer")
	defer r.Waiting("", "")
	var group errgroup.Group
	group.SetLimit(nodesAtOnce)
	found := make([]error, len(t.Nodes))
	for i, n := range t.Nodes {
		_, running, err := r.Provider.Status(n)
		if comes := err == nil && !running; comes || n.Role != spec.RoleControlPlane && !t.RunsKubelet(n) {
			continue
		}
		group.Go(func() error {
			if found[i] = r.fromNode(ctx, b, n); found[i] != nil && ctx.Err() == nil {
				found[i] = r.fromNode(ctx, b, n)
			}
			return nil // all of them are told
		})
	}
	_ = group.Wait()
	return found
}

func (r *Runner) fromNode(ctx context.Context, b *outside.Balancer, n topology.Node) error {
	finding, err := b.FromNode(ctx, r.Cluster.Machine(n.Name), r.Cluster.Keys.Trusted(pki.CA))
	switch {
	case err != nil:
		return fmt.Errorf("look at the load balancer from %s: %w", n.Name, err)
	case finding != nil:
		return finding
	}
	return nil
}

// stopsOne stops an API server in order while there are others, watches where new connections go, and starts it again.
func (r *Runner) stopsOne(ctx context.Context, s change.Step, b *outside.Balancer) error {
	if len(s.Backends) < 2 {
		r.notice(s, "how the load balancer treats an API server that stops was not tried: there is no other one")
		return nil
	}
	n := r.Nodes[s.Backends[len(s.Backends)-1]]
	m := r.Cluster.Machine(n.Name)
	r.Waiting(n.Name, "how the load balancer treats its API server, which stops and starts again")
	defer r.Waiting(n.Name, "")
	d, err := b.Depart(ctx, n.Name, func(ctx context.Context) error {
		err := systemd.Stop(ctx, m, "kube-apiserver")
		again, cancel := context.WithTimeout(context.WithoutCancel(ctx), readyTimeout) // whatever was seen
		defer cancel()
		if err := errors.Join(err, systemd.Start(again, m, "kube-apiserver")); err != nil {
			return err
		}
		return r.waitForUnit(ctx, n, []string{"kube-apiserver"}, func(ctx context.Context) error { return r.Cluster.Ready(ctx, n) })
	})
	if err != nil {
		return err
	}
	failures, warning := d.Findings(r.Cluster.Topology.ShutdownDelay())
	if warning != "" {
		r.notice(s, "warning: %s", warning)
	}
	if len(failures) > 0 {
		return errors.Join(failures...)
	}
	r.detail(s, "the API server of %s stopped in order and %d new connections went elsewhere: none was sent to it later than %s after it began, none failed", n.Name, d.Tries, d.Reached.Round(100*time.Millisecond))
	return r.leadsTo(ctx, n.Name, b)
}

// holdIdle keeps a watch on which nothing happens open, and tells for how long that was seen.
func holdIdle(ctx context.Context, r *Runner, s change.Step) error {
	b, err := r.Cluster.Outside(r.Cluster.Topology.ControlPlane())
	if err != nil {
		return err
	}
	return r.unlessStopped(ctx, func(ctx context.Context) error {
		idle, err := b.Idle(ctx)
		var ended *outside.Finding
		if err != nil && ctx.Err() == nil && !errors.As(err, &ended) { // it did not begin: what fails only once is a machine that is busy
			idle, err = b.Idle(ctx)
		}
		if err != nil {
			return fmt.Errorf("hold a watch on which nothing is sent: %w", err)
		}
		r.detail(s, "a watch on which nothing was sent stayed open for %s; for longer it was not looked at", idle.Round(time.Second))
		return nil
	})
}
