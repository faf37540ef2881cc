package change

import (
	"errors"
	"slices"

	"github.com/haplane/haplane/internal/observed"
	"github.com/haplane/haplane/internal/topology"
	"github.com/haplane/haplane/spec"
)

// This file moves etcd, with its data, from the control-plane nodes to machines of its own and
// back. Members that come join first, all of them; then each control-plane node takes its turn;
// then members of machines of their own leave, with these. So there are never fewer voters than
// the smaller of both shapes has, and nothing but the first member that leaves ends the time in
// which going back takes away what has just come.

func (p *planner) member(n topology.Node) (observed.Member, bool) {
	return p.Observed.Etcd.Member(n.Name, n.EtcdPeerURL())
}

// unknown is why etcd cannot be moved: whose member a node has has to be seen before its files
// are taken away.
func (p *planner) unknown() error {
	if !p.Moving || p.Observed.Etcd.Seen {
		return nil
	}
	return &Refused{Step: "etcd", Err: errors.Join(errors.New("its members are not known, and it moves between machines"), errorOf(p.Observed.Etcd))}
}

// gives reports whether a control-plane node has a member that is to be on machines of etcd's own.
func (p *planner) gives(n topology.Node) bool {
	_, there := p.member(n)
	return n.Role == spec.RoleControlPlane && p.Wanted.ExternalEtcd() && there
}

// takes reports whether a control-plane node that stays is to have a member again, and has
// none that votes yet, while etcd leaves machines of its own.
func (p *planner) takes(n topology.Node) bool {
	if n.Role != spec.RoleControlPlane || p.Wanted.ExternalEtcd() ||
		!slices.ContainsFunc(p.Record, func(r Node) bool { return r.Role == spec.RoleEtcd }) {
		return false
	}
	m, there := p.member(n)
	return !there || m.Learner || m.Name == ""
}

// follows reports whether a control-plane node has an API server that serves nobody, and is to ask machines of
// etcd's own of which none votes yet.
func (p *planner) follows(n topology.Node) bool {
	_, there := p.member(n)
	votes := func(n topology.Node) bool {
		m, _ := p.member(n)
		return n.Role == spec.RoleEtcd && m.Healthy && !m.Learner
	}
	return p.Moving && n.Role == spec.RoleControlPlane && p.Wanted.ExternalEtcd() && !there &&
		!p.Observed.APIServers[n.Name].Ready && !slices.ContainsFunc(p.Wanted.Nodes, votes)
}

func (p *planner) moves(n topology.Node) bool { return p.gives(n) || p.takes(n) || p.follows(n) }

func (p *planner) moveReason() []Reason {
	const own, beside = "on machines of its own", "on the control-plane nodes"
	if p.Wanted.ExternalEtcd() {
		return []Reason{{What: "etcd", Old: beside, New: own}}
	}
	return []Reason{{What: "etcd", Old: own, New: beside}}
}

// leavesFirst has control-plane nodes leave behind workers, whose own load balancers lead there, and before machines of
// etcd's own, which their API servers may ask.
func leavesFirst(a, b Node) int {
	place := map[spec.Role]int{spec.RoleWorker: -1, spec.RoleEtcd: 1}
	return place[a.Role] - place[b.Role]
}

// mendMoving has what is sick on a node whose turn comes later wait for that turn, but for what the others
// lack meanwhile: its machine is started as it is, and a member that is dead or learns goes now, if it is to go.
func (p *planner) mendMoving(n topology.Node) (mended []string) {
	why := difference{unseen: true}.why()
	if !p.alive(n.Name) {
		mended = []string{p.add(Step{ID: id(StartMachine, n.Name), Verb: StartMachine, Node: n.Name, Why: why})}
		if p.gives(n) {
			mended = []string{p.add(Step{ID: id(Serve, n.Name), Verb: Serve, Node: n.Name, Why: why, Needs: mended, Units: []string{"kube-apiserver"}})}
		}
		if p.Wanted.RunsKubelet(n) {
			p.add(Step{ID: id(NodeReady, n.Name), Verb: NodeReady, Node: n.Name, Why: why, Needs: mended})
		}
	}
	if p.goesEarly(n) {
		mended = []string{p.add(Step{ID: id(RemoveMember, n.Name), Verb: RemoveMember, Node: n.Name, Why: p.moveReason(), Needs: mended, Guard: Guard{Etcd: OpRemove}})}
	}
	return mended
}

func (p *planner) goesEarly(n topology.Node) bool {
	m, _ := p.member(n)
	return p.gives(n) && (m.Learner || !m.Healthy && p.alive(n.Name))
}

// moveEtcd has the control-plane nodes that stay take their turns, first those of which
// nobody gets an answer anyway.
func (p *planner) moveEtcd() {
	for _, serving := range []bool{false, true} {
		for _, n := range p.stay {
			if p.Observed.APIServers[n.Name].Ready != serving {
				continue
			}
			switch {
			case p.gives(n):
				p.give(n)
			case p.takes(n):
				p.take(n)
			case p.follows(n):
				p.follow(n)
			case p.mayHaveData(n): // cut off right before that
				p.removeData(n, p.has(id(Start, n.Name)))
			}
		}
	}
}

// mayHaveData reports whether a control-plane node that is no member any more has data, or
// nobody could look.
func (p *planner) mayHaveData(n topology.Node) bool {
	return p.Moving && n.Role == spec.RoleControlPlane && (p.Observed.Machines[n.Name].EtcdData || !p.alive(n.Name))
}

