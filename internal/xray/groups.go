package xray

import "slices"

// A SubjectGroup is the findings of a subject, by check, worst first.
type SubjectGroup struct {
	Subject Subject
	Checks  []CheckGroup
}

// A CheckGroup is what one check found, as it came.
type CheckGroup struct {
	Check    string // its ID
	Title    string
	Status   Status // the worst; where nothing but passes and skips came, something of it was judged: it passed
	Findings []Finding
}

// worstFirst orders what checks found.
var worstFirst = []Status{Fail, Error, Warn, Pass, Skip}

// rank is the place of a status in worstFirst; one that is not known could not be looked at.
func rank(s Status) int {
	if i := slices.Index(worstFirst, s); i >= 0 {
		return i
	}
	return rank(Error)
}

// IsTrouble reports whether somebody has to look at it.
func (s Status) IsTrouble() bool { return s != Pass && s != Skip }

// Grouped groups findings by subject and check. Subjects with trouble come first; the
// others stay in their order.
func Grouped(findings []Finding) []SubjectGroup {
	var out []SubjectGroup
	for _, f := range findings {
		i := slices.IndexFunc(out, func(g SubjectGroup) bool { return g.Subject == f.Subject })
		if i < 0 {
			i = len(out)
			out = append(out, SubjectGroup{Subject: f.Subject})
		}
		out[i].add(f)
	}
	for _, g := range out {
		slices.SortStableFunc(g.Checks, func(a, b CheckGroup) int { return rank(a.Status) - rank(b.Status) })
	}
	slices.SortStableFunc(out, func(a, b SubjectGroup) int { return a.rank() - b.rank() })
	return out
}

func (g *SubjectGroup) add(f Finding) {
	i := slices.IndexFunc(g.Checks, func(c CheckGroup) bool { return c.Check == f.Check })
	if i < 0 {
		i = len(g.Checks)
		g.Checks = append(g.Checks, CheckGroup{Check: f.Check, Title: f.Title, Status: f.Status})
	}
	c := &g.Checks[i]
	c.Findings = append(c.Findings, f)
	if rank(f.Status) < rank(c.Status) {
		c.Status = f.Status
	}
}

// rank is that of the worst check; subjects without trouble are equal.
func (g SubjectGroup) rank() int { return min(rank(g.Checks[0].Status), rank(Pass)) }
