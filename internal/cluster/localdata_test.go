package cluster

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/haplane/haplane/internal/change"
	"github.com/haplane/haplane/internal/kubeapi"
	"github.com/haplane/haplane/internal/observed"
	"github.com/haplane/haplane/internal/store"
	"github.com/haplane/haplane/spec"
)

// Whose machine goes loses all that is on it; whose pods are evicted and whose machine stays, only what goes with pods.
func TestWhoLosesData(t *testing.T) {
	l := &live{env: newEnv(spec.Default("demo"), testOptions(t, store.Store{})), change: &change.Change{}}
	l.seen = observed.State{Machines: map[string]observed.Machine{}, Nodes: map[string]observed.Node{}}
	for _, n := range l.topology.Nodes {
		l.seen.Machines[n.Name] = observed.Machine{Made: n.Name != "cp-2"}
		if n.Role != spec.RoleLoadBalancer {
			l.seen.Nodes[n.Name] = observed.Node{}
		}
		for _, verb := range []string{change.DrainNode, change.RemoveMachine} {
			if verb == change.DrainNode && n.Role != spec.RoleLoadBalancer || verb == change.RemoveMachine && n.Name != "cp-3" {
				l.change.Steps = append(l.change.Steps, change.Step{ID: verb + "@" + n.Name, Verb: verb, Node: n.Name})
			}
		}
	}
	machines, pods := l.losesData()
	if !slices.Equal(machines, []string{"cp-1", "worker-1"}) || !slices.Equal(pods, []string{"cp-2", "cp-3"}) {
		t.Errorf("with their machines %v, with their pods %v", machines, pods)
	}
}

// The plan names what is lost, and of much of it how much more.
func TestWhatDataIsLost(t *testing.T) {
	data := []kubeapi.LocalData{
		{Node: "worker-1", Of: "default/db-0", EmptyDirs: []string{"cache", "wal"}, OnMachine: []string{"hostPath /srv/db", "PersistentVolume pv-1 at /mnt/1"}},
		{Node: "worker-1", Of: "PersistentVolume pv-2", OnMachine: []string{"/mnt/2"}},
		{Node: "cp-1", Of: "default/web", EmptyDirs: []string{"cache"}, OnMachine: []string{"hostPath /srv/web"}},
		{Node: "cp-1", Of: "default/stays", OnMachine: []string{"hostPath /srv/web"}},
	}
	want := []string{"data is lost with the machines that go, and nothing brings it elsewhere: default/db-0 on worker-1 (emptyDir cache, wal; hostPath /srv/db; PersistentVolume pv-1 at /mnt/1), PersistentVolume pv-2 on worker-1 (/mnt/2)",
		"pods that are evicted lose their emptyDir volumes: default/web on cp-1 (cache)"}
	if diff := cmp.Diff(want, lostData(data, []string{"worker-1"})); diff != "" {
		t.Error(diff)
	}
	var many []kubeapi.LocalData
	for i := range 13 {
		many = append(many, kubeapi.LocalData{Node: "worker-1", Of: fmt.Sprintf("default/p-%d", i), EmptyDirs: []string{"x"}})
	}
	if got := lostData(many, nil); len(got) != 1 || strings.Contains(got[0], "p-10") || !strings.HasSuffix(got[0], "default/p-9 on worker-1 (x), and 3 more") {
		t.Errorf("of many: %q", got)
	}
	if got := lostData(nil, []string{"worker-1"}); got != nil {
		t.Errorf("of none: %q", got)
	}
}
