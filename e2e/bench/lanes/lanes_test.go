package lanes

import (
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/haplane/haplane/internal/cluster"
	"github.com/haplane/haplane/internal/look"
	"github.com/haplane/haplane/internal/probe"
)

func measured(t *testing.T, of any) []byte {
	t.Helper()
	data, err := json.Marshal(of)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

var began = time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC)

var haplanes = probe.Report{
	Lanes: []probe.LaneReport{{Name: "lb-new", Requests: 1000, Failed: 2, LongestGap: 80.5, Percentiles: probe.Percentiles{P99: 7},
		Outages: []probe.Outage{{Failed: 1, FirstError: "refused"}, {Failed: 1, FirstError: "timeout"}}},
		{Name: "direct-cp-1", Requests: 1000, LongestGap: 30}, {Name: "direct-cp-2", Requests: 500, Failed: 1, FailedLate: 1, LongestGap: 90}},
	Late:   []probe.Lateness{{Start: began, End: began.Add(2400 * time.Millisecond)}, {Start: began, End: began.Add(time.Second)}},
	Writes: &probe.WritesReport{Acknowledged: 990, Lost: 3, Checked: true},
	Watch:  &probe.WatchReport{Events: 980, Missed: 10, LongestGap: 400},
	Cost:   probe.Cost{CPUShare: 0.25, RequestsPerSecond: 350},
	Errors: []string{"no worker"},
}

func wantMeasured() Measured {
	return Measured{Lanes: map[string]Figures{"lb-new": {1000, 2, 80.5, 7, "refused"}, "direct": {1500, 1, 90, 0, ""}, "watch": {980, 10, 400, 0, ""}},
		Acknowledged: 990, Lost: 3, CPUShare: 0.25, Rate: 350, Unmeasured: []string{"no worker"}, Late: 2400, FailedLate: 1}
}

// What haplane writes is what is read here.
func TestReadReport(t *testing.T) {
	got, err := ReadReport(measured(t, haplanes))
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(wantMeasured(), got); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}

func TestReadOutcome(t *testing.T) {
	got, err := ReadOutcome(measured(t, cluster.Outcome{Seconds: 12.5, Report: &haplanes, NewFailures: []string{"x"},
		Certificates: []look.CertificateChange{{Node: "cp-1"}, {Node: "cp-2"}}}))
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(Outcome{Measured: wantMeasured(), Seconds: 12.5, Certificates: 2, NewFailures: []string{"x"}}, got); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}

func TestWhatCannotBeRead(t *testing.T) {
	for name, data := range map[string]string{
		"no JSON":              `nothing to do`,
		"nothing was measured": `{"seconds": 3}`,
		"no time":              `{"report": {"lanes": []}}`,
		"another name":         `{"seconds": 3, "report": {"lanes": [{"name": "lb-new", "requests": 3, "failures": 1, "longestGapMs": 1}]}}`,
	} {
		t.Run(name, func(t *testing.T) {
			if got, err := ReadOutcome([]byte(data)); err == nil {
				t.Errorf("no error, but %+v", got)
			}
		})
	}
	unchecked, err := ReadReport([]byte(`{"writes": {"acknowledged": 5}}`))
	if err != nil || len(unchecked.Unmeasured) != 1 {
		t.Errorf("writes that nobody looked for: %+v, %v", unchecked, err)
	}
}

func samples() []Sample {
	lane := func(requests, failed int, gap float64) map[string]Figures {
		return map[string]Figures{"lb-new": {Requests: requests, Failed: failed, Gap: gap, P99: 5}, "worker": {Requests: requests, Gap: 10, P99: 4}}
	}
	return []Sample{
		{What: "add one", Round: 1, Seconds: 20, Measured: Measured{Lanes: lane(600, 0, 40), Acknowledged: 600, Rate: 200, CPUShare: 0.5}},
		{What: "add two", Round: 1, Seconds: 24, Measured: Measured{Lanes: lane(700, 2, 80), Acknowledged: 700, Lost: 1, Rate: 300, CPUShare: 0.7}, Certificates: 3},
		{What: "add one", Round: 2, Seconds: 22, Measured: Measured{Lanes: lane(500, 1, 60), Acknowledged: 500, Rate: 100, CPUShare: 0.6}, NewFailures: []string{"x"}},
		{What: "add two", Round: 2, Seconds: 33, Measured: Measured{Lanes: lane(700, 0, 20), Acknowledged: 700}},
		{What: "add two", Round: 3, Seconds: 99, Error: "killed"},
	}
}

func lines(text string) []string {
	var out []string
	for line := range strings.Lines(text) {
		out = append(out, strings.Join(strings.Fields(line), " "))
	}
	return out
}

func TestPrint(t *testing.T) {
	var w strings.Builder
	for _, err := range []error{Print(&w, "change", samples()), PrintCommands(&w, "command", samples(), map[string]string{"add one": "at most 25 s"}),
		PrintRatio(&w, samples(), "add two", "add one", "at most 1.3"), PrintFew(&w, samples(), 1300), PrintFew(&w, samples(), 10)} {
		if err != nil {
			t.Fatal(err)
		}
	}
	want := []string{
		"CHANGE LANE REQUESTS FAILED LONGEST GAP P99, MEDIAN FAILED, EACH ROUND LONGEST GAP (MS), EACH ROUND",
		"add one lb-new 1100 1 60 ms 5 ms 0 1 40 60",
		"add one worker 1100 0 10 ms 4 ms 0 0 10 10",
		"add two lb-new 1400 2 80 ms 5 ms 2 0 - 80 20 -",
		"add two worker 1400 0 10 ms 4 ms 0 0 - 10 10 -", "",
		"COMMAND MEDIAN TARGET SECONDS, EACH ROUND WRITES LOST CERTIFICATES CHANGED NEW FAILURES WENT WRONG",
		"add one 21.0 s at most 25 s 20.0 22.0 0 of 1100 0 0 1 0",
		"add two 33.0 s - 24.0 33.0 99.0 1 of 1400 3 0 0 0 1", "",
		"haplane itself, change and measurement: 60% of one CPU at 200 requests a second (medians)", "",
		"add two : add one: 1.35 (at most 1.3); each round: 1.20 1.50",
		"fewer than 1300 requests: add one, lb-new: 1100; add one, worker: 1100",
	}
	if d := cmp.Diff(want, lines(w.String())); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}

func TestSamplesAreKept(t *testing.T) {
	file := filepath.Join(t.TempDir(), "samples.json")
	if got, err := Load[Sample](file); err != nil || got != nil {
		t.Fatalf("of no file: %v, %v", got, err)
	}
	if err := Save(file, samples()); err != nil {
		t.Fatal(err)
	}
	got, err := Load[Sample](file)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(samples(), got); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}

func TestSampleInALine(t *testing.T) {
	s := samples()[1]
	s.Error, s.Late, s.FailedLate = "exit code 1", 2400, 1
	s.Lanes["lb-new"] = Figures{Requests: 700, Failed: 2, Gap: 80, FirstError: "refused"}
	want := "round 1: add two: 24.0 s; lb-new: 2 of 700 failed, gap 80 ms (refused); worker: 0 of 700 failed, gap 10 ms; 1 writes lost; haplane itself was late by up to 2400 ms, 1 of the failed were due or under way then; exit code 1"
	if got := s.String(); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}
