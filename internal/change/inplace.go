package change

import (
	"slices"

	"github.com/haplane/haplane/internal/render"
	"github.com/haplane/haplane/internal/topology"
	"github.com/haplane/haplane/spec"
)

// rewrites reports whether programs become others on machines that stay.
func (p *planner) rewrites() bool { return p.Upgrade != nil && p.Upgrade.InPlace }

// target is what a node has after its turn: between two versions, kubelets ask the API server beside them.
func (p *planner) target(n topology.Node) render.Machine {
	if m, ok := p.Upgrade.Interim[n.Name]; ok {
		return m
	}
	return p.Desired[n.Name]
}

// renews are the nodes of some roles whose programs run as others than they should after their turn, in its order: healthy
// ones, and workers that wait for it. One whose kubelet asks beside it still, or through the load balancer again, had its turn.
func (p *planner) renews(roles ...spec.Role) []topology.Node {
	var out []topology.Node
	for _, n := range p.stay {
		same := len(p.diffTo(n, p.target(n)).restart) == 0 || len(p.diff(n).restart) == 0
		well := !p.sick(n) && !(same && !p.cutOff(n))
		if slices.Contains(roles, n.Role) && (well || p.waits(n)) {
			out = append(out, n)
		}
	}
	slices.SortStableFunc(out, func(a, b topology.Node) int { return p.rank(a) - p.rank(b) })
	return out
}

// cutOff reports whether the turn of a node may have begun and not come to its end: it has programs to use, or is drained.
func (p *planner) cutOff(n topology.Node) bool {
	return p.left(n) && (p.Upgrade.Programs || p.Observed.Nodes[n.Name].Drained)
}

// left reports whether the record does not have yet that a node has what the upgrade leads to.
func (p *planner) left(n topology.Node) bool { return slices.Contains(p.Upgrade.Left, n.Name) }

// waits reports whether a worker whose machine is off starts as it is, and has its turn after the API servers had theirs: no
// kubelet may be newer than these.
func (p *planner) waits(n topology.Node) bool {
	return p.rewrites() && n.Role == spec.RoleWorker && p.sick(n) && p.left(n)
}

// hasTurn reports whether a node's programs become others in a turn of its own.
func (p *planner) hasTurn(n topology.Node) bool {
	return slices.Contains(p.renewed, n.Name)
}

// renewBefore brings the programs and container images to all machines before anything stops, and plans the turns of etcd and
// of the control plane.
func (p *planner) renewBefore() {
	shared, workers := p.renews(spec.RoleEtcd, spec.RoleControlPlane), p.renews(spec.RoleWorker)
	all, anew := slices.Concat(shared, workers), p.inTurn(spec.RoleEtcd, spec.RoleControlPlane) // whose machines are gone
	var brought []string
	for _, n := range all {
		brought = append(brought, p.bring(n, append(slices.Clone(p.tail), p.has(id(StartMachine, n.Name))...))...)
		p.renewed = append(p.renewed, n.Name)
	}
	p.beforeTurns(brought, len(all)+len(p.turns) > 0)
	if len(shared)+len(anew) == 0 {
		return
	}
	p.takeTurns(anew, 1)
	p.renewAll(shared, 1)
	for i, s := range p.steps {
		_, p.steps[i].Interim = p.Upgrade.Interim[s.Node]
	}
	p.throughBalancers(slices.Concat(shared, p.joins, p.mendedControlPlane()))
}

// activateRest writes down of nodes without a turn, where no program of theirs became another one, that they have what the
// upgrade leads to.
func (p *planner) activateRest() {
	for _, n := range p.stay {
		if p.left(n) && !p.hasTurn(n) && !named(p.back, n.Name) {
			p.add(Step{ID: id(Activate, n.Name), Verb: Activate, Node: n.Name, Why: p.upgradeWhy("", ""), Needs: p.tail})
		}
	}
}

func (p *planner) bring(n topology.Node, needs []string) []string {
	if !p.Upgrade.Programs {
		return needs
	}
	return []string{p.add(Step{ID: id(BringPrograms, n.Name), Verb: BringPrograms, Node: n.Name, Needs: needs, Why: p.upgradeWhy("", "")})}
}

func (p *planner) use(n topology.Node, needs []string) []string {
	if !p.Upgrade.Programs {
		return needs
	}
	return []string{p.add(Step{ID: id(UsePrograms, n.Name), Verb: UsePrograms, Node: n.Name, Needs: needs, Why: p.upgradeWhy("", "")})}
}

func (p *planner) renewAll(nodes []topology.Node, atOnce int) {
	for batch := range slices.Chunk(nodes, max(atOnce, 1)) {
		first, before := len(p.steps), p.tail
		var names []string
		for _, n := range batch {
			names = append(names, n.Name)
			p.tail = before
			p.renew(n)
		}
		p.closeTurn(first, before, names)
	}
}

// renew drains a node, has it use the other programs, and restarts what is of these.
func (p *planner) renew(n topology.Node) {
	d, needs, why := p.diffTo(n, p.target(n)), p.tail, p.upgradeWhy("", "")
	kubelet := p.Wanted.RunsKubelet(n)
	if kubelet {
		needs = p.drainNode(n, why, needs)
	}
	p.tail = p.use(n, needs)
	if n.Role == spec.RoleWorker {
		needs = []string{p.add(Step{ID: id(WriteFiles, n.Name), Verb: WriteFiles, Node: n.Name, Why: why, Needs: p.tail})}
		if p.tail = p.programs(n, d, needs, nil); d.unseen {
			p.tail = []string{p.add(Step{ID: id(Start, n.Name), Verb: Start, Node: n.Name, Why: why, Units: allUnits, Needs: needs})}
		}
	} else {
		p.rollShared(n, d)
	}
	if kubelet {
		if p.lacks(n) && len(p.has(id(BringImages, n.Name))) == 0 { // its containerd may not have run before
			p.tail = p.bringImages(n, p.tail)
		}
		ready := p.add(Step{ID: id(NodeReady, n.Name), Verb: NodeReady, Node: n.Name, Why: why, Needs: p.tail})
		p.tail = []string{p.add(Step{ID: id(UncordonNode, n.Name), Verb: UncordonNode, Node: n.Name, Why: why, Needs: []string{ready}})}
	}
	p.add(Step{ID: id(Activate, n.Name), Verb: Activate, Node: n.Name, Why: why, Needs: p.tail})
}
