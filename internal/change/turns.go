package change

import (
	"fmt"
	"slices"
	"strings"

	"github.com/haplane/haplane/internal/render"
	"github.com/haplane/haplane/internal/topology"
	"github.com/haplane/haplane/spec"
)

// An Upgrade leads to another version of Kubernetes: the nodes to be made anew take turns, and
// after each turn the cluster has to be whole before the next one begins.
type Upgrade struct {
	From, To string
	AtOnce   int // workers that take their turn together
	// InPlace leaves the machines: programs are brought there, and what they are of is restarted.
	InPlace bool
	// Down is to an older version: workers go first then, because no kubelet may be newer than its API server.
	Down bool
	// Interim is what control-plane nodes have while API servers of both versions serve: their kubelets and
	// kube-proxies ask the API server beside them, which is as old or as new as they are. Empty where
	// these nodes have none.
	Interim map[string]render.Machine
	// Left are the nodes whose turn has not come to its end, of an upgrade in place.
	Left []string
	// Programs says that some are others after it: in place, these are brought to the machines.
	Programs bool
	// Images are the references of the container images that pods may have after it.
	Images []string
}

// rolls reports whether an upgrade makes the machines of a role anew: a load balancer has no program of another version.
func (p *planner) rolls(n topology.Node) bool { return n.Role != spec.RoleLoadBalancer }

// turnsBefore plans the turns that come before nodes that stay get what they have in the end.
func (p *planner) turnsBefore() {
	if p.Upgrade != nil && p.Upgrade.InPlace {
		p.renewBefore()
		return
	}
	if p.Upgrade == nil {
		return
	}
	if p.beforeTurns(nil, len(p.turns) > 0); len(p.turns) == 0 {
		return
	}
	shared := p.inTurn(spec.RoleEtcd, spec.RoleControlPlane)
	if p.Upgrade.Down {
		sick := slices.DeleteFunc(slices.Clone(shared), func(n Node) bool { return !p.sick(n.Node) }) // without these the cluster is not whole after any turn
		well := slices.DeleteFunc(slices.Clone(shared), func(n Node) bool { return p.sick(n.Node) })
		p.takeTurns(sick, 1)
		p.takeTurns(p.inTurn(spec.RoleWorker), p.Upgrade.AtOnce)
		p.besideAPIServers(plain(well))
		p.takeTurns(well, 1)
		return
	}
	p.takeTurns(shared, 1)
	if len(shared) == 0 {
		return
	}
	for i, s := range p.steps {
		_, p.steps[i].Interim = p.Upgrade.Interim[s.Node]
	}
	p.throughBalancers(slices.Concat(p.joins, p.mendedControlPlane())) // those that an earlier run had begun with, too
}

// turnsAfter plans the turns of workers that go to a newer version: all API servers have it by then.
func (p *planner) turnsAfter() {
	if p.Upgrade != nil && p.Upgrade.InPlace {
		p.takeTurns(p.inTurn(spec.RoleWorker), p.Upgrade.AtOnce)
		p.renewAll(p.renews(spec.RoleWorker), p.Upgrade.AtOnce)
		p.activateRest()
		return
	}
	if p.Upgrade != nil && !p.Upgrade.Down {
		p.takeTurns(p.inTurn(spec.RoleWorker), p.Upgrade.AtOnce)
	}
}

// inTurn are the nodes of some roles in the order of their turns.
func (p *planner) inTurn(roles ...spec.Role) []Node {
	var out []Node
	for _, n := range p.turns {
		if slices.Contains(roles, n.Role) {
			out = append(out, n)
		}
	}
	slices.SortStableFunc(out, func(a, b Node) int { return p.rank(a.Node) - p.rank(b.Node) })
	return out
}

func plain(nodes []Node) []topology.Node {
	var out []topology.Node
	for _, n := range nodes {
		out = append(out, n.Node)
	}
	return out
}

func (p *planner) takeTurns(nodes []Node, atOnce int) {
	for batch := range slices.Chunk(nodes, max(atOnce, 1)) {
		p.makeAnew(batch)
	}
}

