package probe

import (
	"slices"
	"time"
)

// A Gap is a time in which a watch told nothing: it was cut, or what it told came
// more than ResumeTime after the write was acknowledged.
type Gap struct {
	Start      time.Time `json:"start"`
	End        time.Time `json:"end"`
	Over       bool      `json:"over"`
	FirstError string    `json:"firstError,omitempty"` // empty where nothing but silence told of it
}

// gaps joins the times of cuts and those of late events.
func gaps(cuts []Gap, delays []delay, in window, end time.Time) []Gap {
	var all []Gap
	for _, g := range cuts {
		if !g.Over {
			g.End = end
		}
		if !g.End.Before(in.from) && (in.to.IsZero() || g.Start.Before(in.to)) {
			all = append(all, g)
		}
	}
	for _, d := range delays {
		if d.to.Sub(d.from) > ResumeTime {
			all = append(all, Gap{Start: d.from, End: d.to, Over: !d.missed})
		}
	}
	slices.SortStableFunc(all, func(a, b Gap) int { return a.Start.Compare(b.Start) })
	out := []Gap{}
	for _, g := range all {
		if len(out) == 0 || g.Start.After(out[len(out)-1].End) {
			out = append(out, g)
			continue
		}
		out[len(out)-1] = out[len(out)-1].with(g)
	}
	return out
}

func (g Gap) with(o Gap) Gap {
	if o.End.After(g.End) {
		g.End = o.End
	}
	g.Over = g.Over && o.Over
	if g.FirstError == "" {
		g.FirstError = o.FirstError
	}
	return g
}

// report is nil where nothing was watched.
func (w *watcher) report(in window) *WatchReport {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.started.IsZero() {
		return nil
	}
	end := time.Now()
	if !w.ended.IsZero() {
		end = w.ended
	}
	if w.started.After(in.from) {
		in.from = w.started
	}
	delays := w.ledger.delays(in, end)
	out := &WatchReport{Events: w.events, Resumed: w.resumed, Relisted: w.relisted, Gaps: gaps(w.cuts, delays, in, end)}
	var late []time.Duration
	for _, d := range delays {
		if d.missed {
			out.Missed++
			continue
		}
		late = append(late, d.to.Sub(d.from))
	}
	out.Percentiles = percentiles(late)
	for _, g := range out.Gaps {
		out.LongestGap = max(out.LongestGap, milliseconds(g.End.Sub(g.Start)))
	}
	return out
}
