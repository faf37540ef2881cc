package lanes

import (
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/haplane/haplane/internal/cluster"
	"github.com/haplane/haplane/internal/probe"
)

// What haplane writes of a rotation is what is read here: both phases together.
func TestReadRotation(t *testing.T) {
	type phase struct {
		Phase string `json:"phase"`
		*cluster.Outcome
	}
	second := probe.Report{Lanes: []probe.LaneReport{{Name: "lb-new", Requests: 10, LongestGap: 200, Percentiles: probe.Percentiles{P99: 3},
		FailedLate: 2, Outages: []probe.Outage{{Failed: 1, FirstError: "status 401 Unauthorized"}}}}, Late: []probe.Lateness{{Start: began, End: began.Add(time.Second)}}}
	data := measured(t, struct {
		Phases []phase `json:"phases"`
		Done   bool    `json:"done"`
	}{[]phase{{"trust", &cluster.Outcome{Seconds: 12.5, Report: &haplanes}}, {"switch", &cluster.Outcome{Seconds: 2, Report: &second, NewFailures: []string{"x"}}}}, true})
	got, err := ReadRotation(data)
	if err != nil {
		t.Fatal(err)
	}
	sum := wantMeasured()
	sum.Lanes["lb-new"], sum.Unauthorized, sum.FailedLate = Figures{1010, 2, 200, 7, "refused"}, 1, 3
	want := Rotation{Outcome: Outcome{Measured: sum, Seconds: 14.5, NewFailures: []string{"x"}}, Phases: []Phase{{"trust", 12.5}, {"switch", 2}}, Done: true}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
	for name, text := range map[string]string{"no phase": `{"phases": [], "done": false}`, "an outcome": `{"seconds": 3}`, "a phase without a report": `{"phases": [{"phase": "trust", "seconds": 1}], "done": false}`} {
		if got, err := ReadRotation([]byte(text)); err == nil {
			t.Errorf("%s: no error, but %+v", name, got)
		}
	}
}

func TestReadRestored(t *testing.T) {
	data, err := json.Marshal(cluster.Outcome{Restored: &cluster.Restored{Revision: 7, LostRevisions: 3, LostKnown: true, SecondsToFirstWrite: 5.25}})
	if err != nil {
		t.Fatal(err)
	}
	got, err := ReadRestored(data)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(&Restored{5.25, 3, true}, got); d != "" {
		t.Error(d)
	}
	if _, err := ReadRestored([]byte(`{"seconds": 3}`)); err == nil {
		t.Error("nothing was restored, and no error")
	}
}

// A lane that some rounds lack says in how many it was; of writes that nobody looked for nothing is claimed.
func TestMarkdownOfWhatWasNotMeasured(t *testing.T) {
	all := []Sample{
		{What: "x", Round: 1, Seconds: 1, Measured: Measured{Lanes: map[string]Figures{"lb-new": {Requests: 10, Gap: 5}, "worker": {Requests: 3, Gap: 6}}, Acknowledged: 9, Unmeasured: []string{unchecked}}},
		{What: "x", Round: 2, Seconds: 1, Measured: Measured{Lanes: map[string]Figures{"lb-new": {Requests: 10, Gap: 7}, "worker": {}}, Unmeasured: []string{"lane worker:\nno node"}}},
		{What: "y", Round: 1, Seconds: 1, Measured: Measured{Lanes: map[string]Figures{}}},
	}
	var w strings.Builder
	if err := errors.Join(Markdown(&w, "change", all), MarkdownLanes(&w, "change", all), Print(&w, "change", all), PrintCommands(&w, "command", all, nil)); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"| x | 2 | 1.0; 1.0 1.0 | 0 0 | 6 7 | 3 (worker); 23 in 2 lanes | - | 0 |", "| y | 0 of 1 | 1.0; 1.0 | - | - | - | - | - |",
		"- x, round 1: it is unknown whether writes are lost", "- x, round 2: lane worker: no node", "- y, round 1: no lane has sent a request",
		"| x | 0 of 20, 7 ms | 0 of 3, 6 ms (1 of 2 rounds) |", "| y | - | - |", "x worker 3 0 6 ms 0 ms 0 - 6 -", "x 1.0 s - 1.0 1.0 - 0 0 0 0",
	} {
		if !slices.Contains(lines(w.String()), want) {
			t.Errorf("no %q in\n%s", want, w.String())
		}
	}
}

func TestMarkdown(t *testing.T) {
	all := samples()
	all[0].Unauthorized, all[3].Lanes["lb-new"] = 1, Figures{Requests: 700, Gap: 1000}
	all[0].Late, all[1].Late, all[1].FailedLate, all[2].Late = 499, 480, 2, 600
	all = append(all, Sample{What: "rotate", Round: 1, Seconds: 9, Phases: []Phase{{"trust", 4}, {"switch", 3.25}}},
		Sample{What: "rotate", Round: 2, Seconds: 9, Phases: []Phase{{"trust", 5}, {"drop", 1}}},
		Sample{What: "restore", Seconds: 12, Restored: &Restored{4.5, 7, true}, Measured: Measured{Acknowledged: 50, Lost: 5}},
		Sample{What: "restore", Seconds: 13, Restored: &Restored{5.5, 0, false}})
	var w strings.Builder
	for _, err := range []error{Markdown(&w, "change", all[:5]), MarkdownLanes(&w, "change", all[:4]), MarkdownPhases(&w, all), MarkdownRestored(&w, all),
		Markdown(&w, "none", nil), MarkdownLanes(&w, "none", nil), MarkdownPhases(&w, nil), MarkdownRestored(&w, nil)} {
		if err != nil {
			t.Fatal(err)
		}
	}
	want := []string{
		"| change | rounds measured | seconds: median; each | failed requests, each | longest gap of any lane, ms, each | requests: the lane with the fewest; all | writes lost | answers 401 |",
		"|---|---|---|---|---|---|---|---|",
		"| add one | 2 | 21.0; 20.0 22.0 | 0 **1** | 40 60 | 1100 (lb-new); 2200 in 2 lanes | 0 of 1100 | **1** |",
		"| add two | 2 of 3 | 33.0; 24.0 33.0 **99.0** | **2** 0 - | 80 **1000** - | 1400 (lb-new); 2800 in 2 lanes | **1** of 1400 | 0 |", "",
		"Seconds in bold are those of a command that went wrong.", "",
		"The process that measured was late itself:", "", "- add two, round 1: by up to 480 ms, 2 of 2 failed requests were due or under way then",
		"- add one, round 2: by up to 600 ms, 0 of 1 failed requests were due or under way then", "",
		"Not measured:", "", "- add two, round 3: killed", "",
		"| change: failed of requests, longest gap | lb-new | worker |", "|---|---|---|",
		"| add one | **1** of 1100, 60 ms | 0 of 1100, 10 ms |", "| add two | **2** of 1400, **1000** ms | 0 of 1400, 10 ms |", "",
		"| rotation, seconds of each phase in each round | trust | switch | drop |", "|---|---|---|---|", "| rotate | 4.0 5.0 | 3.2 - | - 1.0 |", "",
		"| data | rounds | seconds to the first write: median; each | seconds of the command, each | lost revisions, each | acknowledged writes lost, each |", "|---|---|---|---|---|---|",
		"| restore | 2 | 5.0; 4.5 5.5 | 12.0 13.0 | 7, nobody can know | 5 of 50, - |", "",
	}
	if d := cmp.Diff(want, lines(w.String())); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}
