package change

import (
	"slices"

	"github.com/haplane/haplane/internal/render"
	"github.com/haplane/haplane/internal/topology"
	"github.com/haplane/haplane/spec"
)

// This file is about control-plane nodes that are the load balancers too. Who is behind these and who moves the address are the same nodes
// then, so one step tells both; and of such a node the load balancer changes by itself, beside etcd and the API server.

// onControlPlane reports whether the control-plane nodes are the load balancers.
func (p *planner) onControlPlane() bool { return p.Wanted.LBKind == spec.OnControlPlane }

// sharers are the load balancers that move an address between them, as the steps so far have it.
func (p *planner) sharers() []topology.Node {
	if p.onControlPlane() {
		return p.backends
	}
	return p.balancers
}

// sharerNames are their names, those that leave last.
func (p *planner) sharerNames() []string {
	if p.onControlPlane() {
		return nodeNames(p.ordered())
	}
	return nodeNames(p.balancers)
}

// beginBalancing notes whose load balancers run before the change, or are mended first: those that are asked, and told. One that joins, or
// leaves, and was cut off may have the address, or get it: the others know of it until its machine is gone, also where nobody can look, or where
// its programs were stopped, which start with the machine. Not so one that waits for others still, or never began.
func (p *planner) beginBalancing() {
	votes, unheard := 0, 0
	for _, n := range p.Record {
		if !p.Wanted.Balances(n.Node) {
			continue
		}
		runs, made := p.balancerRuns(n.Name), p.Observed.Machines[n.Name].Made
		switch may := runs || made && !(p.alive(n.Name) && p.Observed.Balancers[n.Name].Address.New); {
		case may && !named(p.backends, n.Name):
			p.backends = append(p.backends, n.Node)
		case !may && (!made || n.State == Leaving && !p.wanted(n.Name)):
			p.backends = slices.DeleteFunc(p.backends, func(b topology.Node) bool { return b.Name == n.Name })
		}
		if p.balancing[n.Name] = runs || named(p.stay, n.Name); p.balancing[n.Name] {
			votes++
		}
		if !made && p.nobodyHolds() { // the others may still go by its vote, and do until all that are left are told, and can answer
			unheard++
		}
	}
	p.tooFew = votes <= (len(p.backends)+unheard)/2
	p.waitsForDead = p.tooFew && votes < len(p.backends)
}

// stopped reports whether a control-plane node that leaves has a load balancer that does not run: it gives nothing away, and those that join would
// wait for its word.
func (p *planner) stopped(n topology.Node) bool {
	return p.onControlPlane() && p.Wanted.Balances(n) && !p.balancerRuns(n.Name)
}

// carry has a step on a control-plane node that is a load balancer know who is behind that, and who shares the address, by
// then: its files have both. Those of a worker with one of its own have the first. Where it is what it will be in the end, nothing needs to be said.
func (p *planner) carry(s Step) Step {
	n := p.node(s.Node)
	local := p.Wanted.BalancesLocally(n)
	if !local && (!p.onControlPlane() || !p.Wanted.Balances(n)) || s.Backends != nil {
		return s
	}
	switch s.Verb {
	case WriteFiles, Start, Restart, Reload:
		if now := nodeNames(p.ordered()); !slices.Equal(now, nodeNames(p.Wanted.ControlPlane())) {
			if s.Backends = now; !local {
				s.Balancers = now
			}
		}
	case DrainBackend, RestoreBackend:
		s.Balancers = nodeNames(p.configured())
	}
	return s
}

// balancerPart splits what differs on a node into the load balancer's part and the rest. On a machine that is
// a load balancer and nothing else there is no other part.
func (p *planner) balancerPart(n topology.Node, d difference) (balancer, rest difference) {
	if !p.onControlPlane() && !p.Wanted.BalancesLocally(n) || !p.Wanted.RunsBalancer(n) || d.unseen {
		return difference{}, d
	}
	of := func(all []string, mine func(string) bool) (yes, no []string) {
		for _, one := range all {
			if mine(one) {
				yes = append(yes, one)
			} else {
				no = append(no, one)
			}
		}
		return yes, no
	}
	part := p.Desired[n.Name].Balancer().Files
	file := func(path string) bool { _, ok := part[path]; return ok }
	rest.foreign, rest.unwanted = d.foreign, d.unwanted
	balancer.files, rest.files = of(d.files, file)
	balancer.start, rest.start = of(d.start, isBalancer)
	balancer.restart, rest.restart = of(d.restart, isBalancer)
	balancer.reload, rest.reload = of(d.reload, isBalancer)
	return balancer, rest
}

func isBalancer(unit string) bool { return slices.Contains(render.BalancerUnits, unit) }

// balancersOf are the programs of a node that are its load balancer.
func (p *planner) balancersOf(n topology.Node) []string { return p.of(n, render.BalancerUnits) }

