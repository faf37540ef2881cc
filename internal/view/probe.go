package view

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/haplane/haplane/internal/probe"
)

// Probe writes what was measured as tables.
func Probe(w io.Writer, r probe.Report) error {
	t := tabwriter.NewWriter(w, 0, 0, 3, ' ', 0)
	fmt.Fprintln(t, "LANE\tREQUESTS\tFAILED\tDEFERRED\tLONGEST GAP\tP50\tP99\tMAX")
	for _, l := range r.Lanes {
		fmt.Fprintf(t, "%s\t%d\t%d\t%d\t%s\t%s\t%s\t%s\n", l.Name, l.Requests, l.Failed, l.Deferred,
			millis(l.LongestGap), millis(l.P50), millis(l.P99), millis(l.Max))
	}
	if err := t.Flush(); err != nil {
		return err
	}
	for _, part := range [][]string{stored(r.Writes), watched(r.Watch), outagesOf(r), late(r), marks(r)} {
		if len(part) > 0 {
			fmt.Fprintf(w, "\n%s\n", strings.Join(part, "\n"))
		}
	}
	_, err := fmt.Fprintf(w, "\n%.1f s, %.0f requests a second; this process took %.1f s of CPU, %.0f%% of one\n",
		r.Seconds, r.Cost.RequestsPerSecond, r.Cost.CPUSeconds, 100*r.Cost.CPUShare)
	for _, e := range r.Errors {
		fmt.Fprintln(w, "could not measure: "+e)
	}
	return err
}

// millis has no more digits than say something.
func millis(f float64) string {
	if f < 10 {
		return fmt.Sprintf("%.1f ms", f)
	}
	return fmt.Sprintf("%.0f ms", f)
}

func stored(r *probe.WritesReport) []string {
	switch {
	case r == nil:
		return nil
	case !r.Checked:
		return []string{fmt.Sprintf("WRITES  %d acknowledged; it is unknown whether any is lost", r.Acknowledged)}
	}
	out := []string{fmt.Sprintf("WRITES  %d acknowledged, %d of them lost", r.Acknowledged, r.Lost)}
	const shown = 10
	if r.Lost > 0 {
		out = append(out, "  lost: "+strings.Join(r.LostKeys[:min(shown, r.Lost)], " "))
	}
	return out
}

func watched(r *probe.WatchReport) []string {
	if r == nil {
		return nil
	}
	out := []string{fmt.Sprintf("WATCH  %d events, %d missed, delay p50 %s, p99 %s, max %s; resumed %d times, begun again %d times",
		r.Events, r.Missed, millis(r.P50), millis(r.P99), millis(r.Max), r.Resumed, r.Relisted)}
	for _, g := range r.Gaps {
		text := g.FirstError
		if text == "" {
			text = "open and silent"
		}
		out = append(out, fmt.Sprintf("  blind %s  %s", span(g.Start, g.End, g.Over), text))
	}
	return out
}

func outagesOf(r probe.Report) []string {
	var out []string
	for _, l := range r.Lanes {
		for _, o := range l.Outages {
			out = append(out, fmt.Sprintf("  %-12s %s  %d failed, first: %s", l.Name, span(o.Start, o.End, o.Over), o.Failed, o.FirstError))
		}
	}
	if len(out) > 0 {
		out = append([]string{"OUTAGES"}, out...)
	}
	return out
}

// late tells when this process itself was late: what it saw then is told as it saw it.
func late(r probe.Report) []string {
	if len(r.Late) == 0 {
		return nil
	}
	longest, failed := r.WorstLate()
	all := 0
	for _, l := range r.Lanes {
		all += l.Failed
	}
	out := []string{fmt.Sprintf("LATE  this process itself was late by up to %s; failed requests that were due or under way then: %d of %d", millis(float64(longest.Microseconds())/1000), failed, all)}
	const shown = 10
	for _, l := range r.Late[:min(shown, len(r.Late))] {
		out = append(out, "  "+span(l.Start, l.End, true))
	}
	if more := len(r.Late) - shown; more > 0 {
		out = append(out, fmt.Sprintf("  and %d more", more))
	}
	return out
}

// span is a time in which something was out; with a + it was so until the end.
func span(start, end time.Time, over bool) string {
	return fmt.Sprintf("%s for %s%s", clock(start), millis(float64(end.Sub(start).Microseconds())/1000), word(over, "", "+"))
}

func clock(t time.Time) string { return t.Format("15:04:05.000") }

func marks(r probe.Report) []string {
	var out []string
	for _, m := range r.Marks {
		out = append(out, fmt.Sprintf("  %s  %s", clock(m.At), m.Text))
	}
	if len(out) > 0 {
		out = append([]string{"MARKS"}, out...)
	}
	return out
}
