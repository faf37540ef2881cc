package cluster

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/haplane/haplane/internal/change"
	"github.com/haplane/haplane/internal/observed"
	"github.com/haplane/haplane/internal/render"
	"github.com/haplane/haplane/internal/store"
	"github.com/haplane/haplane/internal/topology"
	"github.com/haplane/haplane/spec"
)

// raftData is what a member has on its disk: of which cluster of etcd it is, the last term that it voted in, and its log.
type raftData struct {
	cluster string
	term    int
	log     []raftEntry
}

type raftEntry struct{ term, id int }

// A restoreWorld is the disks of etcd's members, whoever runs, and what each cluster of etcd has acknowledged.
type restoreWorld struct {
	env          *env
	wanted       *spec.Cluster
	t            *rapid.T
	nodes        *topology.Topology
	record       *store.Record
	data, kept   map[string]*raftData
	staged       map[string]map[string]*raftData // by node and the name of the attempt
	runs         map[string]bool
	made         map[string]bool
	acknowledged map[string][]raftEntry
	clock, last  int64
}

// write has those who run and are of one cluster elect a leader and acknowledge something, by raft's rules: a vote goes, once in a
// term, to whoever has at least the same log; what a majority has is acknowledged. Whoever forgot breaks that.
func (w *restoreWorld) write() {
	clusters := map[string][]string{}
	for node, runs := range w.runs {
		if runs {
			clusters[w.data[node].cluster] = append(clusters[w.data[node].cluster], node)
		}
	}
	for _, cluster := range slices.Sorted(maps.Keys(clusters)) {
		of := slices.Sorted(slices.Values(clusters[cluster]))
		if len(of) < 2 {
			continue
		}
		voters := rapid.SampledFrom([][]string{of[:2], of[len(of)-2:], of, {of[0], of[len(of)-1]}}).Draw(w.t, "voters of "+cluster)
		leader := w.data[rapid.SampledFrom(voters).Draw(w.t, "leader")]
		term := 0
		for _, v := range voters {
			if w.data[v].newer(leader) {
				return // no vote
			}
			term = max(term, w.data[v].term)
		}
		for _, v := range voters {
			w.data[v].term = term + 1
		}
		known := w.acknowledged[cluster]
		if len(leader.log) < len(known) || !slices.Equal(leader.log[:len(known)], known) {
			w.t.Fatalf("who leads %s has %v, and %v was acknowledged: members have different data", cluster, leader.log, known)
		}
		w.last++
		leader.log = append(slices.Clone(leader.log), raftEntry{term + 1, int(w.last)})
		for _, v := range voters {
			w.data[v].log = leader.log
		}
		w.acknowledged[cluster] = leader.log
	}
}

func (d *raftData) newer(than *raftData) bool {
	lastTerm := func(d *raftData) int {
		if len(d.log) == 0 {
			return 0
		}
		return d.log[len(d.log)-1].term
	}
	a, b := lastTerm(d), lastTerm(than)
	return a > b || a == b && len(d.log) > len(than.log)
}

// do is what a step does to disks, in the order in which the scripts of internal/apply do it.
func (w *restoreWorld) do(task *change.Task, s change.Step) {
	n, name := s.Node, task.Name()
	switch s.Verb {
	case change.CreateMachine:
		w.made[n], w.data[n], w.kept[n], w.staged[n] = true, nil, nil, map[string]*raftData{}
		w.env.whole(outer, n)
	case change.StageData:
		w.dropEarlier(n, name)
		if _, ready := w.staged[n][name]; !ready {
			w.staged[n][name] = &raftData{cluster: name}
		}
	case change.Halt:
		if slices.Contains(s.Units, "etcd") {
			w.runs[n] = false
		}
	case change.SwapData:
		if w.runs[n] {
			w.t.Fatalf("%s under an etcd that runs", s.ID)
		}
		if fresh := w.staged[n][name]; fresh != nil {
			if w.kept[n] == nil {
				w.kept[n] = w.data[n]
			}
			w.data[n], w.staged[n][name] = fresh, nil
		}
		if w.data[n] == nil {
			w.t.Fatalf("%s: there is no data", s.ID)
		}
	case change.SwapDataBack:
		if w.kept[n] != nil {
			w.data[n], w.kept[n] = w.kept[n], nil
		}
		w.staged[n] = map[string]*raftData{}
	case change.DropData:
		w.kept[n], w.staged[n] = nil, map[string]*raftData{}
	case change.Start:
		if slices.Contains(s.Units, "etcd") {
			w.runs[n] = true
			w.sameData(n)
		}
	}
}

