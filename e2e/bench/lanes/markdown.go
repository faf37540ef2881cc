package lanes

import (
	"fmt"
	"io"
	"slices"
	"strings"
)

// gapLimit is how long no request of a lane may succeed, in milliseconds.
const gapLimit = 1000

// Markdown writes a row for each subject, with every round in its cells, as docs/measurements.md has them:
// all lanes together, each lane is in what Print writes. What misses the goal is in bold.
func Markdown(w io.Writer, head string, samples []Sample) error {
	if len(samples) == 0 {
		return nil
	}
	fmt.Fprintf(w, "| %s | rounds | seconds: median; each | failed requests, each | longest gap of any lane, ms, each | requests: the lane with the fewest, all | writes lost | answers 401 |\n%s\n",
		head, strings.Repeat("|---", 8)+"|")
	for _, what := range Subjects(samples) {
		all := of(samples, what)
		var took, failed, gaps []string
		var seconds []float64
		sent, acknowledged, lost, unauthorized := 0, 0, 0, 0
		for _, s := range all {
			seconds = append(seconds, s.Seconds)
			took = append(took, cell(fmt.Sprintf("%.1f", s.Seconds), s.Error != ""))
			f := s.all()
			failed, gaps = append(failed, cell(fmt.Sprint(f.Failed), f.Failed > 0)), append(gaps, cell(fmt.Sprintf("%.0f", f.Gap), f.Gap >= gapLimit))
			sent, acknowledged, lost, unauthorized = sent+f.Requests, acknowledged+s.Acknowledged, lost+s.Lost, unauthorized+s.Unauthorized
		}
		fmt.Fprintf(w, "| %s | %d | %.1f; %s | %s | %s | %d, %d | %s of %d | %s |\n", what, len(all), Median(seconds), strings.Join(took, " "), strings.Join(failed, " "),
			strings.Join(gaps, " "), Fewest(samples, what), sent, cell(fmt.Sprint(lost), lost > 0), acknowledged, cell(fmt.Sprint(unauthorized), unauthorized > 0))
	}
	if wrong := slices.ContainsFunc(samples, func(s Sample) bool { return s.Error != "" }); wrong {
		fmt.Fprintln(w, "\nSeconds in bold are those of a command that went wrong.")
	}
	_, err := fmt.Fprintln(w)
	return err
}

func cell(text string, missed bool) string {
	if missed {
		return "**" + text + "**"
	}
	return text
}

// all are the figures of all lanes together.
func (s Sample) all() Figures {
	sum := Figures{}
	for _, l := range s.Lanes {
		sum = sum.and(l)
	}
	return sum
}

// MarkdownLanes writes a row for each subject and a column for each lane: requests of all rounds, failed ones and the longest gap.
func MarkdownLanes(w io.Writer, head string, samples []Sample) error {
	if len(samples) == 0 {
		return nil
	}
	names := laneNames(samples)
	fmt.Fprintf(w, "| %s: failed of requests, longest gap | %s |\n%s\n", head, strings.Join(names, " | "), strings.Repeat("|---", len(names)+1)+"|")
	for _, what := range Subjects(samples) {
		all, row := of(samples, what), []string{what}
		for _, name := range names {
			sum := Figures{}
			for _, s := range all {
				sum = sum.and(s.Lanes[name])
			}
			text := "-"
			if sum.Requests > 0 {
				text = fmt.Sprintf("%s of %d, %s ms", cell(fmt.Sprint(sum.Failed), sum.Failed > 0), sum.Requests, cell(fmt.Sprintf("%.0f", sum.Gap), sum.Gap >= gapLimit))
			}
			row = append(row, text)
		}
		fmt.Fprintf(w, "| %s |\n", strings.Join(row, " | "))
	}
	_, err := fmt.Fprintln(w)
	return err
}

// MarkdownPhases writes how long each phase of a rotation took in each round.
func MarkdownPhases(w io.Writer, samples []Sample) error {
	samples = slices.DeleteFunc(slices.Clone(samples), func(s Sample) bool { return len(s.Phases) == 0 })
	if len(samples) == 0 {
		return nil
	}
	fmt.Fprintf(w, "| rotation, seconds of each phase in each round | trust | switch | drop |\n%s\n", strings.Repeat("|---", 4)+"|")
	for _, what := range Subjects(samples) {
		row := []string{what}
		for _, phase := range []string{"trust", "switch", "drop"} {
			var took []float64
			for _, s := range of(samples, what) {
				for _, p := range s.Phases {
					if p.Name == phase {
						took = append(took, p.Seconds)
					}
				}
			}
			row = append(row, list(took, "%.1f"))
		}
		fmt.Fprintf(w, "| %s |\n", strings.Join(row, " | "))
	}
	_, err := fmt.Fprintln(w)
	return err
}

// MarkdownRestored writes what restores and recoveries came to.
func MarkdownRestored(w io.Writer, samples []Sample) error {
	samples = slices.DeleteFunc(slices.Clone(samples), func(s Sample) bool { return s.Restored == nil })
	if len(samples) == 0 {
		return nil
	}
	fmt.Fprintf(w, "| data | rounds | seconds to the first write: median; each | seconds of the command, each | lost revisions, each | acknowledged writes lost, each |\n%s\n", strings.Repeat("|---", 6)+"|")
	for _, what := range Subjects(samples) {
		var first, took []float64
		var revisions, writes []string
		for _, s := range of(samples, what) {
			first, took = append(first, s.Restored.FirstWrite), append(took, s.Seconds)
			lost := "nobody can know"
			if s.Restored.Known {
				lost = fmt.Sprint(s.Restored.Lost)
			}
			revisions, writes = append(revisions, lost), append(writes, fmt.Sprintf("%d of %d", s.Lost, s.Acknowledged))
		}
		fmt.Fprintf(w, "| %s | %d | %.1f; %s | %s | %s | %s |\n", what, len(first), Median(first), list(first, "%.1f"), list(took, "%.1f"),
			strings.Join(revisions, ", "), strings.Join(writes, ", "))
	}
	_, err := fmt.Fprintln(w)
	return err
}
