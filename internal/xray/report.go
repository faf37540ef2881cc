package xray

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/haplane/haplane/internal/xray/evidence"
)

// Options choose what to evaluate.
type Options struct {
	Expectation
	Only []string // IDs of checks; empty: all
	Skip []string
}

// A Report is what an x-ray comes to. Names of its JSON fields are stable.
type Report struct {
	At       time.Time      `json:"at"`
	Took     string         `json:"took,omitempty"`
	Ways     []evidence.Way `json:"ways"`
	Verdict  Verdict        `json:"verdict"`
	Findings []Finding      `json:"findings"`
	Picture  Picture        `json:"cluster"`
}

// Evaluate judges the evidence. It is pure: the same evidence gives the same report.
func Evaluate(e *evidence.Evidence, o Options) Report {
	s := NewScene(e, o.Expectation)
	r := Report{At: e.At, Ways: e.Ways, Findings: []Finding{}, Picture: s.picture()}
	for _, c := range selected(o) {
		r.Findings = append(r.Findings, c.findings(s)...)
	}
	slices.SortStableFunc(r.Findings, func(a, b Finding) int {
		return cmp.Or(cmp.Compare(slices.Index(subjects, a.Subject), slices.Index(subjects, b.Subject)),
			cmp.Compare(slices.Index(statuses, a.Status), slices.Index(statuses, b.Status)))
	})
	r.Verdict = s.verdict(r.Findings)
	return r
}

func selected(o Options) []Check {
	return slices.DeleteFunc(Catalogue(), func(c Check) bool {
		return len(o.Only) > 0 && !slices.Contains(o.Only, c.ID) || slices.Contains(o.Skip, c.ID)
	})
}

// findings runs a check. Nothing to judge is a skip with the reason.
func (c Check) findings(s *Scene) []Finding {
	found := c.Run(s)
	if len(found) == 0 {
		found = []Finding{{Status: Skip, Observed: c.nothing(s)}}
	}
	for i := range found {
		f := &found[i]
		f.Check, f.Subject, f.Title = c.ID, c.Subject, c.Title
		if f.Fix == "" && (f.Status == Fail || f.Status == Warn) {
			f.Fix = c.Fix
		}
		if f.Status == Pass || f.Status == Skip {
			f.Fix = ""
		}
		f.Fix = s.safe(f.Node, f.Fix)
		*f = s.onHost(*f)
	}
	return found
}

// nothing is why a check saw nothing to judge.
func (c Check) nothing(s *Scene) string {
	if s.Used(c.Needs...) {
		return "nothing that it judges was found" + s.gaps()
	}
	names := map[evidence.Way]string{evidence.Machines: "machines over SSH (--machines or a cluster file)",
		evidence.API: "the API (--kubeconfig)", evidence.Folder: "a folder of files (--dir)"}
	var ways []string
	for _, w := range c.Needs {
		ways = append(ways, names[w])
	}
	return "seen only with " + strings.Join(ways, " or ")
}

// Failed reports whether any finding is as bad as the threshold or worse: Fail, or
// Warn, which counts both.
func (r Report) Failed(threshold Status) bool {
	return r.Verdict.Counts[Fail] > 0 || threshold == Warn && r.Verdict.Counts[Warn] > 0
}

// Blind reports whether something could not be looked at.
func (r Report) Blind() bool { return r.Verdict.Counts[Error] > 0 }
