package cluster

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/haplane/haplane/internal/kubeapi"
)

// off makes a machine that was created once and does not run.
func (e *env) off(t *testing.T, node string) {
	t.Helper()
	dir := filepath.Join(e.Store.Machines(), node)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{"machine.json": `{"name": "` + node + `", "addresses": ["10.10.10.12"], "image": "/x"}`, "console.log": "bye\n"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

func readyNodes(e *env, reported time.Time) []kubeapi.Node {
	var out []kubeapi.Node
	for _, n := range e.topology.KubeletNodes() {
		out = append(out, kubeapi.Node{Name: n.Name, Ready: true, Reason: "KubeletReady", Reported: reported})
	}
	return out
}

func TestReadinessOfTheTimeBeforeIsNone(t *testing.T) {
	e, _ := recorded()
	e.Store = testStore(t)
	start := time.Unix(1000, 5e8)
	nodes := readyNodes(e, start.Add(-10*time.Second))
	if _, err := e.lateNodes(nodes); err != nil {
		t.Errorf("machines that ran all the time: %v", err)
	}
	e.started = map[string]time.Time{"cp-2": start}
	var told []string
	e.Report = func(p Progress) { told = append(told, p.Wait.Node+": "+p.Wait.For) }
	late, err := e.lateNodes(nodes)
	if err == nil || late.Node != "cp-2" || err.Error() != "cp-2 has not reported since its machine was started" {
		t.Errorf("cp-2 was started: %v", err)
	}
	if d := cmp.Diff([]string{"cp-1: ", "cp-2: has not reported since its machine was started", "cp-3: ", "worker-1: "}, told); d != "" {
		t.Error(d)
	}
	nodes[1].Reported = time.Unix(1000, 0) // the API cuts parts of a second off
	if _, err := e.lateNodes(nodes); err != nil {
		t.Errorf("cp-2 has reported: %v", err)
	}
	nodes[1].Ready, nodes[3].Ready = false, false
	if _, err := e.lateNodes(nodes[:]); err == nil || err.Error() != "cp-2 is not ready: KubeletReady; worker-1 is not ready: KubeletReady" {
		t.Errorf("two nodes are not ready: %v", err)
	}
}

func TestANodeWhoseMachineIsOffEndsTheWait(t *testing.T) {
	e, _ := recorded()
	e.Store = testStore(t)
	nodes := readyNodes(e, time.Now())[1:]
	late, err := e.lateNodes(nodes)
	if late == nil || late.Node != "cp-1" || errors.Is(err, errMachineOff) {
		t.Errorf("cp-1 has not registered: %v, %v", late, err)
	}
	e.off(t, "cp-1")
	late, err = e.lateNodes(nodes)
	if late == nil || late.Node != "cp-1" || !errors.Is(err, errMachineOff) {
		t.Errorf("cp-1 is off: %v, %v", late, err)
	}
	cp1, _ := e.topology.Node("cp-1")
	var hinted *HintedError
	if !errors.As(e.withConsole(cp1, err), &hinted) || !strings.HasPrefix(hinted.Hint, "haplane up starts it again; its console is in "+e.Store.Machines()) {
		t.Errorf("hint of %v: %+v", err, hinted)
	}
	if d := cmp.Diff([]string{"bye"}, hinted.Log); d != "" {
		t.Error(d)
	}
}

// on makes a machine that was created and whose process is this test's.
func (e *env) on(t *testing.T, node string) {
	t.Helper()
	e.off(t, node)
	stat, err := os.ReadFile("/proc/self/stat")
	if err != nil {
		t.Fatal(err)
	}
	boot, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		t.Fatal(err)
	}
	fields := strings.Fields(string(stat[strings.LastIndex(string(stat), ")")+1:]))
	process := fmt.Sprintf(`{"pid": %d, "start": %s, "boot": %q}`, os.Getpid(), fields[19], strings.TrimSpace(string(boot)))
	if err := os.WriteFile(filepath.Join(e.Store.Machines(), node, "process.json"), []byte(process), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestMachinesThatRunAreNotStarted(t *testing.T) {
	e, _ := recorded()
	e.Store = testStore(t)
	e.off(t, "cp-2") // the others do not even exist
	e.on(t, "worker-1")
	if err := e.noteStart(); err != nil {
		t.Fatal(err)
	}
	if got := slices.Sorted(maps.Keys(e.started)); !slices.Equal(got, []string{"cp-1", "cp-2", "cp-3", "lb-1"}) {
		t.Errorf("started are %v, want all but worker-1", got)
	}
}
