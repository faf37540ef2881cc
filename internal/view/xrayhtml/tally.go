package xrayhtml

import (
	"fmt"
	"slices"
	"strings"

	"github.com/haplane/haplane/internal/xray"
)

// statuses, worst first, with the sign and the word of each: colour alone tells nobody.
var statuses = []struct {
	status xray.Status
	sign   string
	word   string
}{
	{xray.Fail, "×", "failed"},
	{xray.Error, "?", "not looked at"},
	{xray.Warn, "!", "warning"},
	{xray.Skip, "–", "skipped"},
	{xray.Pass, "✓", "passed"},
}

// troubles are the statuses that somebody has to look at.
var troubles = []xray.Status{xray.Fail, xray.Error, xray.Warn}

// A count is how many findings have a status.
type count struct {
	Status xray.Status
	Sign   string
	N      int
	Word   string
}

// tally counts findings, worst first; what there is none of is left out.
func tally(findings []xray.Finding) []count {
	n := map[xray.Status]int{}
	for _, f := range findings {
		n[f.Status]++
	}
	return counts(n)
}

func counts(n map[xray.Status]int) []count {
	var out []count
	for _, s := range statuses {
		word := s.word
		if s.status == xray.Warn && n[s.status] > 1 {
			word += "s"
		}
		if n[s.status] > 0 {
			out = append(out, count{s.status, s.sign, n[s.status], word})
		}
	}
	return out
}

// said is a tally in words: 2 failed, 1 warning.
func said(counts []count) string {
	var words []string
	for _, c := range counts {
		words = append(words, fmt.Sprintf("%d %s", c.N, c.Word))
	}
	return strings.Join(words, ", ")
}

func signOf(s xray.Status) string { return statuses[rank(s)].sign }
func wordOf(s xray.Status) string { return statuses[rank(s)].word }

// rank orders statuses, worst first. One that is not known could not be looked at.
func rank(s xray.Status) int {
	for i, one := range statuses {
		if one.status == s {
			return i
		}
	}
	return 1
}

func ofStatus(findings []xray.Finding, wanted ...xray.Status) []xray.Finding {
	var out []xray.Finding
	for _, f := range findings {
		if slices.Contains(wanted, f.Status) {
			out = append(out, f)
		}
	}
	slices.SortStableFunc(out, func(a, b xray.Finding) int { return rank(a.Status) - rank(b.Status) })
	return out
}
