package oplock

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/haplane/haplane/internal/machine"
	"github.com/haplane/haplane/internal/uptime"
)

// A Lock is held until Release, or until it is lost.
type Lock struct {
	machines []machine.Machine // a majority of these is the lock
	told     []machine.Machine // these have it as well
	me       Holder
	timing   timing

	stop    context.CancelFunc
	stopped chan struct{}
	lost    chan struct{}
	once    sync.Once

	mu        sync.Mutex
	confirmed time.Duration   // when the last heartbeat began that a majority took, by uptime
	silent    map[string]bool // those of told that did not answer the last one
}

// Holder is what others see of the lock.
func (l *Lock) Holder() Holder { return l.me }

// Lost is closed when somebody else may have the lock, or may have had it: it was broken, no
// majority has been reached for 15 s, or this process did not run for so long that others could
// take it. Whoever holds it stops then.
func (l *Lock) Lost() <-chan struct{} { return l.lost }

// Release gives the lock back. It can be called again, and after the lock was lost. Where
// a machine does not answer, the error says so, and the lock is free there 30 s after the last heartbeat.
func (l *Lock) Release(ctx context.Context) error {
	l.stop()
	<-l.stopped // or a heartbeat would put it back
	var failed []error
	for _, a := range l.everywhere(ctx, l.there(), opRelease) {
		if l.counts(a) {
			failed = append(failed, a.err)
		}
	}
	return errors.Join(failed...)
}

// Held sends a heartbeat now and returns nil when a majority took it and nobody else has the lock anywhere. For right before a
// step that cannot be taken back: this process may have been stopped for a while without knowing it.
func (l *Lock) Held(ctx context.Context) error {
	select {
	case <-l.lost:
		return errors.New("the lock on the cluster was lost")
	default:
	}
	return l.beat(ctx, l.there())
}

// there are the machines but those that do not count and did not answer the last heartbeat: they are gone, or have not come back.
func (l *Lock) there() []machine.Machine {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.DeleteFunc(l.all(), func(m machine.Machine) bool { return l.silent[m.Name()] })
}

func (l *Lock) start(ctx context.Context, began time.Duration) {
	ctx, l.stop = context.WithCancel(ctx)
	l.confirmed = began
	go func() {
		defer close(l.stopped)
		ticker := time.NewTicker(l.timing.every)
		defer ticker.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-l.lost:
				return
			case <-ticker.C:
				// A heartbeat that goes nowhere is bounded, and the next one is due anyway.
				_ = l.beat(ctx, l.all())
			}
		}
	}()
}

// beat renews the lock on machines, those that count among them, also where they were away or were started anew.
func (l *Lock) beat(ctx context.Context, machines []machine.Machine) error {
	began := uptime.Now()
	if err := l.slept(began, max(l.timing.lost, l.timing.expiry-l.timing.answer)); err != nil {
		return err
	}
	answers := l.everywhere(ctx, machines, opTake)
	kept, refused := 0, 0
	var causes, taken []error
	for _, a := range answers {
		switch {
		case !l.counts(a) && (a.err != nil || a.state == isMine):
			l.answered(a)
		case !l.counts(a):
			taken = append(taken, fmt.Errorf("%s: it is %s", a.machine, refusal(a)))
		case a.err != nil:
			causes = append(causes, a.err)
		case a.state == isMine:
			kept++
		default:
			refused++
			causes = append(causes, fmt.Errorf("%s: it is %s", a.machine, refusal(a)))
		}
	}
	// This process may have slept while it asked.
	if err := l.slept(uptime.Now(), max(l.timing.lost, l.timing.expiry)); err != nil {
		return err
	}
	if len(taken) > 0 { // by somebody for whom that machine counts
		l.lose()
		return fmt.Errorf("keep the lock on the cluster: %w", errors.Join(taken...))
	}
	return l.judge(began, kept, refused, errors.Join(causes...))
}

// answered notes whether a machine that does not count is there.
func (l *Lock) answered(a answer) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.silent[a.machine] = a.err != nil
}

func refusal(a answer) string {
	if a.state == isBroken {
		return "broken by force"
	}
	return "held by " + a.seen.String()
}

// judge closes lost as soon as there can be no majority any more, and when there was none for too long.
func (l *Lock) judge(began time.Duration, kept, refused int, causes error) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	needed := l.needed()
	if kept >= needed {
		l.confirmed = max(l.confirmed, began)
		return nil
	}
	if len(l.machines)-refused < needed || uptime.Now()-l.confirmed > l.timing.lost {
		l.lose()
	}
	return fmt.Errorf("keep the lock on the cluster: %d of %d machines, %d needed: %w", kept, len(l.machines), needed, causes)
}

func (l *Lock) lose() { l.once.Do(func() { close(l.lost) }) }

// slept loses the lock where the last heartbeat was too long ago. It may lie free because somebody has had it
// and has gone: what was planned before that is void.
func (l *Lock) slept(now, most time.Duration) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	silence := now - l.confirmed
	if silence <= most {
		return nil
	}
	l.lose()
	return fmt.Errorf("keep the lock on the cluster: the last heartbeat was %s ago, others may have changed it since", silence.Round(time.Second))
}
