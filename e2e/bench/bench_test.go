package main

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

const sampleLog = `time=2026-11-23T08:00:00.500Z level=INFO msg=started phase=check-host elapsed=0s err=<nil>
time=2026-11-23T08:00:00.600Z level=INFO msg=finished phase=check-host elapsed=100ms err=<nil>
time=2026-11-23T08:00:01.000Z level=INFO msg="cp-1 is ready" phase=wait-for-api-servers
time=2026-11-23T08:00:02.000Z level=INFO msg=current phase=wait-for-api-servers elapsed=1.25s err=<nil>
`

func TestParseLog(t *testing.T) {
	got, err := parseLog(sampleLog, time.Date(2026, 11, 23, 8, 0, 0, 0, time.UTC))
	if err != nil {
		t.Fatal(err)
	}
	want := timedPhases{
		{id: "check-host", took: 100 * time.Millisecond, ended: 600 * time.Millisecond},
		{id: "wait-for-api-servers", took: 1250 * time.Millisecond, ended: 2 * time.Second},
	}
	if d := cmp.Diff(want, got, cmp.AllowUnexported(timedPhase{})); d != "" {
		t.Error("-want +got\n" + d)
	}
	if got := got.end("wait-for-api-servers"); got != 2*time.Second {
		t.Errorf("wait-for-api-servers ended at %s", got)
	}
}

func TestPrint(t *testing.T) {
	f := &figures{}
	for _, s := range []time.Duration{3, 1, 2} {
		f.add(down, s*time.Second)
		f.addPhases(timedPhases{{id: "make-keys", took: s * 100 * time.Millisecond}})
	}
	var w strings.Builder
	if err := f.print(&w, 3, "Kubernetes v1"); err != nil {
		t.Fatal(err)
	}
	var rows []string
	for line := range strings.Lines(w.String()) {
		rows = append(rows, strings.Join(strings.Fields(line), " "))
	}
	want := []string{"SINCE THE START OF THE COMMAND MEDIAN SPREAD TARGET", "down 2.0 s 1.0 s..3.0 s 5 s", "", "PHASE OF UP MEDIAN SPREAD",
		"make-keys 0.2 s 0.1 s..0.3 s", "", "3 runs, components and image in the cache", "Kubernetes v1"}
	if d := cmp.Diff(want, rows[:len(want)]); d != "" {
		t.Error("-want +got\n" + d)
	}
}

func TestMedian(t *testing.T) {
	if got := median([]time.Duration{1, 2, 4, 10}); got != 3 {
		t.Errorf("median of four is %d, want 3", got)
	}
}
