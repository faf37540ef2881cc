package apply

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/haplane/haplane/internal/change"
	"github.com/haplane/haplane/internal/machine"
)

func moveKubeconfig(ctx context.Context, r *Runner, _ change.Step) error {
	if r.MoveKubeconfig == nil {
		return nil
	}
	return r.MoveKubeconfig(ctx)
}

// clientsMoved waits until each Kubernetes node has a connection to the load balancer at its new place:
// that a kubelet was restarted says nothing of whether it gets through. Of a load balancer that is none
// of the cluster's machines nobody can say.
func clientsMoved(ctx context.Context, r *Runner, _ change.Step) error {
	t := r.Cluster.Topology
	lbs := t.LoadBalancers()
	if len(lbs) == 0 {
		return nil
	}
	return r.until(ctx, lbs[0].Name, endpointsTimeout, func(ctx context.Context) error {
		result, err := r.Cluster.Machine(lbs[0].Name).Run(ctx, machine.Cmd("ss", "-Htn", "state", "established", "sport", "=", fmt.Sprintf(":%d", t.LoadBalancer.Port())))
		if err != nil {
			return err
		}
		have := peers(result.Stdout)
		for _, n := range t.KubeletNodes() {
			if !slices.Contains(have, n.Address) {
				return fmt.Errorf("%s has no connection to %s yet", n.Name, t.LoadBalancer)
			}
		}
		return nil
	})
}

// peers are the addresses in the last column of what ss prints.
func peers(text string) []netip.Addr {
	var out []netip.Addr
	for line := range strings.Lines(text) {
		fields := strings.Fields(line)
		if len(fields) == 0 {
			continue
		}
		if peer, err := netip.ParseAddrPort(fields[len(fields)-1]); err == nil {
			out = append(out, peer.Addr().Unmap())
		}
	}
	return out
}
