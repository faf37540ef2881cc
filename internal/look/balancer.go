package look

import (
	"context"
	"fmt"
	"net/netip"
	"strings"

	"github.com/haplane/haplane/internal/access"
	"github.com/haplane/haplane/internal/haproxyapi"
	"github.com/haplane/haplane/internal/machine"
	"github.com/haplane/haplane/internal/observed"
	"github.com/haplane/haplane/internal/topology"
)

func (c *collector) balancer(ctx context.Context, n topology.Node, running bool) {
	if !running { // asking would only take time, and the machine's state tells
		put(c, c.state.Balancers, n.Name, observed.Balancer{Error: "its machine does not run"})
		return
	}
	seen := Balancer(ctx, c.Cluster.Balancer(n))
	if !seen.Seen {
		c.unseen("load balancer "+n.Name, fmt.Errorf("%s", seen.Error))
	} else if t := c.Cluster.Topology; t.Virtual {
		var err error
		if seen.Holds, err = Holds(ctx, c.Cluster.Machine(n.Name), t.LoadBalancer.Addr()); err != nil {
			c.unseen("address of load balancer "+n.Name, err)
		}
	}
	put(c, c.state.Balancers, n.Name, seen)
}

// Holds reports whether a machine has an address, on whatever link.
func Holds(ctx context.Context, m machine.Machine, address netip.Addr) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, access.RequestTimeout)
	defer cancel()
	result, err := m.Run(ctx, machine.Cmd("ip", "-oneline", "address", "show", "to", address.String()))
	return err == nil && strings.TrimSpace(result.Stdout) != "", err
}

// Balancer asks one HAProxy for its servers. Up are those of the backend of the API servers
// that are well; one drains that does so in any.
func Balancer(ctx context.Context, client *haproxyapi.Client) observed.Balancer {
	ctx, cancel := context.WithTimeout(ctx, access.RequestTimeout)
	defer cancel()
	backends, err := client.Backends(ctx)
	if err != nil {
		return observed.Balancer{Error: err.Error()}
	}
	// A server that drains and is down is just down by its status.
	states, err := client.ServersState(ctx, "")
	if err != nil {
		return observed.Balancer{Error: err.Error()}
	}
	out := observed.Balancer{Seen: true, Servers: map[string]bool{}, Draining: map[string]bool{}}
	for _, s := range states {
		out.Draining[s.Name] = out.Draining[s.Name] || !s.Admin.Ready()
	}
	for _, b := range backends {
		for _, s := range b.Servers {
			if b.Name == topology.HAProxyBackend {
				out.Servers[s.Name] = s.Up()
			}
		}
	}
	return out
}
