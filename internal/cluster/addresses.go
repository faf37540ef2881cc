package cluster

import (
	"context"
	"net/netip"
	"slices"

	"github.com/haplane/haplane/internal/change"
	"github.com/haplane/haplane/internal/provider/nspawn"
	"github.com/haplane/haplane/internal/topology"
)

// addressesFree is an error that names each address which these machines, or the load balancers together, are about to take, and which
// somebody else on their network has: before anything is touched.
func (e *env) addressesFree(ctx context.Context, machines []topology.Node) error {
	fields := addressFields(e.topology, machines)
	if len(fields) == 0 {
		return nil
	}
	var addresses []netip.Addr
	for a := range fields {
		addresses = append(addresses, a)
	}
	slices.SortFunc(addresses, netip.Addr.Compare)
	found, err := e.provider().Strangers(ctx, addresses)
	if err != nil {
		return err
	}
	return taken(found, fields)
}

// addressFields are the addresses that machines take, by the field that has each; with those that the load balancers move between them.
func addressFields(t *topology.Topology, machines []topology.Node) map[netip.Addr]string {
	out := map[netip.Addr]string{}
	for _, n := range machines {
		for _, a := range n.Addresses {
			out[a] = "spec.nodes[" + n.Name + "].address"
		}
	}
	for _, a := range t.LBAddresses {
		if _, own := out[a]; own || t.Virtual && len(machines) > 0 {
			out[a] = "spec.loadBalancer.address"
		}
	}
	return out
}

// taken says who has the addresses of fields; nil where nobody has.
func taken(found []nspawn.Stranger, fields map[netip.Addr]string) error {
	var out nspawn.Problems
	for _, s := range found {
		fix := "take the address from it, or unplug it; a new cluster may have another address"
		out = append(out, nspawn.Problem{What: fields[s.Address] + ": " + s.String(), Fix: fix})
	}
	if len(out) == 0 {
		return nil
	}
	return out
}

// starting are the nodes whose machines a change makes or starts.
func (l *live) starting() []topology.Node {
	var out []topology.Node
	for _, s := range l.change.Steps {
		if n, ok := l.topology.Node(s.Node); ok && (s.Verb == change.CreateMachine || s.Verb == change.StartMachine) {
			out = append(out, n)
		}
	}
	return out
}
