package xrayhtml

import (
	"slices"

	"github.com/haplane/haplane/internal/xray"
)

// A subject is a group of checks. Those with trouble come first.
type subject struct {
	Name    xray.Subject
	Counts  []count
	Trouble []check
	Passed  []check
	Skipped []check
}

// A check is what one check found, worst first.
type check struct {
	ID       string
	Title    string
	Status   xray.Status // the worst
	Why      string
	Source   string // of why
	Findings []xray.Finding
}

// Bad are the findings that somebody has to look at; Fine are the others.
func (c check) Bad() []xray.Finding  { return ofStatus(c.Findings, troubles...) }
func (c check) Fine() []xray.Finding { return ofStatus(c.Findings, xray.Pass, xray.Skip) }

func subjectsOf(findings []xray.Finding) []subject {
	var out []subject
	for _, f := range findings {
		if slices.ContainsFunc(out, func(s subject) bool { return s.Name == f.Subject }) {
			continue
		}
		out = append(out, newSubject(f.Subject, findings))
	}
	slices.SortStableFunc(out, func(a, b subject) int { return a.rank() - b.rank() })
	return out
}

func newSubject(name xray.Subject, all []xray.Finding) subject {
	var own []xray.Finding
	for _, f := range all {
		if f.Subject == name {
			own = append(own, f)
		}
	}
	s := subject{Name: name, Counts: tally(own)}
	for _, c := range checksOf(own) {
		switch c.Status {
		case xray.Pass:
			s.Passed = append(s.Passed, c)
		case xray.Skip:
			s.Skipped = append(s.Skipped, c)
		default:
			s.Trouble = append(s.Trouble, c)
		}
	}
	slices.SortStableFunc(s.Trouble, func(a, b check) int { return rank(a.Status) - rank(b.Status) })
	return s
}

// rank is that of the worst check; subjects without trouble are equal.
func (s subject) rank() int {
	if len(s.Trouble) == 0 {
		return len(statuses)
	}
	return rank(s.Trouble[0].Status)
}

// checksOf groups findings by check, as they come. A check of which nothing but
// passes and skips came has passed.
func checksOf(findings []xray.Finding) []check {
	var out []check
	for _, f := range findings {
		i := slices.IndexFunc(out, func(c check) bool { return c.ID == f.Check })
		if i < 0 {
			known, _ := xray.Find(f.Check)
			i = len(out)
			out = append(out, check{ID: f.Check, Title: f.Title, Status: f.Status, Why: known.Why, Source: known.Source})
		}
		c := &out[i]
		c.Findings = append(c.Findings, f)
		if worse(f.Status, c.Status) {
			c.Status = f.Status
		}
	}
	return out
}

func worse(a, b xray.Status) bool {
	if a == xray.Pass && b == xray.Skip {
		return true // something of it was judged
	}
	if a == xray.Skip && b == xray.Pass {
		return false
	}
	return rank(a) < rank(b)
}
