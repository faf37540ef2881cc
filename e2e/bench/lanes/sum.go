package lanes

import (
	"cmp"
	"encoding/json"
	"fmt"
	"strings"
)

// A Phase is one of a rotation: a change of its own, with a time of its own.
type Phase struct {
	Name    string  `json:"name"`
	Seconds float64 `json:"seconds"`
}

// A Rotation is what one run of haplane certs rotate says of itself, its phases summed up.
type Rotation struct {
	Outcome
	Phases []Phase
	Done   bool // the old one is gone
}

// ReadRotation reads the output of haplane certs rotate -o json.
func ReadRotation(data []byte) (Rotation, error) {
	var r struct {
		Phases []json.RawMessage
		Done   *bool
	}
	if err := json.Unmarshal(data, &r); err != nil {
		return Rotation{}, fmt.Errorf("read rotation: %w", err)
	}
	if r.Done == nil || len(r.Phases) == 0 {
		return Rotation{}, fmt.Errorf("read rotation: there is no phase in it: %.200s", data)
	}
	out := Rotation{Done: *r.Done}
	for _, raw := range r.Phases {
		var named struct{ Phase string }
		if err := json.Unmarshal(raw, &named); err != nil {
			return out, fmt.Errorf("read phase of rotation: %w", err)
		}
		one, err := ReadOutcome(raw)
		if err != nil {
			return out, fmt.Errorf("phase %s: %w", named.Phase, err)
		}
		out = out.And(Rotation{Outcome: one, Phases: []Phase{{named.Phase, one.Seconds}}, Done: out.Done})
	}
	return out, nil
}

// And is one run and the one after it.
func (r Rotation) And(next Rotation) Rotation {
	r.Measured = r.Measured.And(next.Measured)
	r.Seconds += next.Seconds
	r.Certificates += next.Certificates
	r.NewFailures = append(r.NewFailures, next.NewFailures...)
	r.Phases = append(r.Phases, next.Phases...)
	r.Done = next.Done
	return r
}

// And sums two measurements up. Of cost and rate it has the larger one.
func (m Measured) And(o Measured) Measured {
	out := Measured{Lanes: map[string]Figures{}, Acknowledged: m.Acknowledged + o.Acknowledged, Lost: m.Lost + o.Lost,
		CPUShare: max(m.CPUShare, o.CPUShare), Rate: max(m.Rate, o.Rate), Unmeasured: append(m.Unmeasured, o.Unmeasured...),
		Unauthorized: m.Unauthorized + o.Unauthorized, Late: max(m.Late, o.Late), FailedLate: m.FailedLate + o.FailedLate}
	for _, all := range []map[string]Figures{m.Lanes, o.Lanes} {
		for name, l := range all {
			out.Lanes[name] = out.Lanes[name].and(l)
		}
	}
	return out
}

func (f Figures) and(o Figures) Figures {
	return Figures{Requests: f.Requests + o.Requests, Failed: f.Failed + o.Failed, Gap: max(f.Gap, o.Gap), P99: max(f.P99, o.P99),
		FirstError: cmp.Or(f.FirstError, o.FirstError)}
}

// Restored is what a restore, or a recovery, came to.
type Restored struct {
	FirstWrite float64 `json:"secondsToFirstWrite"`
	Lost       int64   `json:"lostRevisions"`
	Known      bool    `json:"lostKnown"` // these are all
}

// ReadRestored reads the output of haplane etcd restore, or recover, with -o json.
func ReadRestored(data []byte) (*Restored, error) {
	var o struct{ Restored *Restored }
	if err := json.Unmarshal(data, &o); err != nil {
		return nil, fmt.Errorf("read outcome of restore: %w", err)
	}
	if o.Restored == nil {
		return nil, fmt.Errorf("read outcome of restore: it has none: %.200s", data)
	}
	return o.Restored, nil
}

// Unauthorized reports whether an answer was that who asks is unknown.
func Unauthorized(text string) bool { return strings.HasPrefix(text, "status 401") }

// FromReport is ReadReport of what this process has measured itself.
func FromReport(report any) (Measured, error) {
	data, err := json.Marshal(report)
	if err != nil {
		return Measured{}, err
	}
	return ReadReport(data)
}
