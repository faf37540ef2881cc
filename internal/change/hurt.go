package change

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/haplane/haplane/internal/topology"
	"github.com/haplane/haplane/spec"
)

// hurt reports whether a node does not do its part, its kubelet and its load balancer included: its turn takes nothing away.
func (p *planner) hurt(n topology.Node) bool {
	return p.sick(n) || p.notReady(n) || p.stopped(n)
}

func (p *planner) notReady(n topology.Node) bool {
	return p.Observed.APISeen && p.Wanted.RunsKubelet(n) && !p.Observed.Nodes[n.Name].Ready
}

// drainNode plans the drain of a node. Whether its kubelet tells nothing any more, so that pods there never end, is looked at
// when it is drained: it may have come back until then, or gone.
func (p *planner) drainNode(n topology.Node, why []Reason, needs []string) []string {
	if p.notReady(n) {
		why = append(slices.Clone(why), Reason{What: "its node is not Ready", New: "if its kubelet tells nothing still, it gets 30 s to come back, and then pods there are not waited for"})
	}
	return []string{p.add(Step{ID: id(DrainNode, n.Name), Verb: DrainNode, Node: n.Name, Why: why, Needs: needs})}
}

// rank orders turns: a learner of etcd's first, which keeps others from joining; then a dead etcd member, for others can go only once
// it is well again; then who is hurt otherwise, then followers, and etcd's leader last, so that it hands over once.
func (p *planner) rank(n topology.Node) int {
	m, member := p.Observed.Etcd.Member(n.Name, n.EtcdPeerURL())
	switch {
	case m.Learner:
		return 0
	case p.Wanted.HasEtcdMember(n) && (!member || !m.Healthy):
		return 1
	case p.hurt(n):
		return 2
	case m.Leader:
		return 4
	}
	return 3
}

// spareHurt has looks between turns leave out the nodes that were hurt before and whose own turn is to come: with two of
// them, neither could be made anew for the sake of the other. What is risked by a step its guard tells.
func (p *planner) spareHurt() {
	var later []string
	for i := range slices.Backward(p.steps) {
		s := &p.steps[i]
		if s.Verb != CheckCluster {
			continue
		}
		s.Spared = slices.Sorted(slices.Values(later))
		for _, name := range p.looks[s.ID] {
			if p.hurt(p.node(name)) {
				later = append(later, name)
			}
		}
	}
}

// warnHurt tells of the nodes that have a turn and are hurt before it.
func (p *planner) warnHurt() []string {
	if p.Upgrade == nil {
		return nil
	}
	var out []string
	for _, names := range p.looks {
		for _, name := range names {
			if n := p.node(name); p.hurt(n) {
				out = append(out, fmt.Sprintf("%s is hurt already (%s): its turn comes %s, and until then nothing waits for it", name, p.ails(n),
					map[bool]string{true: "with those of the workers", false: "before the others"}[n.Role == spec.RoleWorker]))
			}
		}
	}
	slices.Sort(out)
	return out
}

// ails says what is wrong with a node that is hurt.
func (p *planner) ails(n topology.Node) string {
	m, member := p.Observed.Etcd.Member(n.Name, n.EtcdPeerURL())
	switch {
	case !p.Observed.Machines[n.Name].Made:
		return "its machine is gone"
	case !p.alive(n.Name):
		return "its machine is off or does not answer"
	case p.Wanted.HasEtcdMember(n) && !member:
		return "it has no etcd member"
	case p.Wanted.HasEtcdMember(n) && !m.Healthy:
		return "its etcd member is not healthy: " + m.Error
	case n.Role == spec.RoleControlPlane && !p.Observed.APIServers[n.Name].Ready:
		return "its API server is not ready: " + p.Observed.APIServers[n.Name].Error
	case p.stopped(n):
		return "its load balancer does not run"
	}
	return "its node is not Ready: " + cmp.Or(p.Observed.Nodes[n.Name].Reason, "it is not registered")
}
