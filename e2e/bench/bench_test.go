package main

import (
	"io"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/haplane/haplane/e2e/bench/floor"
	"github.com/haplane/haplane/e2e/bench/kubeadm"
)

const sampleLog = `time=2026-11-23T08:00:00.500Z level=INFO msg=started phase=check-host elapsed=0s err=<nil>
time=2026-11-23T08:00:00.600Z level=INFO msg=finished phase=check-host elapsed=100ms err=<nil>
time=2026-11-23T08:00:01.000Z level=INFO msg="starts etcd" phase=start@cp-1/api
time=2026-11-23T08:00:02.000Z level=INFO msg=current phase=start@cp-1/api elapsed=1.25s err=<nil>
time=2026-11-23T08:00:03.000Z level=INFO msg=finished phase=start@cp-2/api elapsed=1s err=<nil>
`

func TestParseLog(t *testing.T) {
	got, err := parseLog(sampleLog, time.Date(2026, 11, 23, 8, 0, 0, 0, time.UTC))
	if err != nil {
		t.Fatal(err)
	}
	want := timedPhases{
		{id: "check-host", took: 100 * time.Millisecond, ended: 600 * time.Millisecond},
		{id: "start/api", took: 2250 * time.Millisecond, ended: 3 * time.Second},
	}
	if d := cmp.Diff(want, got, cmp.AllowUnexported(timedPhase{})); d != "" {
		t.Error("-want +got\n" + d)
	}
	if got := got.end(apiPhase); got != 3*time.Second {
		t.Errorf("%s ended at %s", apiPhase, got)
	}
	if got := got.took(apiPhase); got != 2250*time.Millisecond {
		t.Errorf("%s took %s", apiPhase, got)
	}
}

func TestPrintTable(t *testing.T) {
	all := table{head: "command", unit: seconds}
	for _, s := range []float64{3, 1, 2} {
		all.add("down", "5 s", s)
		all.addTime("status", "", time.Duration(s*100)*time.Millisecond)
	}
	want := []string{"COMMAND MEDIAN SPREAD TARGET", "down 2.0 s 1.0 s to 3.0 s 5 s", "status 0.2 s 0.1 s to 0.3 s", ""}
	if d := cmp.Diff(want, printed(t, all.print)); d != "" {
		t.Error("-want +got\n" + d)
	}
}

// Each run is compared with itself: medians of different runs are not.
func TestCompare(t *testing.T) {
	r := newResults()
	for _, c := range []struct{ began, started, ready, floor, kubeadm, up time.Duration }{
		{2, 1, 5, 5, 50, 10},
		{2, 1, 7, 10, 30, 20},
	} {
		r.add(run{
			phases:  timedPhases{{id: apiPhase, took: c.started + c.ready, ended: c.began + c.started + c.ready}},
			up:      c.up,
			floor:   floor.Times{APIServers: c.floor - 1, LoadBalancer: c.floor},
			kubeadm: []kubeadm.Step{{Name: "init", Took: c.kubeadm, Counted: true}, {Name: "import", Took: 99}},
		})
	}
	r.compareLowest()
	want := []string{"COMPARED, WITHIN EACH RUN MEDIAN SPREAD TARGET",
		"API ready, since the start of up : floor 1.30 1.00 to 1.60 at most 1.6",
		"API ready, since the start of start/api : floor 1.00 0.80 to 1.20 at most 1.6",
		"kubeadm : up 3.25 1.50 to 5.00 at least 3",
		"API ready, since the start of up : lowest floor of all runs 1.80 1.60 to 2.00", ""}
	if d := cmp.Diff(want, printed(t, r.ratios.print)); d != "" {
		t.Error("-want +got\n" + d)
	}
}

func TestMedian(t *testing.T) {
	if got := median([]float64{1, 2, 4, 10}); got != 3 {
		t.Errorf("median of four is %v, want 3", got)
	}
}

func TestVersionLines(t *testing.T) {
	got := versionLines("haplane v1 (go1.26)\n\nCOMPONENT    VERSION\ncni          v1.9.1\netcd         v3.7.3\n")
	if want := "haplane v1 (go1.26)\ncni v1.9.1, etcd v3.7.3\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// printed returns the lines of a table with single spaces.
func printed(t *testing.T, print func(io.Writer) error) []string {
	t.Helper()
	var w strings.Builder
	if err := print(&w); err != nil {
		t.Fatal(err)
	}
	var rows []string
	for line := range strings.Lines(w.String()) {
		rows = append(rows, strings.Join(strings.Fields(line), " "))
	}
	return rows
}
