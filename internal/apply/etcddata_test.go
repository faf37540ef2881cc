package apply

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/haplane/haplane/internal/change"
	kept "github.com/haplane/haplane/internal/snapshot"
)

// Members are defragmented one after the other, none of them as the leader, each behind an API server that gets no new
// connections; and done again, again.
func TestDefragmentAll(t *testing.T) {
	now := of(three...)
	w := newWorld(t, now)
	for range 2 {
		in := w.input(now)
		in.Task = &change.Task{Kind: change.DefragmentAll}
		c, err := change.Plan(in)
		if err != nil {
			t.Fatal(err)
		}
		if err := w.runner(now).Run(t.Context(), c); err != nil {
			t.Fatal(err)
		}
	}
	want := []string{"cp-2 drained", "cp-3 drained", "cp-1 drained", "cp-1 drained", "cp-3 drained", "cp-2 drained"} // cp-1 led, and then cp-2
	if diff := cmp.Diff(want, w.etcd.defragmented); diff != "" {
		t.Error(diff)
	}
	w.arrived(now)
	for server, drained := range w.drained {
		if drained {
			t.Errorf("%s is drained still", server)
		}
	}
}

// Who leads by now is asked: whoever led when it was planned may not any more.
func TestDefragmentWhoLeadsByNow(t *testing.T) {
	now := of(three...)
	w := newWorld(t, now)
	in := w.input(now)
	in.Task = &change.Task{Kind: change.DefragmentAll}
	c, err := change.Plan(in)
	if err != nil {
		t.Fatal(err)
	}
	w.etcd.leader = 2 // cp-2, which comes first
	if err := w.runner(now).Run(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"cp-2 drained", "cp-3 drained", "cp-1 drained"}, w.etcd.defragmented); diff != "" {
		t.Error(diff)
	}
}

// Cut off in whatever step, a restore goes on, and back where nobody has written yet.
func TestRestoreGoesOnWhereItWasCutOff(t *testing.T) {
	now := of(three...)
	file := filepath.Join(t.TempDir(), "db")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	begin := func(t *testing.T) (*world, func(back bool) *change.Change) {
		w := newWorld(t, now)
		task := &change.Task{ID: "x", Kind: change.RestoreData, Members: []string{"cp-1", "cp-2", "cp-3"}}
		plan := func(back bool) *change.Change {
			in := w.input(now)
			in.Task, in.Done = task, w.noted("done")
			in.Begun = w.noted("doing")
			c, err := change.Restore(in)
			if back {
				c, err = change.RestoreBack(in)
			}
			if err != nil {
				t.Fatal(err)
			}
			return c
		}
		w.task, w.snapshot = task, file
		return w, plan
	}
	ended := func(t *testing.T, w *world, restored bool) {
		t.Helper()
		if w.api.written {
			t.Error("the object that was written to see whether it can be done is left")
		}
		for _, n := range now.EtcdMembers() {
			if w.etcd.restored[n.Name] != restored {
				t.Errorf("%s has restored data: %v", n.Name, !restored)
			}
		}
		w.arrived(now)
	}
	var c *change.Change
	t.Run("not cut off", func(t *testing.T) {
		w, plan := begin(t)
		c = plan(false)
		if err := w.runner(now).Run(t.Context(), c); err != nil {
			t.Fatal(err)
		}
		ended(t, w, true)
	})
	for _, cut := range ids(c) {
		for name, back := range map[string]bool{"on": false, "back": true} {
			t.Run(strings.ReplaceAll(cut, "/", "-")+" and "+name, func(t *testing.T) {
				w, plan := begin(t)
				w.runUntil(t, now, plan(false), cut)
				w.api.written = cut == change.WriteObject // killed between the write and the end of it
				if back && slices.Contains(w.noted("done"), change.WriteObject) {
					t.Skip("that is refused before")
				}
				if err := w.runner(now).Run(t.Context(), plan(back)); err != nil {
					t.Fatal(err)
				}
				ended(t, w, !back)
			})
		}
	}
}

