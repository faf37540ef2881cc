package change

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/haplane/haplane/internal/topology"
	"github.com/haplane/haplane/spec"
)

// A LostError names nodes that cannot be mended where they are, with the reasons:
// they have to be made anew.
type LostError struct{ Nodes, Why []string }

func (e *LostError) Error() string { return strings.Join(e.Why, "\n") }

// An UnreachableError names nodes that stay, whose machines run and could not be looked at:
// nobody knows what they lack.
type UnreachableError struct{ Nodes, Why []string }

func (e *UnreachableError) Error() string { return strings.Join(e.Why, "\n") }

// Plan returns the steps that lead to what is wanted. The error is a *LostError for
// machines that are gone and not replaced, a *GoneError for nodes that cannot come back, an *UnreachableError for those that run and do not answer, or a *Refused for a change that would
// take quorum or the last API server; nothing needs to be undone then.
func Plan(in Input) (*Change, error) {
	p := newPlanner(in)
	if gone := p.gone(); len(gone.Nodes) > 0 {
		return nil, gone
	}
	if silent := p.unreachable(); len(silent.Nodes) > 0 {
		return nil, silent
	}
	if lost := p.lost(); len(lost.Nodes) > 0 {
		return nil, lost
	}
	if err := errors.Join(p.refuseAway(), p.unknown(), p.refuseStrangers()); err != nil {
		return nil, err
	}
	p.certificates()
	p.unused()
	serving := p.serving()
	if serving { // what is mended is of the new kind already
		p.hold()
	}
	p.mend()
	p.mendBalancers()
	p.settleBalancers()
	if !serving {
		p.hold()
	}
	p.tellStale()
	p.relocate()
	p.shareAddress()
	p.leave(p.early)
	p.join()
	p.loseLocals()
	p.turnsBefore()
	if p.Relocates != nil {
		p.first = append(p.first, p.joined(spec.RoleLoadBalancer)...)
	}
	p.moveEtcd()
	p.roll()
	p.turnsAfter()
	p.spareHurt()
	p.uncordonKubelets()
	p.comeBack()
	p.leave(p.late)
	p.manifests()
	p.release()
	p.moveClients()
	p.last()
	p.prove()
	if err := p.task(); err != nil {
		return nil, err
	}
	c := &Change{Steps: p.steps, warnings: p.warn(p.steps)}
	return c, p.project(c)
}

// A planner collects steps. Its fields sort the nodes by what becomes of them.
type planner struct {
	Input
	steps []Step

	stay    []topology.Node     // wanted, and there
	joins   []topology.Node     // wanted, and not there yet or not wholly
	early   []Node              // leave before others join: to be made anew, or dead, or see joinsSharers and stopped
	late    []Node              // leave at last
	turns   []Node              // made anew one after another, by an upgrade
	renewed []string            // nodes that have their turn in place
	looks   map[string][]string // the nodes whose turn ends with a step
	back    []topology.Node     // of those that stay: were to leave

	backends []topology.Node // API servers behind the load balancers, as the steps so far have it
	// balancers are those that move an address between them, as the steps so far have it; none where one has its own.
	balancers []topology.Node
	// balancing are the control-plane nodes whose load balancer runs, as the steps so far have it.
	balancing map[string]bool
	// tooFew says that of those whose votes count most do not vote: nobody can have the address before these are started, or have gone and the others are told.
	tooFew bool
	// waitsForDead says that this is so until machines have gone that are there and do not vote.
	waitsForDead bool
	untold       []untold // machines that are gone, and of which the other load balancers have not heard
	tail         []string // steps that whatever changes etcd or an API server next comes after
	issued       []string // the step that makes certificates
	drained      []string // the last step on a node that loses its kubelet
	began        []string // the backends before the change
	local        []string // the last step by which a worker gets, or loses, a load balancer of its own
	first        []string // steps that all later ones come after
}

