// Package lanes reads what haplane measured of itself, and sums it up over rounds.
package lanes

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Figures are what one lane saw. Times are in milliseconds.
type Figures struct {
	Requests   int     `json:"requests"`
	Failed     int     `json:"failed"`
	Gap        float64 `json:"longestGapMs"`
	P99        float64 `json:"p99Ms"`
	FirstError string  `json:"firstError,omitempty"`
}

// Measured is one report of haplane's probe. Lanes straight to API servers count as
// one; of the watch, requests are events and failed are those that it missed.
type Measured struct {
	Lanes        map[string]Figures `json:"lanes"`
	Acknowledged int                `json:"acknowledged"` // writes
	Lost         int                `json:"lost"`         // of these
	CPUShare     float64            `json:"cpuShare"`     // of one CPU, for measuring and for whatever else the process did
	Rate         float64            `json:"requestsPerSecond"`
	Unmeasured   []string           `json:"unmeasured,omitempty"`
	// Unauthorized are the answers 401. Of lanes that haplane walks, each outage that begins with one counts.
	Unauthorized int `json:"unauthorized,omitempty"`
	// Late is how late the process that measured was itself, at most, in milliseconds, and FailedLate how many of the failed
	// requests were due or under way at such a time. They are among the failed ones.
	Late       float64 `json:"lateMs,omitempty"`
	FailedLate int     `json:"failedWhileLate,omitempty"`
}

// An Outcome is what a command that changes a cluster says of itself.
type Outcome struct {
	Measured
	Seconds      float64
	Certificates int      // that are others than before on nodes that stay
	NewFailures  []string // of an x-ray
}

// report is what scripts may rely on in haplane's JSON. It is written out here, not
// taken from haplane: a field that is renamed there is missed here.
type report struct {
	Lanes []struct {
		Name             string
		Requests, Failed *int
		FailedLate       int      `json:"failedWhileLate"`
		Gap              *float64 `json:"longestGapMs"`
		P99              float64  `json:"p99Ms"`
		Outages          []struct{ FirstError string }
	}
	Writes *struct {
		Acknowledged, Lost int
		Checked            bool
	}
	Watch *struct {
		Events, Missed int
		Gap            float64 `json:"longestGapMs"`
		P99            float64 `json:"p99Ms"`
	}
	Cost struct {
		CPUShare float64 `json:"cpuShare"`
		Rate     float64 `json:"requestsPerSecond"`
	}
	Late   []struct{ Start, End time.Time }
	Errors []string
}

// ReadReport reads the output of haplane probe -o json.
func ReadReport(data []byte) (Measured, error) {
	var r report
	if err := json.Unmarshal(data, &r); err != nil {
		return Measured{}, fmt.Errorf("read report of probe: %w", err)
	}
	return r.measured()
}

// ReadOutcome reads the output of haplane apply, or of haplane node, with -o json.
func ReadOutcome(data []byte) (Outcome, error) {
	var o struct {
		Seconds      *float64
		Certificates []json.RawMessage
		NewFailures  []string
		Report       *report
	}
	if err := json.Unmarshal(data, &o); err != nil {
		return Outcome{}, fmt.Errorf("read outcome: %w", err)
	}
	if o.Seconds == nil || o.Report == nil {
		return Outcome{}, fmt.Errorf("read outcome: there is no time or no report in it: %.200s", data)
	}
	measured, err := o.Report.measured()
	return Outcome{Measured: measured, Seconds: *o.Seconds, Certificates: len(o.Certificates), NewFailures: o.NewFailures}, err
}

const direct = "direct"

// unchecked says of writes that nobody could look for them afterwards.
const unchecked = "it is unknown whether writes are lost"

// asked reports whether any lane has sent a request.
func (m Measured) asked() bool {
	for _, l := range m.Lanes {
		if l.Requests > 0 {
			return true
		}
	}
	return false
}

// checked reports whether it is known which acknowledged writes were lost.
func (m Measured) checked() bool {
	return m.Acknowledged > 0 && !slices.Contains(m.Unmeasured, unchecked)
}

func (r report) measured() (Measured, error) {
	out := Measured{Lanes: map[string]Figures{}, CPUShare: r.Cost.CPUShare, Rate: r.Cost.Rate, Unmeasured: r.Errors}
	for _, l := range r.Lanes {
		if l.Requests == nil || l.Failed == nil || l.Gap == nil {
			return out, fmt.Errorf("read report: lane %q has no requests, failed or longestGapMs", l.Name)
		}
		name := l.Name
		if strings.HasPrefix(name, direct+"-") {
			name = direct
		}
		sum := out.Lanes[name]
		out.FailedLate += l.FailedLate
		for _, o := range l.Outages {
			sum.FirstError = cmp.Or(sum.FirstError, o.FirstError)
			if Unauthorized(o.FirstError) {
				out.Unauthorized++
			}
		}
		out.Lanes[name] = Figures{Requests: sum.Requests + *l.Requests, Failed: sum.Failed + *l.Failed, Gap: max(sum.Gap, *l.Gap), P99: max(sum.P99, l.P99), FirstError: sum.FirstError}
	}
	for _, l := range r.Late {
		out.Late = max(out.Late, float64(l.End.Sub(l.Start).Microseconds())/1000)
	}
	if r.Watch != nil {
		out.Lanes["watch"] = Figures{Requests: r.Watch.Events, Failed: r.Watch.Missed, Gap: r.Watch.Gap, P99: r.Watch.P99}
	}
	if r.Writes != nil {
		out.Acknowledged, out.Lost = r.Writes.Acknowledged, r.Writes.Lost
		if !r.Writes.Checked {
			out.Unmeasured = append(out.Unmeasured, unchecked)
		}
	}
	return out, nil
}
