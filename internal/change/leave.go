package change

import (
	"slices"

	"github.com/haplane/haplane/internal/topology"
	"github.com/haplane/haplane/spec"
)

// leave takes nodes out of the cluster: etcd's and the control plane's one after
// another, the others side by side.
func (p *planner) leave(nodes []Node) {
	for _, n := range nodes {
		if p.clientsFirst(n) {
			continue // its clients move first
		}
		p.leaveNode(n)
	}
}

// clientsFirst reports whether a load balancer leaves when its clients have moved to another one, be it one that
// an earlier run had join.
func (p *planner) clientsFirst(n Node) bool {
	late := slices.ContainsFunc(p.late, func(l Node) bool { return l.Name == n.Name })
	return n.Role == spec.RoleLoadBalancer && late && (p.Relocates != nil || len(p.joined(n.Role)) > 0)
}

func (p *planner) leaveNode(n Node) {
	why := []Reason{{What: "spec.nodes[" + n.Name + "]", Old: string(n.Role)}}
	if n.Rejoin {
		why = []Reason{{What: n.Name + " is made anew"}}
	}
	alive, step := p.alive(n.Name), func(verb string) Step {
		return Step{ID: id(verb, n.Name), Verb: verb, Node: n.Name, Why: why}
	}
	shared := n.Role == spec.RoleControlPlane || n.Role == spec.RoleEtcd
	var needs []string
	if shared {
		needs = p.tail
	} else {
		needs = p.joined(n.Role) // who comes for it is there first
		if named(p.balancers, n.Name) {
			needs = slices.Concat(needs, p.tail) // and who stays is well
		}
	}
	if p.clientsFirst(n) {
		needs = p.ends() // and its clients have moved
	}
	then := func(s Step) {
		s.Needs = needs
		needs = []string{p.add(s)}
	}
	if p.runsLocal(n.Node) {
		s := step(Stop)
		s.ID, s.Units = id(Stop, n.Name, "haproxy"), []string{"haproxy"}
		then(s)
		p.tail = append(p.tail, s.ID) // who comes and goes from then on it is not told
	}
	var drained []string
	balances := p.onControlPlane() && n.Role == spec.RoleControlPlane
	if balances { // before anybody drains: that asks through the address, and a move resets what is open
		needs = p.handOver(n.Node, p.sharers(), why, needs)
	}
	if alive && p.Wanted.RunsKubelet(n.Node) {
		drained = p.drainNode(n.Node, why, needs)
	}
	if balances {
		needs = slices.Concat(needs, drained) // its kubelet asks the API server beside it, and tells by that which pods have ended
	}
	if n.Role == spec.RoleControlPlane {
		needs = p.leaveBalancer(n, why, needs, alive) // beside the drain: all of it can be taken back
	}
	needs = slices.Concat(needs, drained)
	if _, member := p.member(n.Node); member || p.Wanted.HasEtcdMember(n.Node) {
		needs = p.leaveEtcd(n, why, needs, alive)
	}
	if alive && p.clientsFirst(n) && !named(p.balancers, n.Name) {
		s := step(ClientsGone)
		s.Why = append(slices.Clone(why), Reason{What: "who is still connected through it", New: "gets some time to go, and is named"})
		then(s)
	}
	if n.Role == spec.RoleLoadBalancer {
		needs = p.handOver(n.Node, p.sharers(), why, needs)
	}
	// Those that stay know of a load balancer until its machine is gone: it may start again, and have votes. But of two, the other one goes by
	// its own vote before, or nobody would have the address meanwhile: without that vote this one has no majority. It has handed the address
	// over to that one, so it does not go by its own vote itself, as it may since another change was cut off.
	stays := slices.DeleteFunc(p.ordered(), func(b topology.Node) bool { return b.Name == n.Name })
	ofTwo := balances && len(stays) == 1 && len(p.has(id(MoveAddress, n.Name))) > 0
	if ofTwo {
		needs = p.takeFromBalancers(n, needs)
	}
	if alive {
		s := step(Stop)
		s.Units = allUnits
		then(s)
	}
	if shared {
		p.tail = needs
	}
	known := p.Wanted.RunsKubelet(n.Node) || n.Role == spec.RoleControlPlane // an API server has a Lease too
	if known && !balances {
		then(step(DeleteNode))
	}
	then(step(RemoveMachine))
	p.unshare(n, needs)
	p.untold = append(p.untold, untold{n, why})
	switch {
	case ofTwo:
		p.tail = needs // it ends before others come, who could be a majority without the one that stays
	case balances && p.goneToo(n):
		p.unback(n)
		p.tail = needs
		return
	case balances:
		needs = p.takeFromBalancers(n, needs)
	}
	for _, n := range p.untold {
		last := needs
		if balances { // through the address, which nobody has while those that are dead are a majority, and the others are not told
			last = []string{p.add(Step{ID: id(DeleteNode, n.Name), Verb: DeleteNode, Node: n.Name, Why: n.why, Needs: needs})}
		}
		if !n.Rejoin {
			p.add(Step{ID: id(Forget, n.Name), Verb: Forget, Node: n.Name, Why: n.why, Needs: last})
		}
	}
	p.untold = nil
}

