package cluster

import (
	"strings"
	"testing"

	"github.com/haplane/haplane/internal/change"
	"github.com/haplane/haplane/internal/kubeapi"
	"github.com/haplane/haplane/internal/observed"
)

// Who was cordoned by somebody else is in the record while a change is under way: a Node that is deleted does not tell.
func TestCordonedNodesAreRemembered(t *testing.T) {
	s := applied(t, commented)
	l := asked(t, s, opened(t).Request())
	l.seen.Nodes = map[string]observed.Node{"cp-1": {Unschedulable: true}, "cp-2": {Unschedulable: true, Drained: true}, "worker-1": {}}
	if err := l.begin(); err != nil {
		t.Fatal(err)
	}
	again := asked(t, s, opened(t).Request())
	again.seen.Nodes = map[string]observed.Node{"worker-1": {}} // the others are being made anew
	if got := strings.Join(again.cordoned(), " "); got != "cp-1" {
		t.Errorf("after a cut cordoned are %s", got)
	}
	again.change = &change.Change{}
	if err := again.settle(); err != nil {
		t.Fatal(err)
	}
	if got := asked(t, s, opened(t).Request()).cordoned(); got != nil {
		t.Errorf("afterwards the record has %v", got)
	}
}

// Who is cordoned for a drain that nobody will take back is named, and who is so for the sake of a change is not.
func TestCordonWarnings(t *testing.T) {
	nodes := []kubeapi.Node{{Name: "cp-1", Unschedulable: true}, {Name: "cp-2", Unschedulable: true, Drained: true}, {Name: "cp-3", Unschedulable: true, DrainedUnnoted: true}}
	for changing, want := range map[bool]string{true: "cp-3", false: "cp-2 cp-3"} {
		var named []string
		for _, w := range cordonWarnings(nodes, changing) {
			_, name, _ := strings.Cut(w, "kubectl uncordon ")
			named = append(named, strings.TrimSuffix(name, ", unless it is wanted so"))
		}
		if got := strings.Join(named, " "); got != want {
			t.Errorf("while a change is under way (%v): %s", changing, got)
		}
	}
}
