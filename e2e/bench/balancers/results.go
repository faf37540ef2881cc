package balancers

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
)

// Figures are what one lane saw. Times are in milliseconds; P99 is of requests that
// were answered, since they were due.
type Figures struct {
	Requests   int     `json:"requests"`
	Failed     int     `json:"failed"`
	Gap        float64 `json:"longestGapMs"`
	P99        float64 `json:"p99Ms"`
	FirstError string  `json:"firstError,omitempty"`
}

// A Sample is what one fault did to the clients of one load balancer.
type Sample struct {
	Round    int    `json:"round"`
	Fault    string `json:"fault"`
	Server   string `json:"server"`
	Balancer string `json:"balancer"`
	// New are new connections, Open is the one that led to the server when the fault began.
	New  Figures `json:"new"`
	Open Figures `json:"open"`
	// Elsewhere are failed requests on the open connections to the other servers.
	Elsewhere int `json:"elsewhereFailed"`
}

func (s Sample) String() string {
	return fmt.Sprintf("round %d: %s %s: %-16s new: %d of %d failed, gap %.0f ms, p99 %.0f ms; open: %d of %d failed, gap %.0f ms, p99 %.0f ms; open elsewhere: %d failed",
		s.Round, s.Server, s.Fault, s.Balancer, s.New.Failed, s.New.Requests, s.New.Gap, s.New.P99,
		s.Open.Failed, s.Open.Requests, s.Open.Gap, s.Open.P99, s.Elsewhere)
}

// Print writes a table for each fault: medians, and the failures of all rounds behind.
func Print(w io.Writer, samples []Sample) error {
	var faults, names []string
	for _, s := range samples {
		if !slices.Contains(faults, s.Fault) {
			faults = append(faults, s.Fault)
		}
		if !slices.Contains(names, s.Balancer) {
			names = append(names, s.Balancer)
		}
	}
	for _, f := range faults {
		tw := tabwriter.NewWriter(w, 0, 0, 3, ' ', 0)
		fmt.Fprintf(tw, "%s\tNEW: FAILED\tGAP\tP99\tOPEN: FAILED\tGAP\tP99\tELSEWHERE\tNEW, EACH ROUND\tOPEN, EACH ROUND\n", strings.ToUpper(f))
		for _, name := range names {
			if of := slices.DeleteFunc(slices.Clone(samples), func(s Sample) bool { return s.Fault != f || s.Balancer != name }); len(of) > 0 {
				fmt.Fprintln(tw, row(name, of))
			}
		}
		fmt.Fprintln(tw)
		if err := tw.Flush(); err != nil {
			return err
		}
	}
	return nil
}

func row(name string, samples []Sample) string {
	of := func(value func(Sample) float64) []float64 {
		var all []float64
		for _, s := range samples {
			all = append(all, value(s))
		}
		return all
	}
	newFailed := of(func(s Sample) float64 { return float64(s.New.Failed) })
	openFailed := of(func(s Sample) float64 { return float64(s.Open.Failed) })
	return fmt.Sprintf("%s\t%g\t%.0f ms\t%.0f ms\t%g\t%.0f ms\t%.0f ms\t%g\t%s\t%s", name,
		median(newFailed), median(of(func(s Sample) float64 { return s.New.Gap })), median(of(func(s Sample) float64 { return s.New.P99 })),
		median(openFailed), median(of(func(s Sample) float64 { return s.Open.Gap })), median(of(func(s Sample) float64 { return s.Open.P99 })),
		median(of(func(s Sample) float64 { return float64(s.Elsewhere) })), list(newFailed), list(openFailed))
}

func list(values []float64) string { return strings.Trim(fmt.Sprint(values), "[]") }

func median(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	n := len(sorted)
	return (sorted[(n-1)/2] + sorted[n/2]) / 2
}
