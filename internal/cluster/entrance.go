package cluster

import (
	"context"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/haplane/haplane/internal/change"
	"github.com/haplane/haplane/internal/topology"
)

// An entrance is where the load balancer is reached while it moves: at its old place, then at both, in
// the end at the new one alone. What haplane and its lanes ask goes wherever it is served.
type entrance struct {
	mu       sync.Mutex
	old, new netip.AddrPort
	stage    entranceStage
	untold   []string // the load balancers that do not serve the new place yet; any of several may have the address
	turn     bool     // of those at which it is served, which is next
}

type entranceStage int

const (
	atOld entranceStage = iota
	atBoth
	atNew
)

// entranceTimeout is how long the old place is tried.
const entranceTimeout = time.Second

// findEntrance sees whether the load balancer is served at its old place still.
func (l *live) findEntrance(ctx context.Context) {
	l.entrance = &entrance{old: l.topology.LoadBalancer, new: l.topology.LoadBalancer, stage: atNew}
	for _, n := range l.topology.LoadBalancers() {
		l.entrance.untold = append(l.entrance.untold, n.Name)
	}
	for _, t := range l.was {
		if t.LoadBalancer == l.topology.LoadBalancer {
			continue
		}
		conn, err := (&net.Dialer{Timeout: entranceTimeout}).DialContext(ctx, "tcp", t.LoadBalancer.String())
		if err == nil {
			conn.Close()
			l.entrance.old, l.entrance.stage = t.LoadBalancer, atOld
			return
		}
	}
}

// next is where a connection goes: in turns while both are served, so that both are measured.
func (e *entrance) next() netip.AddrPort {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.turn = !e.turn
	if e.stage == atOld || e.stage == atBoth && e.turn {
		return e.old
	}
	return e.new
}

// url is where requests of haplane itself go.
func (e *entrance) url() string {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.stage == atOld {
		return "https://" + e.old.String()
	}
	return "https://" + e.new.String()
}

// at notes what a step on a load balancer does, and has done: the new place is served by the ones of the
// cluster, by another one that joins, or by somebody else's, as was seen.
func (e *entrance) at(s change.Step, done bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	serves := s.Verb == change.SetBackends && !s.Last || s.Verb == change.Start || s.Verb == change.CheckBalancer
	ends := s.Verb == change.SetBackends && s.Last || s.Verb == change.Stop
	if serves && done {
		e.untold = slices.DeleteFunc(e.untold, func(name string) bool { return name == s.Node })
	}
	switch {
	case e.stage == atOld && serves && done && len(e.untold) == 0:
		e.stage = atBoth
	case ends:
		e.stage = atNew
	}
}

// moved notes that the user's kubeconfig leads to the new place: whoever reads it goes there.
func (e *entrance) moved() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.stage = atNew
}

// dial connects to the load balancer wherever it is served, and to others as they are named.
func (e *entrance) dial(t *topology.Topology) func(ctx context.Context, network, address string) (net.Conn, error) {
	named := t.LoadBalancer.String()
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		if address == named {
			address = e.next().String()
		}
		return new(net.Dialer).DialContext(ctx, network, address)
	}
}

// relocation is why clients have to move; nil where they need not.
func (l *live) relocation() []change.Reason {
	if !l.relocates() {
		return nil
	}
	var old []string
	for _, t := range l.was {
		if place := t.LoadBalancer.String(); t.LoadBalancer != l.topology.LoadBalancer && !slices.Contains(old, place) {
			old = append(old, place)
		}
	}
	return []change.Reason{{What: "spec.loadBalancer", Old: strings.Join(old, ", "), New: l.topology.LoadBalancer.String()}}
}

// moveKubeconfig has the user's kubeconfig follow.
func (l *live) moveKubeconfig(ctx context.Context) error {
	if l.MoveKubeconfig == nil {
		return nil
	}
	var before []string
	for _, t := range l.was {
		before = append(before, t.APIEndpoint())
	}
	return l.MoveKubeconfig(ctx, before)
}