// A control plane of which no machine is left, cut off in whatever step: it is made anew, with the data of the snapshot, and what
// held the endpoints when that was taken is gone.
func TestRestoreOnNewMachines(t *testing.T) {
	now := of(three...)
	file := filepath.Join(t.TempDir(), "db")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	begin := func(t *testing.T) (*world, func() *change.Change) {
		w := newWorld(t, now)
		gone := []string{"cp-1", "cp-2", "cp-3"}
		for _, name := range gone {
			delete(w.hosts, name)
			delete(w.data, name)
		}
		w.task, w.snapshot, w.api.held = &change.Task{ID: "x", Kind: change.RestoreData, Members: gone, Made: gone}, file, true
		return w, func() *change.Change {
			in := w.input(now)
			in.Task, in.Done, in.Begun = w.task, w.noted("done"), w.noted("doing")
			c, err := change.Restore(in)
			if err != nil {
				t.Fatal(err)
			}
			return c
		}
	}
	ended := func(t *testing.T, w *world) {
		t.Helper()
		for _, n := range now.EtcdMembers() {
			if !w.etcd.restored[n.Name] {
				t.Errorf("%s has no data", n.Name)
			}
		}
		if w.api.held {
			t.Error("the endpoints are held still")
		}
		for _, n := range w.record {
			if n.State != change.Active {
				t.Errorf("%s is %s", n.Name, n.State)
			}
		}
		w.arrived(now)
	}
	var c *change.Change
	t.Run("not cut off", func(t *testing.T) {
		w, plan := begin(t)
		c = plan()
		if err := w.runner(now).Run(t.Context(), c); err != nil {
			t.Fatal(err)
		}
		ended(t, w)
	})
	for _, cut := range ids(c) {
		t.Run(strings.ReplaceAll(cut, "/", "-"), func(t *testing.T) {
			w, plan := begin(t)
			w.runUntil(t, now, plan(), cut)
			if err := w.runner(now).Run(t.Context(), plan()); err != nil {
				t.Fatal(err)
			}
			ended(t, w)
		})
	}
}

// A leader is moved to who is named, and not to one that cannot lead.
func TestMoveLeaderTo(t *testing.T) {
	now := of(three...)
	w := newWorld(t, now)
	step := change.Step{ID: "move-leader@cp-1/asked", Verb: change.MoveLeader, Node: "cp-1", To: "cp-3"}
	for range 2 {
		if err := w.runner(now).Run(t.Context(), &change.Change{Steps: []change.Step{step}}); err != nil || w.etcd.leader != 3 {
			t.Errorf("%d leads, %v", w.etcd.leader, err)
		}
	}
	step.Node, step.To = "cp-3", "worker-1"
	err := w.runner(now).Run(t.Context(), &change.Change{Steps: []change.Step{step}})
	if err == nil || !strings.Contains(err.Error(), "worker-1 is no voter that is healthy") || w.etcd.leader != 3 {
		t.Errorf("%d leads, %v", w.etcd.leader, err)
	}
}

// Whoever reads etcd ends before it does, and at once.
func TestHalt(t *testing.T) {
	now := of(three...)
	w := newWorld(t, now)
	r := w.runner(now)
	r.Task = &change.Task{ID: "x"}
	steps := []change.Step{{ID: "a", Verb: change.Halt, Node: "cp-1", Units: []string{"kube-scheduler", "kube-apiserver"}}, {ID: "b", Verb: change.Halt, Node: "cp-1", Units: []string{"etcd"}, Needs: []string{"a"}}}
	if err := r.Run(t.Context(), &change.Change{Steps: steps}); err != nil {
		t.Fatal(err)
	}
	want := []string{"kill kube-scheduler kube-apiserver", "stop kube-scheduler kube-apiserver", "stop etcd"}
	if got := w.hosts["cp-1"].Did(); !slices.Equal(got, want) || len(w.hosts["cp-1"].Running) != 0 {
		t.Errorf("did %v; %v run", got, w.hosts["cp-1"].Running)
	}
}

// dataWorld is the folder of etcd's data of a machine: each name of a file is what is in there.
type dataWorld struct {
	t         *testing.T
	dir       string
	bin       string
	snapshots string // the folder of those that the machine takes
}

