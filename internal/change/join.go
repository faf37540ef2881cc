package change

import (
	"slices"

	"github.com/haplane/haplane/internal/topology"
	"github.com/haplane/haplane/spec"
)

// join makes machines side by side; etcd members join one after another, each as a
// learner until it has caught up; API servers get traffic once they are ready.
func (p *planner) join() {
	var ready []string
	for _, ofEtcd := range []bool{true, false} { // API servers may ask those that are of etcd alone
		for _, n := range p.joins {
			if (n.Role == spec.RoleEtcd) == ofEtcd {
				ready = append(ready, p.joinNode(n)...)
			}
		}
	}
	p.addBackends(ready)
	var told []string
	for _, n := range p.joins {
		told = append(told, p.finishJoin(n)...)
	}
	p.tail = slices.Concat(p.tail, told, p.joined(spec.RoleLoadBalancer)) // what drains asks it
}

// joinNode plans a node until its API server is ready, and returns that step.
func (p *planner) joinNode(n topology.Node) (ready []string) {
	why := joins(n)
	made := p.has(id(RemoveMachine, n.Name))
	if !p.alive(n.Name) || len(made) > 0 {
		made = []string{p.add(Step{ID: id(CreateMachine, n.Name), Verb: CreateMachine, Node: n.Name, Why: why, Needs: slices.Concat(made, p.has(id(Forget, n.Name)), p.knownGone(n))})}
	}
	written := []string{p.add(Step{ID: id(WriteFiles, n.Name), Verb: WriteFiles, Node: n.Name, Why: why, Needs: made})}
	if p.Wanted.HasEtcdMember(n) {
		written = p.joinEtcd(n, why, written)
	} else if n.Role == spec.RoleControlPlane {
		written = append(written, p.ownMembers()...)
	}
	if n.Role != spec.RoleControlPlane {
		return nil
	}
	return []string{p.add(Step{ID: id(Start, n.Name, "kube-apiserver"), Verb: Start, Node: n.Name, Why: why,
		Units: []string{"kube-apiserver"}, Needs: written})}
}

func (p *planner) joinEtcd(n topology.Node, why []Reason, needs []string) []string {
	member, there := p.Observed.Etcd.Member(n.Name, n.EtcdPeerURL())
	anew := len(p.has(id(RemoveMember, n.Name))) > 0
	needs = append(needs, p.tail...)
	if there && !anew && !member.Learner && member.Name != "" {
		return []string{p.add(Step{ID: id(Start, n.Name, "etcd"), Verb: Start, Node: n.Name, Why: why, Units: []string{"etcd"}, Needs: needs})}
	}
	added := p.add(Step{ID: id(AddMember, n.Name), Verb: AddMember, Node: n.Name, Why: why, Needs: needs, Guard: Guard{Etcd: OpAdd}})
	started := p.add(Step{ID: id(Start, n.Name, "etcd"), Verb: Start, Node: n.Name, Why: why, Units: []string{"etcd"}, Needs: []string{added}})
	promoted := p.add(Step{ID: id(PromoteMember, n.Name), Verb: PromoteMember, Node: n.Name, Why: why, Needs: []string{started}, Guard: Guard{Etcd: OpPromote}})
	p.tail = []string{promoted}
	return p.tail
}

// addBackends gives traffic to the API servers that joined, all at once. Load balancers beside API servers that have to restart do so before: who takes
// the address meanwhile may have no majority of those that are to come until they have.
func (p *planner) addBackends(ready []string) {
	comes := func(n topology.Node) bool { return n.Role == spec.RoleControlPlane }
	restarts := func(lb topology.Node) bool { return takesWay(p.restarts(lb)) }
	if p.onControlPlane() && slices.ContainsFunc(p.joins, comes) && slices.ContainsFunc(p.configured(), restarts) {
		p.setBackends("configuration", p.tail, Reason{What: "programs that restart before others join"})
	}
	before, joined := len(p.backends), false
	for _, n := range p.joins {
		if n.Role != spec.RoleControlPlane {
			continue
		}
		if !named(p.backends, n.Name) {
			p.backends, joined = append(p.backends, n), true
		}
		joined = joined || p.onControlPlane() // one whose load balancer runs since a run that was cut off
	}
	if joined {
		p.sendTo(p.backends[before:], "join", ready, Reason{What: "API servers that joined"})
	}
}

// sendTo gives traffic to API servers that joined: what changes the next one comes after that.
func (p *planner) sendTo(joined []topology.Node, what string, ready []string, why ...Reason) {
	if p.Wanted.ExternalBalancer() {
		told := p.tellLocals(what, ready, why)
		p.tail = compact(slices.Concat(p.tail, p.reached(what, joined, ready, why...), told))
		return
	}
	p.setBackends(what, ready, why...)
}

// setBackends plans the backends as they are now, on every load balancer that is told. Where they move an address between them, or
// one has to restart, they take turns, once there is a lease by which they agree on who has it. Where nobody has it all are told at once: there may be
// no majority before all know who there is.
func (p *planner) setBackends(what string, needs []string, why ...Reason) {
	var done []string
	if p.onControlPlane() { // those that are mended run
		needs = compact(slices.Concat(needs, p.tail))
	}
	others, first := p.holderLast(p.configured()), needs
	if done = p.startBalancers(what, needs, why); !p.nobodyHolds() { // else these may have to be told before any of them can be seen to share it
		first = slices.Concat(needs, done)
	}
	for _, lb := range others {
		before := first
		if p.leases(lb) && !p.nobodyHolds() && (p.Wanted.Virtual || takesWay(p.restarts(lb))) {
			before = slices.Concat(needs, done)
		}
		done = append(done, p.tell(lb, what, before, p.stay, why))
	}
	done = append(done, p.tellLocals(what, needs, why)...)
	if len(done) > 0 {
		p.tail = compact(append(slices.Clone(p.tail), done...))
	}
}

