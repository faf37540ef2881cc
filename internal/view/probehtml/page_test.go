package probehtml

import (
	"bytes"
	"encoding/xml"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/haplane/haplane/internal/probe"
)

var began = time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC)

func after(ms int) time.Time { return began.Add(time.Duration(ms) * time.Millisecond) }

// report is of an API server that was killed, and cut the watch.
func report() probe.Report {
	lane := func(name string, out ...probe.Outage) probe.LaneReport {
		l := probe.LaneReport{Name: name, Start: began, End: after(60_000), Requests: 3000, LongestGap: 34, Outages: out,
			Percentiles: probe.Percentiles{P50: 2.1, P99: 8.4, Max: 31}}
		for _, o := range out {
			l.Failed += o.Failed
			l.LongestGap, l.FailedLate = 1234, 3
		}
		return l
	}
	return probe.Report{Started: began, Seconds: 60,
		Lanes: []probe.LaneReport{
			lane("lb-new", probe.Outage{Start: after(20_000), End: after(20_060), Over: true, Failed: 3, FirstError: "read: connection reset by peer"}),
			lane("lb-reused"),
			lane("direct-cp-1"),
			lane("direct-cp-2", probe.Outage{Start: after(20_000), End: after(60_000), Failed: 2000, FirstError: "dial tcp <10.10.10.12:6443>: connection refused"}),
			lane("write"),
			lane("in-cluster"),
		},
		Writes: &probe.WritesReport{Acknowledged: 3000, Checked: true},
		Watch:  &probe.WatchReport{Events: 3000, Resumed: 1, LongestGap: 53, Gaps: []probe.Gap{{Start: after(20_001), End: after(20_054), Over: true, FirstError: "EOF"}}},
		Marks:  []probe.Mark{{At: after(20_000), Text: "killed the API server of cp-2"}, {At: after(45_000), Text: "started it again"}},
		Cost:   probe.Cost{CPUSeconds: 5.4, RequestsPerSecond: 300},
		Late:   []probe.Lateness{{Start: after(40_000), End: after(42_400)}, {Start: after(50_000), End: after(50_100)}},
	}
}

func TestPage(t *testing.T) {
	var out bytes.Buffer
	if err := Write(&out, report()); err != nil {
		t.Fatal(err)
	}
	if file := os.Getenv("PROBE_HTML"); file != "" { // to look at it
		if err := os.WriteFile(file, out.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	text := out.String()
	for _, want := range []string{
		`<h1 class="bad">2003 of 18000 requests failed, longest gap 1234 ms</h1>`,
		`<td>direct-cp-2</td><td>10:00:20.000</td><td>40.0 s, until the end</td><td>2000</td><td class="text">dial tcp &lt;10.10.10.12:6443&gt;: connection refused</td>`,
		`<td>1</td><td class="text">killed the API server of cp-2</td>`,
		"default-src &#39;none&#39;; style-src &#39;sha256-",
		"0 are lost",
		"<p>The process that measured was late itself, 2 times, by up to 2400 ms: 6 of the requests that failed were due or under way at such a time.</p>",
		"<title>late by 2400 ms</title>",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("the page lacks %s", want)
		}
	}
	for _, bad := range []string{"<script", "http://", "https://", "ZgotmplZ"} {
		if strings.Contains(text, bad) {
			t.Errorf("the page has %s", bad)
		}
	}
	start, end := strings.Index(text, "<svg"), strings.Index(text, "</svg>")+len("</svg>")
	if err := xml.Unmarshal([]byte(text[start:end]), new(struct{})); err != nil {
		t.Errorf("the drawing is not well-formed: %v", err)
	}
}

func TestTimeline(t *testing.T) {
	drawn := newTimeline(report())
	type bad struct {
		Row, Tone string
		X, W      float64
	}
	var got []bad
	for _, r := range drawn.Rows {
		for _, b := range r.Bad {
			got = append(got, bad{r.Name, b.Tone, b.X, b.W})
		}
	}
	third := left + (right-left)/3
	want := []bad{{"lb-new", "out", third, narrowest}, {"direct-cp-2", "out", third, right - third}, {"watch", "blind", third + 0.01425, narrowest},
		{"haplane itself", "blind", left + (right-left)*40/60, (right - left) * 2.4 / 60}, {"haplane itself", "blind", left + (right-left)*50/60, narrowest}}
	if d := cmp.Diff(want, got, cmp.Comparer(func(a, b float64) bool { return a-b < 0.001 && b-a < 0.001 })); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
	if len(drawn.Rows) != 8 || drawn.Foot != head+8*rowStep || drawn.Marks[1].X != left+(right-left)*0.75 {
		t.Errorf("%+v", drawn)
	}
}

func TestTicks(t *testing.T) {
	for seconds, want := range map[float64][]float64{
		1: {0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1}, 0.001: {0, 0.001},
		60: {0, 10, 20, 30, 40, 50, 60}, 47.3: {0, 5, 10, 15, 20, 25, 30, 35, 40, 45},
	} {
		if d := cmp.Diff(want, ticks(seconds)); d != "" {
			t.Errorf("%v s: %s", seconds, d)
		}
	}
}
