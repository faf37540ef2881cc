package change

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/haplane/haplane/internal/observed"
)

// asked is a healthy cluster of which something is wanted beside its file.
func asked(t *testing.T, task Task, names ...string) Input {
	t.Helper()
	in := healthy(wanted(t, names...))
	in.Task = &task
	return in
}

var threeNodes = []string{"cp-1", "cp-2", "cp-3", "worker-1", "lb-1"}

func TestDefragmentTakesTheLeaderLast(t *testing.T) {
	in := asked(t, Task{Kind: DefragmentAll}, threeNodes...) // cp-1 leads
	c, err := Plan(in)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		"lb-drain@cp-2/defrag", "etcd-defrag@cp-2", "lb-restore@cp-2/defrag",
		"lb-drain@cp-3/defrag", "etcd-defrag@cp-3", "lb-restore@cp-3/defrag",
		"lb-drain@cp-1/defrag", "move-leader@cp-1/defrag", "etcd-defrag@cp-1", "lb-restore@cp-1/defrag",
	}
	if diff := cmp.Diff(want, ids(c)); diff != "" {
		t.Error(diff)
	}
	before(t, c, want...) // one after the other
	for _, s := range c.Steps {
		if s.Verb == Defragment && s.Guard.Etcd != OpStop {
			t.Errorf("%s has guard %+v", s.ID, s.Guard)
		}
	}
}

