package main

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
)

// A figure is measured once a run; values are seconds, or how many times.
type figure struct {
	name   string
	target string // empty says nothing
	values []float64
}

// A table is one of those that are printed; its figures are in the order in which they came.
type table struct {
	head    string
	unit    string // behind each value
	figures []*figure
}

func (t *table) add(name, target string, value float64) {
	i := slices.IndexFunc(t.figures, func(f *figure) bool { return f.name == name })
	if i < 0 {
		i, t.figures = len(t.figures), append(t.figures, &figure{name: name, target: target})
	}
	t.figures[i].values = append(t.figures[i].values, value)
}

func (t *table) addTime(name, target string, took time.Duration) { t.add(name, target, took.Seconds()) }

// print writes median and spread of each figure; nothing for a table without any.
func (t *table) print(w io.Writer) error {
	if len(t.figures) == 0 {
		return nil
	}
	tw := tabwriter.NewWriter(w, 0, 0, 3, ' ', 0)
	fmt.Fprintf(tw, "%s\tMEDIAN\tSPREAD\tTARGET\n", strings.ToUpper(t.head))
	for _, f := range t.figures {
		values := slices.Sorted(slices.Values(f.values))
		fmt.Fprintf(tw, "%s\t%s\t%s to %s\t%s\n", f.name, t.text(median(values)), t.text(values[0]), t.text(values[len(values)-1]), f.target)
	}
	fmt.Fprintln(tw, "\t\t\t")
	return tw.Flush()
}

func (t *table) text(value float64) string {
	if t.unit == times {
		return fmt.Sprintf("%.2f", value)
	}
	return fmt.Sprintf("%.1f %s", value, t.unit)
}

// Units of tables.
const (
	seconds = "s"
	times   = ""
)

// median of sorted values.
func median(sorted []float64) float64 {
	n := len(sorted)
	return (sorted[(n-1)/2] + sorted[n/2]) / 2
}
