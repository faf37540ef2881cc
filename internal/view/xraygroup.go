package view

import (
	"slices"
	"strings"

	"github.com/haplane/haplane/internal/xray"
)

// statuses, worst first, with how they are written. A check of which nothing but
// passes and skips came has passed.
var statuses = []struct {
	status  xray.Status
	word    string
	counted string
	color   string
}{
	{xray.Fail, "FAIL", "failed", red},
	{xray.Error, "ERROR", "could not be looked at", magenta},
	{xray.Warn, "WARN", "warning", yellow},
	{xray.Pass, "pass", "passed", green},
	{xray.Skip, "skip", "skipped", faint},
}

// rank is the place of a status in statuses.
func rank(s xray.Status) int {
	for i, one := range statuses {
		if one.status == s {
			return i
		}
	}
	return 0
}

// isTrouble reports whether somebody has to look at it.
func isTrouble(s xray.Status) bool { return s != xray.Pass && s != xray.Skip }

// A group is the findings of a subject, by check.
type group struct {
	subject xray.Subject
	checks  []checked // worst first
}

// A checked is what one check found.
type checked struct {
	id       string
	title    string
	status   xray.Status // the worst
	findings []xray.Finding
}

// bySubject groups findings. Subjects with trouble come first.
func bySubject(findings []xray.Finding) []group {
	var out []group
	for _, f := range findings {
		i := slices.IndexFunc(out, func(g group) bool { return g.subject == f.Subject })
		if i < 0 {
			i = len(out)
			out = append(out, group{subject: f.Subject})
		}
		out[i].add(f)
	}
	for _, g := range out {
		slices.SortStableFunc(g.checks, func(a, b checked) int { return rank(a.status) - rank(b.status) })
	}
	slices.SortStableFunc(out, func(a, b group) int { return a.rank() - b.rank() })
	return out
}

func (g *group) add(f xray.Finding) {
	i := slices.IndexFunc(g.checks, func(c checked) bool { return c.id == f.Check })
	if i < 0 {
		i = len(g.checks)
		g.checks = append(g.checks, checked{id: f.Check, title: f.Title, status: f.Status})
	}
	c := &g.checks[i]
	c.findings = append(c.findings, f)
	if rank(f.Status) < rank(c.status) {
		c.status = f.Status
	}
}

// rank is that of the worst check; subjects without trouble are equal.
func (g group) rank() int { return min(rank(g.checks[0].status), rank(xray.Pass)) }

func (g group) counts() map[xray.Status]int {
	out := map[xray.Status]int{}
	for _, c := range g.checks {
		for _, f := range c.findings {
			out[f.Status]++
		}
	}
	return out
}

// A merged is findings that say the same of several nodes.
type merged struct {
	xray.Finding
	nodes   []string
	sources []string // of each node
}

// merge puts the findings of a check together that differ in the node alone.
func merge(findings []xray.Finding) []merged {
	var out []merged
	for _, f := range findings {
		i := slices.IndexFunc(out, func(m merged) bool {
			return m.Status == f.Status && m.Expected == f.Expected && m.Observed == f.Observed && m.Fix == f.Fix
		})
		if i < 0 {
			i = len(out)
			out = append(out, merged{Finding: f})
		}
		out[i].nodes, out[i].sources = append(out[i].nodes, f.Node), append(out[i].sources, f.Source)
	}
	return out
}

// where are the nodes that findings are about.
func (m merged) where() string { return nodesText(m.nodes) }

func nodesText(nodes []string) string {
	var out []string
	for _, n := range nodes {
		if n == "" {
			n = "the cluster"
		}
		if !slices.Contains(out, n) {
			out = append(out, n)
		}
	}
	return strings.Join(out, ", ")
}

// seen is where it was seen: once where that is the same on all nodes.
func (m merged) seen() string {
	if len(slices.Compact(slices.Clone(m.sources))) == 1 {
		return m.sources[0]
	}
	var out []string
	for i, s := range m.sources {
		if s != "" {
			out = append(out, nodesText(m.nodes[i:i+1])+": "+s)
		}
	}
	return strings.Join(out, "; ")
}
