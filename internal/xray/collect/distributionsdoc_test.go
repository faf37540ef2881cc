package collect

import (
	"fmt"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const (
	distributionsDoc      = "../../../docs/xray-by-distribution.md"
	beginOfDistributions  = "<!-- begin: findings by distribution -->\n"
	finishOfDistributions = "<!-- end: findings by distribution -->\n"
)

// The page has what the tests expect of each distribution, and says what each of that means, and of nothing else.
func TestDistributionsDoc(t *testing.T) {
	data, err := os.ReadFile(distributionsDoc)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, begun := strings.Cut(string(data), beginOfDistributions)
	written, after, finished := strings.Cut(rest, finishOfDistributions)
	if !begun || !finished {
		t.Fatalf("%s has no marks for the table", distributionsDoc)
	}
	table := distributionsTable()
	if os.Getenv("UPDATE_GOLDEN") != "" {
		if err := os.WriteFile(distributionsDoc, []byte(before+beginOfDistributions+table+finishOfDistributions+after), 0o644); err != nil {
			t.Fatal(err)
		}
	} else if diff := cmp.Diff(table, written); diff != "" {
		t.Errorf("UPDATE_GOLDEN=1 go test ./internal/xray/collect writes it anew:\n%s", diff)
	}
	var explained []string
	for line := range strings.Lines(after) {
		if cells := strings.Split(line, "|"); len(cells) > 2 {
			explained = append(explained, findingInText.FindAllString(cells[1], -1)...)
		}
	}
	found := map[string]bool{}
	for _, d := range distributions {
		for name := range joined(d.both, d.machines, d.folder) {
			found[inDoc(name)] = true
		}
	}
	slices.Sort(explained)
	if diff := cmp.Diff(slices.Sorted(maps.Keys(found)), explained); diff != "" {
		t.Errorf("explained (-expected of a distribution +on the page):\n%s", diff)
	}
}

var findingInText = regexp.MustCompile(`(WARN|FAIL|ERROR) [a-z-]+`)

// inDoc writes "warn lb-limits" as the page does.
func inDoc(finding string) string {
	status, check, _ := strings.Cut(finding, " ")
	return strings.ToUpper(status) + " " + check
}

func distributionsTable() string {
	var out strings.Builder
	out.WriteString("| | in both ways | `--machines` alone | `--dir` alone |\n|---|---|---|---|\n")
	for _, name := range slices.Sorted(maps.Keys(distributions)) {
		d := distributions[name]
		fmt.Fprintf(&out, "| %s | %s | %s | %s |\n", name, findingsInDoc(d.both), findingsInDoc(d.machines), findingsInDoc(d.folder))
	}
	return out.String()
}

func findingsInDoc(all map[string]string) string {
	byStatus := map[string][]string{}
	for _, finding := range slices.Sorted(maps.Keys(all)) {
		status, check, _ := strings.Cut(finding, " ")
		byStatus[status] = append(byStatus[status], check)
	}
	var parts []string
	for _, status := range []string{"fail", "error", "warn"} {
		if checks := byStatus[status]; checks != nil {
			parts = append(parts, strings.ToUpper(status)+" "+strings.Join(checks, ", "))
		}
	}
	return strings.Join(parts, "; ")
}
