package cluster

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/haplane/haplane/internal/change"
	"github.com/haplane/haplane/internal/machine"
	"github.com/haplane/haplane/internal/machine/machinetest"
	"github.com/haplane/haplane/internal/snapshot"
	"github.com/haplane/haplane/internal/store"
	"github.com/haplane/haplane/internal/topology"
	"github.com/haplane/haplane/spec"
)

// whole makes what there is of a machine that is off and has its disk.
func (e *env) whole(t *testing.T, node string) {
	t.Helper()
	e.off(t, node)
	for _, f := range []string{"upper", "data/etcd", "data/containerd", "data/kubelet"} {
		if err := os.MkdirAll(filepath.Join(e.Store.Machines(), node, f), 0o755); err != nil {
			t.Fatal(err)
		}
	}
}

// up makes what there is of a machine that runs: its process is this one.
func (e *env) up(t *testing.T, node string) {
	t.Helper()
	e.whole(t, node)
	_, stat, _ := strings.Cut(string(must[[]byte](t)(os.ReadFile("/proc/self/stat"))), ") ")
	boot := strings.TrimSpace(string(must[[]byte](t)(os.ReadFile("/proc/sys/kernel/random/boot_id"))))
	process := fmt.Sprintf(`{"pid": %d, "start": %s, "boot": %q}`, os.Getpid(), strings.Fields(stat)[19], boot)
	if err := os.WriteFile(filepath.Join(e.Store.Machines(), node, "process.json"), []byte(process), 0o600); err != nil {
		t.Fatal(err)
	}
}

// parsed is a cluster of nodes by their names.
func parsed(t *testing.T, names ...string) *spec.Cluster {
	t.Helper()
	text := "apiVersion: haplane/v1alpha1\nkind: Cluster\nmetadata: {name: demo}\nspec:\n  nodes:\n"
	for _, name := range names {
		prefix, _, _ := strings.Cut(name, "-")
		text += "  - {name: " + name + ", role: " + map[string]string{"cp": "control-plane", "worker": "worker", "etcd": "etcd", "lb": "load-balancer"}[prefix] + "}\n"
	}
	return must[*spec.Cluster](t)(spec.Parse("test", []byte(text)))
}

// Those that are left get the data; those that are gone are made anew, at once where nothing would serve without them.
func TestWhoGetsTheData(t *testing.T) {
	stacked := []string{"cp-1", "cp-2", "cp-3", "worker-1", "lb-1"}
	external := []string{"cp-1", "cp-2", "etcd-1", "etcd-2", "etcd-3", "worker-1", "lb-1"}
	for name, test := range map[string]struct {
		nodes, gone, off       []string
		states                 map[string]store.NodeState
		members, made, replace string
		says                   string
	}{
		"all are there":             {nodes: stacked, members: "cp-1 cp-2 cp-3"},
		"two are gone":              {nodes: stacked, gone: []string{"cp-2", "cp-3"}, members: "cp-1", replace: "cp-2 cp-3"},
		"a worker beside":           {nodes: stacked, gone: []string{"cp-2", "cp-3", "worker-1"}, members: "cp-1", replace: "cp-2 cp-3 worker-1"},
		"a worker alone":            {nodes: stacked, gone: []string{"worker-1"}, members: "cp-1 cp-2 cp-3"},
		"the control plane is gone": {nodes: stacked, gone: []string{"cp-1", "cp-2", "cp-3"}, members: "cp-1 cp-2 cp-3", made: "cp-1 cp-2 cp-3"},
		"all is gone":               {nodes: stacked, gone: stacked, members: "cp-1 cp-2 cp-3", made: "cp-1 cp-2 cp-3 worker-1 lb-1"},
		"no way to the API":         {nodes: stacked, gone: []string{"cp-3", "lb-1"}, members: "cp-1 cp-2", made: "lb-1", replace: "cp-3"},
		"etcd is gone":              {nodes: external, gone: []string{"etcd-1", "etcd-2", "etcd-3"}, members: "etcd-1 etcd-2 etcd-3", made: "etcd-1 etcd-2 etcd-3"},
		"the API servers are gone":  {nodes: external, gone: []string{"cp-1", "cp-2"}, members: "etcd-1 etcd-2 etcd-3", made: "cp-1 cp-2"},
		"one is off":                {nodes: stacked, gone: []string{"cp-1"}, off: []string{"cp-2"}, says: "the machine of cp-2 is off"},
		"all API servers are off":   {nodes: external, off: []string{"cp-1", "cp-2"}, says: "there is no other API server"},
		"one joined, and is gone":   {nodes: stacked, gone: []string{"cp-2", "cp-3"}, states: map[string]store.NodeState{"cp-3": store.Joining}, members: "cp-1", replace: "cp-2"},
		"one joins":                 {nodes: stacked, gone: []string{"cp-2"}, states: map[string]store.NodeState{"cp-3": store.Joining}, members: "cp-1", replace: "cp-2 cp-3"},
		"one has yet to take its turn in an upgrade": {nodes: stacked, gone: []string{"cp-1", "cp-2"}, states: map[string]store.NodeState{"cp-2": store.Leaving, "cp-3": store.Leaving}, members: "cp-3", replace: "cp-1"},
	} {
		t.Run(name, func(t *testing.T) {
			q := Request{Wanted: parsed(t, test.nodes...), Task: newTask(change.RestoreData)}
			r, made := &store.Record{}, map[string]bool{}
			for _, n := range q.Wanted.Spec.Nodes {
				one := store.Node{Name: n.Name, Role: n.Role, State: store.Active}
				if state, ok := test.states[n.Name]; ok {
					one.State, one.Rejoin = state, state == store.Leaving
				}
				r.Nodes = append(r.Nodes, one)
				if !slices.Contains(test.gone, n.Name) {
					made[n.Name] = !slices.Contains(test.off, n.Name)
				}
			}
			err := q.target(r, made)
			if test.says != "" {
				if err == nil || !strings.Contains(err.Error(), test.says) {
					t.Errorf("error %v", err)
				}
				return
			}
			got := []string{strings.Join(q.Task.Members, " "), strings.Join(q.Task.Made, " "), strings.Join(q.Replace, " ")}
			if diff := cmp.Diff([]string{test.members, test.made, test.replace}, got); diff != "" || err != nil {
				t.Errorf("%v\n%s", err, diff)
			}
		})
	}
}