func TestDefragment(t *testing.T) {
	tests := map[string]struct {
		names []string
		edit  func(*Input)
		steps []string
		err   string
	}{
		"what was done before is not done again": {threeNodes, func(in *Input) { in.Done = []string{"etcd-defrag@cp-2", "etcd-defrag@cp-3"} },
			[]string{"lb-drain@cp-1/defrag", "move-leader@cp-1/defrag", "etcd-defrag@cp-1", "lb-restore@cp-1/defrag"}, ""},
		"much data: the API server beside it ends first": {[]string{"cp-1", "cp-2", "cp-3", "lb-1"}, func(in *Input) {
			in.Observed.Etcd.Members[1].DBInUse = 2 * largeData
			in.Done = []string{"etcd-defrag@cp-1", "etcd-defrag@cp-3"}
		}, []string{"lb-drain@cp-2/defrag", "stop@cp-2/defrag", "etcd-defrag@cp-2", "start@cp-2/defrag", "lb-restore@cp-2/defrag"}, ""},
		"one alone": {[]string{"cp-1", "lb-1"}, func(*Input) {}, []string{"etcd-defrag@cp-1"}, ""},
		"machines of etcd": {[]string{"cp-1", "cp-2", "etcd-1", "etcd-2", "etcd-3", "lb-1"}, func(*Input) {},
			[]string{"etcd-defrag@etcd-2", "etcd-defrag@etcd-3", "move-leader@etcd-1/defrag", "etcd-defrag@etcd-1"}, ""},
		"one is dead": {threeNodes, func(in *Input) {
			in.Observed.Etcd.Members[2].Healthy = false
			in.Done = []string{"start@cp-3"}
		}, nil, ""},
		"two of five are dead, and cannot be mended": {[]string{"cp-1", "cp-2", "cp-3", "cp-4", "cp-5", "lb-1"}, func(in *Input) {
			for _, i := range []int{3, 4} {
				in.Observed.Etcd.Members[i] = observed.Member{ID: uint64(90 + i), Name: "elsewhere"}
			}
			in.Wanted = wanted(t, "cp-1", "cp-2", "cp-3", "lb-1")
			in.Record = in.Record[:3]
		}, nil, "refused"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			in := asked(t, Task{Kind: DefragmentAll}, test.names...)
			test.edit(&in)
			c, err := Plan(in)
			var refused *Refused
			if test.err != "" {
				if !errors.As(err, &refused) || !strings.Contains(err.Error(), test.err) {
					t.Errorf("error %v", err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if test.steps == nil { // it is mended before anything that is healthy is touched
				before(t, c, "start@cp-3", "etcd-defrag@cp-2")
				return
			}
			if diff := cmp.Diff(test.steps, ids(c)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestMoveLeader(t *testing.T) {
	tests := map[string]struct {
		to, steps string
		edit      func(*Input)
		refused   bool
	}{
		"to one":           {"cp-3", "move-leader@cp-1/asked", func(*Input) {}, false},
		"to any":           {"", "move-leader@cp-1/asked", func(*Input) {}, false},
		"to who leads":     {"cp-1", "", func(*Input) {}, false},
		"to a learner":     {"cp-3", "", func(in *Input) { in.Observed.Etcd.Members[2].Learner = true; in.Observed.Etcd.Quorum = false }, true},
		"to one that died": {"cp-3", "", func(in *Input) { in.Observed.Etcd.Members[2].Healthy = false }, true},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			in := asked(t, Task{Kind: MoveTheLeader, To: test.to}, threeNodes...)
			test.edit(&in)
			c, err := Plan(in)
			var refused *Refused
			if errors.As(err, &refused) != test.refused {
				t.Fatal(err)
			}
			if err == nil && strings.Join(ids(c), " ") != test.steps {
				t.Errorf("steps %v", ids(c))
			}
		})
	}
}

func TestMakeRoom(t *testing.T) {
	in := asked(t, Task{Kind: MakeRoom}, threeNodes...)
	if c, err := Plan(in); err != nil || !c.Nothing() {
		t.Errorf("without an alarm: %v, %v", c, err)
	}
	in.Observed.Etcd.Alarms = []observed.Alarm{{Member: 2, Kind: "NOSPACE"}}
	c, err := Plan(in)
	if err != nil {
		t.Fatal(err)
	}
	before(t, c, "etcd-compact", "etcd-defrag@cp-2", "etcd-defrag@cp-3", "etcd-defrag@cp-1", "etcd-disarm", "write-object")
	in.Observed.Etcd.Alarms = append(in.Observed.Etcd.Alarms, observed.Alarm{Member: 3, Kind: "CORRUPT"})
	var refused *Refused
	if _, err := Plan(in); !errors.As(err, &refused) || !strings.Contains(err.Error(), "cp-3") {
		t.Errorf("with corrupt data: %v", err)
	}
}

// Nothing stops before the data is there on all machines, nothing starts before it is in place on all, and what
// was there before goes last.
func TestRestore(t *testing.T) {
	in := asked(t, Task{Kind: RestoreData, Members: []string{"cp-1", "cp-2", "cp-3"}}, threeNodes...)
	c, err := Restore(in)
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range []string{"cp-1", "cp-2", "cp-3"} {
		for _, b := range []string{"cp-1", "cp-2", "cp-3"} {
			before(t, c, "etcd-stage@"+a, "halt@"+b+"/kube-apiserver")
			before(t, c, "halt@"+a+"/kube-apiserver", "halt@"+b+"/etcd", "etcd-swap@"+a, "start@"+b+"/etcd", "start@"+a+"/kube-apiserver", "etcd-drop@"+b)
			before(t, c, "start@"+a+"/etcd", "write-object", "etcd-drop@"+b)
			before(t, c, "halt@"+a+"/etcd", "etcd-swap@"+b)
			before(t, c, "write-object", "release-leases", "start@"+a+"/controllers")
		}
	}
	before(t, c, "write-object", "node-register@worker-1", "etcd-drop@cp-1")

	in.Done = []string{"etcd-swap@cp-1", "etcd-swap@cp-2"}
	if c, _ = Restore(in); !slices.Contains(ids(c), "halt@cp-3/etcd") {
		t.Errorf("one has the old data still: %v", ids(c))
	}
	in.Done = append(in.Done, "etcd-swap@cp-3")
	if c, _ = Restore(in); slices.ContainsFunc(c.Steps, func(s Step) bool { return s.Verb == Halt || s.Verb == SwapData }) {
		t.Errorf("all have the new data, and something stops: %v", ids(c))
	}
	in.Begun = in.Done
	back, err := RestoreBack(in)
	if err != nil {
		t.Fatal(err)
	}
	before(t, back, "halt@cp-1/kube-apiserver", "halt@cp-2/etcd", "etcd-swap-back@cp-3", "start@cp-1/etcd", "start@cp-2/kube-apiserver")
	before(t, back, "start@cp-3/etcd", "write-object")
}

// What is left of a control plane goes on alone; nothing is asked of machines that are gone.
func TestRestoreOfWhatIsLeft(t *testing.T) {
	in := asked(t, Task{Kind: RestoreData, Members: []string{"cp-2"}}, threeNodes...)
	dies(&in, "cp-1", true)
	dies(&in, "cp-3", true)
	c, err := Restore(in)
	if err != nil {
		t.Fatal(err)
	}
	before(t, c, "etcd-stage@cp-2", "halt@cp-2/kube-apiserver", "halt@cp-2/etcd", "etcd-swap@cp-2", "start@cp-2/etcd", "start@cp-2/kube-apiserver", "etcd-drop@cp-2")
	for _, s := range c.Steps {
		if s.Node == "cp-1" || s.Node == "cp-3" {
			t.Errorf("step %s", s.ID)
		}
	}
	dies(&in, "cp-2", true)
	var refused *Refused
	if _, err := Restore(in); !errors.As(err, &refused) {
		t.Errorf("nobody is left: %v", err)
	}
}
