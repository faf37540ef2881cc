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
	for s.Report(time.Time{}).missing() && sleep(ctx, again) {
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
		out.Checked, out.LostKeys = true, s.ledger.lost(stored)
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

// Report tells what was seen from a time on (from the beginning: the zero time) until
// now, or until Stop. Requests under way, and lanes that are walked elsewhere until
// they end, are not in it.
func (s *Session) Report(from time.Time) Report {
	s.mu.Lock()
	lanes, end, spent := slices.Clone(s.lanes), s.ended, s.spent
	out := Report{Started: s.started, Marks: append([]Mark{}, s.marks...), Errors: append([]string{}, s.errs...), Writes: s.writes}
	s.mu.Unlock()
	if end.IsZero() {
		end, spent = time.Now(), cpu()-s.cpu
	}
	if from.After(out.Started) {
		out.Started = from
		out.Marks = slices.DeleteFunc(out.Marks, func(m Mark) bool { return m.At.Before(from) })
	}
	elapsed := end.Sub(out.Started)
	out.Seconds, out.Lanes = round(elapsed.Seconds()), []LaneReport{}
	for _, l := range lanes {
		if l.Watch == nil {
			out.Lanes = append(out.Lanes, l.report(from))
		}
	}
	out.Watch = s.watch.report(from, time.Now())
	if from.After(s.started) { // of the CPU no more is known than what was used in all
		spent = time.Duration(float64(spent) * float64(elapsed) / float64(max(end.Sub(s.started), 1)))
	}
	out.Cost = cost(spent, elapsed, out.Lanes)
	return out
}

// Seen counts the requests so far that have ended, and those that failed.
func (s *Session) Seen() (requests, failed int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, l := range s.lanes {
		l.mu.Lock()
		requests += len(l.samples)
		failed += l.failed
		l.mu.Unlock()
	}
	return requests, failed
}
