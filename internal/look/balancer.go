package look

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
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
	}
	if t := c.Cluster.Topology; t.Virtual {
		var err error
		if seen.Address, err = Address(ctx, c.Cluster.Machine(n.Name), t.LoadBalancer.Addr()); err != nil {
			seen.Address.Unknown = true
			c.unseen("address of load balancer "+n.Name, err)
		}
	}
	put(c, c.state.Balancers, n.Name, seen)
}

// Address looks what a load balancer has of an address that moves, on whatever link but lo, where it is for the sake of connections
// that end (apply's drain.sh). keepalived puts it there alone: one with a network around it is the machine's own.
func Address(ctx context.Context, m machine.Machine, address netip.Addr) (observed.Address, error) {
	ctx, cancel := context.WithTimeout(ctx, access.RequestTimeout)
	defer cancel()
	const script = `echo "told $(cat "$2" 2>/dev/null)$([ -s "$3" ] || echo " new")"; ip -oneline address show to "$1"`
	result, err := m.Run(ctx, machine.Cmd("sh", "-c", script, "sh", address.String(), topology.StandBy, topology.BalancerInForce))
	if err != nil {
		return observed.Address{}, err
	}
	told, links, _ := strings.Cut(result.Stdout, "\n")
	said := strings.Fields(told)
	out := observed.Address{StandsBy: slices.Contains(said, "1"), New: slices.Contains(said, "new")}
	for line := range strings.Lines(links) {
		fields := strings.Fields(line)
		if len(fields) < 4 || fields[1] == "lo" {
			continue
		}
		if p, err := netip.ParsePrefix(fields[3]); err == nil && p.Addr() == address {
			out.Held, out.Moved, out.Own = true, out.Moved || p.IsSingleIP(), out.Own || !p.IsSingleIP()
		}
	}
	return out, nil
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
