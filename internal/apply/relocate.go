package apply

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

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
		var have []netip.Addr
		for _, lb := range lbs { // that one has the address which has it
			result, err := r.Cluster.Machine(lb.Name).Run(ctx, machine.Cmd("ss", "-Htn", "state", "established", "src", t.LoadBalancer.String()))
			if err != nil {
				return err
			}
			have = append(have, peers(result.Stdout)...)
		}
		for _, n := range t.KubeletNodes() {
			if !t.RunsBalancer(n) && !slices.Contains(have, n.Address) { // who balances asks its own API server
				return fmt.Errorf("%s has no connection to %s yet", n.Name, t.LoadBalancer)
			}
		}
		return r.movedLocals(ctx)
	})
}

// movedLocals returns nil when each worker with a load balancer of its own has a connection to where the one is that all clients reach: it
// takes it for that, and its end is on the worker.
func (r *Runner) movedLocals(ctx context.Context) error {
	t := r.Cluster.Topology
	for _, n := range t.LocalBalancers() {
		result, err := r.Cluster.Machine(n.Name).Run(ctx, machine.Cmd("ss", "-Htn", "state", "established", "dst", t.LoadBalancer.String()))
		if err != nil {
			return err
		}
		if len(peers(result.Stdout)) == 0 {
			return fmt.Errorf("%s has no connection to %s yet", n.Name, t.LoadBalancer)
		}
	}
	return nil
}

// goneTimeout is how long clients get to end their connections through a load balancer that leaves: what they ask at that moment
// is answered. Who keeps one for hours, as a program that watches does, ends it for no bound that anybody would wait for.
const goneTimeout = 30 * time.Second

// clientsGone waits until nobody is connected through a load balancer that leaves any more, and tells after a while who is:
// his connections end with it.
func clientsGone(ctx context.Context, r *Runner, s change.Step) error {
	left := ""
	err := r.until(ctx, s.Node, goneTimeout, func(ctx context.Context) error {
		result, err := r.Cluster.Machine(s.Node).Run(ctx, machine.Cmd("sh", "-c", throughScript))
		if err != nil {
			return err
		}
		if left = r.who(through(result.Stdout)); left != "" {
			return fmt.Errorf("connections through %s: %s", s.Node, left)
		}
		return nil
	})
	if err == nil || left == "" || ctx.Err() != nil || errors.Is(err, errStopped) {
		return err
	}
	r.notice(s, "connections through %s that end with it: %s", s.Node, left)
	return nil
}

// throughScript prints where programs listen, with their names, and the connections that there are.
const throughScript = "ss -Htlnp; echo established; ss -Htn state established"

// through are who is connected to where HAProxy listens, by what the script prints: each connection's client. Earlier processes of it, which
// a reload has left to their connections, count.
func through(text string) []netip.AddrPort {
	listening, established, _ := strings.Cut(text, "established\n")
	port := func(address string) string { return address[strings.LastIndex(address, ":")+1:] }
	var ports []string
	for line := range strings.Lines(listening) {
		if fields := strings.Fields(line); len(fields) > 4 && strings.Contains(line, `"haproxy"`) {
			ports = append(ports, port(fields[3]))
		}
	}
	var out []netip.AddrPort
	for line := range strings.Lines(established) {
		fields := strings.Fields(line)
		if len(fields) < 4 || !slices.Contains(ports, port(fields[2])) {
			continue
		}
		if peer, err := netip.ParseAddrPort(fields[3]); err == nil {
			out = append(out, netip.AddrPortFrom(peer.Addr().Unmap(), peer.Port()))
		}
	}
	return out
}

// who counts connections by where they come from, with the node's name where it is one; haplane's own are none.
func (r *Runner) who(clients []netip.AddrPort) string {
	own, names, count := ownSockets(), map[netip.Addr]string{}, map[netip.Addr]int{}
	for _, n := range r.Nodes {
		for _, a := range n.Addresses {
			names[a] = n.Name + " "
		}
	}
	for _, c := range clients {
		if !own[c] && !c.Addr().IsLoopback() {
			count[c.Addr()]++
		}
	}
	var out []string
	for _, a := range slices.SortedFunc(maps.Keys(count), netip.Addr.Compare) {
		out = append(out, fmt.Sprintf("%d from %s%s", count[a], names[a], a))
	}
	return strings.Join(out, ", ")
}

// ownSockets are the addresses of this process' ends of its connections. On a host that translates addresses they are not those that
// others see: then its own count, and cost a moment.
func ownSockets() map[netip.AddrPort]bool {
	out := map[netip.AddrPort]bool{}
	open, _ := os.ReadDir("/proc/self/fd")
	for _, f := range open {
		fd, err := strconv.Atoi(f.Name())
		if err != nil {
			continue
		}
		name, _ := syscall.Getsockname(fd) // of what is no socket there is none
		switch is := name.(type) {
		case *syscall.SockaddrInet4:
			out[netip.AddrPortFrom(netip.AddrFrom4(is.Addr), uint16(is.Port))] = true
		case *syscall.SockaddrInet6:
			out[netip.AddrPortFrom(netip.AddrFrom16(is.Addr).Unmap(), uint16(is.Port))] = true
		}
	}
	return out
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
