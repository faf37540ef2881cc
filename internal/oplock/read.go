package oplock

import (
	"context"
	"errors"
	"slices"

	"github.com/haplane/haplane/internal/machine"
)

// Read returns the lock that most of the machines tell of, also one that has expired, and
// nil when there is none. Machines that cannot be reached are an error only when all are such.
func Read(ctx context.Context, machines []machine.Machine) (*Seen, error) {
	return ask(ctx, machines, opRead)
}

// Break takes the lock away from whoever has it, who learns of it with the next heartbeat: the
// change that is under way stops half done. It returns what it broke, nil when there was none.
// A machine that cannot be reached is an error: it may still have it.
func Break(ctx context.Context, machines []machine.Machine) (*Seen, error) {
	return ask(ctx, machines, opBreak)
}

func ask(ctx context.Context, machines []machine.Machine, op string) (*Seen, error) {
	l := &Lock{machines: machines, timing: patient}
	answers := l.everywhere(ctx, machines, op)
	var best *Seen
	var failed []error
	for _, a := range answers {
		if a.err != nil {
			failed = append(failed, a.err)
			continue
		}
		if a.seen.Who == "" {
			continue
		}
		if seen := together(answers, a.seen); best == nil || preferred(seen, *best) {
			best = &seen
		}
	}
	if op == opBreak || len(failed) == len(machines) {
		return best, errors.Join(failed...)
	}
	return best, nil
}

// together is a lock with all machines that have it, and its last heartbeat on any.
func together(answers []answer, seen Seen) Seen {
	seen.On = nil
	for _, a := range answers {
		if a.seen.Token == seen.Token && a.seen.Who == seen.Who {
			seen.On = append(seen.On, a.machine)
			seen.Heartbeat = min(seen.Heartbeat, a.seen.Heartbeat)
			seen.Expired = seen.Expired && a.seen.Expired
		}
	}
	slices.Sort(seen.On)
	return seen
}

// preferred puts those who live first, then those who have more machines.
func preferred(a, b Seen) bool {
	if a.Expired != b.Expired {
		return !a.Expired
	}
	return len(a.On) > len(b.On)
}
