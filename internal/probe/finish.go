package probe

import (
	"context"
	"fmt"
	"slices"
	"time"
)

// again is the time between two looks at what is about to come.
const again = 50 * time.Millisecond

// awaitEvents gives an open watch the time of a request to tell of the last writes.
func (s *Session) awaitEvents() {
	ctx, cancel := context.WithTimeout(s.life, s.Timeout)
	defer cancel()
	for s.Report().missing() && sleep(ctx, again) {
	}
}

func (r Report) missing() bool { return r.Watch != nil && r.Watch.Missed > 0 }

// check looks for every write that was acknowledged, and then takes all away.
func (s *Session) check(w Writes) {
	ctx, cancel := s.finishing()
	defer cancel()
	out := &WritesReport{Acknowledged: s.ledger.count(), LostKeys: []string{}}
	stored, err := insist(ctx, w.Stored)
	if err != nil {
		s.trouble(fmt.Errorf("look for what was written: %w", err))
	} else {
		out.Checked, out.LostKeys = true, s.ledger.lost(stored, window{})
	}
	out.Lost = len(out.LostKeys)
	s.mu.Lock()
	s.writes = out
	s.mu.Unlock()
	ctx, cancel = s.finishing() // looking may have taken all the time
	defer cancel()
	_, err = insist(ctx, func(ctx context.Context) (struct{}, error) { return struct{}{}, w.Remove(ctx) })
	if err != nil {
		s.trouble(fmt.Errorf("remove what was written: %w", err))
	}
}

// insist tries until fn succeeds or ctx ends: what is measured may just be coming back.
func insist[T any](ctx context.Context, fn func(context.Context) (T, error)) (T, error) {
	for {
		out, err := fn(ctx)
		if err == nil || !sleep(ctx, again) {
			return out, err
		}
	}
}

// Report tells what was seen until now, or until Stop. Requests under way are not in
// it, and lanes that are walked elsewhere are not until they have ended.
func (s *Session) Report() Report { return s.Between(time.Time{}, time.Time{}) }

// Between is a Report of the requests that were due, and the writes that were acknowledged,
// from a time until before another. The zero time is the beginning, or now. Settle
// before, or requests under way are missing. Events and cost are those of the whole session.
func (s *Session) Between(from, to time.Time) Report {
	s.mu.Lock()
	lanes, end, spent := slices.Clone(s.lanes), s.ended, s.spent
	out := Report{Started: s.started, Marks: []Mark{}, Errors: append([]string{}, s.errs...), Writes: s.writes}
	in := window{from, to}
	for _, m := range s.marks {
		if in.has(m.At) {
			out.Marks = append(out.Marks, m)
		}
	}
	s.mu.Unlock()
	if end.IsZero() {
		end, spent = time.Now(), cpu()-s.cpu
	}
	whole := end.Sub(s.started)
	if from.After(out.Started) {
		out.Started = from
	}
	if !to.IsZero() && to.Before(end) {
		end = to
	}
	out.Late = s.self.within(in)
	out.Seconds, out.Lanes = round(end.Sub(out.Started).Seconds()), []LaneReport{}
	requests, all := 0, s.self.within(window{}) // a request may be under way longer than until the end of the window
	for _, l := range lanes {
		if l.Watch == nil {
			out.Lanes = append(out.Lanes, l.report(in, all))
			requests += l.count()
		}
	}
	out.Watch = s.watch.report(in)
	out.Cost = cost(spent, whole, requests)
	return out
}

// Settle waits until all requests that were due before a time have ended, which is at
// most their timeout after it.
func (s *Session) Settle(ctx context.Context, at time.Time) error {
	for {
		s.mu.Lock()
		settled := !slices.ContainsFunc(s.lanes, func(l *lane) bool { return !l.settled(at) })
		s.mu.Unlock()
		if settled {
			return nil
		}
		if !sleep(ctx, again) {
			return fmt.Errorf("wait for requests under way: %w", ctx.Err())
		}
	}
}

// Seen counts the requests so far that have ended, and those that failed.
func (s *Session) Seen() (requests, failed int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, l := range s.lanes {
		requests += l.count()
		l.mu.Lock()
		failed += l.failed
		l.mu.Unlock()
	}
	return requests, failed
}

// Lost looks for every write that was acknowledged from a time until now, and names those that are not stored. It tries until ctx ends.
func (s *Session) Lost(ctx context.Context, from time.Time) ([]string, error) {
	s.mu.Lock()
	lanes := slices.Clone(s.lanes)
	s.mu.Unlock()
	var out []string
	for _, l := range lanes {
		if l.Writes == nil {
			continue
		}
		now := time.Now() // what is acknowledged while it looks may have been stored after that
		stored, err := insist(ctx, l.Writes.Stored)
		if err != nil {
			return nil, fmt.Errorf("look for what was written: %w", err)
		}
		out = append(out, s.ledger.lost(stored, window{from, now})...)
	}
	return out, nil
}

// A Silence is how long a lane had no answer.
type Silence struct {
	Lane string
	Time time.Duration
}

// LongestSilence is that of the requests that were due from a time on, or of the watch: beyond the pause that each lane makes between two
// requests, and without the time in which this process was late. Lanes that are walked elsewhere are in it when they have ended.
func (s *Session) LongestSilence(from time.Time) Silence {
	s.mu.Lock()
	lanes := slices.Clone(s.lanes)
	s.mu.Unlock()
	in, late, out := window{from: from}, s.self.within(window{from: from}), Silence{}
	take := func(lane string, silent time.Duration) {
		if silent > out.Time {
			out = Silence{Lane: lane, Time: silent}
		}
	}
	for _, l := range lanes {
		samples, start, end := l.within(in)
		switch {
		case l.Watch != nil:
			if w := s.watch.report(in); w != nil {
				for _, g := range w.Gaps {
					take(l.Name, g.End.Sub(g.Start)-lateBetween(late, g.Start, g.End))
				}
			}
		case l.sends():
			take(l.Name, longestGap(samples, start, end, late)-l.schedule.Period)
		case len(samples) > 0:
			take(l.Name, longestGap(samples, start, end, nil)-l.schedule.Period)
		}
	}
	return out
}

func (l *lane) count() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.samples)
}