func newDataWorld(t *testing.T, systemctl string, paths ...string) *dataWorld {
	t.Helper()
	w := &dataWorld{t: t, dir: t.TempDir(), bin: t.TempDir(), snapshots: t.TempDir()}
	if err := os.WriteFile(filepath.Join(w.bin, "systemctl"), []byte("#!/bin/sh\n"+systemctl+"\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, p := range paths {
		file := filepath.Join(w.dir, p)
		if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return w
}

func (w *dataWorld) run(script string) error {
	cmd := exec.CommandContext(w.t.Context(), "sh", "-c", script, "sh", w.dir, w.dir+"/restore-x", w.dir+"/before-x", w.bin, w.snapshots)
	cmd.Env = []string{"PATH=" + w.bin + ":" + os.Getenv("PATH")}
	return cmd.Run()
}

func (w *dataWorld) has() string {
	var out []string
	_ = filepath.WalkDir(w.dir, func(path string, d os.DirEntry, _ error) error {
		if rel, _ := filepath.Rel(w.dir, path); !d.IsDir() {
			out = append(out, rel)
		}
		return nil
	})
	return strings.Join(out, " ")
}

// Wherever the exchange of data was cut off, the same again ends with the new data in place and the old
// beside it; and going back, with the old.
func TestSwapDataFromEverywhere(t *testing.T) {
	const stopped = `[ "$1" != is-active ] || exit 3`
	for name, paths := range map[string][]string{
		"nothing is done yet":   {"member/old", "restore-x/data/member/new", "restore-x/ready"},
		"the old data is aside": {"before-x/member/old", "restore-x/data/member/new", "restore-x/ready"},
		"etcd began with none":  {"before-x/member/old", "member/fresh", "restore-x/data/member/new", "restore-x/ready"},
		"all is done":           {"before-x/member/old", "member/new", "restore-x/ready"},
	} {
		t.Run(name, func(t *testing.T) {
			for range 2 {
				w := newDataWorld(t, stopped, paths...)
				for range 2 {
					if err := w.run(swapScript); err != nil {
						t.Fatal(err)
					}
					if _, err := os.Stat(filepath.Join(w.snapshots, kept.RestoringFile)); err != nil {
						t.Errorf("snapshots may be taken of data that may go again: %v", err)
					}
					if got := w.has(); got != "before-x/member/old member/new restore-x/ready" {
						t.Errorf("there is %s", got)
					}
				}
				for range 2 {
					if err := w.run(swapBackScript); err != nil || w.has() != "member/old" {
						t.Errorf("back: %v, %s", err, w.has())
					}
					if left, _ := os.ReadDir(w.snapshots); len(left) > 0 {
						t.Errorf("no snapshots afterwards: %v", left)
					}
				}
			}
		})
	}
	w := newDataWorld(t, stopped, "restore-x/data/member/new") // its disk was lost
	if err := w.run(swapScript); err != nil || w.has() != "member/new" {
		t.Errorf("a member without data: %v, %s", err, w.has())
	}
	w = newDataWorld(t, stopped, "member/new", "before-x/member/old", "restore-x/ready", "restore-x-1/data/member/other", "restore-y/ready") // it began anew
	if err := w.run(swapBackScript); err != nil || w.has() != "member/old restore-y/ready" {
		t.Errorf("back from another attempt: %v, %s", err, w.has())
	}
	w = newDataWorld(t, "exit 0", "member/old", "restore-x/data/member/new")
	if w.run(swapScript) == nil || w.run(swapBackScript) == nil || !strings.HasPrefix(w.has(), "member/old") {
		t.Errorf("under an etcd that runs: %s", w.has())
	}
}

// While the data of a member is between two places, and only then, etcd does not start with its machine.
func TestEtcdDoesNotBeginWithNothing(t *testing.T) {
	for name, test := range map[string]struct{ script, cut string }{
		"there": {swapScript, "mv \"$stage/data/member\" member"}, "back": {swapBackScript, "mv \"$kept/member\" member"},
	} {
		t.Run(name, func(t *testing.T) {
			paths := []string{"member/old", "restore-x/data/member/new", "restore-x/ready"}
			if name == "back" {
				paths = []string{"before-x/member/old", "member/new", "restore-x/ready"}
			}
			w := newDataWorld(t, `[ "$1" != is-active ] || exit 3`, paths...)
			guard := filepath.Join(w.bin, "etcd.service.d", "haplane-restore.conf")
			head, _, found := strings.Cut(test.script, test.cut)
			if head = strings.TrimSuffix(head, "rm -rf member; "); !found || w.run(head+map[bool]string{true: " rm -rf member; fi", false: " fi"}[name == "back"]) != nil {
				t.Fatalf("the script has no %s", test.cut)
			}
			text, err := os.ReadFile(guard)
			if _, gone := os.Stat(filepath.Join(w.dir, "member")); err != nil || gone == nil || string(text) != "[Unit]\nConditionPathExists="+w.dir+"/member\n" {
				t.Errorf("in the middle: %v, %q", err, text)
			}
			if err := w.run(test.script); err != nil {
				t.Fatal(err)
			}
			if _, err := os.Stat(filepath.Dir(guard)); !os.IsNotExist(err) {
				t.Errorf("it is held afterwards: %v", err)
			}
		})
	}
}

// The data is there whole, or not at all, and nothing is copied where there is no room for it; what earlier attempts have made takes none.
func TestStageData(t *testing.T) {
	const sumOfData = "3a6eb0790f39ac87c94f3856b2dd2c5d110e6811602261a9a923d3bb23adc8b7" // of "data"
	const well = `mkdir -p "${4#--data-dir=}/member" && : >"${4#--data-dir=}/member/new"`
	const earlier = "restore-x/data/member/first restore-x/ready restore-x-1/data/member/other"
	for name, test := range map[string]struct{ stage, sum, etcdutl, there, want string }{
		"well":                    {"restore-x", sumOfData, well, "", "restore-x/data/member/new restore-x/ready"},
		"arrived damaged":         {"restore-x", strings.Repeat("0", 64), "exit 0", "", ""},
		"etcdutl fails":           {"restore-x", sumOfData, "echo no space left on device >&2; exit 1", "", ""},
		"another attempt":         {"restore-x-2", sumOfData, well, "before-x/member/old member/now restore-xy/ready " + earlier, "before-x/member/old member/now restore-x-2/data/member/new restore-x-2/ready restore-xy/ready"},
		"another one, cut off":    {"restore-x-2", sumOfData, "exit 1", "restore-x-2/data/member/new restore-x-2/ready " + earlier, "restore-x-2/data/member/new restore-x-2/ready"},
		"another one, in place":   {"restore-x-2", sumOfData, "exit 1", "member/new restore-x-2/ready " + earlier, "member/new restore-x-2/ready"},
		"another one, that fails": {"restore-x-2", sumOfData, "exit 1", "member/now " + earlier, "member/now"},
		"no room":                 {"restore-x-2", "no room", well, "member/now restore-x-2/snapshot.db " + earlier, "member/now"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newDataWorld(t, "", strings.Fields(test.there)...)
			if err := os.WriteFile(filepath.Join(w.bin, "etcdutl"), []byte("#!/bin/sh\n"+test.etcdutl+"\n"), 0o755); err != nil {
				t.Fatal(err)
			}
			sh := func(script, stdin string, args ...string) (string, error) {
				cmd := exec.CommandContext(t.Context(), "sh", append([]string{"-c", script, "sh"}, args...)...)
				cmd.Env, cmd.Stdin = []string{"PATH=" + w.bin + ":" + os.Getenv("PATH")}, strings.NewReader(stdin)
				out, err := cmd.Output()
				return strings.TrimSpace(string(out)), err
			}
			stage, first, ready := w.dir+"/"+test.stage, w.dir+"/restore-x", strings.Contains(test.want, test.stage+"/ready")
			size := "4"
			if test.sum == "no room" {
				size = "1000000000000000000"
			}
			for range 2 {
				_, err := sh(stageScript, "data", stage, test.sum, size, w.dir, first, "--name=cp-1")
				if (err == nil) != ready || w.has() != test.want {
					t.Errorf("%v, %q", err, w.has())
				}
				var said *exec.ExitError
				if size != "4" && (!errors.As(err, &said) || !strings.Contains(string(said.Stderr), w.dir+" has ") || !strings.Contains(string(said.Stderr), "and the snapshot takes 1907348633068 beside")) {
					t.Errorf("of room it says %v, %+v", err, said)
				}
				done, err := sh(stagedScript, "", stage, first)
				if err != nil || (done == "ready") != ready {
					t.Errorf("done is %q, %v", done, err)
				}
			}
			if err := os.MkdirAll(w.dir+"/restore-x", 0o700); err != nil { // cut off between
				t.Fatal(err)
			}
			if said, err := sh(stagedScript, "", w.dir+"/restore-x-2", first); said != "" || err != nil {
				t.Errorf("beside an earlier attempt it is done: %q, %v", said, err)
			}
		})
	}
}