func newPlanner(in Input) *planner {
	p := &planner{Input: in, looks: map[string][]string{}, balancing: map[string]bool{}}
	for _, n := range in.Record {
		_, wanted := in.Wanted.Node(n.Name)
		w, _ := in.Wanted.Node(n.Name)
		n.Rejoin = wanted && (n.Rejoin || slices.Contains(in.Replace, n.Name) || p.lostWhileJoining(n) || p.joinedElsewhere(n))
		switch {
		case n.State == Leaving && wanted && !n.Rejoin && p.missing(w) == "" && !p.halfJoined(w):
			p.stay, p.back = append(p.stay, w), append(p.back, w)
		case n.Rejoin, n.State == Leaving, !wanted:
			if n.State == Leaving && wanted {
				n.Rejoin = true // it was going, is wanted again, and has lost what it was
			}
			if in.Upgrade != nil && n.Rejoin && p.rolls(n.Node) {
				p.turns = append(p.turns, n)
			} else if n.Rejoin || p.dead(n.Node) || p.learns(n.Node) || p.joinsSharers(n) || p.stopped(n.Node) {
				p.early = append(p.early, n)
			} else {
				p.late = append(p.late, n)
			}
		case n.State == Active:
			p.stay = append(p.stay, w)
		}
		gone := n.State == Leaving && !wanted && !in.Observed.APIServers[n.Name].Ready // or it never served
		if n.Role == spec.RoleControlPlane && n.State != Joining && !gone {
			p.backends = append(p.backends, n.Node)
		}
	}
	were := slices.Clone(p.backends)
	if p.onControlPlane() {
		p.beginBalancing()
	} else {
		p.balancers = p.sharing()
	}
	p.began = nodeNames(p.ordered())
	for _, n := range were { // its machine is gone, or its load balancer never began
		if !named(p.backends, n.Name) {
			p.began = append(p.began, n.Name)
		}
	}
	slices.SortStableFunc(p.late, leavesFirst)
	slices.SortStableFunc(p.early, p.downFirst)
	for _, n := range in.Wanted.Nodes {
		named := func(t Node) bool { return t.Name == n.Name }
		if !slices.ContainsFunc(p.stay, func(s topology.Node) bool { return s.Name == n.Name }) && !slices.ContainsFunc(p.turns, named) {
			p.joins = append(p.joins, n)
		}
	}
	return p
}

// lostWhileJoining reports whether a node that joins lost its machine after its etcd
// member had begun: a new machine under that member would lack its data.
func (p *planner) lostWhileJoining(n Node) bool {
	m, ok := p.Observed.Etcd.Member(n.Name, n.EtcdPeerURL())
	return n.State == Joining && ok && m.Name != "" && !p.Observed.Machines[n.Name].Made
}

// joinedElsewhere reports whether a control-plane node was cut off while it joined with a member of etcd's, and etcd is
// to have machines of its own now: its files would go from under that member, which votes, and its data would stay.
func (p *planner) joinedElsewhere(n Node) bool {
	return n.State == Joining && p.Observed.Machines[n.Name].Made && (p.gives(n.Node) || p.mayHaveData(n.Node))
}

// dead reports whether nothing is to be saved on a node: nobody answers there, or
// its etcd member does not.
func (p *planner) dead(n topology.Node) bool {
	m := p.Observed.Machines[n.Name]
	if !m.Running || !m.Reachable {
		return true
	}
	member, ok := p.member(n)
	return p.Observed.Etcd.Seen && ok && !member.Healthy && !member.Learner
}

// downFirst has machines of load balancers that are not there leave before those of which the programs do not run, and these before others: who is
// to take the address from a load balancer may wait for them.
func (p *planner) downFirst(a, b Node) int {
	rank := func(n Node) int {
		switch {
		case !p.Wanted.Balances(n.Node) || p.balancerRuns(n.Name):
			return 2
		case p.alive(n.Name):
			return 1
		}
		return 0
	}
	return rank(a) - rank(b)
}

// learns reports whether a machine for etcd alone has a member that votes not yet: it
// keeps others from learning, and nobody misses it.
func (p *planner) learns(n topology.Node) bool {
	member, ok := p.member(n)
	return n.Role == spec.RoleEtcd && ok && member.Learner
}

