package oplock

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/haplane/haplane/internal/machine"
	"github.com/haplane/haplane/internal/uptime"
)

// timing is how long things take; tests are less patient.
type timing struct {
	every  time.Duration // between heartbeats
	answer time.Duration // one machine's, at most
	expiry time.Duration // without a heartbeat, by the machine
	lost   time.Duration // without a majority, by the holder: before others can take it
}

var patient = timing{every: 5 * time.Second, answer: 4 * time.Second, expiry: 30 * time.Second, lost: 15 * time.Second}

// Acquire takes the lock on the machines and keeps it until Release. It does not wait: where
// somebody else has it, on whichever machine, nothing is kept and the error is a *HeldError;
// where too few machines can be reached, a *TooFewError. Those of told have it too while they answer, and count for
// nothing: they go, or are made anew; where nobody counts, they are all that has it. me says who, which command and which cluster; see Me.
func Acquire(ctx context.Context, machines, told []machine.Machine, me Holder) (*Lock, error) {
	return acquire(ctx, machines, told, me, patient)
}

func acquire(ctx context.Context, machines, told []machine.Machine, me Holder, t timing) (*Lock, error) {
	me.Token, me.Since = cmp.Or(me.Token, rand.Text()), time.Now().UTC().Truncate(time.Second)
	l := &Lock{machines: machines, told: told, me: me, timing: t, silent: map[string]bool{}, lost: make(chan struct{}), stopped: make(chan struct{})}
	began := uptime.Now()
	answers := l.takeInOrder(ctx)
	for _, a := range answers {
		if !l.counts(a) {
			l.answered(a)
		}
	}
	err := l.won(answers)
	if err == nil { // now that nobody is in the way, in that of all who only try
		answers = l.everywhere(ctx, l.there(), opTake)
		err = l.won(answers)
	}
	if err != nil {
		// What an interrupted attempt left behind is not left to expire.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), t.answer)
		defer cancel()
		return nil, errors.Join(err, l.giveBack(ctx))
	}
	l.start(context.WithoutCancel(ctx), began)
	return l, nil
}

// all are the machines that have the lock, by name: everybody asks in the same order, whichever count for him.
func (l *Lock) all() []machine.Machine {
	return slices.SortedFunc(slices.Values(slices.Concat(l.machines, l.told)), func(a, b machine.Machine) int { return cmp.Compare(a.Name(), b.Name()) })
}

// counts reports whether an answer is of a machine of which a majority is needed.
func (l *Lock) counts(a answer) bool {
	return slices.ContainsFunc(l.machines, func(m machine.Machine) bool { return m.Name() == a.machine })
}

// takeInOrder takes the first machine that answers before all others: of two who come at the
// same time one has it, and the other asks no further, so that not both go away without.
func (l *Lock) takeInOrder(ctx context.Context) []answer {
	var answers []answer
	all := l.all()
	for i, m := range all {
		a := l.run(ctx, m, opTry)
		answers = append(answers, a)
		if a.state == isOther {
			return answers
		}
		if a.err == nil {
			return append(answers, l.everywhere(ctx, all[i+1:], opTry)...)
		}
	}
	return answers
}

// won returns nil when the answers make a majority and nobody else holds any machine, or has broken it there meanwhile.
func (l *Lock) won(answers []answer) error {
	got, causes, broken := 0, []error{}, []string{}
	for _, a := range answers {
		switch {
		case a.state == isOther:
			return &HeldError{Seen: together(answers, a.seen)}
		case a.state == isBroken:
			broken = append(broken, a.machine)
		case !l.counts(a):
		case a.err != nil:
			causes = append(causes, a.err)
		case a.state == isMine:
			got++
		}
	}
	if len(broken) > 0 {
		return fmt.Errorf("lock the cluster: somebody has just broken the lock by force on %s", strings.Join(broken, ", "))
	}
	if needed := l.needed(); got < needed {
		return &TooFewError{Got: got, Needed: needed, Of: len(l.machines), Causes: errors.Join(causes...)}
	}
	return nil
}

// needed is how many of the machines that count have to have the lock. Where none does it is on the others, and who meets it there stays away.
func (l *Lock) needed() int {
	if len(l.machines) == 0 {
		return 0
	}
	return majority(len(l.machines))
}

func majority(n int) int { return n/2 + 1 }

func (l *Lock) run(ctx context.Context, m machine.Machine, op string) answer {
	ctx, cancel := context.WithTimeout(ctx, l.timing.answer)
	defer cancel()
	return run(ctx, m, op, l.me, l.timing.expiry)
}

func (l *Lock) everywhere(ctx context.Context, machines []machine.Machine, op string) []answer {
	answers := make([]answer, len(machines))
	var all sync.WaitGroup
	for i, m := range machines {
		all.Go(func() { answers[i] = l.run(ctx, m, op) })
	}
	all.Wait()
	return answers
}

// giveBack removes the lock where it is ours. A machine that does not answer forgets by
// itself, so those errors are of no use beside the one that led here.
func (l *Lock) giveBack(ctx context.Context) error {
	var failed []error
	for _, a := range l.everywhere(ctx, l.all(), opRelease) {
		var answered *machine.CommandError
		if errors.As(a.err, &answered) {
			failed = append(failed, a.err)
		}
	}
	return errors.Join(failed...)
}
