package look

import (
	"context"
	"fmt"

	"github.com/haplane/haplane/internal/access"
	"github.com/haplane/haplane/internal/haproxyapi"
	"github.com/haplane/haplane/internal/observed"
	"github.com/haplane/haplane/internal/topology"
)

func (c *collector) balancer(ctx context.Context, n topology.Node) {
	seen := Balancer(ctx, c.Cluster.Balancer(n))
	if !seen.Seen {
		c.unseen("load balancer "+n.Name, fmt.Errorf("%s", seen.Error))
	}
	put(c, c.state.Balancers, n.Name, seen)
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
