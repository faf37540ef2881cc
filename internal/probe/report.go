package probe

import "time"

// A Report is what a session saw. Names of fields are stable.
type Report struct {
	Started time.Time     `json:"started"`
	Seconds float64       `json:"seconds"`
	Lanes   []LaneReport  `json:"lanes"`
	Writes  *WritesReport `json:"writes,omitempty"`
	Watch   *WatchReport  `json:"watch,omitempty"`
	Marks   []Mark        `json:"marks"`
	Cost    Cost          `json:"cost"`
	// Late is when this process itself did not run although it was to. All else is told as it was seen, this included:
	// a failure of that time may be that of a client too. Lanes that are walked elsewhere are not touched by it.
	Late []Lateness `json:"late"`
	// Errors are what could not be measured.
	Errors []string `json:"errors"`
}

// A LaneReport is what one lane saw. Percentiles are of requests that succeeded,
// from when they were due.
type LaneReport struct {
	Name       string    `json:"name"`
	Start      time.Time `json:"start"`
	End        time.Time `json:"end"`
	Requests   int       `json:"requests"`
	Failed     int       `json:"failed"`
	FailedLate int       `json:"failedWhileLate"` // those of them that were due or under way while this process was late
	Deferred   int       `json:"deferred"`        // answers that told to try again later
	LongestGap float64   `json:"longestGapMs"`
	Percentiles
	Outages []Outage `json:"outages"`
}

// A WritesReport tells what became of writes that were acknowledged.
type WritesReport struct {
	Acknowledged int      `json:"acknowledged"`
	Lost         int      `json:"lost"`
	LostKeys     []string `json:"lostKeys"`
	Checked      bool     `json:"checked"` // it was possible to look
}

// A WatchReport is what a watch saw. Percentiles are of events, from when what they
// tell of was acknowledged.
type WatchReport struct {
	Events     int     `json:"events"`
	Missed     int     `json:"missed"`   // acknowledged writes that it did not tell of
	Resumed    int     `json:"resumed"`  // from the last version
	Relisted   int     `json:"relisted"` // from the beginning, as the last version was too old
	LongestGap float64 `json:"longestGapMs"`
	Percentiles
	Gaps []Gap `json:"gaps"`
}

// A Mark is something that happened meanwhile.
type Mark struct {
	At   time.Time `json:"at"`
	Text string    `json:"text"`
}

// Cost is what measuring took: of this process alone, whatever else it did.
type Cost struct {
	CPUSeconds        float64 `json:"cpuSeconds"`
	CPUShare          float64 `json:"cpuShare"` // of one CPU
	RequestsPerSecond float64 `json:"requestsPerSecond"`
}

// Failed reports whether a client would have noticed: a request failed, an
// acknowledged write was lost, or a watch was blind for more than ResumeTime.
func (r Report) Failed() bool {
	for _, l := range r.Lanes {
		if l.Failed > 0 {
			return true
		}
	}
	return r.Writes != nil && r.Writes.Lost > 0 || r.Watch != nil && r.Watch.Failed()
}

// Failed reports whether the watch missed something, or was blind for too long.
func (w WatchReport) Failed() bool {
	return w.Missed > 0 || w.LongestGap > milliseconds(ResumeTime)
}
