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

// Who has an etcd member and stays knows of a change, also on a machine for etcd alone: it takes no snapshot meanwhile.
func TestWhoHasTheLock(t *testing.T) {
	for name, test := range map[string]struct {
		nodes, off, joining, replaced []string
		want                          string
	}{
		"stacked":            {nodes: []string{"cp-1", "cp-2", "worker-1", "lb-1"}, want: "cp-1 cp-2"},
		"etcd alone":         {nodes: []string{"cp-1", "etcd-1", "etcd-2", "etcd-3", "lb-1"}, off: []string{"etcd-2"}, want: "cp-1 etcd-1 etcd-3"},
		"one joins":          {nodes: []string{"cp-1", "cp-2", "lb-1"}, joining: []string{"cp-2"}, want: "cp-1"},
		"none of these stay": {nodes: []string{"cp-1", "worker-1", "lb-1"}, replaced: []string{"cp-1"}, want: "worker-1 lb-1"},
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
			var got []string
			for _, m := range l.staying() {
				got = append(got, m.Name())
			}
			if strings.Join(got, " ") != test.want {
				t.Errorf("they are %v", got)
			}
		})
	}
}
