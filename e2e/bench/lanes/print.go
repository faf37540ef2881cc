package lanes

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
)

// Print writes a line for each subject and lane: requests and failed ones of all
// rounds, the longest gap of any, and behind them every number.
func Print(w io.Writer, head string, samples []Sample) error {
	tw := tabwriter.NewWriter(w, 0, 0, 3, ' ', 0)
	fmt.Fprintf(tw, "%s\tLANE\tREQUESTS\tFAILED\tLONGEST GAP\tP99, MEDIAN\tFAILED, EACH ROUND\tLONGEST GAP (MS), EACH ROUND\n", strings.ToUpper(head))
	for _, what := range Subjects(samples) {
		all := of(samples, what)
		for _, name := range laneNames(all) {
			sum, p99, failed, gaps := Figures{}, []float64{}, []string{}, []string{}
			for _, s := range all {
				l := s.Lanes[name]
				measured := l.Requests > 0
				failed, gaps = append(failed, each(float64(l.Failed), "%.0f", measured)), append(gaps, each(l.Gap, "%.0f", measured))
				if measured {
					sum, p99 = sum.and(l), append(p99, l.P99)
				}
			}
			if len(p99) == 0 {
				fmt.Fprintf(tw, "%s\t%s\t0\t-\t-\t-\t%s\t%s\n", what, name, strings.Join(failed, " "), strings.Join(gaps, " "))
				continue
			}
			fmt.Fprintf(tw, "%s\t%s\t%d\t%d\t%.0f ms\t%.0f ms\t%s\t%s\n", what, name, sum.Requests, sum.Failed, sum.Gap, Median(p99), strings.Join(failed, " "), strings.Join(gaps, " "))
		}
	}
	fmt.Fprintln(tw)
	return tw.Flush()
}

// PrintCommands writes a line for each subject: how long its command took, and what it did.
// Targets are by subject, in words.
func PrintCommands(w io.Writer, head string, samples []Sample, targets map[string]string) error {
	tw := tabwriter.NewWriter(w, 0, 0, 3, ' ', 0)
	fmt.Fprintf(tw, "%s\tMEDIAN\tTARGET\tSECONDS, EACH ROUND\tWRITES LOST\tCERTIFICATES CHANGED\tNEW FAILURES\tWENT WRONG\n", strings.ToUpper(head))
	for _, what := range Subjects(samples) {
		all := of(samples, what)
		var took, certificates []float64
		failures, wrong := 0, 0
		for _, s := range all {
			took, certificates = append(took, s.Seconds), append(certificates, float64(s.Certificates))
			failures += len(s.NewFailures)
			if s.Error != "" {
				wrong++
			}
		}
		fmt.Fprintf(tw, "%s\t%.1f s\t%s\t%s\t%s\t%s\t%d\t%d\n", what, Median(took), cmp.Or(targets[what], "-"), list(took, "%.1f"), lost(all, plain),
			list(certificates, "%.0f"), failures, wrong)
	}
	fmt.Fprintln(tw)
	if err := tw.Flush(); err != nil {
		return err
	}
	return printCost(w, samples)
}

func printCost(w io.Writer, samples []Sample) error {
	var share, rate []float64
	for _, s := range samples {
		if s.Rate > 0 {
			share, rate = append(share, 100*s.CPUShare), append(rate, s.Rate)
		}
	}
	if len(rate) == 0 {
		return nil
	}
	_, err := fmt.Fprintf(w, "haplane itself, change and measurement: %.0f%% of one CPU at %.0f requests a second (medians)\n\n", Median(share), Median(rate))
	return err
}

// PrintRatio compares two subjects within each round that has both.
func PrintRatio(w io.Writer, samples []Sample, two, one, target string) error {
	var ratios []float64
	for _, a := range of(samples, two) {
		for _, b := range of(samples, one) {
			if a.Round == b.Round && a.Error == "" && b.Error == "" && b.Seconds > 0 {
				ratios = append(ratios, a.Seconds/b.Seconds)
			}
		}
	}
	if len(ratios) == 0 {
		return nil
	}
	_, err := fmt.Fprintf(w, "%s : %s: %.2f (%s); each round: %s\n", two, one, Median(ratios), target, list(ratios, "%.2f"))
	return err
}

// PrintFew names the lanes that have seen too few requests to tell that none fails.
func PrintFew(w io.Writer, samples []Sample, least int) error {
	var few []string
	for _, what := range Subjects(samples) {
		all := of(samples, what)
		for _, name := range laneNames(all) {
			if sum := requests(all, name); sum < least {
				few = append(few, fmt.Sprintf("%s, %s: %d", what, name, sum))
			}
		}
	}
	if len(few) == 0 {
		return nil
	}
	_, err := fmt.Fprintf(w, "fewer than %d requests: %s\n", least, strings.Join(few, "; "))
	return err
}

// Fewest is how many requests the lane of a subject sent that sent the fewest, over all rounds; 0 without a round.
func Fewest(samples []Sample, what string) int {
	_, least := fewest(of(samples, what))
	return least
}

// fewest is that lane, and how many requests it sent.
func fewest(all []Sample) (name string, least int) {
	for _, lane := range laneNames(all) {
		if sum := requests(all, lane); name == "" || sum < least {
			name, least = lane, sum
		}
	}
	return name, least
}

func requests(samples []Sample, lane string) int {
	sum := 0
	for _, s := range samples {
		sum += s.Lanes[lane].Requests
	}
	return sum
}

// each is the value of a round, or that it was not measured.
func each(value float64, format string, measured bool) string {
	if !measured {
		return nothing
	}
	return fmt.Sprintf(format, value)
}

func list(values []float64, format string) string {
	var out []string
	for _, v := range values {
		out = append(out, fmt.Sprintf(format, v))
	}
	return strings.Join(out, " ")
}

// Median is that of values in any order; 0 without any.
func Median(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	if len(sorted) == 0 {
		return 0
	}
	n := len(sorted)
	return (sorted[(n-1)/2] + sorted[n/2]) / 2
}
