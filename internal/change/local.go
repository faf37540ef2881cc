package change

import (
	"slices"

	"github.com/haplane/haplane/internal/topology"
	"github.com/haplane/haplane/spec"
)

// This file is about workers that have load balancers of their own. These are told what API servers there are, as the others are, and nothing
// else: each sees by itself, within a second, that one stops, long before it does. So a worker keeps no word of a drain, and holds none up.

// locals are the workers whose own load balancers run, as the steps so far have it, and go on: those are told what changes.
func (p *planner) locals() []topology.Node {
	begun := func(n topology.Node) (begun bool) {
		for _, s := range p.steps {
			switch {
			case s.Node != n.Name:
			case s.Verb == RemoveMachine:
				begun = false
			case s.Verb == SetBackends, s.Verb == Start && (all(s.Units) || slices.Contains(s.Units, "haproxy")):
				begun = true
			}
		}
		return begun
	}
	var out []topology.Node
	for _, n := range p.Wanted.LocalBalancers() {
		waits := named(plain(p.turns), n.Name) && len(p.has(id(RemoveMachine, n.Name))) == 0
		if (named(p.stay, n.Name) || waits) && p.runsLocal(n) || begun(n) {
			out = append(out, n)
		}
	}
	return out
}

// knows are the API servers that a worker's own load balancer knows of, as the steps so far have it.
func (p *planner) knows(n topology.Node) []string {
	for _, s := range slices.Backward(p.steps) {
		if s.Node == n.Name && (s.Verb == SetBackends || s.Verb == WriteFiles) {
			if s.Backends == nil {
				return nodeNames(p.Wanted.ControlPlane())
			}
			return s.Backends
		}
	}
	return p.began
}

// tellLocals has those that know others know the backends as they are now, side by side, and returns the steps.
func (p *planner) tellLocals(what string, needs []string, why []Reason) []string {
	var out []string
	for _, n := range p.locals() {
		if !slices.Equal(p.knows(n), nodeNames(p.ordered())) {
			out = append(out, p.tellLocal(n, what, needs, why))
		}
	}
	return out
}

func (p *planner) tellLocal(n topology.Node, what string, needs []string, why []Reason) string {
	var restart []string
	if d, _ := p.balancerPart(n, p.diff(n)); named(p.stay, n.Name) && len(p.lastOf(SetBackends, n.Name)) == 0 {
		restart = d.restart
	}
	return p.add(Step{ID: id(SetBackends, n.Name, what), Verb: SetBackends, Node: n.Name, Why: why, Units: restart, Backends: nodeNames(p.ordered()),
		Needs: slices.Concat(needs, p.lastOf(WriteFiles, n.Name), p.lastOf(Start, n.Name), p.lastOf(SetBackends, n.Name))})
}

// tellStale tells workers' own load balancers that run what differs there, before any API server goes or restarts: what they lack since a change was cut
// off may be the only one that is left then.
func (p *planner) tellStale() {
	p.rollLocals(func(n topology.Node) bool { return named(p.locals(), n.Name) })
	p.tail = compact(append(slices.Clone(p.tail), p.local...))
}

// beginLocals has workers begin to have load balancers of their own: after API servers that have to be started first, for one that leads to none that
// serves is not begun with.
func (p *planner) beginLocals() { p.rollLocals(func(topology.Node) bool { return true }) }

// rollLocals tells the load balancers of some workers what differs there, where no step has: one worker after another, so that what is wrong with one is
// seen before the next.
func (p *planner) rollLocals(some func(topology.Node) bool) {
	for _, n := range p.stay {
		if d, _ := p.balancerPart(n, p.diff(n)); p.Wanted.BalancesLocally(n) && some(n) && !p.sick(n) && !d.none() && len(p.lastOf(SetBackends, n.Name)) == 0 {
			p.local = []string{p.tellLocal(n, "local", slices.Concat(p.tail, p.local), d.why())}
		}
	}
}

// loseLocals takes their own load balancers from workers, and has those leave that have one and are to, before any API server goes or restarts: they are
// not told who comes and goes any more.
func (p *planner) loseLocals() {
	leave := func(n Node) bool { return p.runsLocal(n.Node) }
	p.leave(slices.DeleteFunc(slices.Clone(p.late), func(n Node) bool { return !leave(n) }))
	p.late = slices.DeleteFunc(p.late, leave)
	for _, n := range p.stay {
		if _, d := p.balancerPart(n, p.diff(n)); p.losesLocal(n, d) && p.rollsNow(n, d) {
			p.rollAlone(n, d)
		}
	}
	p.tail = compact(append(slices.Clone(p.tail), p.local...))
}

// runsLocal reports whether a worker's own load balancer runs before the change.
func (p *planner) runsLocal(n topology.Node) bool {
	return n.Role == spec.RoleWorker && p.alive(n.Name) && p.Observed.Machines[n.Name].Units["haproxy"].Active
}

// losesLocal reports whether a worker has a load balancer of its own, and is to have none.
func (p *planner) losesLocal(n topology.Node, d difference) bool {
	return n.Role == spec.RoleWorker && slices.Contains(d.unwanted, topology.UnitDir+"/haproxy.service")
}

// tellJoined has the load balancer of a worker that joined know the API servers that came since its files were written.
func (p *planner) tellJoined(n topology.Node) []string {
	if !p.Wanted.BalancesLocally(n) || slices.Equal(p.knows(n), nodeNames(p.ordered())) {
		return nil
	}
	return []string{p.tellLocal(n, "join", p.tail, joins(n))}
}
