package change

import (
	"fmt"
	"slices"
	"time"

	"github.com/haplane/haplane/internal/render"
	"github.com/haplane/haplane/internal/topology"
	"github.com/haplane/haplane/spec"
)

// sharing are the load balancers that move an address between them, before the change. One that was to join when a run was
// cut off, and still is, is none yet: the others may not know of it. If it is to go instead, they may: it has to end before they are told that.
func (p *planner) sharing() []topology.Node {
	if !p.Wanted.Virtual {
		return nil
	}
	var out []topology.Node
	for _, n := range p.Record {
		w, wanted := p.Wanted.Node(n.Name)
		switch {
		case !p.Wanted.Balances(n.Node) || n.State == Joining && wanted:
		case wanted:
			out = append(out, w)
		default:
			out = append(out, n.Node)
		}
	}
	return out
}

// shareAddress has a load balancer whose own address becomes the one that all move get another one for itself, and tells
// those that stay of those that join: these would take the address of one that they do not hear.
func (p *planner) shareAddress() {
	if !p.Wanted.Virtual {
		return
	}
	var changed []string
	for _, n := range p.stay {
		if n.Role == spec.RoleLoadBalancer && p.readdresses(n) {
			was, _ := p.recorded(n.Name)
			changed = append(changed, p.add(Step{ID: id(Readdress, n.Name), Verb: Readdress, Node: n.Name, Needs: p.tail,
				Why: []Reason{{What: "spec.nodes[" + n.Name + "].address", Old: topology.Join(was.Addresses), New: topology.Join(n.Addresses)}}}))
		}
	}
	before := len(p.balancers)
	for _, n := range p.joins {
		if n.Role == spec.RoleLoadBalancer && !named(p.balancers, n.Name) {
			p.balancers = append(p.balancers, n)
		}
	}
	if len(changed) > 0 || len(p.balancers) > before {
		p.setBackends("balancers", slices.Concat(p.tail, changed, p.startVoters()), Reason{What: "load balancers share " + topology.Join(p.Wanted.LBAddresses)})
	}
	for _, n := range p.stay {
		if n.Role == spec.RoleLoadBalancer && (p.readdresses(n) || p.Observed.Balancers[n.Name].Address.Own) {
			if len(p.lastOf(SetBackends, n.Name)) == 0 && !p.diff(n).none() { // keepalived is to be there first
				p.setBackends("balancers", p.tail, p.diff(n).why()...)
			}
			p.tail = append(p.tail, p.add(Step{ID: id(DropAddress, n.Name), Verb: DropAddress, Node: n.Name, Needs: compact(slices.Concat(p.tail, p.lastOf(SetBackends, n.Name))),
				Why: []Reason{{What: topology.Join(p.Wanted.LBAddresses) + " moves from now on"}}}))
		}
	}
}

// holderLast has the load balancer that has the address behind the others. A reload makes keepalived and HAProxy silent for a moment, and the
// longer the more of them reload: nobody else does while the one does that has something to lose.
func (p *planner) holderLast(nodes []topology.Node) []topology.Node {
	has := func(n topology.Node) bool { return p.Observed.Balancers[n.Name].Address.Held }
	hasNot := func(n topology.Node) bool { return !has(n) }
	return slices.Concat(slices.DeleteFunc(slices.Clone(nodes), has), slices.DeleteFunc(slices.Clone(nodes), hasNot))
}

// nobodyHolds reports whether none of the load balancers that were looked at has the address, and each of these told it.
func (p *planner) nobodyHolds() bool {
	looked := false
	for _, b := range p.Observed.Balancers {
		if looked = looked || b.Seen; b.Address.Held || b.Address.Unknown {
			return false
		}
	}
	return looked
}

// balancerRuns reports whether a node may have the address now, or would when it was told to.
func (p *planner) balancerRuns(node string) bool {
	return p.alive(node) && p.Observed.Machines[node].Units["keepalived"].Active
}

// DrainTime is how long connections that are open get to end in a planned move of the address that clients use: what is asked at that moment is answered.
// Who keeps one for hours, as a program that watches does, ends it for no bound that anybody would wait for; it is reset then.
const DrainTime = 30 * time.Second

// startVoters has the control plane's machines vote before load balancers count on each other: of two that share the address, one
// that dies before would take it from the other one.
func (p *planner) startVoters() []string {
	var started []string
	for _, n := range p.stay {
		units := p.Desired[n.Name].Units
		i := slices.IndexFunc(units, func(u render.Unit) bool { return u.Name == render.Voter })
		if i < 0 || n.Role != spec.RoleControlPlane || p.sick(n) || !slices.Contains(p.diff(n).start, render.Voter) {
			continue // one that is mended has it already
		}
		why := []Reason{{What: "votes on which load balancer has " + topology.Join(p.Wanted.LBAddresses)}}
		written := p.add(Step{ID: id(WriteFiles, n.Name, "voter"), Verb: WriteFiles, Node: n.Name, Why: why, Needs: p.tail,
			Files: append([]string{render.AgentBinary, topology.UnitDir + "/" + render.Voter + ".service"}, units[i].Files...)})
		started = append(started, p.add(Step{ID: id(Start, n.Name, "voter"), Verb: Start, Node: n.Name, Why: why, Units: []string{render.Voter}, Needs: []string{written}}))
	}
	return started
}

