package probe

import (
	"context"
	"errors"
	"fmt"
	"slices"
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
	written int
}

// sends reports whether the lane is walked here.
func (l *lane) sends() bool { return l.Send != nil || l.Writes != nil }

// run walks the lane until pace ends.
func (l *lane) run(life, pace context.Context) {
	defer close(l.done)
	switch {
	case l.sends():
		w := &walker{Schedule: l.schedule, request: l.request(), slots: make(chan struct{}, l.session.InFlight), seen: l.see}
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

func (l *lane) see(s Sample) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.samples = append(l.samples, s)
	if s.Err != nil {
		l.failed++
	}
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
		l.see(s)
	}
}

// report is of the requests that were due from a time on.
func (l *lane) report(from time.Time) LaneReport {
	l.mu.Lock()
	samples := slices.DeleteFunc(slices.Clone(l.samples), func(s Sample) bool { return s.Due.Before(from) })
	end := l.ended
	l.mu.Unlock()
	if end.IsZero() {
		end = time.Now()
	}
	slices.SortFunc(samples, func(a, b Sample) int { return a.Due.Compare(b.Due) })
	start := l.started
	if from.After(start) {
		start = from
	}
	if l.Remote != nil && len(samples) > 0 { // it has a clock of its own, and took time to start and to stop
		last := samples[len(samples)-1]
		start, end = samples[0].Due, last.Due.Add(max(last.Took, l.schedule.Period))
	}
	out := LaneReport{Name: l.Name, Start: start, End: end, Requests: len(samples), Outages: outages(samples, end),
		LongestGap: milliseconds(longestGap(samples, start, end))}
	var latencies []time.Duration
	for _, s := range samples {
		out.Deferred += s.Deferred
		if s.Err != nil {
			out.Failed++
			continue
		}
		latencies = append(latencies, s.Took)
	}
	out.Percentiles = percentiles(latencies)
	return out
}
