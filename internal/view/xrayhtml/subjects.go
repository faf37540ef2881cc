package xrayhtml

import "github.com/haplane/haplane/internal/xray"

// A subject is a group of checks. Those with trouble come first.
type subject struct {
	Name    xray.Subject
	Counts  []count
	Trouble []check
	Passed  []check
	Skipped []check
}

// A check is what one check found.
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
	for _, g := range xray.Grouped(findings) {
		s := subject{Name: g.Subject}
		var own []xray.Finding
		for _, found := range g.Checks {
			known, _ := xray.Find(found.Check)
			c := check{ID: found.Check, Title: found.Title, Status: found.Status, Why: known.Why, Source: known.Source, Findings: found.Findings}
			own = append(own, c.Findings...)
			switch c.Status {
			case xray.Pass:
				s.Passed = append(s.Passed, c)
			case xray.Skip:
				s.Skipped = append(s.Skipped, c)
			default:
				s.Trouble = append(s.Trouble, c)
			}
		}
		s.Counts = tally(own)
		out = append(out, s)
	}
	return out
}
