package apply

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/haplane/haplane/internal/change"
	"github.com/haplane/haplane/internal/look"
	"github.com/haplane/haplane/internal/machine"
	"github.com/haplane/haplane/internal/topology"
)

// moveTimeout is how long another load balancer may take to have the address: many times what it takes, for nobody is
// served meanwhile.
const moveTimeout = 5 * time.Second

// readdress gives a machine another address of its own, beside the one that it has until another program has that.
func readdress(ctx context.Context, r *Runner, s change.Step) error {
	n := r.node(s)
	if err := r.Provider.Readdress(ctx, n); err != nil {
		return err
	}
	return r.Journal.SetAddress(n)
}

// dropAddress takes from a machine the address that it had for its own, once keepalived has put it there too, or may: the machine
// has it without a break, and loses it when another one has it.
func dropAddress(ctx context.Context, r *Runner, s change.Step) error {
	n, moves := r.node(s), false
	err := r.until(ctx, n.Name, moveTimeout, func(ctx context.Context) error {
		address := r.Cluster.Topology.LoadBalancer.Addr()
		is, err := look.Address(ctx, r.Cluster.Machine(n.Name), address)
		if err != nil || is.Moved {
			moves = is.Moved
			return err
		}
		if r.addressHeld(ctx, n.Name) == nil {
			return nil // another one has it already: this one must not
		}
		if address.Is6() && is.Own && r.mayHave(ctx, n) { // it is there only once, and becomes the one that keepalived thinks that it has put there
			moves = true
			return nil
		}
		return fmt.Errorf("keepalived has not put %s on %s yet", address, n.Name)
	})
	if err != nil {
		return err
	}
	return r.Provider.DropAddresses(ctx, n, moves)
}

// mayHave reports whether keepalived of a load balancer is told that it may have the address, and not to leave it to another one.
func (r *Runner) mayHave(ctx context.Context, lb topology.Node) bool {
	result, err := r.Cluster.Machine(lb.Name).Run(ctx, machine.Cmd("cat", topology.BalancerTrack))
	told, parse := strconv.Atoi(strings.TrimSpace(result.Stdout))
	return err == nil && parse == nil && told > 0
}

// addressElsewhere reports whether another load balancer has the address already, this one may not, and nothing that was open goes
// through it any more.
func addressElsewhere(ctx context.Context, r *Runner, s change.Step) (bool, error) {
	is, err := look.Address(ctx, r.Cluster.Machine(s.Node), r.Cluster.Topology.LoadBalancer.Addr())
	if err != nil || !is.StandsBy || is.Held || r.addressHeld(ctx, s.Node) != nil {
		return false, err
	}
	drains, err := r.drains(ctx, r.node(s))
	return err == nil && !drains, err
}

// moveAddress has a load balancer stand by, waits until another one has the address that clients use, and until what was open has ended, within
// change.DrainTime. Where none takes it, or the one that did loses it meanwhile, this one has it again; where none could, nothing is done.
func moveAddress(ctx context.Context, r *Runner, s change.Step) error {
	lb, address := r.node(s), r.Cluster.Topology.LoadBalancer.Addr()
	is, err := look.Address(ctx, r.Cluster.Machine(lb.Name), address)
	if err != nil {
		return err
	}
	if begun := is.StandsBy && !is.Held; !begun { // by a run that was cut off
		if err := r.until(ctx, lb.Name, readyTimeout, func(ctx context.Context) error { return r.couldTake(ctx, lb.Name) }); err != nil {
			return err
		}
		if err := r.leave(ctx, s, is.Held); err != nil {
			return r.takeBack(ctx, lb, err)
		}
	}
	if err := r.takenFrom(ctx, lb); err != nil {
		return err
	}
	return r.drained(ctx, lb)
}

// takenFrom waits until another load balancer has the address that clients use. Where none has it for long, this one may again.
func (r *Runner) takenFrom(ctx context.Context, lb topology.Node) error {
	err := r.until(ctx, lb.Name, moveTimeout, func(ctx context.Context) error { return r.addressHeld(ctx, lb.Name) })
	if err == nil {
		return nil
	}
	return r.takeBack(ctx, lb, fmt.Errorf("no other load balancer takes %s, so %s keeps it: %w", r.Cluster.Topology.LoadBalancer.Addr(), lb.Name, err))
}

