package collect

import (
	"context"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/haplane/haplane/internal/machine"
	"github.com/haplane/haplane/internal/xray/evidence"
)

// Machines looks at machines over SSH, all at once, each for the timeout at most.
// Nothing is written on them. A machine that cannot be reached has only its name.
// Where the API is asked as well, programs whose version it tells are not.
func Machines(ctx context.Context, machines []machine.Machine, timeout time.Duration, apiAsked bool) ([]*evidence.Machine, []evidence.Missing) {
	out := make([]*evidence.Machine, len(machines))
	missing := make([][]evidence.Missing, len(machines))
	network := newServiceNetwork(len(machines))
	var group sync.WaitGroup
	for i, m := range machines {
		group.Go(func() {
			ctx, cancel := context.WithTimeout(ctx, timeout)
			defer cancel()
			v := &visit{machine: m, root: "/", proc: "/proc", files: newRemote(), network: network, apiAsked: apiAsked}
			defer v.tellNetwork(netip.Addr{})
			out[i], missing[i] = v.look(ctx, timeout)
		})
	}
	group.Wait()
	return out, slices.Concat(missing...)
}

// A serviceNetwork is what workers learn from control-plane nodes: the address of
// the kubernetes Service, which only flags of an API server tell.
type serviceNetwork struct {
	mu      sync.Mutex
	waiting int // machines that have not told yet
	address netip.Addr
	done    chan struct{} // closed as soon as it is known, or nobody is left to tell
}

func newServiceNetwork(machines int) *serviceNetwork {
	return &serviceNetwork{waiting: machines, done: make(chan struct{})}
}

// tell is called once for each machine, with no valid address where it does not know.
func (n *serviceNetwork) tell(address netip.Addr) {
	n.mu.Lock()
	defer n.mu.Unlock()
	over := n.address.IsValid() || n.waiting == 0
	n.waiting--
	if over {
		return
	}
	n.address = address
	if address.IsValid() || n.waiting == 0 {
		close(n.done)
	}
}

// wait returns what the first machine told that knows. A machine that hangs keeps
// the others waiting for the limit at most.
func (n *serviceNetwork) wait(ctx context.Context, limit time.Duration) netip.Addr {
	timer := time.NewTimer(limit)
	defer timer.Stop()
	select {
	case <-n.done:
	case <-timer.C:
	case <-ctx.Done():
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.address
}