// give has a control-plane node's API server use the machines of etcd's own, and its member leave.
// Both in one turn: the API server asks that member, and is stopped before it goes.
func (p *planner) give(n topology.Node) {
	d := p.diff(n)
	t := p.turn(n)
	t.drain()
	if !p.goesEarly(n) {
		t.then(Step{ID: id(MoveLeader, n.Name), Verb: MoveLeader, Guard: Guard{Etcd: OpRemove}})
		t.then(Step{ID: id(RemoveMember, n.Name), Verb: RemoveMember, Guard: Guard{Etcd: OpRemove}})
	}
	t.then(Step{ID: id(WriteFiles, n.Name), Verb: WriteFiles})
	t.then(t.start(d))
	t.restore()
	p.removeData(n, t.needs)
	p.endTurn(t, d)
}

// take makes a member on a control-plane node, and then has its API server use that one. What is left
// of an earlier member goes first, and the node is a learner before it has the unit and its
// files: a machine that starts in between would begin a cluster of its own.
func (p *planner) take(n topology.Node) {
	d := p.diff(n)
	t := p.turn(n)
	if _, there := p.member(n); !there {
		t.then(Step{ID: id(RemoveData, n.Name), Verb: RemoveData})
	}
	t.then(Step{ID: id(AddMember, n.Name), Verb: AddMember, Guard: Guard{Etcd: OpAdd}})
	t.then(Step{ID: id(WriteFiles, n.Name), Verb: WriteFiles})
	t.then(Step{ID: id(Start, n.Name, "etcd"), Verb: Start, Units: []string{"etcd"}})
	t.then(Step{ID: id(PromoteMember, n.Name), Verb: PromoteMember, Guard: Guard{Etcd: OpPromote}})
	t.drain()
	t.then(t.start(d))
	t.restore()
	p.endTurn(t, d)
}

// follow starts what serves nobody yet.
func (p *planner) follow(n topology.Node) {
	t := p.turn(n)
	t.then(Step{ID: id(WriteFiles, n.Name), Verb: WriteFiles})
	t.then(Step{ID: id(Start, n.Name), Verb: Start, Units: allUnits})
	t.restore()
	p.removeData(n, t.needs)
	p.tail = t.needs
}

// A turn is that of one control-plane node: its steps come one after another, after those of the last one.
type turn struct {
	*planner
	node   topology.Node
	serves bool // its API server is behind the load balancers when its turn comes
	needs  []string
}

func (p *planner) turn(n topology.Node) *turn {
	started := p.has(id(Serve, n.Name))
	return &turn{planner: p, node: n, serves: p.Observed.APIServers[n.Name].Ready || len(started) > 0, needs: compact(append(slices.Clone(p.tail), started...))}
}

func (t *turn) then(s Step) {
	s.Node, s.Why, s.Needs = t.node.Name, t.moveReason(), t.needs
	t.needs = []string{t.add(s)}
}

// drain takes the API server from the load balancers and stops it, where it serves.
func (t *turn) drain() {
	if !t.serves {
		return
	}
	guard := Guard{OtherAPIServers: len(t.backends) > 1}
	t.then(Step{ID: id(DrainBackend, t.node.Name), Verb: DrainBackend, Guard: guard})
	t.then(Step{ID: id(Stop, t.node.Name, "kube-apiserver"), Verb: Stop, Units: []string{"kube-apiserver"}, Guard: guard})
}

// restore gives it traffic again. One that did not serve is found by load balancers themselves, and somebody else's is waited for.
func (t *turn) restore() {
	if t.serves || t.Wanted.ExternalBalancer() {
		t.then(Step{ID: id(RestoreBackend, t.node.Name), Verb: RestoreBackend})
	}
}

// start is that of the API server; of all that runs there, where nobody could look.
func (t *turn) start(d difference) Step {
	if d.unseen {
		return Step{ID: id(Start, t.node.Name), Verb: Start, Units: allUnits}
	}
	return Step{ID: id(Start, t.node.Name, "kube-apiserver"), Verb: Start, Units: []string{"kube-apiserver"}}
}

// endTurn starts what else differs on the node.
func (p *planner) endTurn(t *turn, d difference) {
	p.tail = p.programs(t.node, d, t.needs, []string{"etcd", "kube-apiserver"})
}

func (p *planner) removeData(n topology.Node, needs []string) {
	p.add(Step{ID: id(RemoveData, n.Name), Verb: RemoveData, Node: n.Name, Why: p.moveReason(), Needs: needs})
}

// ownMembers are the last steps by which members of machines of etcd's own join: an API
// server that asks these starts after them.
func (p *planner) ownMembers() []string {
	var out []string
	for _, n := range p.joins {
		if n.Role == spec.RoleEtcd {
			out = append(out, p.has(id(PromoteMember, n.Name))...)
			out = append(out, p.has(id(Start, n.Name, "etcd"))...)
		}
	}
	return out
}

// warnMove says that etcd moves: a list of nodes that come or go does not.
func (p *planner) warnMove() []string {
	where := "the control-plane nodes"
	if p.Wanted.ExternalEtcd() {
		where = "machines of its own"
	}
	if !slices.ContainsFunc(p.stay, func(n topology.Node) bool { return p.gives(n) || p.takes(n) }) {
		return nil
	}
	return []string{"etcd moves to " + where + ", with its data, member by member; every API server is restarted, one after another"}
}
