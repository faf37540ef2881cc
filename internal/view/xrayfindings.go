package view

import (
	"fmt"
	"slices"
	"strings"

	"github.com/haplane/haplane/internal/xray"
)

// Columns of the findings: where what follows the status begins, and what follows a label.
const (
	statusWidth = 7
	labelWidth  = statusWidth + 11
)

func (x XrayText) group(p *page, g xray.SubjectGroup) {
	fmt.Fprintf(&p.out, "\n%s: %s\n", p.paint(bold, string(g.Subject)), tally(counts(g)))
	var skipped []xray.CheckGroup
	for _, c := range g.Checks {
		switch {
		case x.All || c.Status.IsTrouble():
			x.check(p, c)
		case c.Status == xray.Pass:
			p.status(c.Status, c.Check+": "+c.Title+onNodes(c))
		default:
			skipped = append(skipped, c)
		}
	}
	skips(p, skipped)
}

// status begins what is said of a check.
func (p *page) status(s xray.Status, text string) {
	one := statuses[rank(s)]
	p.item(p.paint(one.color, fmt.Sprintf("%-*s", statusWidth, one.word)), statusWidth, text)
}

// check tells of everything that is not right, and names the nodes that are.
func (x XrayText) check(p *page, c xray.CheckGroup) {
	p.status(c.Status, c.Check+": "+c.Title)
	all := merge(c.Findings)
	shown := slices.DeleteFunc(slices.Clone(all), func(m merged) bool { return !x.All && !m.Status.IsTrouble() })
	for i, m := range shown {
		if len(shown) > 1 || m.Node != "" {
			p.about(m, c.Status)
		}
		p.finding(m)
		if i+1 == len(shown) || shown[i+1].Fix != m.Fix { // said once for all that it mends
			p.label("fix", m.Fix)
		}
	}
	if !x.All {
		p.label("passed on", strings.Join(whole(c), ", "))
		p.label("skipped", skipReasons(c))
	}
}

// about names the nodes of a finding and its status, where that is not the check's.
func (p *page) about(m merged, check xray.Status) {
	text := m.where()
	if m.Status != check {
		text += " (" + statuses[rank(m.Status)].word + ")"
	}
	p.label("on", text)
}

func (p *page) finding(m merged) {
	p.label("expected", m.Expected)
	p.label("observed", m.Observed)
	p.label("seen in", m.seen())
}

func (p *page) label(label, text string) {
	if text != "" {
		p.item(fmt.Sprintf("%*s%-*s", statusWidth, "", labelWidth-statusWidth, label), labelWidth, text)
	}
}

// whole are the nodes on which a check has passed, and found nothing else.
func whole(c xray.CheckGroup) []string {
	var passed, other []string
	for _, f := range c.Findings {
		switch f.Status {
		case xray.Pass:
			passed = append(passed, f.Node)
		default:
			other = append(other, f.Node)
		}
	}
	slices.Sort(passed)
	return slices.DeleteFunc(slices.Compact(passed), func(n string) bool { return n == "" || slices.Contains(other, n) })
}

// onNodes says in brackets on which node a check passed, or on how many.
func onNodes(c xray.CheckGroup) string {
	nodes := whole(c)
	switch len(nodes) {
	case 0:
		return ""
	case 1:
		return " (" + nodes[0] + ")"
	}
	return fmt.Sprintf(" (%d nodes)", len(nodes))
}

// skips tells of checks that were skipped, those with the same reason together.
func skips(p *page, checks []xray.CheckGroup) {
	var reasons []string
	ids := map[string][]string{}
	for _, c := range checks {
		why := skipReasons(c)
		if ids[why] == nil {
			reasons = append(reasons, why)
		}
		ids[why] = append(ids[why], c.Check)
	}
	for _, why := range reasons {
		p.status(xray.Skip, strings.Join(ids[why], ", ")+": "+why)
	}
}

// skipReasons are why a check, or a part of it, was skipped, each once.
func skipReasons(c xray.CheckGroup) string {
	const few = 2
	var out []string
	for _, f := range c.Findings {
		if f.Status == xray.Skip && !slices.Contains(out, f.Observed) {
			out = append(out, f.Observed)
		}
	}
	if len(out) > few {
		return strings.Join(out[:few], "; ") + "; and more, which -v tells"
	}
	return strings.Join(out, "; ")
}
