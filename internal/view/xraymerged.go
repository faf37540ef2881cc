package view

import (
	"slices"
	"strings"

	"github.com/haplane/haplane/internal/xray"
)

// statuses, worst first, with how they are written.
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

// counts are those of the findings of a subject.
func counts(g xray.SubjectGroup) map[xray.Status]int {
	out := map[xray.Status]int{}
	for _, c := range g.Checks {
		for _, f := range c.Findings {
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
