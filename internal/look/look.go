// Package look sees a cluster as it is: it fills observed.State from machines, etcd,
// API servers and load balancers, all at once and each for a bounded time.
package look

import (
	"context"
	"fmt"
	"sync"

	"github.com/haplane/haplane/internal/access"
	"github.com/haplane/haplane/internal/observed"
	"github.com/haplane/haplane/internal/topology"
	"github.com/haplane/haplane/spec"
)

// Power tells of machines: those that were made, and whether each runs.
type Power func() (made map[string]bool, err error)

// A Want is what to look at on a machine: files by their paths, programs by their
// names, the file that lists what haplane put there, and container images.
type Want struct {
	Files, Programs []string
	Manifest        string
	EtcdData        bool             // whether there is any
	Images          []observed.Image // whether containerd has them
}

// A Looker is what is looked at.
type Looker struct {
	Cluster *access.Cluster
	Nodes   []topology.Node // all that are looked at, also those that leave
	Members []topology.Node // those of them that run or ran an etcd member
	Power   Power
	Wanted  map[string]Want // what to look at on machines, by node; nil: nothing
}

// State looks at everything. What cannot be looked at is told in the state.
func (l *Looker) State(ctx context.Context) (observed.State, error) {
	s := observed.State{Machines: map[string]observed.Machine{}, APIServers: map[string]observed.APIServer{},
		Balancers: map[string]observed.Balancer{}, Nodes: map[string]observed.Node{}}
	made, err := l.Power()
	if err != nil {
		return s, fmt.Errorf("look at machines: %w", err)
	}
	c := &collector{Looker: l, state: &s}
	var group sync.WaitGroup
	for _, n := range l.Nodes {
		running, there := made[n.Name]
		group.Go(func() { c.machine(ctx, n, there, running) })
		if n.Role == spec.RoleControlPlane {
			group.Go(func() { c.apiServer(ctx, n, running) })
		}
		if l.Cluster.Topology.Balances(n) {
			group.Go(func() { c.balancer(ctx, n, running) })
		}
	}
	group.Go(func() { c.etcd(ctx) })
	group.Go(func() { c.nodes(ctx) })
	group.Wait()
	return s, ctx.Err()
}

// A collector fills a state from several goroutines.
type collector struct {
	*Looker
	mu    sync.Mutex
	state *observed.State
}

func (c *collector) unseen(what string, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.state.Unseen = append(c.state.Unseen, fmt.Sprintf("%s: %v", what, err))
}

func put[V any](c *collector, m map[string]V, key string, v V) {
	c.mu.Lock()
	defer c.mu.Unlock()
	m[key] = v
}

func (c *collector) apiServer(ctx context.Context, n topology.Node, running bool) {
	var seen observed.APIServer
	if !running { // asking would only take time
		seen.Error = "its machine does not run"
	} else if err := c.Cluster.Ready(ctx, n); err != nil {
		seen.Error = err.Error()
	} else {
		seen.Ready = true
	}
	put(c, c.state.APIServers, n.Name, seen)
}

func (c *collector) nodes(ctx context.Context) {
	client, err := c.Cluster.API()
	if err != nil {
		c.unseen("Kubernetes nodes", err)
		return
	}
	ctx, cancel := context.WithTimeout(ctx, access.RequestTimeout)
	defer cancel()
	nodes, err := client.Nodes(ctx)
	if err != nil {
		c.unseen("Kubernetes nodes", err)
		return
	}
	c.state.APISeen = true
	for _, n := range nodes {
		put(c, c.state.Nodes, n.Name, observed.Node{Ready: n.Ready, Reason: n.Reason, Reported: n.Reported, Unschedulable: n.Unschedulable, Drained: n.Drained})
	}
}
