package probe

import (
	"context"
	"slices"
	"sync"
	"time"
)

const (
	// wakes is how often this process looks whether it runs when it is to.
	wakes = 20 * time.Millisecond
	// lateFrom is how late it is when that is told: shorter ones make no request fail, and hardly a gap.
	lateFrom = 100 * time.Millisecond
)

// A Lateness is a time in which this process, which was to run, did not: the machine gave it too little CPU, or it was stopped. What
// it sent, read and gave up then it did late, whatever the server did: a time limit may have passed before an answer was read that had come in time.
type Lateness struct {
	Start time.Time `json:"start"` // when it was to run
	End   time.Time `json:"end"`   // when it did
}

// punctuality is what a process knows of its own lateness: it sleeps and does nothing else, so that whenever it wakes
// late it was the process that was.
type punctuality struct {
	mu   sync.Mutex
	due  time.Time // zero where it does not look
	late []Lateness
}

// begin sleeps from now on: also what keeps run from its first look is lateness.
func (p *punctuality) begin() (due time.Time) {
	due = time.Now().Add(wakes)
	p.sleeps(due)
	return due
}

// run looks until ctx ends, first when begin has said.
func (p *punctuality) run(ctx context.Context, due time.Time) {
	for {
		more := sleep(ctx, time.Until(due))
		p.woke(time.Now())
		if !more {
			p.sleeps(time.Time{})
			return
		}
		due = p.begin()
	}
}

func (p *punctuality) sleeps(due time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.due = due
}

func (p *punctuality) woke(at time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.late = append(p.late, p.overdue(at)...)
}

// overdue is the lateness that there is where it does not wake before a time.
func (p *punctuality) overdue(at time.Time) []Lateness {
	if p.due.IsZero() || at.Sub(p.due) < lateFrom {
		return nil
	}
	return []Lateness{{p.due, at}}
}

// within is all lateness that touches a time: also that which others notice before it wakes.
func (p *punctuality) within(in window) []Lateness {
	p.mu.Lock()
	defer p.mu.Unlock()
	out := []Lateness{}
	for _, l := range slices.Concat(p.late, p.overdue(time.Now())) {
		if !l.End.Before(in.from) && (in.to.IsZero() || l.Start.Before(in.to)) {
			out = append(out, l)
		}
	}
	return out
}

// touches reports whether a request was due or under way while the process was late.
func (l Lateness) touches(s Sample) bool {
	return s.Due.Before(l.End) && !s.Due.Add(s.Took).Before(l.Start)
}

// lateBetween is how much of the time between two others it was late.
func lateBetween(late []Lateness, from, to time.Time) time.Duration {
	sum := time.Duration(0)
	for _, l := range late {
		start, end := l.Start, l.End
		if start.Before(from) {
			start = from
		}
		if end.After(to) {
			end = to
		}
		sum += max(end.Sub(start), 0)
	}
	return sum
}

// Late is when this process itself was late, from a time until before another; the zero time is the beginning, or now.
func (s *Session) Late(from, to time.Time) []Lateness { return s.self.within(window{from, to}) }

// WorstLate is how long this process was late at most, and how many requests failed that were due or under way at such a time.
func (r Report) WorstLate() (longest time.Duration, failed int) {
	for _, l := range r.Late {
		longest = max(longest, l.End.Sub(l.Start))
	}
	for _, l := range r.Lanes {
		failed += l.FailedLate
	}
	return longest, failed
}
