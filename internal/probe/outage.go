package probe

import (
	"slices"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// An Outage is a time in which every request failed.
type Outage struct {
	Start      time.Time `json:"start"` // when the first that failed was due
	End        time.Time `json:"end"`   // when the next that succeeded was due; else the end of the lane
	Over       bool      `json:"over"`  // a request succeeded afterwards
	Failed     int       `json:"failed"`
	FirstError string    `json:"firstError"`
}

// outages are what the samples, sorted by when they were due, come to.
func outages(samples []Sample, end time.Time) []Outage {
	out := []Outage{}
	open := false
	for _, s := range samples {
		switch {
		case s.Err != nil && !open:
			out = append(out, Outage{Start: s.Due, End: end, Failed: 1, FirstError: s.Err.Error()})
			open = true
		case s.Err != nil:
			out[len(out)-1].Failed++
		case open:
			out[len(out)-1].End, out[len(out)-1].Over = s.Due, true
			open = false
		}
	}
	return out
}

// longestGap is the longest time without a request that succeeded, from
// start to end, without what of it was late. An answer counts when it came, so that requests that hang and then
// succeed are a gap without a failure.
func longestGap(samples []Sample, start, end time.Time, late []Lateness) time.Duration {
	var answers []time.Time
	for _, s := range samples {
		if s.Err == nil {
			answers = append(answers, s.Due.Add(s.Took))
		}
	}
	slices.SortFunc(answers, time.Time.Compare)
	longest, last := time.Duration(0), start
	for _, at := range append(answers, end) {
		longest, last = max(longest, at.Sub(last)-lateBetween(late, last, at)), at
	}
	return longest
}

// Percentiles are of latencies, in milliseconds.
type Percentiles struct {
	P50 float64 `json:"p50Ms"`
	P99 float64 `json:"p99Ms"`
	Max float64 `json:"maxMs"`
}

// Latencies are kept to three digits between a microsecond and an hour.
const digits = 3

func percentiles(latencies []time.Duration) Percentiles {
	h := hdrhistogram.New(1, time.Hour.Microseconds(), digits)
	var longest time.Duration
	for _, d := range latencies {
		longest = max(longest, d)
		_ = h.RecordValue(min(d.Microseconds(), time.Hour.Microseconds())) // in range
	}
	return Percentiles{
		P50: milliseconds(time.Duration(h.ValueAtQuantile(50)) * time.Microsecond),
		P99: milliseconds(time.Duration(h.ValueAtQuantile(99)) * time.Microsecond),
		Max: milliseconds(longest),
	}
}

// milliseconds to a microsecond.
func milliseconds(d time.Duration) float64 {
	return float64(d.Round(time.Microsecond).Microseconds()) / 1000
}
