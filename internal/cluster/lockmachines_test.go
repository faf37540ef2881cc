package cluster

import (
	"slices"
	"strings"
	"testing"

	"github.com/haplane/haplane/internal/change"
	"github.com/haplane/haplane/internal/machine"
	"github.com/haplane/haplane/internal/observed"
)

type named struct {
	machine.Machine
	name string
}

func (n named) Name() string { return n.name }

// Who has an etcd member and runs knows of a change, also on a machine for etcd alone: it takes no snapshot meanwhile. It counts on those that
// stay; whoever knows of no change meets it on the others as well.
func TestWhoHasTheLock(t *testing.T) {
	for name, test := range map[string]struct {
		nodes, off, joining, replaced []string
		want, passing                 string
	}{
		"stacked":            {nodes: []string{"cp-1", "cp-2", "worker-1", "lb-1"}, want: "cp-1 cp-2"},
		"etcd alone":         {nodes: []string{"cp-1", "etcd-1", "etcd-2", "etcd-3", "lb-1"}, off: []string{"etcd-2"}, want: "cp-1 etcd-1 etcd-3"},
		"one joins":          {nodes: []string{"cp-1", "cp-2", "lb-1"}, joining: []string{"cp-2"}, want: "cp-1", passing: "cp-2"},
		"one is made anew":   {nodes: []string{"cp-1", "cp-2", "cp-3", "worker-1", "lb-1"}, replaced: []string{"cp-2", "worker-1"}, want: "cp-1 cp-3", passing: "cp-2"},
		"one is dead":        {nodes: []string{"cp-1", "cp-2", "lb-1"}, off: []string{"cp-2"}, replaced: []string{"cp-2"}, want: "cp-1"},
		"none stays":         {nodes: []string{"cp-1", "cp-2", "lb-1"}, replaced: []string{"cp-1", "cp-2", "lb-1"}, passing: "cp-1 cp-2"},
		"none of these stay": {nodes: []string{"cp-1", "worker-1", "lb-1"}, replaced: []string{"cp-1"}, want: "worker-1 lb-1", passing: "cp-1"},
	} {
		t.Run(name, func(t *testing.T) {
			l := &live{env: newEnv(parsed(t, test.nodes...), testOptions(t, testStore(t))), Request: Request{Replace: test.replaced}}
			l.reach = func(name string) machine.Machine { return named{name: name} }
			l.seen.Machines = map[string]observed.Machine{}
			for _, n := range l.topology.Nodes {
				state := change.Active
				if slices.Contains(test.joining, n.Name) {
					state = change.Joining
				}
				l.nodes = append(l.nodes, change.Node{Node: n, State: state})
				l.seen.Machines[n.Name] = observed.Machine{Made: true, Running: !slices.Contains(test.off, n.Name)}
			}
			names := func(machines []machine.Machine) string {
				var out []string
				for _, m := range machines {
					out = append(out, m.Name())
				}
				return strings.Join(out, " ")
			}
			if staying, passing := l.lockable(); names(staying) != test.want || names(passing) != test.passing {
				t.Errorf("it counts on %s, and is on %s as well", names(staying), names(passing))
			}
		})
	}
}