// makeAnew makes nodes anew at once, and ends with a look at the whole cluster.
func (p *planner) makeAnew(nodes []Node) {
	first, tail := len(p.steps), p.tail
	var names, ready []string
	for _, n := range nodes {
		names = append(names, n.Name)
		p.leaveNode(n)
	}
	for _, n := range nodes {
		wanted := p.node(n.Name)
		p.joins = append(p.joins, wanted)
		ready = append(ready, p.joinNode(wanted)...)
	}
	before := len(p.backends)
	for _, n := range nodes {
		if n.Role == spec.RoleControlPlane {
			p.backends = append(p.backends, p.node(n.Name))
		}
	}
	if len(ready) > 0 {
		p.sendTo(p.backends[before:], "with-"+strings.Join(names, "-"), ready, p.upgradeWhy("", "")...)
	}
	for _, n := range nodes {
		p.finishJoin(p.node(n.Name))
	}
	if p.Upgrade.Down {
		p.drainFirst(first)
	}
	p.closeTurn(first, tail, names)
}

// drainFirst has API servers stop after the drain of their node, not beside it: its kubelet asks the API server beside
// it, and could not tell any more that pods have ended.
func (p *planner) drainFirst(first int) {
	for i := range p.steps[first:] {
		s := &p.steps[first+i]
		if s.ID == id(Stop, s.Node, "kube-apiserver") {
			s.Needs = compact(append(s.Needs, p.has(id(DrainNode, s.Node))...))
		}
	}
}

// closeTurn has all steps from the first on come after what was before, and before the look.
func (p *planner) closeTurn(first int, before, names []string) {
	var mine []string
	for _, s := range p.steps[first:] {
		mine = append(mine, s.ID)
	}
	for i := range p.steps[first:] {
		s := &p.steps[first+i]
		if !slices.ContainsFunc(s.Needs, func(need string) bool { return slices.Contains(mine, need) }) {
			s.Needs = compact(append(s.Needs, before...))
		}
		s.Why = p.upgradeWhy("", "")
	}
	look := p.add(Step{ID: id(CheckCluster, names[0]), Verb: CheckCluster, Node: names[0], Needs: mine,
		Why: []Reason{{What: "the cluster is whole", New: "before anything else is touched"}}})
	p.tail, p.looks[look] = []string{look}, names
}

func (p *planner) upgradeWhy(old, new string) []Reason {
	if old == "" {
		old, new = p.Upgrade.From, p.Upgrade.To
	}
	return []Reason{{What: "Kubernetes", Old: old, New: new}}
}

// besideAPIServers has kubelets that are newer than the next API servers ask those beside them.
func (p *planner) besideAPIServers(nodes []topology.Node) {
	p.move(nodes, p.Desired, p.Upgrade.Interim, "beside", true)
}

// mendedControlPlane are the nodes of it that were sick before: what they got in between was for between, too.
func (p *planner) mendedControlPlane() []topology.Node {
	return slices.DeleteFunc(slices.Clone(p.stay), func(n topology.Node) bool { return n.Role != spec.RoleControlPlane || !p.sick(n) })
}

// throughBalancers ends that: all API servers are as new as the kubelets.
func (p *planner) throughBalancers(nodes []topology.Node) {
	p.move(nodes, p.Upgrade.Interim, p.Desired, "through", false)
}

// move writes other files on nodes, side by side, and restarts what they take a restart of.
func (p *planner) move(nodes []topology.Node, from, to map[string]render.Machine, what string, interim bool) {
	var done []string
	for _, n := range nodes {
		var units []string
		for i, u := range to[n.Name].Units {
			if old := from[n.Name].Units; i < len(old) && old[i].Config != u.Config {
				units = append(units, u.Name)
			}
		}
		if len(units) == 0 {
			continue
		}
		why := []Reason{{What: fmt.Sprintf("%s ask the API %s", strings.Join(units, " and "), map[bool]string{true: "of their own node", false: "through the load balancer"}[interim])}}
		written := p.add(Step{ID: id(WriteFiles, n.Name, what), Verb: WriteFiles, Node: n.Name, Why: why, Needs: p.tail, Interim: interim})
		done = append(done, p.add(Step{ID: id(Restart, n.Name, what), Verb: Restart, Node: n.Name, Why: why, Units: units, Needs: []string{written}, Interim: interim}))
	}
	p.tail = compact(append(slices.Clone(p.tail), done...))
}