// While etcd moves, members of before and of afterwards are asked; else only those that there are.
func TestMembersThatAreAsked(t *testing.T) {
	stacked, external := parsed(t, "cp-1", "cp-2", "cp-3", "lb-1"), parsed(t, "cp-1", "cp-2", "cp-3", "etcd-1", "etcd-2", "etcd-3", "lb-1")
	for name, test := range map[string]struct {
		applied, wanted *spec.Cluster
		want            string
	}{
		"to machines of its own": {stacked, external, "cp-1 cp-2 cp-3 etcd-1 etcd-2 etcd-3"},
		"back from these":        {external, stacked, "cp-1 cp-2 cp-3 etcd-1 etcd-2 etcd-3"},
		"on machines of its own": {external, nil, "etcd-1 etcd-2 etcd-3"},
		"on control-plane nodes": {stacked, nil, "cp-1 cp-2 cp-3"},
	} {
		t.Run(name, func(t *testing.T) {
			s := applied(t, commented)
			err := s.Update(func(r *store.Record) error {
				r.Applied, r.Wanted, r.Nodes = test.applied, test.wanted, nil
				for _, n := range external.Spec.Nodes {
					if test.wanted != nil || slices.Contains(nodeNames(test.applied), n.Name) {
						r.Nodes = append(r.Nodes, store.Node{Name: n.Name, Role: n.Role, Address: n.Address, State: store.Active})
					}
				}
				if test.wanted != nil {
					r.Change = &store.Change{Command: "haplane apply"}
				}
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, n := range opened(t).env.etcdNodes() {
				got = append(got, n.Name)
			}
			slices.Sort(got)
			if strings.Join(got, " ") != test.want {
				t.Errorf("asked are %v", got)
			}
		})
	}
}

// What was touched is known through ways there and back again, and what has to be done again is not taken for done.
func TestStepsOfARestore(t *testing.T) {
	at := int64(0)
	step := func(verb, node string) store.StepRecord {
		at++
		s := store.StepRecord{ID: verb + "@" + node, Verb: verb, Node: node, State: store.Done, At: time.Unix(at, 0)}
		if node == "" {
			s.ID = verb
		}
		return s
	}
	there := []store.StepRecord{step(change.Halt, "cp-1"), step(change.SwapData, "cp-1"), step(change.SwapData, "cp-2"), step(change.WriteObject, "")}
	wrote := []store.StepRecord{step(change.Halt, "cp-1"), step(change.WriteObject, "")} // with the data that was there all along
	back := append(slices.Clone(there[:3]), step(change.SwapDataBack, "cp-1"), step(change.SwapDataBack, "cp-2"))
	for name, test := range map[string]struct {
		steps       []store.StepRecord
		abort, anew bool
		done, begun string
	}{
		"there":                {there, false, false, "halt@cp-1 etcd-swap@cp-1 etcd-swap@cp-2 write-object", "halt@cp-1 etcd-swap@cp-1 etcd-swap@cp-2 write-object"},
		"there, and back":      {there[:3], true, false, "", "halt@cp-1 etcd-swap@cp-1 etcd-swap@cp-2"},
		"back, and back":       {back, true, false, "", "halt@cp-1 etcd-swap@cp-1 etcd-swap@cp-2 etcd-swap-back@cp-1 etcd-swap-back@cp-2"},
		"back, and there":      {back, false, true, "", "halt@cp-1 etcd-swap@cp-1 etcd-swap@cp-2"},
		"written to, and back": {wrote, false, true, "", "halt@cp-1"},
	} {
		t.Run(name, func(t *testing.T) {
			task := store.Task{ID: "a", Kind: change.RestoreData, Bump: 7}
			l := &live{Request: Request{Abort: test.abort}, record: &store.Record{Change: &store.Change{Task: &task, Steps: test.steps}}}
			if err := l.takeTask(); err != nil {
				t.Fatal(err)
			}
			if name := l.Task.Name(); name != map[bool]string{false: "a", true: "a-1"}[test.anew] || (l.Task.Bump > 7) != test.anew || task.Attempt != 0 {
				t.Errorf("goes on as %s, %d further", name, l.Task.Bump)
			}
			if done, begun := strings.Join(l.doneBefore(), " "), strings.Join(l.begunBefore(), " "); done != test.done || begun != test.begun {
				t.Errorf("done %s\nbegun %s", done, begun)
			}
		})
	}
}

// A change that was cut off before the quorum was lost goes on when etcd has its data, and is not taken for the end of the restore.
func TestWhatARestoreInterruptsGoesOn(t *testing.T) {
	s := applied(t, commented)
	task := change.Task{ID: "a", Kind: change.RestoreData, Interrupts: "haplane upgrade", Made: []string{"cp-1"}}
	if err := s.Update(func(r *store.Record) error {
		r.Change = &store.Change{ID: "1", Command: "haplane etcd recover", Task: (*store.Task)(&task)}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	l := asked(t, s, opened(t).Request())
	l.Task, l.change = &task, &change.Change{}
	if err := l.settle(); err != nil {
		t.Fatal(err)
	}
	c := must[*store.Record](t)(s.Record()).Change
	if c == nil || c.Task != nil || c.Command != "haplane upgrade" || !l.settled {
		t.Errorf("change %+v", c)
	}
	if text := strings.Join(l.taskWarnings(), "\n"); !strings.Contains(text, "(haplane upgrade) goes on afterwards") || !strings.Contains(text, "cp-1 are made anew") {
		t.Errorf("warnings %s", text)
	}
	l.Abort = true
	l.record = must[*store.Record](t)(s.Record())
	l.record.Change.Task = (*store.Task)(&task)
	if err := l.takeTask(); err == nil || !strings.Contains(err.Error(), "nothing to go back to") {
		t.Errorf("error %v", err)
	}
}

// Where machines are lost in the midst of a restore on those that there were, it goes on with the others; where the quorum went with them it
// begins anew for those that are left. What was written to it is not lost unless that is asked for.
func TestMachinesThatARestoreLoses(t *testing.T) {
	step := func(verb, node, state string) store.StepRecord {
		return store.StepRecord{ID: verb + "@" + node, Verb: verb, Node: node, State: state}
	}
	staged := []store.StepRecord{step(change.StageData, "cp-1", store.Done)}
	halted := append(slices.Clone(staged), step(change.Halt, "cp-1", store.Done))
	swapped := append(slices.Clone(halted), step(change.SwapData, "cp-1", store.Done))
	wrote := append(slices.Clone(swapped), step(change.WriteObject, "", store.Done))
	apply := func(*Request) {}
	back := func(q *Request) { q.Abort = true }
	same := func(q *Request) { q.Task = &change.Task{ID: "b", Kind: change.RestoreData, Sum: "s"} }
	rescue := func(q *Request) {
		q.Task, q.Replace = &change.Task{ID: "a", Attempt: 1, Kind: change.RestoreData, Sum: "z", Members: []string{"cp-1"}}, []string{"cp-2"}
	}
	for name, test := range map[string]struct {
		members, there   string
		steps            []store.StepRecord
		ask              func(*Request)
		task, of, anew   string // its name, members, and who is made anew afterwards
		made, says, hint string
	}{
		"none":                        {members: "cp-1 cp-2", there: "cp-1 cp-2 lb-1", steps: swapped, ask: apply, task: "a", of: "cp-1 cp-2"},
		"a minority":                  {members: "cp-1 cp-2 cp-3", there: "cp-1 cp-2 lb-1", steps: swapped, ask: apply, task: "a", of: "cp-1 cp-2 cp-3", anew: "cp-3"},
		"a minority, after a write":   {members: "cp-1 cp-2 cp-3", there: "cp-1 cp-2 lb-1", steps: wrote, ask: apply, task: "a", of: "cp-1 cp-2 cp-3", anew: "cp-3"},
		"the quorum":                  {members: "cp-1 cp-2", there: "cp-1 worker-1 lb-1", steps: swapped, ask: apply, task: "a-1", of: "cp-1", anew: "cp-2"},
		"the quorum, and the way":     {members: "cp-1 cp-2", there: "cp-1 worker-1", steps: swapped, ask: apply, task: "a-1", of: "cp-1", anew: "cp-2", made: "lb-1"},
		"the way":                     {members: "cp-1 cp-2", there: "cp-1 cp-2 worker-1", steps: wrote, ask: apply, task: "a", of: "cp-1 cp-2", made: "lb-1"},
		"back, without the way":       {members: "cp-1 cp-2", there: "cp-1 cp-2", steps: swapped, ask: back, says: "the machines of lb-1 are gone since, and with them the way to the API", hint: "haplane apply --cluster demo goes on, and makes them anew"},
		"back, with its own data":     {members: "cp-1 cp-2", there: "cp-1 lb-1", steps: halted, ask: back, says: "the machines of cp-2 are gone since", hint: "haplane apply --cluster demo goes on, with the snapshot for those that are left, and makes the others anew; haplane etcd recover --cluster demo goes on with the data of before"},
		"all":                         {members: "cp-1 cp-2", there: "worker-1 lb-1", steps: swapped, ask: apply, task: "a-1", of: "cp-1 cp-2", made: "cp-1 cp-2"},
		"the quorum, after a write":   {members: "cp-1 cp-2", there: "cp-1 lb-1", steps: wrote, ask: apply, says: "the machines of cp-2 were lost, and with them the quorum", hint: "haplane etcd recover --cluster demo goes on with the data of cp-1; "},
		"the same asked for again":    {members: "cp-1 cp-2", there: "cp-1 worker-1 lb-1", steps: wrote, ask: same, task: "a-1", of: "cp-1", anew: "cp-2"},
		"what is left asked for":      {members: "cp-1 cp-2", there: "cp-1 lb-1", steps: wrote, ask: rescue, task: "a-1", of: "cp-1", anew: "cp-2"},
		"back, with the quorum":       {members: "cp-1 cp-2 cp-3", there: "cp-1 cp-2 lb-1", steps: swapped, ask: back, task: "a", of: "cp-1 cp-2 cp-3"},
		"back, without it":            {members: "cp-1 cp-2", there: "cp-1 lb-1", steps: swapped, ask: back, says: "the machines of cp-2 are gone since", hint: "haplane apply --cluster demo goes on, with the snapshot for those that are left"},
		"back, where nothing stopped": {members: "cp-1 cp-2", there: "cp-1 lb-1", steps: staged, ask: back, task: "a", of: "cp-1 cp-2"},
	} {
		t.Run(name, func(t *testing.T) {
			s := applied(t, commented)
			task := store.Task{ID: "a", Kind: change.RestoreData, Sum: "s", Bump: 7, Members: strings.Fields(test.members)}
			if err := s.Update(func(r *store.Record) error {
				r.Change = &store.Change{ID: "1", Command: "haplane etcd restore", Task: &task, Steps: test.steps}
				return nil
			}); err != nil {
				t.Fatal(err)
			}
			q := opened(t).Request()
			test.ask(&q)
			l := asked(t, s, q)
			for _, node := range strings.Fields(test.there) {
				l.whole(t, node)
			}
			err := l.takeTask()
			if test.says != "" {
				var hinted *HintedError
				if !errors.As(err, &hinted) || !strings.Contains(err.Error(), test.says) || !strings.HasPrefix(hinted.Hint, test.hint) {
					t.Errorf("error %v, hint %+v", err, hinted)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			got := []string{l.Task.Name(), strings.Join(l.Task.Members, " "), strings.Join(l.Task.Made, " "), strings.Join(l.Replace, " ")}
			if diff := cmp.Diff([]string{test.task, test.of, test.made, test.anew}, got); diff != "" {
				t.Error(diff)
			}
			if leapt := l.Task.Bump > 7; leapt != (test.task == "a-1" && l.Task.Sum == "s") {
				t.Errorf("revisions grow by %d", l.Task.Bump)
			}
			if done := strings.Join(l.doneBefore(), " "); test.task == "a-1" && done != "" {
				t.Errorf("done already: %s", done)
			}
		})
	}
}

// A restore that was written to and has lost its quorum since is what recover is for, and one that has changed nobody's data; any other goes on.
func TestRecoverInTheMidstOfARestore(t *testing.T) {
	halted := []store.StepRecord{{ID: "halt@cp-1/etcd", Verb: change.Halt, Node: "cp-1", State: store.Done}}
	swapped := append(slices.Clone(halted), store.StepRecord{ID: "etcd-swap@cp-1", Verb: change.SwapData, Node: "cp-1", State: store.Done})
	wrote := append(slices.Clone(swapped), store.StepRecord{ID: change.WriteObject, Verb: change.WriteObject, State: store.Done})
	for name, test := range map[string]struct {
		steps    []store.StepRecord
		recovers bool
	}{"nobody has its data": {halted, true}, "written to": {wrote, true}, "not written to": {swapped, false}} {
		t.Run(name, func(t *testing.T) {
			s, steps, recovers := keyed(t), test.steps, test.recovers
			if err := s.Update(func(r *store.Record) error {
				r.Change = &store.Change{ID: "1", Command: "haplane etcd restore", Steps: steps,
					Task: &store.Task{ID: "a", Kind: change.RestoreData, Sum: "s", Members: []string{"cp-1", "cp-2"}}}
				return nil
			}); err != nil {
				t.Fatal(err)
			}
			h := opened(t)
			h.env.whole(t, "cp-1") // and is off
			q, err := h.Recover(t.Context())
			if off := err != nil && strings.Contains(err.Error(), "the machines of cp-1 are off, and their data is not lost"); off != recovers || !recovers && (err != nil || q.Task != nil) {
				t.Errorf("task %+v, error %v", q.Task, err)
			}
		})
	}
}

// What is left of a restore goes on as another attempt of it, with the data of now: in its folders, with what it interrupted, and with the
// revisions that it leapt over where its own data is what is left.
func TestRecoverGoesOnWithWhatIsLeft(t *testing.T) {
	halt := store.StepRecord{ID: "halt@cp-1/etcd", Verb: change.Halt, Node: "cp-1", State: store.Done}
	swap := store.StepRecord{ID: "etcd-swap@cp-1", Verb: change.SwapData, Node: "cp-1", State: store.Done}
	write := store.StepRecord{ID: change.WriteObject, Verb: change.WriteObject, State: store.Done}
	for name, test := range map[string]struct {
		bump  uint64
		steps []store.StepRecord
		leaps []store.Leap
		again []string // what may have to be undone or done again
	}{
		"nobody has its data": {leap, []store.StepRecord{halt}, nil, []string{halt.ID}},
		"written to":          {5, []store.StepRecord{halt, swap, write}, []store.Leap{{After: 2, By: 5}}, []string{halt.ID, swap.ID}},
	} {
		t.Run(name, func(t *testing.T) {
			s := keyed(t)
			snapshotOf(t, s, func(*snapshot.Manifest, map[string][]byte) {}) // the program of which ends at 7
			cut := store.Task{ID: "a", Attempt: 1, Kind: change.RestoreData, Sum: "s", Snapshot: "s.db", Members: []string{"cp-1", "cp-2"}, Revision: 2, Bump: test.bump, Interrupts: "haplane upgrade"}
			err := errors.Join(s.Update(func(r *store.Record) error {
				r.Change = &store.Change{ID: "1", Command: "haplane etcd restore", Task: &cut, Steps: test.steps}
				return nil
			}), os.MkdirAll(filepath.Dir(s.Restored("s.db")), 0o700), os.WriteFile(s.Restored("s.db"), nil, 0o600))
			if err != nil {
				t.Fatal(err)
			}
			h := opened(t)
			for _, node := range []string{"worker-1", "lb-1"} {
				h.env.whole(t, node)
			}
			h.env.up(t, "cp-1")
			h.env.reach = func(name string) machine.Machine {
				return &machinetest.Recorder{NodeName: name, Answer: func(argv []string) (string, error) {
					if name == "cp-1" && slices.Equal(argv, []string{"cat", topology.EtcdDataDir + "/member/snap/db"}) {
						return strings.Repeat("x", 1024), nil
					}
					return "1000000000\n", nil // of its log
				}}
			}
			q := must[Request](t)(h.Recover(t.Context()))
			data := must[[]byte](t)(os.ReadFile(s.Restored(q.Task.Snapshot)))
			if sum := sha256.Sum256(data); q.Task.Sum != hex.EncodeToString(sum[:]) || len(data) != 1024+sha256.Size || !bytes.HasPrefix(data, []byte("xxx")) {
				t.Errorf("kept are %d bytes of sum %x", len(data), sum)
			}
			want := change.Task{ID: "a", Attempt: 2, Kind: change.RestoreData, Sum: q.Task.Sum, Snapshot: q.Task.Sum[:16] + ".db", Members: []string{"cp-1"}, Revision: 7, Newest: 7, Bump: leap,
				Interrupts: "haplane upgrade", Note: "etcd goes on with the data of cp-1, revision 7, of which the last entry was written 2001-09-09 01:46:40 UTC: " +
					"what cp-2 acknowledged after that, and without it, is lost, and nobody knows how much that is"}
			if diff := cmp.Diff(want, *q.Task); diff != "" || !slices.Equal(q.Replace, []string{"cp-2"}) {
				t.Errorf("made anew: %v\n%s", q.Replace, diff)
			}
			l := asked(t, s, q)
			if err := errors.Join(l.takeTask(), l.begin()); err != nil {
				t.Fatal(err)
			}
			r := must[*store.Record](t)(s.Record())
			if diff := cmp.Diff([]any{(*store.Task)(&want), test.leaps}, []any{r.Change.Task, r.Leaps}); diff != "" {
				t.Error(diff)
			}
			if done, begun := l.doneBefore(), l.begunBefore(); len(done) > 0 || !slices.Equal(begun, test.again) {
				t.Errorf("done before: %v, begun %v", done, begun)
			}
			left, _ := filepath.Glob(filepath.Join(s.Dir, "tmp", "*"))
			if kept, _ := filepath.Glob(s.Restored("*")); len(left) > 0 || len(kept) != 1 {
				t.Errorf("left are %v %v", left, kept)
			}
		})
	}
}

// A restore that takes over one that was cut off: who was to be made anew is no member, whatever machine there is, and who was made for the
// restore has no programs yet. Nobody is named twice, however often it goes on.
func TestARestoreThatTakesOver(t *testing.T) {
	s := applied(t, commented)
	task := store.Task{ID: "a", Kind: change.RestoreData, Sum: "s", Members: []string{"cp-1", "cp-2"}, Made: []string{"worker-1"}}
	if err := s.Update(func(r *store.Record) error {
		r.Change = &store.Change{ID: "1", Command: "haplane etcd restore", Task: &task, Replace: []string{"cp-2"}}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	q := opened(t).Request()
	q.Task = &change.Task{ID: "a", Attempt: 1, Kind: change.RestoreData}
	record := must[*store.Record](t)(s.Record())
	if err := q.retarget(record, map[string]bool{"cp-1": true, "cp-2": true, "worker-1": true, "lb-1": true}); err != nil {
		t.Fatal(err)
	}
	if got := []string{strings.Join(q.Task.Members, " "), strings.Join(q.Task.Made, " "), strings.Join(q.Replace, " ")}; !slices.Equal(got, []string{"cp-1", "worker-1", "cp-2"}) {
		t.Errorf("members, made, made anew: %q", got)
	}
	l := asked(t, s, q)
	if got := l.replaced(); !slices.Equal(got, []string{"cp-2"}) {
		t.Errorf("made anew: %v", got)
	}
	l.Task.Made = append(l.Task.Made, "cp-2")
	l.Replace = nil
	if got := l.replaced(); len(got) > 0 {
		t.Errorf("made by the restore, and anew: %v", got)
	}
}