// dropEarlier is where a step that stages data begins: what other attempts have made goes.
func (w *restoreWorld) dropEarlier(node, name string) {
	maps.DeleteFunc(w.staged[node], func(attempt string, _ *raftData) bool { return attempt != name })
}

// sameData fails the test where a member starts with nothing, or beside one that has the data of another cluster.
func (w *restoreWorld) sameData(started string) {
	if w.data[started] == nil {
		w.t.Fatalf("etcd starts on %s, and has no data", started)
	}
	for n, runs := range w.runs {
		if runs && w.data[n].cluster != w.data[started].cluster {
			w.t.Fatalf("etcd starts on %s with the data of %s, and %s runs with that of %s", started, w.data[started].cluster, n, w.data[n].cluster)
		}
	}
}

func (w *restoreWorld) input(l *live) change.Input {
	in := change.Input{Wanted: w.nodes, Desired: map[string]render.Machine{}, Task: l.Task, Done: l.doneBefore(), Begun: l.begunBefore(),
		Observed: observed.State{Machines: map[string]observed.Machine{}}}
	for _, n := range w.nodes.Nodes {
		in.Record = append(in.Record, change.Node{Node: n, State: change.Active})
		made := w.made[n.Name]
		in.Observed.Machines[n.Name] = observed.Machine{Made: made, Running: made, Reachable: made}
	}
	return in
}

// run goes one way, and is cut off after so many steps; it reports whether it came to its end.
func (w *restoreWorld) run(back bool) (ended bool) {
	l := &live{env: w.env, Request: Request{Abort: back, Wanted: w.wanted}, record: w.record}
	if err := l.takeTask(); err != nil {
		if !back {
			w.t.Fatalf("the way on: %v", err)
		}
		return false // what was written since would be lost, or there is no quorum to go back to
	}
	plan := change.Restore
	if back {
		plan = change.RestoreBack
	}
	c, err := plan(w.input(l))
	if err != nil {
		w.t.Fatal(err)
	}
	nodes := slices.Clone(w.record.Nodes)
	for i := range nodes {
		if slices.Contains(l.Replace, nodes[i].Name) {
			nodes[i].State, nodes[i].Rejoin = store.Leaving, true
		}
	}
	w.record = &store.Record{Nodes: nodes, Change: &store.Change{Task: (*store.Task)(l.Task), Replace: l.replaced(), Steps: slices.Clone(l.stepsOf(w.record.Change))}}
	j := w.record.Change
	note := func(s change.Step, state string) {
		w.clock++
		j.Steps = slices.DeleteFunc(j.Steps, func(o store.StepRecord) bool { return o.ID == s.ID })
		j.Steps = append(j.Steps, store.StepRecord{ID: s.ID, Verb: s.Verb, Node: s.Node, State: state, At: time.Unix(w.clock, 0)})
	}
	done := map[string]bool{}
	for left := rapid.IntRange(0, 2*len(c.Steps)).Draw(w.t, "steps"); len(done) < len(c.Steps); left-- {
		ready := slices.DeleteFunc(slices.Clone(c.Steps), func(s change.Step) bool {
			return done[s.ID] || slices.ContainsFunc(s.Needs, func(need string) bool { return !done[need] })
		})
		s := rapid.SampledFrom(ready).Draw(w.t, "next")
		if left > 0 || rapid.Bool().Draw(w.t, "noted") {
			note(s, store.Doing)
			if left > 0 || rapid.Bool().Draw(w.t, "done, and not noted") {
				w.do(l.Task, s)
			} else if s.Verb == change.StageData {
				w.dropEarlier(s.Node, l.Task.Name())
			}
		}
		if left == 0 {
			return false
		}
		note(s, store.Done)
		done[s.ID] = true
		w.write()
		w.write()
	}
	return true
}

