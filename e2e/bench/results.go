package main

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/haplane/haplane/e2e/bench/floor"
	"github.com/haplane/haplane/e2e/bench/kubeadm"
)

// A run is what one run measured; what it left out is zero.
type run struct {
	phases  timedPhases // of up
	up      time.Duration
	floor   floor.Times
	kubeadm []kubeadm.Step
}

// results are the figures of all runs.
type results struct {
	commands, phases, floor, kubeadm, ratios table
	memory                                   []usage
	versions                                 string

	apiReady []time.Duration // since the start of up
	lowest   time.Duration   // floor of all runs
}

func newResults() *results {
	return &results{
		commands: table{head: "since the start of the command", unit: seconds},
		phases:   table{head: "phase of up", unit: seconds},
		floor:    table{head: "floor: bare processes, since their start", unit: seconds},
		kubeadm:  table{head: "kubeadm, one machine after another", unit: seconds},
		ratios:   table{head: "compared, within each run", unit: times},
	}
}

// apiPhase is that of up in which the processes of the API start and come to be ready.
const apiPhase = "start/api"

// add takes in a run, and compares what was measured in it.
func (r *results) add(one run) {
	for _, p := range one.phases {
		r.phases.addTime(p.id, "", p.took)
	}
	if one.floor.LoadBalancer > 0 {
		r.floor.addTime("each API server ready", "", one.floor.APIServers)
		r.floor.addTime("and through the load balancer", "", one.floor.LoadBalancer)
	}
	for _, s := range one.kubeadm {
		name := s.Name
		if !s.Counted {
			name += " (not counted)"
		}
		r.kubeadm.addTime(name, "", s.Took)
	}
	if len(one.kubeadm) > 0 {
		r.kubeadm.addTime("the whole sequence", "", sequence(one.kubeadm))
	}
	r.compare(one)
}

// compare sets the same things beside each other: until each API server and the
// load balancer answer, and until nodes and DNS are ready.
func (r *results) compare(one run) {
	if one.up == 0 {
		return
	}
	if lowest := one.floor.LoadBalancer; lowest > 0 {
		started := one.phases.took(apiPhase)
		r.ratios.add("API ready, since the start of up : floor", "at most 1.6", ratio(one.phases.end(apiPhase), lowest))
		r.ratios.add("API ready, since the start of "+apiPhase+" : floor", "at most 1.6", ratio(started, lowest))
		r.apiReady = append(r.apiReady, one.phases.end(apiPhase))
		if r.lowest == 0 || lowest < r.lowest {
			r.lowest = lowest
		}
	}
	if len(one.kubeadm) > 0 {
		r.ratios.add("kubeadm : up", "at least 3", ratio(sequence(one.kubeadm), one.up))
	}
}

// sequence is how long kubeadm's way took, of what counts.
func sequence(steps []kubeadm.Step) time.Duration {
	var sum time.Duration
	for _, s := range steps {
		if s.Counted {
			sum += s.Took
		}
	}
	return sum
}

// compareLowest adds what can be told after the last run only. The floor varies by
// itself: etcd members that start within the same moment ask each other whether the
// cluster is there already, and wait a second for each that does not serve yet. The
// run in which they did not have to is the harder comparison.
func (r *results) compareLowest() {
	for _, t := range r.apiReady {
		r.ratios.add("API ready, since the start of up : lowest floor of all runs", "", ratio(t, r.lowest))
	}
}

func ratio(a, b time.Duration) float64 { return float64(a) / float64(b) }

// versionLines are what `haplane version` prints, the table of components in one line.
func versionLines(text string) string {
	own, components, _ := strings.Cut(strings.TrimSpace(text), "\n")
	var list []string
	for line := range strings.Lines(components) {
		if f := strings.Fields(line); len(f) == 2 && f[0] != "COMPONENT" {
			list = append(list, f[0]+" "+f[1])
		}
	}
	return own + "\n" + strings.Join(list, ", ") + "\n"
}

// print writes the tables and what they were measured on.
func (r *results) print(w io.Writer, runs int) error {
	r.compareLowest()
	for _, t := range []*table{&r.commands, &r.phases, &r.floor, &r.kubeadm, &r.ratios} {
		if err := t.print(w); err != nil {
			return err
		}
	}
	if err := printMemory(w, r.memory); err != nil {
		return err
	}
	_, err := fmt.Fprintf(w, "%d runs, components and image in the cache\n%s%s\n%s\n", runs,
		r.versions, host(), time.Now().UTC().Format(time.DateOnly))
	return err
}
