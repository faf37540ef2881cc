package main

import (
	"fmt"
	"io"
	"os"
	"runtime"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"golang.org/x/sys/unix"
)

// A row is what is measured, and how long it may take; 0 says nothing.
type row struct {
	name   string
	target time.Duration
}

var (
	apiReady   = &row{"up: API servers ready through the load balancer", 18 * time.Second}
	nodesReady = &row{"up: nodes Ready, CoreDNS available", 40 * time.Second}
	firstUp    = &row{"up: to its end", 0}
	podReaches = &row{"up: a pod reaches the API", 40 * time.Second}
	secondUp   = &row{"second up", 3 * time.Second}
	status     = &row{"status", 0}
	down       = &row{"down", 5 * time.Second}
)

// figures are the times that were measured, by row, in the order in which they came.
type figures struct {
	rows   []*row
	times  map[*row][]time.Duration
	phases []*row
}

func (f *figures) add(r *row, took time.Duration) {
	if !slices.Contains(f.phases, r) && !slices.Contains(f.rows, r) {
		f.rows = append(f.rows, r)
	}
	if f.times == nil {
		f.times = map[*row][]time.Duration{}
	}
	f.times[r] = append(f.times[r], took)
}

func (f *figures) addPhases(phases timedPhases) {
	for _, p := range phases {
		i := slices.IndexFunc(f.phases, func(r *row) bool { return r.name == p.id })
		if i < 0 {
			i, f.phases = len(f.phases), append(f.phases, &row{name: p.id})
		}
		f.add(f.phases[i], p.took)
	}
}

// print writes two tables and what they were measured on.
func (f *figures) print(w io.Writer, runs int, versions string) error {
	t := tabwriter.NewWriter(w, 0, 0, 3, ' ', 0)
	fmt.Fprintln(t, "SINCE THE START OF THE COMMAND\tMEDIAN\tSPREAD\tTARGET")
	for _, r := range f.rows {
		f.line(t, r)
	}
	fmt.Fprintln(t, "\t\t\t\nPHASE OF UP\tMEDIAN\tSPREAD\t")
	for _, r := range f.phases {
		f.line(t, r)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	_, err := fmt.Fprintf(w, "\n%d runs, components and image in the cache\n%s\n%s\n%s\n", runs,
		strings.TrimSpace(versions), machine(), time.Now().UTC().Format(time.DateOnly))
	return err
}

func (f *figures) line(w io.Writer, r *row) {
	times := slices.Sorted(slices.Values(f.times[r]))
	target := ""
	if r.target > 0 {
		target = fmt.Sprintf("%.0f s", r.target.Seconds())
	}
	fmt.Fprintf(w, "%s\t%s\t%s..%s\t%s\n", r.name, seconds(median(times)), seconds(times[0]), seconds(times[len(times)-1]), target)
}

// median of sorted times.
func median(sorted []time.Duration) time.Duration {
	n := len(sorted)
	return (sorted[(n-1)/2] + sorted[n/2]) / 2
}

func seconds(d time.Duration) string { return fmt.Sprintf("%.1f s", d.Seconds()) }

// machine describes what the figures hold for.
func machine() string {
	var name unix.Utsname
	kernel := "unknown"
	if unix.Uname(&name) == nil {
		kernel = unix.ByteSliceToString(name.Release[:])
	}
	var info unix.Sysinfo_t
	_ = unix.Sysinfo(&info)
	model := ""
	cpuinfo, _ := os.ReadFile("/proc/cpuinfo")
	for line := range strings.Lines(string(cpuinfo)) {
		if key, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(key) == "model name" {
			model = " (" + strings.TrimSpace(value) + ")"
		}
	}
	return fmt.Sprintf("%d CPUs%s, %.0f GiB of memory, Linux %s", runtime.NumCPU(), model,
		float64(info.Totalram)*float64(info.Unit)/(1<<30), kernel)
}