// handOver has another load balancer take the address that clients use, before one stops or restarts: one of those.
func (p *planner) handOver(n topology.Node, to []topology.Node, why []Reason, needs []string) []string {
	shares := func(b topology.Node) bool {
		return named(p.sharers(), b.Name) && (!p.onControlPlane() || p.balancing[b.Name])
	}
	other := func(b topology.Node) bool { return b.Name != n.Name && shares(b) }
	if !slices.ContainsFunc(to, other) || !shares(n) || !p.alive(n.Name) {
		return needs
	}
	why = append(slices.Clone(why), Reason{What: "what is open through " + n.Name, New: "gets " + DrainTime.String() + " to end"})
	return []string{p.add(Step{ID: id(MoveAddress, n.Name), Verb: MoveAddress, Node: n.Name, Why: why, Needs: needs})}
}

// unshare takes a load balancer that has left from those that the others wait for.
func (p *planner) unshare(n Node, needs []string) {
	if n.Rejoin || !named(p.balancers, n.Name) {
		return
	}
	p.balancers = slices.DeleteFunc(p.balancers, func(b topology.Node) bool { return b.Name == n.Name })
	p.setBackends("without-"+n.Name, needs, Reason{What: n.Name + " leaves"})
}

// refuseStrangers is an error where load balancers come or are made anew, and none of those that share the address stays while one of them is alive:
// the new ones know of one another only, and would take it while that one has it; and it would hand it over to nobody, for they start when it is gone.
func (p *planner) refuseStrangers() error {
	if slices.ContainsFunc(p.balancers, func(b topology.Node) bool { return named(p.stay, b.Name) }) {
		return nil
	}
	for _, n := range slices.Concat(p.late, p.early) {
		comes := slices.IndexFunc(p.joins, func(j topology.Node) bool { return j.Role == spec.RoleLoadBalancer && j.Name != n.Name })
		if comes < 0 || !named(p.balancers, n.Name) || !p.alive(n.Name) {
			continue
		}
		then := map[bool]string{true: "make it anew", false: "remove it"}[n.Rejoin]
		return &Refused{Step: id(Start, p.joins[comes].Name), Err: fmt.Errorf("no load balancer of now stays: keep %s in this change, and %s in the next one", n.Name, then)}
	}
	return nil
}

// balancersKnow are the last steps that told the load balancers that are there who the others are, and those that ended dead ones.
func (p *planner) balancersKnow() []string {
	var out []string
	for _, n := range p.early {
		if n.Role == spec.RoleLoadBalancer {
			out = append(out, p.has(id(RemoveMachine, n.Name))...)
		}
	}
	for _, n := range p.configured() {
		out = slices.Concat(out, p.lastOf(SetBackends, n.Name), p.has(id(DropAddress, n.Name)))
	}
	return out
}

// configured are the load balancers that are told what changes: those that stay, and those that share the address with them
// until they leave.
func (p *planner) configured() []topology.Node {
	var out []topology.Node
	if p.onControlPlane() {
		return slices.DeleteFunc(p.ordered(), func(n topology.Node) bool { return !p.balancing[n.Name] })
	}
	for _, n := range p.stay {
		if n.Role == spec.RoleLoadBalancer {
			out = append(out, n)
		}
	}
	return append(out, p.leavingLate()...)
}

// leavingLate are the load balancers that share the address, and leave when all else is done.
func (p *planner) leavingLate() []topology.Node {
	var out []topology.Node
	for _, n := range p.late {
		if named(p.balancers, n.Name) && p.alive(n.Name) {
			out = append(out, n.Node)
		}
	}
	return out
}

// sharerLeaves reports whether one of those that share the address leaves: the others hear it until it is gone.
func (p *planner) sharerLeaves() bool {
	return slices.ContainsFunc(p.balancers, func(b topology.Node) bool { return !named(p.Wanted.Nodes, b.Name) })
}

// recorded is a node as the record has it.
func (p *planner) recorded(name string) (Node, bool) {
	i := slices.IndexFunc(p.Record, func(n Node) bool { return n.Name == name })
	if i < 0 {
		return Node{}, false
	}
	return p.Record[i], true
}

func named(nodes []topology.Node, name string) bool {
	return slices.ContainsFunc(nodes, func(n topology.Node) bool { return n.Name == name })
}

// readdresses reports whether a load balancer has given its own address to all of them, and has no other yet.
func (p *planner) readdresses(n topology.Node) bool {
	was, ok := p.recorded(n.Name)
	return ok && !slices.Equal(was.Addresses, n.Addresses)
}

// others reports whether another load balancer can have the address that clients use meanwhile: one that shares it, and stays, or has a turn of its own.
func (p *planner) others(n topology.Node) bool {
	stays := func(b topology.Node) bool {
		return named(p.stay, b.Name) || p.balancerRuns(b.Name) && named(plain(p.turns), b.Name)
	}
	return slices.ContainsFunc(p.sharing(), func(b topology.Node) bool { return b.Name != n.Name && stays(b) })
}

// leases reports whether a load balancer agrees with the others by a lease on who has the address. One that an older haplane made, and
// whose keepalived runs, does not: those that do wait for it, so none could take the address from another one, and all restart at once.
func (p *planner) leases(n topology.Node) bool {
	m := p.Observed.Machines[n.Name]
	_, ok := m.Files[render.ElectorateFile]
	return ok || !m.Units["keepalived"].Active
}

// takesWay reports whether clients do not get through a load balancer while these programs restart.
func takesWay(units []string) bool {
	return slices.Contains(units, "haproxy") || slices.Contains(units, "keepalived")
}

func (p *planner) wayLost() string {
	if len(p.sharers()) > 1 {
		return "a way to the API"
	}
	return "the way to the API"
}
