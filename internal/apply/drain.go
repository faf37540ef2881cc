package apply

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/haplane/haplane/internal/change"
	"github.com/haplane/haplane/internal/machine"
	"github.com/haplane/haplane/internal/poll"
	"github.com/haplane/haplane/internal/topology"
)

// How long what is open gets in a planned move of the address, of which the plan tells.
const (
	// quietTime is the last part of change.DrainTime: who waits for no answer then has to come again, through the load balancer that
	// has the address.
	quietTime = 10 * time.Second
	// handsOnFor is how long others hand on what did not begin with them, where nobody tells them that it is over: from before the address
	// moves until after the machine that had it has ended the rest.
	handsOnFor = moveTimeout + change.DrainTime + 20*time.Second
)

const (
	drainUnit   = "haplane-drain"
	drainFile   = topology.BalancerDir + "/drain"
	drainKept   = topology.BalancerDir + "/drain-kept"
	addressLink = "eth0" // as keepalived's configuration has it
)

//go:embed drain.sh
var drainScript string

// beginDrainScript writes what it reads into a file, and has systemd run that as one unit: before, meanwhile, and whenever that has ended, killed or
// not. What an earlier one has left is taken away first.
const beginDrainScript = `unit=$1 file=$2 seconds=$3 before=$4 after=$5; shift 5
systemctl stop "$unit" 2>/dev/null
mkdir -p "${file%/*}" && cat >"$file" || exit
exec systemd-run --collect --unit="$unit" --service-type=exec --property=Nice=-15 --property=RuntimeMaxSec="$seconds" \
  --property=TimeoutStartSec=10 --property=TimeoutStopSec=20 \
  --property=ExecStartPre="/bin/sh $file $before" --property=ExecStopPost="/bin/sh $file $after" -- "$@"`

// handOn has the load balancers that could have the address next hand what did not begin with them on to the one that has it, and returns the errors of
// those that cannot. It ends by itself.
func (r *Runner) handOn(ctx context.Context, from topology.Node) error {
	return r.eachOther(from, func(lb topology.Node) error {
		if !r.takesNext(ctx, lb) {
			return nil
		}
		return r.beginDrain(ctx, lb, from, 0, "take", "taken", "sleep", inSeconds(handsOnFor))
	})
}

// takesNext reports whether a load balancer could have the address; one that is off takes long to say nothing.
func (r *Runner) takesNext(ctx context.Context, lb topology.Node) bool {
	ctx, cancel := context.WithTimeout(ctx, moveTimeout)
	defer cancel()
	return r.mayTake(ctx, lb) == nil
}

// leave has a machine stand by. One that has the address goes on with the connections that are open, for a time at most, also when another one has it.
// After that the rest is reset: who only listens would hear nothing for long otherwise.
func (r *Runner) leave(ctx context.Context, s change.Step, holds bool) error {
	lb, bound := r.node(s), change.DrainTime
	if !holds { // the others would hand connections on that are their own
		return r.standBy(ctx, lb, "1")
	}
	if err := r.handOn(ctx, lb); err != nil {
		r.notice(s, "what is open is reset at once, for it cannot be handed on: %v", err)
		bound = 0
	}
	return r.beginDrain(ctx, lb, lb, bound, "leave", "left", "/bin/sh", drainFile, "wait")
}

func (r *Runner) beginDrain(ctx context.Context, on, from topology.Node, bound time.Duration, before, after string, meanwhile ...string) error {
	const longest = handsOnFor + 10*time.Second // where what ends by itself hangs
	argv := append([]string{"sh", "-c", beginDrainScript, "sh", drainUnit, drainFile, inSeconds(longest), before, after}, meanwhile...)
	_, err := r.Cluster.Machine(on.Name).Run(ctx, machine.Command{Argv: argv, Stdin: strings.NewReader(drainText(r.Cluster.Topology, from, bound))})
	return err
}

// drainText is the script for a move of the address away from a load balancer.
func drainText(t *topology.Topology, from topology.Node, bound time.Duration) string {
	var moves, ports []string
	for _, moved := range t.LBAddresses {
		for _, own := range from.Addresses {
			if own.Is4() == moved.Is4() {
				moves = append(moves, moved.String()+"="+own.String())
			}
		}
	}
	for _, port := range t.LBPorts {
		ports = append(ports, fmt.Sprint(port))
	}
	return fmt.Sprintf("link=%s moves='%s' ports=%s seconds='%s %s' told=%s kept=%s\n%s", addressLink, strings.Join(moves, " "), strings.Join(ports, ","),
		inSeconds(bound), inSeconds(min(quietTime, bound)), topology.StandBy, drainKept, drainScript)
}

func inSeconds(d time.Duration) string { return fmt.Sprint(int(d.Seconds())) }

// drains reports whether a load balancer goes on with connections of an address that another one has.
func (r *Runner) drains(ctx context.Context, lb topology.Node) (bool, error) {
	result, err := r.Cluster.Machine(lb.Name).Run(ctx, machine.Cmd("systemctl", "show", "--property=ActiveState", "--value", drainUnit))
	if err != nil {
		return false, err
	}
	state := strings.TrimSpace(result.Stdout)
	return state != "inactive" && state != "failed", nil
}

// drained waits until all that was open through a load balancer has ended, as long as another one has the address, and has the others hand on
// nothing any more.
func (r *Runner) drained(ctx context.Context, lb topology.Node) error {
	err := r.untilEvery(ctx, lb.Name, time.Second, handsOnFor+30*time.Second, func(ctx context.Context) error {
		drains, err := r.drains(ctx, lb)
		if err != nil {
			return err
		}
		if r.addressHeld(ctx, lb.Name) != nil { // for a moment, or for longer
			if err := r.takenFrom(ctx, lb); err != nil {
				return poll.Stop(err)
			}
		}
		if drains {
			return fmt.Errorf("connections through %s end, or are reset after %s", lb.Name, change.DrainTime)
		}
		return nil
	})
	if err == nil {
		r.handOnNothing(ctx, lb)
	}
	return err
}

// handOnNothing ends what handOn began, where that has not ended by itself. Until it has, the others drop what did not begin with them: nobody
// is served worse.
func (r *Runner) handOnNothing(ctx context.Context, from topology.Node) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), moveTimeout)
	defer cancel()
	err := r.eachOther(from, func(lb topology.Node) error {
		if drains, err := r.drains(ctx, lb); err != nil || !drains {
			return err
		}
		_, err := r.Cluster.Machine(lb.Name).Run(ctx, machine.Cmd("systemctl", "stop", drainUnit))
		return err
	})
	if err != nil {
		r.Log.Debug("a load balancer hands on until it ends by itself", "err", err)
	}
}

// eachOther does something with all load balancers but one at once, and returns what failed.
func (r *Runner) eachOther(except topology.Node, do func(topology.Node) error) error {
	var group sync.WaitGroup
	others := r.otherBalancers(except.Name)
	errs := make([]error, len(others))
	for i, lb := range others {
		group.Go(func() {
			if err := do(lb); err != nil {
				errs[i] = fmt.Errorf("%s: %w", lb.Name, err)
			}
		})
	}
	group.Wait()
	return errors.Join(errs...)
}