// mendBalancers has load balancers run again on control-plane nodes that are well otherwise, one after another. Those that do not vote come
// first, and side by side: each waits until one has the address, for which a majority has to vote.
func (p *planner) mendBalancers() {
	if !p.onControlPlane() {
		return
	}
	var silent, others []topology.Node
	for _, n := range p.holderLast(p.stay) {
		switch d, _ := p.balancerPart(n, p.diff(n)); {
		case !p.Wanted.Balances(n) || p.sick(n) && !p.moves(n) || len(d.start) == 0: // one whose member moves has its turn later
		case slices.Contains(d.start, render.Guard):
			silent = append(silent, n)
		default:
			others = append(others, n)
		}
	}
	mend := func(n topology.Node, needs []string) string {
		d, _ := p.balancerPart(n, p.diff(n))
		return p.add(Step{ID: id(SetBackends, n.Name, "mended"), Verb: SetBackends, Node: n.Name, Why: d.why(),
			Backends: p.sharerNames(), Balancers: p.sharerNames(), Needs: needs})
	}
	var vote []string
	for _, n := range silent {
		vote = append(vote, mend(n, p.tail))
	}
	p.tail = append(p.tail, vote...)
	for _, n := range others {
		p.tail = append(p.tail, mend(n, p.tail))
	}
}

// settleBalancers has those that are there go by one another alone, where a run was cut off while nodes joined: one that came waits for all that it
// was told of, also those that did not come, and could take the address from nobody until then. Of one that was to leave, and stays, the others may not
// know: it was cut off before they were told of it, or when the other one of two went by its own vote. Where most of them are dead
// nobody has the address before these have gone, of which all that are left are told.
func (p *planner) settleBalancers() {
	waits := func(n topology.Node) bool {
		return p.balancing[n.Name] && (p.Observed.Balancers[n.Name].Address.New || named(p.back, n.Name))
	}
	if p.onControlPlane() && !p.waitsForDead && slices.ContainsFunc(p.backends, waits) {
		p.setBackends("settled", p.tail, Reason{What: "who is there since a run was cut off"})
	}
}

// handOverSick has another one take the address from a control-plane node that is sick otherwise, before its programs restart.
func (p *planner) handOverSick(n topology.Node, d difference) []string {
	balancer, _ := p.balancerPart(n, d)
	well := func(b topology.Node) bool {
		units := p.Observed.Machines[b.Name].Units
		return p.alive(b.Name) && units["haproxy"].Active && units["keepalived"].Active
	}
	others := slices.DeleteFunc(slices.Clone(p.stay), func(b topology.Node) bool { return b.Name == n.Name || !p.Wanted.Balances(b) || !well(b) || p.sick(b) })
	if balancer.none() || !well(n) || p.tooFew {
		return nil
	}
	return p.handOver(n, others, balancer.why(), nil)
}

// startBalancers has the nodes that joined behind the load balancers start their own, before the others hear of them: one that is new may not have the
// address until all others go by its vote, and these may need that vote from the moment on in which they do.
func (p *planner) startBalancers(what string, needs []string, why []Reason) []string {
	var out []string
	for _, n := range p.ordered() {
		if p.onControlPlane() && !p.balancing[n.Name] && named(p.joins, n.Name) && len(p.has(id(WriteFiles, n.Name))) > 0 {
			p.balancing[n.Name] = true
			out = append(out, p.add(Step{ID: id(SetBackends, n.Name, what), Verb: SetBackends, Node: n.Name, Why: why,
				Backends: p.sharerNames(), Balancers: p.sharerNames(), Needs: needs}))
		}
	}
	return out
}

// rollBalancers tells the load balancers of control-plane nodes what differs there, where no step has done so and none will.
func (p *planner) rollBalancers() {
	for _, n := range p.stay {
		balancer, _ := p.balancerPart(n, p.diff(n))
		if !p.Wanted.Balances(n) || balancer.none() || p.sick(n) && !p.moves(n) || len(p.lastOf(SetBackends, n.Name)) > 0 || p.laterBackends() {
			continue
		}
		p.setBackends("configuration", p.tail, balancer.why()...)
	}
}

// startsBalancer are the last steps that told a node that joins, and started its load balancer, and those that told the others of it.
func (p *planner) startsBalancer(n topology.Node) []string {
	if !p.onControlPlane() || !p.Wanted.Balances(n) {
		return nil
	}
	return p.balancersKnow()
}

// knownGone is the step that told the API that a node is gone, which comes back under its address: the load balancers were told before.
func (p *planner) knownGone(n topology.Node) []string {
	if !p.onControlPlane() {
		return nil
	}
	return p.has(id(DeleteNode, n.Name))
}

// An untold node is one whose machine is gone, and of which the other load balancers hear with the next one.
type untold struct {
	Node
	why []Reason
}

// goneToo reports whether the machine of the next node that leaves is as dead as that of a node: the others are told of both at once. One that
// is told of the first alone would count on the second, and with most of them dead could not have the address before it is told of that.
func (p *planner) goneToo(n Node) bool {
	i := slices.IndexFunc(p.early, func(e Node) bool { return e.Name == n.Name })
	return !p.alive(n.Name) && i >= 0 && i+1 < len(p.early) && p.Wanted.Balances(p.early[i+1].Node) && !p.alive(p.early[i+1].Name)
}
