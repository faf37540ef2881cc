package probe

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

// A walker sends a request whenever one is due.
type walker struct {
	Schedule
	request func(context.Context) error
	slots   chan struct{}
	seen    func(s Sample, counts bool)
	began   func(due time.Time)
	flying  sync.WaitGroup
}

// walk sends until pace ends, and then waits for the requests that are under way.
// Those that are cut off by the end of life do not count.
func (w *walker) walk(life, pace context.Context) {
	defer w.flying.Wait()
	start := time.Now()
	for n := 0; ; n++ {
		due := start.Add(time.Duration(n) * w.Period)
		if !sleep(pace, time.Until(due)) {
			return
		}
		w.began(due)
		select {
		case <-pace.Done():
			w.seen(Sample{Due: due}, false)
			return
		case w.slots <- struct{}{}:
		}
		w.flying.Go(func() {
			defer func() { <-w.slots }()
			s := w.send(life, due)
			w.seen(s, life.Err() == nil || s.Err == nil)
		})
	}
}

func (w *walker) send(ctx context.Context, due time.Time) Sample {
	ctx, cancel := context.WithDeadline(ctx, due.Add(w.Timeout))
	defer cancel()
	s := Sample{Due: due}
	for {
		s.Err = w.request(ctx)
		var later Deferred
		if !errors.As(s.Err, &later) {
			break
		}
		s.Deferred++
		if !sleep(ctx, later.After) {
			s.Err = fmt.Errorf("no answer in time: %w", s.Err)
			break
		}
	}
	s.Took = time.Since(due)
	return s
}

// sleep reports whether the time went by before ctx ended.
func sleep(ctx context.Context, d time.Duration) bool {
	if ctx.Err() != nil {
		return false
	}
	if d <= 0 {
		return true
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}