// joined are the last steps of nodes of a role that join.
func (p *planner) joined(role spec.Role) []string {
	var out []string
	for _, n := range p.joins {
		if n.Role == role {
			out = append(out, p.has(id(Activate, n.Name))...)
		}
	}
	return out
}

// allUnits stands for every program of a machine.
var allUnits = []string{"*"}

func all(units []string) bool { return slices.Equal(units, allUnits) }

// leaveBalancer drains the API server, stops it, and takes it from the load
// balancers: also one that comes back under its address, which must get no request
// before it is ready, not even as a last resort. Of one that has a load balancer itself
// these know until its machine is gone.
func (p *planner) leaveBalancer(n Node, why []Reason, needs []string, alive bool) []string {
	if alive {
		needs = []string{p.add(Step{ID: id(DrainBackend, n.Name), Verb: DrainBackend, Node: n.Name, Why: why, Needs: needs,
			Guard: Guard{OtherAPIServers: true}})}
		needs = []string{p.add(Step{ID: id(Stop, n.Name, "kube-apiserver"), Verb: Stop, Node: n.Name, Why: why, Needs: needs,
			Units: []string{"kube-scheduler", "kube-controller-manager", "haplane-agent", "kube-apiserver"},
			Guard: Guard{OtherAPIServers: true}})}
	}
	if p.onControlPlane() {
		return needs
	}
	return p.takeFromBalancers(n, needs)
}

func (p *planner) takeFromBalancers(n Node, needs []string) []string {
	p.unback(n)
	p.tail = needs
	if p.Wanted.ExternalBalancer() {
		told := p.tellLocals("without-"+n.Name, needs, []Reason{{What: n.Name + " leaves"}})
		p.tail = append(p.withoutOutside(n, needs), told...)
		return p.tail
	}
	why := []Reason{{What: n.Name + " leaves"}}
	for _, u := range p.untold {
		if u.Name != n.Name {
			why = append(why, Reason{What: u.Name + " leaves"})
		}
	}
	p.setBackends("without-"+n.Name, needs, why...)
	return p.tail
}

// unback takes a node from those behind the load balancers, and from these, without telling anybody yet.
func (p *planner) unback(n Node) {
	p.backends = slices.DeleteFunc(p.backends, func(b topology.Node) bool { return b.Name == n.Name })
	delete(p.balancing, n.Name)
}

func (p *planner) leaveEtcd(n Node, why []Reason, needs []string, alive bool) []string {
	member, there := p.Observed.Etcd.Member(n.Name, n.EtcdPeerURL())
	if !there && p.Observed.Etcd.Seen {
		return needs
	}
	if alive && !member.Learner {
		needs = []string{p.add(Step{ID: id(MoveLeader, n.Name), Verb: MoveLeader, Node: n.Name, Why: why, Needs: needs, Guard: Guard{Etcd: OpRemove}})}
	}
	return []string{p.add(Step{ID: id(RemoveMember, n.Name), Verb: RemoveMember, Node: n.Name, Why: why, Needs: needs, Guard: Guard{Etcd: OpRemove}})}
}
