package cluster

import (
	"context"
	"errors"
	"slices"

	"github.com/haplane/haplane/internal/change"
	"github.com/haplane/haplane/internal/machine"
	"github.com/haplane/haplane/internal/oplock"
	"github.com/haplane/haplane/spec"
)

const heldHint = "wait until it has ended; one that died lets go after 30 s; --take-over takes the lock at once"

// lockMachines keeps other operators, with a record of their own, from changing the
// cluster: the lock lives on its machines, so that it works while the API is
// down, and counts on those that stay. Where none of them runs there is nobody to keep away. The context ends when
// the lock is lost.
func (l *live) lockMachines(ctx context.Context) (locked context.Context, release func(), err error) {
	machines, passing := l.lockable()
	if len(machines)+len(passing) == 0 {
		return ctx, func() {}, nil
	}
	if l.TakeOver {
		if _, err := oplock.Break(ctx, machines); err != nil {
			return nil, nil, err
		}
		if _, err := oplock.Break(ctx, passing); err != nil { // taking it tells whether somebody has it there
			l.Log.Warn("break the lock of machines that go", "err", err)
		}
	}
	me := oplock.Me(l.Command, l.record.Lineage)
	if me.Token, err = l.inherited(ctx, slices.Concat(machines, passing), me.Token); err != nil {
		return nil, nil, err
	}
	if err := l.Store.BeginOperation(me.Token); err != nil {
		return nil, nil, err
	}
	lock, err := oplock.Acquire(ctx, machines, passing, me)
	var held *oplock.HeldError
	if errors.As(err, &held) {
		return nil, nil, withHint(err, heldHint)
	}
	if err != nil {
		return nil, nil, err
	}
	l.held = lock.Held
	locked, lose := context.WithCancelCause(ctx)
	go func() {
		select {
		case <-lock.Lost():
			lose(errors.New("the lock on the machines was lost: another haplane may be changing the cluster"))
		case <-locked.Done():
		}
	}()
	return locked, func() {
		lose(nil)
		if err := lock.Release(context.WithoutCancel(ctx)); err != nil {
			l.Log.Warn("release lock", "err", err)
		}
	}, nil
}

// othersAtIt is an error where another haplane changes the cluster now, from a newer record.
func (l *live) othersAtIt(ctx context.Context) error {
	machines, passing := l.lockable()
	if len(machines)+len(passing) == 0 {
		return nil
	}
	seen, err := oplock.Read(ctx, slices.Concat(machines, passing))
	if err != nil || seen == nil || seen.Expired {
		return nil // then it is not that
	}
	return withHint(&oplock.HeldError{Seen: *seen}, "wait until it has ended, and go on with the folder that it was begun from")
}

// inherited is the token of a haplane that was killed here and has the lock still, so that the
// same command can go on at once; else it is the given one.
func (l *live) inherited(ctx context.Context, machines []machine.Machine, token string) (string, error) {
	last, err := l.Store.LastOperation()
	if err != nil {
		return "", err
	}
	ended, err := last.Ended()
	if err != nil || !ended {
		return token, err
	}
	seen, err := oplock.Read(ctx, machines)
	if err == nil && seen != nil && seen.Token == last.Token {
		return last.Token, nil
	}
	return token, nil // where nobody answers, taking the lock tells
}

// lockable are the machines on which the lock counts: those that run and are there throughout, of the control plane and of etcd or, where none of
// these stays (an upgrade makes them all anew), all that do, if any. The others of the control plane and of etcd that run, which go or are made anew, have it too:
// whoever knows of no change finds it there. Those with an etcd member take no snapshots while they have it.
func (l *live) lockable() (staying, passing []machine.Machine) {
	var first, all []machine.Machine
	for _, n := range l.nodes {
		_, wanted := l.topology.Node(n.Name)
		shared, stays := n.Role == spec.RoleControlPlane || n.Role == spec.RoleEtcd, wanted && n.State == change.Active && !slices.Contains(l.Replace, n.Name)
		switch {
		case !l.seen.Machines[n.Name].Running:
		case stays && shared:
			first = append(first, l.reach(n.Name))
		case stays:
			all = append(all, l.reach(n.Name))
		case shared:
			passing = append(passing, l.reach(n.Name))
		}
	}
	if len(first) > 0 {
		return first, passing
	}
	return all, passing
}
