package lanes

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"
)

// gapLimit is how long no request of a lane may succeed, in milliseconds.
const gapLimit = 1000

// Markdown writes a row for each subject, with every round in its cells, as docs/measurements.md has them:
// all lanes together, each lane is in what MarkdownLanes writes. What misses the goal is in bold; what was not measured is -, and
// below the table is why.
func Markdown(w io.Writer, head string, samples []Sample) error {
	if len(samples) == 0 {
		return nil
	}
	fmt.Fprintf(w, "| %s | rounds measured | seconds: median; each | failed requests, each | longest gap of any lane, ms, each | requests: the lane with the fewest; all | writes lost | answers 401 |\n%s\n",
		head, strings.Repeat("|---", 8)+"|")
	for _, what := range Subjects(samples) {
		all := of(samples, what)
		var took, failed, gaps []string
		var seconds []float64
		unauthorized, measured := 0, 0
		for _, s := range all {
			seconds = append(seconds, s.Seconds)
			took = append(took, cell(fmt.Sprintf("%.1f", s.Seconds), s.Error != ""))
			if !s.asked() {
				failed, gaps = append(failed, nothing), append(gaps, nothing)
				continue
			}
			f := s.all()
			failed, gaps = append(failed, cell(fmt.Sprint(f.Failed), f.Failed > 0)), append(gaps, cell(fmt.Sprintf("%.0f", f.Gap), f.Gap >= gapLimit))
			unauthorized, measured = unauthorized+s.Unauthorized, measured+1
		}
		answers := nothing
		if measured > 0 {
			answers = cell(fmt.Sprint(unauthorized), unauthorized > 0)
		}
		fmt.Fprintf(w, "| %s | %s | %.1f; %s | %s | %s | %s | %s | %s |\n", what, outOf(measured, len(all)), Median(seconds), strings.Join(took, " "), strings.Join(failed, " "),
			strings.Join(gaps, " "), sent(all), lost(all, cell), answers)
	}
	if wrong := slices.ContainsFunc(samples, func(s Sample) bool { return s.Error != "" }); wrong {
		fmt.Fprintln(w, "\nSeconds in bold are those of a command that went wrong.")
	}
	printLate(w, samples)
	return printUnmeasured(w, samples)
}

// printLate says, below a table, in which rounds the process that measured was late itself, and could have seen failures of its own.
func printLate(w io.Writer, samples []Sample) {
	var said []string
	for _, s := range samples {
		if s.FailedLate > 0 || s.Late >= gapLimit/2 {
			said = append(said, fmt.Sprintf("- %s, round %d: by up to %.0f ms, %d of %d failed requests were due or under way then", s.What, s.Round, s.Late, s.FailedLate, s.all().Failed))
		}
	}
	if len(said) > 0 {
		fmt.Fprintf(w, "\nThe process that measured was late itself:\n\n%s\n", strings.Join(said, "\n"))
	}
}

// printUnmeasured says, below a table, what of it was not measured, and why.
func printUnmeasured(w io.Writer, samples []Sample) error {
	var said []string
	for _, s := range samples {
		why := slices.Clone(s.Unmeasured)
		if !s.asked() && len(why) == 0 {
			why = []string{cmp.Or(s.Error, "no lane has sent a request")}
		}
		for _, one := range slices.Compact(why) {
			said = append(said, fmt.Sprintf("- %s, round %d: %s", s.What, s.Round, strings.Join(strings.Fields(one), " ")))
		}
	}
	if len(said) > 0 {
		fmt.Fprintf(w, "\nNot measured:\n\n%s\n", strings.Join(said, "\n"))
	}
	_, err := fmt.Fprintln(w)
	return err
}

// nothing is what was not measured.
const nothing = "-"

// outOf is a number of rounds, with that of all where these are more.
func outOf(measured, all int) string {
	if measured == all {
		return fmt.Sprint(all)
	}
	return fmt.Sprintf("%d of %d", measured, all)
}

// sent are the requests of a subject, in the lane that sent the fewest and in all.
func sent(all []Sample) string {
	name, least := fewest(all)
	if name == "" {
		return nothing
	}
	sum, names := 0, laneNames(all)
	for _, name := range names {
		sum += requests(all, name)
	}
	return fmt.Sprintf("%d (%s); %d in %d lanes", least, name, sum, len(names))
}

// lost are the acknowledged writes that were lost; those of rounds in which nobody could look do not count.
func lost(all []Sample, mark func(string, bool) string) string {
	acknowledged, gone := 0, 0
	for _, s := range all {
		if s.checked() {
			acknowledged, gone = acknowledged+s.Acknowledged, gone+s.Lost
		}
	}
	if acknowledged == 0 {
		return nothing
	}
	return fmt.Sprintf("%s of %d", mark(fmt.Sprint(gone), gone > 0), acknowledged)
}

func plain(text string, _ bool) string { return text }

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

// MarkdownLanes writes a row for each subject and a column for each lane: requests of all rounds, failed ones and the longest gap, and
// in how many rounds it was measured where these are not all.
func MarkdownLanes(w io.Writer, head string, samples []Sample) error {
	if len(samples) == 0 {
		return nil
	}
	names := laneNames(samples)
	fmt.Fprintf(w, "| %s: failed of requests, longest gap | %s |\n%s\n", head, strings.Join(names, " | "), strings.Repeat("|---", len(names)+1)+"|")
	for _, what := range Subjects(samples) {
		all, row := of(samples, what), []string{what}
		for _, name := range names {
			sum, measured := Figures{}, 0
			for _, s := range all {
				if l := s.Lanes[name]; l.Requests > 0 {
					sum, measured = sum.and(l), measured+1
				}
			}
			text := nothing
			if measured > 0 {
				text = fmt.Sprintf("%s of %d, %s ms", cell(fmt.Sprint(sum.Failed), sum.Failed > 0), sum.Requests, cell(fmt.Sprintf("%.0f", sum.Gap), sum.Gap >= gapLimit))
			}
			if measured > 0 && measured < len(all) {
				text += fmt.Sprintf(" (%d of %d rounds)", measured, len(all))
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
			var took []string
			for _, s := range of(samples, what) {
				seconds, is := s.phase(phase)
				took = append(took, each(seconds, "%.1f", is))
			}
			row = append(row, strings.Join(took, " "))
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
			revision := "nobody can know"
			if s.Restored.Known {
				revision = fmt.Sprint(s.Restored.Lost)
			}
			revisions, writes = append(revisions, revision), append(writes, lost([]Sample{s}, plain))
		}
		fmt.Fprintf(w, "| %s | %d | %.1f; %s | %s | %s | %s |\n", what, len(first), Median(first), list(first, "%.1f"), list(took, "%.1f"),
			strings.Join(revisions, ", "), strings.Join(writes, ", "))
	}
	_, err := fmt.Fprintln(w)
	return err
}