// between runs machines boot, which starts etcd where it has data, and some are lost with their disks.
func (w *restoreWorld) between() {
	wrote := stepDone(w.record.Change.Steps, change.WriteObject, "")
	for _, n := range w.nodes.EtcdMembers() {
		switch rapid.SampledFrom([]string{"stays", "stays", "boots", "is lost"}).Draw(w.t, n.Name) {
		case "boots":
			w.runs[n.Name] = w.data[n.Name] != nil
		case "is lost":
			gone := slices.DeleteFunc(w.nodes.EtcdMembers(), func(o topology.Node) bool { return w.made[o.Name] })
			if wrote && len(gone) > 0 { // what becomes of a quorum that was written to is asked
				continue
			}
			w.made[n.Name], w.runs[n.Name], w.data[n.Name], w.kept[n.Name] = false, false, nil, nil
			if err := os.RemoveAll(filepath.Join(w.env.Store.Machines(), n.Name)); err != nil {
				w.t.Fatal(err)
			}
		}
	}
	w.write()
}

var outer *testing.T

// Whichever way a restore goes, cut off anywhere and turned round as often as one likes, with machines that boot or are lost in between:
// no two members that serve together ever have different data, and it ends with the data that was asked for on all of them that are left.
func TestRestoreThereAndBackAndThere(t *testing.T) {
	outer = t
	s := applied(t, commented)
	names := []string{"cp-1", "cp-2", "cp-3"}
	wanted := parsed(t, append(slices.Clone(names), "lb-1")...)
	e := newEnv(wanted, testOptions(t, s))
	e.whole(t, "lb-1")
	rapid.Check(t, func(t *rapid.T) {
		task := &store.Task{ID: "x", Kind: change.RestoreData, Members: names}
		if rapid.Bool().Draw(t, "on new machines") {
			task.Made = names
		}
		w := &restoreWorld{env: e, wanted: wanted, t: t, nodes: e.topology, record: &store.Record{Change: &store.Change{Task: task}}, data: map[string]*raftData{}, kept: map[string]*raftData{},
			staged: map[string]map[string]*raftData{}, runs: map[string]bool{}, made: map[string]bool{"lb-1": true}, acknowledged: map[string][]raftEntry{}}
		for _, n := range e.topology.Nodes {
			w.record.Nodes = append(w.record.Nodes, store.Node{Name: n.Name, Role: n.Role, State: store.Active})
		}
		for _, n := range names {
			w.staged[n] = map[string]*raftData{}
			if err := os.RemoveAll(filepath.Join(e.Store.Machines(), n)); err != nil {
				t.Fatal(err)
			}
			if task.Made == nil {
				w.made[n], w.runs[n], w.data[n] = true, true, &raftData{cluster: "old"}
				e.whole(outer, n)
			}
		}
		back, ended := false, false
		for range rapid.IntRange(1, 7).Draw(t, "runs") {
			back = task.Made == nil && rapid.Bool().Draw(t, "back")
			if ended = w.run(back); ended {
				break
			}
			w.between()
		}
		for i := 0; !ended; i++ {
			if i > 1000 {
				t.Fatal("it does not come to an end")
			}
			back = false
			ended = w.run(false)
		}
		want := "old"
		if !back {
			want = (*change.Task)(w.record.Change.Task).Name()
		}
		for n, d := range w.data {
			if w.made[n] && (d == nil || d.cluster != want || w.kept[n] != nil || len(w.staged[n]) > 0 && !back) {
				t.Fatalf("at the end %s has %+v, kept %+v, staged %v, and %s was wanted", n, d, w.kept[n], w.staged[n], want)
			}
		}
	})
}
