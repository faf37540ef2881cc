package probe

import (
	"slices"
	"time"
)

// A window is from a time until before another; the zero time bounds nothing.
type window struct{ from, to time.Time }

func (w window) has(t time.Time) bool {
	return !t.Before(w.from) && (w.to.IsZero() || t.Before(w.to))
}

// end is when the window ends, or now.
func (w window) end() time.Time {
	if w.to.IsZero() {
		return time.Now()
	}
	return w.to
}

// within are the requests that were due within a time, in their order, with when the lane ran then.
func (l *lane) within(in window) (samples []Sample, start, end time.Time) {
	l.mu.Lock()
	samples = slices.DeleteFunc(slices.Clone(l.samples), func(s Sample) bool { return !in.has(s.Due) })
	end = l.ended
	l.mu.Unlock()
	if end.IsZero() || !in.to.IsZero() && in.to.Before(end) {
		end = in.end()
	}
	slices.SortFunc(samples, func(a, b Sample) int { return a.Due.Compare(b.Due) })
	start = l.started
	if in.from.After(start) {
		start = in.from
	}
	if l.Remote != nil && len(samples) > 0 { // it has a clock of its own, and took time to start and to stop
		last := samples[len(samples)-1]
		start, end = samples[0].Due, last.Due.Add(max(last.Took, l.schedule.Period))
	}
	return samples, start, end
}

// report is of the requests that were due within a time. It has how many of those that failed may have done so because this process was late.
func (l *lane) report(in window, late []Lateness) LaneReport {
	samples, start, end := l.within(in)
	out := LaneReport{Name: l.Name, Start: start, End: end, Requests: len(samples), Outages: outages(samples, end),
		LongestGap: milliseconds(longestGap(samples, start, end, nil))}
	var latencies []time.Duration
	for _, s := range samples {
		out.Deferred += s.Deferred
		if s.Err != nil {
			out.Failed++
			if l.sends() && slices.ContainsFunc(late, func(one Lateness) bool { return one.touches(s) }) {
				out.FailedLate++
			}
			continue
		}
		latencies = append(latencies, s.Took)
	}
	out.Percentiles = percentiles(latencies)
	return out
}
