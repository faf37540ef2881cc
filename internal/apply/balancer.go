package apply

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/haplane/haplane/internal/access"
	"github.com/haplane/haplane/internal/change"
	"github.com/haplane/haplane/internal/haproxyapi"
	"github.com/haplane/haplane/internal/look"
	"github.com/haplane/haplane/internal/machine"
	"github.com/haplane/haplane/internal/observed"
	"github.com/haplane/haplane/internal/runtime/systemd"
	"github.com/haplane/haplane/internal/topology"
	"github.com/haplane/haplane/spec"
)

// apiServers asks those behind a load balancer, but for one node's: one counts where
// it is ready and a load balancer sends requests to it.
func (r *Runner) apiServers(ctx context.Context, except string) map[string]observed.APIServer {
	ready := map[string]error{}
	for _, n := range r.Nodes {
		if n.Role == spec.RoleControlPlane && n.Name != except {
			ready[n.Name] = r.Cluster.Ready(ctx, n)
		}
	}
	up := r.sentTo(ctx, ready)
	out := map[string]observed.APIServer{}
	for name, err := range ready {
		switch {
		case err != nil:
			out[name] = observed.APIServer{Error: err.Error()}
		case !up[name]:
			out[name] = observed.APIServer{Error: "no load balancer sends requests to it"}
		default:
			out[name] = observed.APIServer{Ready: true}
		}
	}
	return out
}

// sentTo are the API servers to which a load balancer sends requests.
func (r *Runner) sentTo(ctx context.Context, ready map[string]error) map[string]bool {
	if r.Cluster.Topology.ExternalBalancer() {
		return r.reachedThrough(ctx, ready)
	}
	lbs, up := r.balancers(), map[string]bool{}
	seen := make([]observed.Balancer, len(lbs))
	var group sync.WaitGroup
	for i, lb := range lbs { // at once: one that is off takes long to say nothing, and there are as many as control-plane nodes
		group.Go(func() { seen[i] = look.Balancer(ctx, r.Cluster.Balancer(lb)) })
	}
	group.Wait()
	for _, lb := range seen {
		for node, is := range lb.Servers {
			up[node] = up[node] || is
		}
	}
	return up
}

func (r *Runner) balancers() []topology.Node {
	var out []topology.Node
	for _, n := range r.Nodes {
		if r.Cluster.Topology.Balances(n) {
			out = append(out, n)
		}
	}
	return out
}

// otherBalancers are all load balancers but one; all of them where it is "".
func (r *Runner) otherBalancers(except string) []topology.Node {
	return slices.DeleteFunc(r.balancers(), func(lb topology.Node) bool { return lb.Name == except })
}

func drainBackend(ctx context.Context, r *Runner, s change.Step) error {
	if t := r.Cluster.Topology; t.ExternalBalancer() {
		r.detail(s, "the load balancer is somebody else's, and is not told: an API server that stops says so on /readyz, and serves on for %s", t.ShutdownDelay())
		return nil
	}
	return r.setServer(ctx, s, haproxyapi.Drain)
}

func restoreBackend(ctx context.Context, r *Runner, s change.Step) error {
	if r.Cluster.Topology.ExternalBalancer() {
		return r.reached(ctx, s)
	}
	return r.setServer(ctx, s, haproxyapi.Ready)
}

// setServer tells every load balancer that all clients reach what to do with the server of the step's node.
// One that is not there any more needs no word, and neither does a worker's own: an API server that stops serves on until all have long
// seen it on /readyz, and a worker that misses the end of a drain would have one server less.
func (r *Runner) setServer(ctx context.Context, s change.Step, state haproxyapi.State) error {
	for _, lb := range r.balancers() {
		if len(s.Balancers) > 0 && !slices.Contains(s.Balancers, lb.Name) {
			continue // it does not run yet, or any more
		}
		for _, backend := range []string{topology.HAProxyLastResort, topology.HAProxyBackend} {
			err := r.Cluster.Balancer(lb).SetState(ctx, backend, s.Node, state)
			_, stays := r.Desired[lb.Name]
			switch {
			case err == nil || errors.Is(err, haproxyapi.ErrNoServer):
			case stays:
				return fmt.Errorf("%s: %w", lb.Name, err)
			default:
				r.Log.Debug("a load balancer that leaves is not told", "node", lb.Name, "err", err)
			}
		}
	}
	return nil
}