// tell plans that one load balancer gets the backends as they are now. Where it has to restart, one of some others takes the address before, unless
// nobody could: that may have to be told first, too.
func (p *planner) tell(lb topology.Node, what string, needs []string, to []topology.Node, why []Reason) string {
	restart := p.restarts(lb)
	needs = slices.Concat(needs, p.lastOf(SetBackends, lb.Name))
	if p.onControlPlane() { // what was written before does not come after
		needs = slices.Concat(needs, p.lastOf(WriteFiles, lb.Name))
	}
	if takesWay(restart) && p.leases(lb) && !p.tooFew {
		needs = p.handOver(lb, to, why, needs)
	}
	return p.add(Step{ID: id(SetBackends, lb.Name, what), Verb: SetBackends, Node: lb.Name, Why: why,
		Units: restart, Backends: nodeNames(p.ordered()), Balancers: p.sharerNames(), Needs: needs})
}

// restarts are the programs of a load balancer for which a reload is not enough: the first step that tells it restarts them.
func (p *planner) restarts(lb topology.Node) []string {
	if len(p.lastOf(SetBackends, lb.Name)) > 0 || !named(p.stay, lb.Name) {
		return nil
	}
	balancer, alone := p.balancerPart(lb, p.diff(lb))
	switch {
	case !p.onControlPlane():
		return alone.restart
	case p.sick(lb) && !p.moves(lb): // that was done when it was mended
		return nil
	}
	return balancer.restart
}

func nodeNames(nodes []topology.Node) []string {
	var out []string
	for _, n := range nodes {
		out = append(out, n.Name)
	}
	return out
}

// ordered are the backends in the order of the file, and those that leave behind them.
func (p *planner) ordered() []topology.Node {
	var out []topology.Node
	for _, n := range p.Wanted.ControlPlane() {
		if named(p.backends, n.Name) {
			out = append(out, n)
		}
	}
	for _, n := range p.backends {
		if !named(out, n.Name) {
			out = append(out, n)
		}
	}
	return out
}

// lastOf is the last step so far of a verb on a node.
func (p *planner) lastOf(verb, node string) []string {
	for _, s := range slices.Backward(p.steps) {
		if s.Verb == verb && s.Node == node {
			return []string{s.ID}
		}
	}
	return nil
}

// besideAPIServer are the programs that talk to the API server of their own node; all
// others of a Kubernetes node go through the load balancers, and need not wait for it, unless
// their node is one of these.
var besideAPIServer = []string{"kube-controller-manager", "kube-scheduler", "haplane-agent"}

// finishJoin starts all other programs, and writes down that the node is one of us. It returns the step that tells a load balancer of its own
// who came meanwhile.
func (p *planner) finishJoin(n topology.Node) (told []string) {
	why := joins(n)
	written := p.has(id(WriteFiles, n.Name))
	ready := append(p.has(id(Start, n.Name, "kube-apiserver")), p.has(id(PromoteMember, n.Name))...)
	var node, beside []string
	for _, u := range p.Desired[n.Name].Units {
		switch {
		case u.Name == "etcd" || u.Name == "kube-apiserver":
		case n.Role == spec.RoleControlPlane && isBalancer(u.Name): // its own steps start it
		case slices.Contains(besideAPIServer, u.Name):
			beside = append(beside, u.Name)
		default:
			node = append(node, u.Name)
		}
	}
	all := slices.Concat(written, ready, p.startsBalancer(n), p.lastOf(RestoreBackend, n.Name)) // others count on it from then on
	if len(node) > 0 {
		needs := written
		switch {
		case n.Role == spec.RoleLoadBalancer:
			needs = slices.Concat(written, p.balancersKnow())
		case n.Role == spec.RoleControlPlane && p.onControlPlane(): // they ask the API server beside them, and its Node is waited for
			needs = slices.Concat(written, ready)
		}
		all = append(all, p.add(Step{ID: id(Start, n.Name), Verb: Start, Node: n.Name, Why: why, Units: node, Needs: needs}))
		if told = p.tellJoined(n); len(told) == 0 && p.runsLocal(n) { // since a run that was cut off, with what it knew then
			told = p.has(id(Start, n.Name))
		}
		all = append(all, told...)
	}
	if p.Wanted.RunsKubelet(n) {
		all = append(all, p.add(Step{ID: id(NodeReady, n.Name), Verb: NodeReady, Node: n.Name, Why: why, Needs: p.has(id(Start, n.Name))}))
	}
	if len(beside) > 0 {
		all = append(all, p.add(Step{ID: id(Start, n.Name, "controllers"), Verb: Start, Node: n.Name, Why: why, Units: beside, Needs: ready}))
	}
	p.add(Step{ID: id(Activate, n.Name), Verb: Activate, Node: n.Name, Why: why, Needs: all})
	return told
}
