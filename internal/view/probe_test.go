package view

import (
	"bytes"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/haplane/haplane/internal/probe"
)

func TestProbe(t *testing.T) {
	at := func(ms int) time.Time {
		return time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC).Add(time.Duration(ms) * time.Millisecond)
	}
	var late []probe.Lateness
	for i := range 11 {
		late = append(late, probe.Lateness{Start: at(50_000 + 500*i), End: at(50_110 + 501*i)})
	}
	r := probe.Report{Started: at(0), Seconds: 60.04,
		Lanes: []probe.LaneReport{
			{Name: "lb-new", Requests: 3000, Failed: 3, Deferred: 1, LongestGap: 1034.2, Percentiles: probe.Percentiles{P50: 2.13, P99: 12.7, Max: 1004},
				Outages: []probe.Outage{{Start: at(20_000), End: at(20_060), Over: true, Failed: 3, FirstError: "connection reset"}}},
			{Name: "direct-cp-2", Requests: 3000, Failed: 2000, FailedLate: 1, LongestGap: 40_000, Percentiles: probe.Percentiles{P50: 1, P99: 1, Max: 1},
				Outages: []probe.Outage{{Start: at(20_000), End: at(60_000), Failed: 2000, FirstError: "connection refused"}}},
		},
		Writes: &probe.WritesReport{Acknowledged: 2997, Lost: 2, LostKeys: []string{"w7", "w8"}, Checked: true},
		Watch: &probe.WatchReport{Events: 2997, Resumed: 1, Percentiles: probe.Percentiles{P50: 0.2, P99: 3, Max: 51},
			Gaps: []probe.Gap{{Start: at(20_001), End: at(20_052), Over: true, FirstError: "EOF"}, {Start: at(30_000), End: at(32_000), Over: true}}},
		Marks:  []probe.Mark{{At: at(20_000), Text: "killed cp-2"}},
		Late:   late,
		Cost:   probe.Cost{CPUSeconds: 5.44, CPUShare: 0.0907, RequestsPerSecond: 99.9},
		Errors: []string{"collect lane worker: no log"},
	}
	var out bytes.Buffer
	if err := Probe(&out, r); err != nil {
		t.Fatal(err)
	}
	want := `LANE          REQUESTS   FAILED   DEFERRED   LONGEST GAP   P50      P99      MAX
lb-new        3000       3        1          1034 ms       2.1 ms   13 ms    1004 ms
direct-cp-2   3000       2000     0          40000 ms      1.0 ms   1.0 ms   1.0 ms

WRITES  2997 acknowledged, 2 of them lost
  lost: w7 w8

WATCH  2997 events, 0 missed, delay p50 0.2 ms, p99 3.0 ms, max 51 ms; resumed 1 times, begun again 0 times
  blind 10:00:20.001 for 51 ms  EOF
  blind 10:00:30.000 for 2000 ms  open and silent

OUTAGES
  lb-new       10:00:20.000 for 60 ms  3 failed, first: connection reset
  direct-cp-2  10:00:20.000 for 40000 ms+  2000 failed, first: connection refused

LATE  this process itself was late by up to 120 ms; failed requests that were due or under way then: 1 of 2003
  10:00:50.000 for 110 ms
  10:00:50.500 for 111 ms
  10:00:51.000 for 112 ms
  10:00:51.500 for 113 ms
  10:00:52.000 for 114 ms
  10:00:52.500 for 115 ms
  10:00:53.000 for 116 ms
  10:00:53.500 for 117 ms
  10:00:54.000 for 118 ms
  10:00:54.500 for 119 ms
  and 1 more

MARKS
  10:00:20.000  killed cp-2

60.0 s, 100 requests a second; this process took 5.4 s of CPU, 9% of one
could not measure: collect lane worker: no log
`
	if d := cmp.Diff(want, out.String()); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}