// setBackends writes the configuration of a load balancer for the API servers of the
// step, has it loaded, and waits until it sends requests to those that are ready.
func setBackends(ctx context.Context, r *Runner, s change.Step) error {
	if !r.Cluster.Topology.BalancesLocally(r.node(s)) {
		return r.tellBalancer(ctx, s)
	}
	// A worker's own is nobody else's way: who is off, or dies, is not waited for. Its files differ, so it is told when it is back.
	why := r.away(ctx, s.Node)
	if why == nil {
		err := r.tellBalancer(ctx, s)
		if err == nil {
			return nil
		}
		if why = r.away(ctx, s.Node); why == nil {
			return err
		}
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	r.notice(s, "the load balancer of %s is not told, for its machine does not answer; `haplane apply` tells it when it does: %v", s.Node, why)
	return nil
}

// awayTimeout is how long a machine gets to show that it takes commands.
const awayTimeout = 15 * time.Second

// away is why a machine takes no commands; nil where it does.
func (r *Runner) away(ctx context.Context, node string) error {
	if _, running, err := r.Provider.Status(r.Nodes[node]); err == nil && !running {
		return ErrOff
	}
	ctx, cancel := context.WithTimeout(ctx, awayTimeout)
	defer cancel()
	_, err := r.Cluster.Machine(node).Run(ctx, machine.Cmd("true"))
	return err
}

func (r *Runner) tellBalancer(ctx context.Context, s change.Step) error {
	render := r.Render
	if s.Last {
		render = r.RenderLast
	}
	m, want, alone := r.Cluster.Machine(s.Node), render(s)[s.Node], r.node(s).Role == spec.RoleLoadBalancer
	if !alone {
		want = want.Balancer()
	}
	var seen observed.Machine
	if err := look.Machine(ctx, m, WantOf(want), &seen); err != nil {
		return err
	}
	if !alone {
		seen.Manifest = "" // which lists others' files too: none is taken away
	}
	before := replaced(want.Files, seen)
	if err := keep(ctx, m, before); err != nil {
		return err
	}
	if err := Write(ctx, m, want.Files, seen); err != nil {
		return err
	}
	for _, u := range want.Units {
		var err error
		switch state := seen.Units[u.Name]; {
		case !state.Active:
			err = systemd.Start(ctx, m, u.Name)
		case state.Config != u.Config:
			err = systemd.Restart(ctx, m, u.Name)
		case u.Load != "" && state.Loaded != u.Load:
			err = load(ctx, m, u.Name, before)
		}
		if err != nil {
			return err
		}
	}
	lb := r.node(s)
	shares := slices.Contains(names(want.Units), "keepalived")
	if shares {
		if err := r.mayHold(ctx, lb); err != nil {
			return err
		}
	}
	if err := r.undrain(ctx, lb, s.Backends); err != nil {
		return err
	}
	serves := func(ctx context.Context) error {
		if err := r.backendsServe(ctx, lb, s.Backends); err != nil || !r.Cluster.Topology.BalancesLocally(lb) {
			return err
		}
		return r.leads(ctx, lb)
	}
	if err := r.waitForUnit(ctx, lb, []string{"haproxy"}, serves); err != nil || !shares {
		return err
	}
	return r.waitForUnit(ctx, lb, []string{"keepalived", "haplane-balancer"}, func(ctx context.Context) error { return r.sharesAddress(ctx, lb) })
}

// undrain has a load balancer send requests to servers that a change drained before it
// was cut off: none of those that a step is to have behind it drains meanwhile.
func (r *Runner) undrain(ctx context.Context, lb topology.Node, want []string) error {
	client := r.Cluster.Balancer(lb)
	for name, draining := range look.Balancer(ctx, client).Draining {
		if !draining || !slices.Contains(want, name) {
			continue
		}
		for _, backend := range []string{topology.HAProxyBackend, topology.HAProxyLastResort} {
			if err := client.SetState(ctx, backend, name, haproxyapi.Ready); err != nil {
				return err
			}
		}
	}
	return nil
}

// backendsServe returns nil when a load balancer has just these servers, and sends
// requests to each that is ready.
func (r *Runner) backendsServe(ctx context.Context, lb topology.Node, want []string) error {
	seen := look.Balancer(ctx, r.Cluster.Balancer(lb))
	if !seen.Seen {
		return errors.New(seen.Error)
	}
	if len(seen.Servers) != len(want) {
		return fmt.Errorf("%s has %d servers, %d wanted", lb.Name, len(seen.Servers), len(want))
	}
	for _, name := range want {
		up, ok := seen.Servers[name]
		if !ok {
			return fmt.Errorf("%s does not have %s", lb.Name, name)
		}
		if !up && r.Cluster.Ready(ctx, r.Nodes[name]) == nil {
			return fmt.Errorf("%s sends no requests to %s", lb.Name, name)
		}
	}
	return nil
}

// leads returns nil when a worker leads to the load balancer of its own that runs: systemd calls that active when the rules are there.
func (r *Runner) leads(ctx context.Context, worker topology.Node) error {
	seen, err := look.Programs(ctx, r.Cluster.Machine(worker.Name), []string{"haproxy"})
	if err == nil && !seen["haproxy"].Active {
		err = fmt.Errorf("%s does not lead to its load balancer yet: systemd calls haproxy not active", worker.Name)
	}
	return err
}

func balancerAnswers(ctx context.Context, r *Runner, lb topology.Node) error {
	seen := look.Balancer(ctx, r.Cluster.Balancer(lb))
	switch {
	case !seen.Seen:
		return errors.New(seen.Error)
	case !r.Cluster.Topology.BalancesLocally(lb):
	case !slices.Contains(slices.Collect(maps.Values(seen.Servers)), true):
		return fmt.Errorf("%s sends requests to no API server", lb.Name)
	default: // the worker alone goes through it
		return r.leads(ctx, lb)
	}
	client, err := r.Cluster.API()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, access.RequestTimeout)
	defer cancel()
	return client.ReadyZ(ctx)
}