// joinsSharers reports whether a load balancer was to share the address with others when a run was cut off: nobody waits for it
// yet, and what it may do the others cannot be told to forget before it is gone.
func (p *planner) joinsSharers(n Node) bool {
	return p.Wanted.Virtual && n.Role == spec.RoleLoadBalancer && n.State == Joining
}

// alive reports whether the machine takes commands.
func (p *planner) alive(node string) bool {
	m := p.Observed.Machines[node]
	return m.Running && m.Reachable
}

func (p *planner) unreachable() *UnreachableError {
	out := &UnreachableError{}
	for _, n := range p.stay {
		m := p.Observed.Machines[n.Name]
		if m.Running && (!m.Reachable || m.Error != "") {
			out.Nodes = append(out.Nodes, n.Name)
			out.Why = append(out.Why, fmt.Sprintf("the machine of %s runs and cannot be looked at: %s", n.Name, cmp.Or(m.Error, "it does not answer")))
		}
	}
	return out
}

func (p *planner) lost() *LostError {
	out := &LostError{}
	for _, n := range p.stay {
		why := ""
		if !p.Observed.Machines[n.Name].Made {
			why = fmt.Sprintf("the machine of %s is gone%s", n.Name, p.lostWith(n))
		} else if _, ok := p.Observed.Etcd.Member(n.Name, n.EtcdPeerURL()); !ok && p.Observed.Etcd.Seen && p.Wanted.HasEtcdMember(n) && !p.takes(n) {
			why = fmt.Sprintf("%s is no member of etcd any more: somebody removed it", n.Name)
		}
		if why != "" {
			out.Nodes, out.Why = append(out.Nodes, n.Name), append(out.Why, why)
		}
	}
	return out
}

// lostWith says what went with a machine.
func (p *planner) lostWith(n topology.Node) string {
	var with []string
	if n.Role == spec.RoleControlPlane {
		with = append(with, "its API server")
	}
	if _, member := p.member(n); member || p.Wanted.HasEtcdMember(n) {
		with = append(with, "its etcd member with its data")
	}
	if n.Role == spec.RoleLoadBalancer {
		with = append(with, p.wayLost())
	}
	if len(with) == 0 {
		return ""
	}
	return ", and with it " + strings.Join(with, " and ")
}

// add appends a step and returns its ID. One that is there already gains the needs.
func (p *planner) add(s Step) string {
	s.Needs = compact(slices.Concat(p.issued, p.first, s.Needs))
	if s.Verb == IssueCertificates && !s.Last {
		s.Needs = nil
	}
	if s.Why == nil {
		s.Why = []Reason{}
	}
	p.steps = append(p.steps, p.carry(s))
	return s.ID
}

// has returns the ID as a list where a step of that ID was planned.
func (p *planner) has(id string) []string {
	if slices.ContainsFunc(p.steps, func(s Step) bool { return s.ID == id }) {
		return []string{id}
	}
	return nil
}

func compact(ids []string) []string {
	var out []string
	for _, one := range ids {
		if one != "" && !slices.Contains(out, one) {
			out = append(out, one)
		}
	}
	return out
}

func (p *planner) certificates() {
	if len(p.Issued) > 0 {
		p.issued = []string{p.add(Step{ID: IssueCertificates, Verb: IssueCertificates, Why: p.Issued})}
	}
}

// manifests plans what is applied to Kubernetes: before the turns of an upgrade, else when all else is done.
func (p *planner) manifests() {
	if len(p.Objects) > 0 && len(p.has(ApplyManifests)) == 0 {
		p.add(Step{ID: ApplyManifests, Verb: ApplyManifests, Why: p.Objects, Needs: slices.Concat(p.tail, p.drained)})
	}
}

// node is one that is wanted or leaves.
func (p *planner) node(name string) topology.Node {
	if n, ok := p.Wanted.Node(name); ok {
		return n
	}
	if n, ok := p.recorded(name); ok {
		return n.Node
	}
	return topology.Node{Name: name}
}
