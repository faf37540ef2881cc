package cluster

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/haplane/haplane/internal/probe"
)

// Who did not keep what was printed finds in the log when which requests failed, and with what.
func TestMeasuredIsInTheLog(t *testing.T) {
	at := time.Date(2026, 11, 29, 17, 3, 40, 0, time.UTC)
	var out bytes.Buffer
	log := slog.New(slog.NewTextHandler(&out, nil))
	logReport(log, nil)
	if out.Len() > 0 {
		t.Errorf("a change of which nothing was measured has logged: %s", &out)
	}
	logReport(log, &probe.Report{
		Lanes: []probe.LaneReport{
			{Name: "lb-new", Requests: 40, LongestGap: 120},
			{Name: "worker", Requests: 41, Failed: 2, LongestGap: 627, Outages: []probe.Outage{{Start: at, End: at.Add(50 * time.Millisecond), Failed: 2, FirstError: "EOF"}}},
		},
		Late:   []probe.Lateness{{Start: at, End: at.Add(time.Second)}},
		Writes: &probe.WritesReport{Acknowledged: 9, Lost: 1, LostKeys: []string{"write-7"}, Checked: true},
		Errors: []string{"lane in-cluster: no pod"},
	})
	for _, want := range []string{
		`msg="not measured" err="lane in-cluster: no pod"`,
		"msg=measured lane=lb-new requests=40 failed=0",
		"msg=measured lane=worker requests=41 failed=2 failedWhileLate=0 longestGapMs=627",
		"msg=outage lane=worker start=2026-11-29T17:03:40.000Z end=2026-11-29T17:03:40.050Z failed=2 first=EOF",
		`msg="haplane itself was late" start=2026-11-29T17:03:40.000Z`,
		`msg="lost writes" keys=[write-7]`,
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("the log has no %q:\n%s", want, &out)
		}
	}
}
