package probe

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"time"
)

// A running lane, or one that has ended.
type lane struct {
	Lane
	schedule Schedule
	session  *Session
	started  time.Time
	cancel   context.CancelFunc
	done     chan struct{} // closed once the lane has ended

	mu      sync.Mutex
	ended   time.Time
	samples []Sample
	failed  int
	flying  map[time.Time]bool // when requests under way were due
	written int
}

// sends reports whether the lane is walked here.
func (l *lane) sends() bool { return l.Send != nil || l.Writes != nil }

// run walks the lane until pace ends.
func (l *lane) run(life, pace context.Context) {
	defer close(l.done)
	switch {
	case l.sends():
		w := &walker{Schedule: l.schedule, request: l.request(), slots: make(chan struct{}, l.session.InFlight), began: l.begin, seen: l.see}
		w.walk(life, pace)
	case l.Watch != nil:
		l.session.watch.run(pace, l.Watch, l.schedule.Timeout)
	default:
		<-pace.Done()
		l.collect()
	}
	l.mu.Lock()
	l.ended = time.Now()
	l.mu.Unlock()
	if l.Close != nil {
		l.Close()
	}
}

func (l *lane) request() func(context.Context) error {
	if l.Send != nil {
		return l.Send
	}
	return func(ctx context.Context) error {
		l.mu.Lock()
		l.written++
		key := "w" + strconv.Itoa(l.written)
		l.mu.Unlock()
		err := l.Writes.Write(ctx, key)
		if err == nil {
			l.session.ledger.acknowledged(key, time.Now())
		}
		return err
	}
}

func (l *lane) begin(due time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.flying[due] = true
}

func (l *lane) see(s Sample, counts bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.flying, s.Due)
	if !counts {
		return
	}
	l.samples = append(l.samples, s)
	if s.Err != nil {
		l.failed++
	}
}

// settled reports whether all requests that were due before a time have ended.
func (l *lane) settled(at time.Time) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	for due := range l.flying {
		if due.Before(at) {
			return false
		}
	}
	return true
}

// collect takes over what a remote lane saw.
func (l *lane) collect() {
	ctx, cancel := l.session.finishing()
	defer cancel()
	samples, err := l.Remote.Stop(ctx)
	if err == nil && len(samples) == 0 {
		err = errors.New("it sent no request")
	}
	if err != nil {
		l.session.trouble(fmt.Errorf("collect lane %s: %w", l.Name, err))
	}
	for _, s := range samples {
		l.see(s, true)
	}
}
