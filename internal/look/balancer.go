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

// Balancer asks one HAProxy for its servers. Those of last resort, which have no
// check, are left out.
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
	drained := map[string]bool{}
	for _, s := range states {
		drained[s.Backend+"/"+s.Name] = !s.Admin.Ready()
	}
	out := observed.Balancer{Seen: true, Servers: map[string]bool{}, Draining: map[string]bool{}}
	for _, b := range backends {
		for _, s := range b.Servers {
			if s.Status == "no check" { // of last resort
				continue
			}
			out.Servers[s.Name] = s.Up()
			out.Draining[s.Name] = drained[b.Name+"/"+s.Name]
		}
	}
	return out
}