// takeBack lets a load balancer have the address again, where another one has not got it, and returns the error for which.
func (r *Runner) takeBack(ctx context.Context, lb topology.Node, err error) error {
	short, cancel := context.WithTimeout(context.WithoutCancel(ctx), moveTimeout)
	defer cancel()
	if back := r.mayHold(short, lb); back != nil {
		err = fmt.Errorf("%w; and it still stands by: %w", err, back)
	}
	r.handOnNothing(ctx, lb)
	return err
}

// allowAddress lets one that was told to stand by have the address again, where a change was cut off.
func allowAddress(ctx context.Context, r *Runner, s change.Step) error {
	return r.mayHold(ctx, r.node(s))
}

// mayHold lets a load balancer have the address that clients use again.
func (r *Runner) mayHold(ctx context.Context, lb topology.Node) error { return r.standBy(ctx, lb, "0") }

// standBy writes the file by which haplane agent balancer knows whether its machine is to have the address.
func (r *Runner) standBy(ctx context.Context, lb topology.Node, value string) error {
	_, err := r.Cluster.Machine(lb.Name).Run(ctx, machine.Cmd("sh", "-c", "mkdir -p "+topology.BalancerDir+" && echo "+value+" > "+topology.StandBy))
	return err
}

// mayTakeScript succeeds on a load balancer that takes the address when nobody else has it. Of several units, systemctl is-active is content with one.
const mayTakeScript = `[ "$(cat "$1")" = 0 ] && [ "$(cat "$2" 2>/dev/null)" != 1 ] || exit 1
for unit in keepalived haplane-balancer haproxy; do systemctl is-active --quiet "$unit" || exit 1; done`

// couldTake returns nil when a load balancer other than one could have the address.
func (r *Runner) couldTake(ctx context.Context, except string) error {
	if r.anyBalancer(except, func(lb topology.Node) error { return r.mayTake(ctx, lb) }) == nil {
		return nil
	}
	return fmt.Errorf("no other load balancer is well enough to have %s", r.Cluster.Topology.LoadBalancer.Addr())
}

func (r *Runner) mayTake(ctx context.Context, lb topology.Node) error {
	_, err := r.Cluster.Machine(lb.Name).Run(ctx, machine.Cmd("sh", "-c", mayTakeScript, "sh", topology.BalancerWell, topology.StandBy))
	return err
}

// sharesAddress returns nil when a load balancer could have the address, and one has it. One that is new waits for all others that it was told
// of, of which some may be told later, or never come: it is not waited for before it is counted on.
func (r *Runner) sharesAddress(ctx context.Context, lb topology.Node) error {
	is, err := look.Address(ctx, r.Cluster.Machine(lb.Name), r.Cluster.Topology.LoadBalancer.Addr())
	if err != nil {
		return err
	}
	if !is.New {
		if err := r.couldHave(ctx, lb); err != nil {
			return err
		}
	}
	return r.addressHeld(ctx, "")
}

// couldHave returns nil when a load balancer could have the address.
func (r *Runner) couldHave(ctx context.Context, lb topology.Node) error {
	if err := r.mayTake(ctx, lb); err != nil {
		return fmt.Errorf("%s could not have the address: %w", lb.Name, err)
	}
	return nil
}

// addressHeld returns nil when a load balancer other than one has the address that clients use.
func (r *Runner) addressHeld(ctx context.Context, except string) error {
	address := r.Cluster.Topology.LoadBalancer.Addr()
	err := r.anyBalancer(except, func(lb topology.Node) error {
		is, err := look.Address(ctx, r.Cluster.Machine(lb.Name), address)
		if err == nil && !is.Held {
			err = fmt.Errorf("it does not have %s", address)
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("no load balancer is seen to have %s: %w", address, err)
	}
	return nil
}

// anyBalancer asks all load balancers but one at once, and returns nil as soon as one of them says yes: one that is off takes
// long to say nothing.
func (r *Runner) anyBalancer(except string, ask func(topology.Node) error) error {
	others := r.otherBalancers(except)
	answers := make(chan error, len(others))
	for _, lb := range others {
		go func() {
			err := ask(lb)
			if err != nil {
				err = fmt.Errorf("%s: %w", lb.Name, err)
			}
			answers <- err
		}()
	}
	var errs []error
	for range others {
		err := <-answers
		if err == nil {
			return nil
		}
		errs = append(errs, err)
	}
	return cmp.Or(errors.Join(errs...), errors.New("there is no other load balancer"))
}
