package lanes

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
)

// A Sample is what one change or fault, in one round, did to the clients of a cluster.
type Sample struct {
	What     string  `json:"what"`
	Round    int     `json:"round"`
	Seconds  float64 `json:"seconds"`  // from the start of the command to its end
	Changing float64 `json:"changing"` // what the command itself says; 0 of a fault
	Measured
	Certificates int      `json:"certificates"` // that are others than before on nodes that stay
	NewFailures  []string `json:"newFailures,omitempty"`
	Error        string   `json:"error,omitempty"` // the command went wrong
	// Phases are those of a rotation, Restored is what a restore came to.
	Phases   []Phase   `json:"phases,omitempty"`
	Restored *Restored `json:"restored,omitempty"`
}

// phase is how long one of a rotation took; is tells whether it was carried out.
func (s Sample) phase(name string) (seconds float64, is bool) {
	for _, p := range s.Phases {
		if p.Name == name {
			seconds, is = seconds+p.Seconds, true
		}
	}
	return seconds, is
}

func (s Sample) String() string {
	text := fmt.Sprintf("round %d: %s: %.1f s", s.Round, s.What, s.Seconds)
	for _, name := range laneNames([]Sample{s}) {
		l := s.Lanes[name]
		text += fmt.Sprintf("; %s: %d of %d failed, gap %.0f ms", name, l.Failed, l.Requests, l.Gap)
		if l.FirstError != "" {
			text += fmt.Sprintf(" (%s)", l.FirstError)
		}
	}
	if s.Lost > 0 {
		text += fmt.Sprintf("; %d writes lost", s.Lost)
	}
	if s.Unauthorized > 0 {
		text += fmt.Sprintf("; %d answers 401", s.Unauthorized)
	}
	if s.Late > 0 {
		text += fmt.Sprintf("; haplane itself was late by up to %.0f ms, %d of the failed were due or under way then", s.Late, s.FailedLate)
	}
	if r := s.Restored; r != nil {
		text += fmt.Sprintf("; first write after %.1f s, %d revisions lost", r.FirstWrite, r.Lost)
	}
	for _, trouble := range slices.Concat(s.Unmeasured, s.NewFailures) {
		text += "; " + trouble
	}
	if s.Error != "" {
		text += "; " + s.Error
	}
	return text
}

// Load reads the samples of earlier rounds, of whatever kind; there are none without a file.
func Load[S any](file string) (samples []S, err error) {
	if file == "" {
		return nil, nil
	}
	data, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err == nil {
		err = json.Unmarshal(data, &samples)
	}
	if err != nil {
		return nil, fmt.Errorf("read samples of %s: %w", file, err)
	}
	return samples, nil
}

// Save writes samples, where there is a file for them.
func Save[S any](file string, samples []S) error {
	if file == "" {
		return nil
	}
	data, err := json.MarshalIndent(samples, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(file, append(data, '\n'), 0o644)
}

// of are the samples of one subject.
func of(samples []Sample, what string) []Sample {
	return slices.DeleteFunc(slices.Clone(samples), func(s Sample) bool { return s.What != what })
}

// Subjects are what was measured, in the order in which it came.
func Subjects(samples []Sample) []string {
	var out []string
	for _, s := range samples {
		if !slices.Contains(out, s.What) {
			out = append(out, s.What)
		}
	}
	return out
}

var order = []string{"lb-new", "lb-reused", direct, "write", "watch", "in-cluster", "worker", "token"}

func laneNames(samples []Sample) []string {
	var out []string
	for _, name := range order {
		if slices.ContainsFunc(samples, func(s Sample) bool { _, ok := s.Lanes[name]; return ok }) {
			out = append(out, name)
		}
	}
	return out
}
