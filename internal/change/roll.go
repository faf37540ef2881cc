package change

import (
	"maps"
	"slices"
	"strings"

	"github.com/haplane/haplane/internal/fileset"
	"github.com/haplane/haplane/internal/observed"
	"github.com/haplane/haplane/internal/render"
	"github.com/haplane/haplane/internal/topology"
	"github.com/haplane/haplane/spec"
)

// A difference is what a node that stays has otherwise than it is wanted.
type difference struct {
	files                  []string // to write
	unwanted               []string // to remove
	start, restart, reload []string // programs
	foreign                []string // of the files, those with somebody else's certificate
	unseen                 bool     // nobody could look: the machine is off
}

func (d difference) none() bool {
	return len(d.files)+len(d.unwanted)+len(d.start)+len(d.restart)+len(d.reload) == 0 && !d.unseen
}

// diff compares a node with what it should be.
func (p *planner) diff(n topology.Node) difference { return p.diffTo(n, p.Desired[n.Name]) }

func (p *planner) diffTo(n topology.Node, want render.Machine) difference {
	seen := p.Observed.Machines[n.Name]
	if !p.alive(n.Name) {
		return difference{unseen: true}
	}
	d := difference{files: want.Files.Stale(seen.Files).Paths(), unwanted: fileset.Unwanted(seen.Manifest, want.Files), foreign: p.Foreign[n.Name]}
	for _, u := range want.Units {
		switch s := seen.Units[u.Name]; {
		case !s.Active:
			d.start = append(d.start, u.Name)
		case s.Config != u.Config:
			d.restart = append(d.restart, u.Name)
		case u.Load != "" && s.Loaded != u.Load:
			d.reload = append(d.reload, u.Name)
		}
	}
	return d
}

func (d difference) why() []Reason {
	if d.unseen {
		return []Reason{{What: "the machine is off"}}
	}
	var out []Reason
	for _, part := range []struct {
		what  string
		names []string
	}{{"somebody else's certificates, kept beside", d.foreign}, {"other files", d.files}, {"files that are no longer wanted", d.unwanted}, {"does not run", d.start},
		{"runs with another configuration", d.restart}, {"has another configuration loaded", d.reload}} {
		if len(part.names) > 0 {
			out = append(out, Reason{What: part.what, New: strings.Join(part.names, ", ")})
		}
	}
	return out
}

// sick reports whether a node does not do its part already, so that mending it
// takes nothing away.
func (p *planner) sick(n topology.Node) bool {
	if !p.alive(n.Name) {
		return true
	}
	if n.Role == spec.RoleControlPlane && !p.Observed.APIServers[n.Name].Ready {
		return true
	}
	if p.Wanted.HasEtcdMember(n) {
		m, ok := p.Observed.Etcd.Member(n.Name, n.EtcdPeerURL())
		return !ok || !m.Healthy
	}
	units := p.Observed.Machines[n.Name].Units
	return n.Role == spec.RoleLoadBalancer && (!units["haproxy"].Active || named(p.sharing(), n.Name) && !p.readdresses(n) && !units["keepalived"].Active)
}

// mend plans the nodes that are sick, before anything that is healthy is touched.
// Machines that are off start all at once; what runs there with another
// configuration restarts beside that, because nobody relies on it.
func (p *planner) mend() {
	var mended, restarts []string
	for _, n := range p.stay {
		if p.moves(n) {
			mended = append(mended, p.mendMoving(n)...)
			continue
		}
		if !p.sick(n) {
			continue
		}
		d := p.diff(n)
		var needs []string
		if d.unseen {
			needs = []string{p.add(Step{ID: id(StartMachine, n.Name), Verb: StartMachine, Node: n.Name, Why: d.why()})}
		} else {
			needs = p.handOverSick(n, d)
		}
		if p.waits(n) {
			continue
		}
		if p.rewrites() && p.rolls(n) {
			needs = p.bring(n, needs)
			needs = p.use(n, needs)
		}
		if named(p.balancers, n.Name) && p.sharerLeaves() {
			mended = append(mended, p.add(Step{ID: id(SetBackends, n.Name, "mended"), Verb: SetBackends, Node: n.Name, Why: append(d.why(), p.sickness(n)...),
				Backends: nodeNames(p.ordered()), Balancers: nodeNames(p.balancers), Needs: needs}))
			continue
		}
		needs = p.removeKubelet(n, d, needs)
		if d.unseen || len(d.files)+len(d.unwanted) > 0 {
			needs = []string{p.add(Step{ID: id(WriteFiles, n.Name), Verb: WriteFiles, Node: n.Name, Why: d.why(), Needs: needs})}
		}
		p.deleteKubeletNode(n, d, needs)
		start := Step{ID: id(Start, n.Name), Verb: Start, Node: n.Name, Units: allUnits, Why: append(d.why(), p.sickness(n)...), Needs: needs}
		if p.takesMember(n, d) { // the others rely on it, whatever else is sick there
			start.Guard, start.Needs = Guard{Etcd: OpStop}, append(needs, restarts...)
			restarts = []string{start.ID}
		}
		mended = append(mended, p.add(start))
		if d.unseen && p.Wanted.RunsKubelet(n) {
			p.add(Step{ID: id(NodeReady, n.Name), Verb: NodeReady, Node: n.Name, Why: d.why(), Needs: []string{start.ID}})
		} else {
			p.gainsKubelet(n, d, []string{start.ID})
		}
	}
	p.tail = append(p.tail, mended...)
	p.reachedAgain()
	p.undrain()
	p.promote()
}

// undrain gives traffic back to API servers that a change drained before it was cut off, and the address to load balancers
// that it had stand by.
func (p *planner) undrain() {
	for _, n := range p.stay {
		if p.Wanted.Balances(n) && p.Observed.Balancers[n.Name].Address.StandsBy {
			p.tail = append(p.tail, p.add(Step{ID: id(AllowAddress, n.Name), Verb: AllowAddress, Node: n.Name, Needs: p.has(id(Start, n.Name)),
				Why: []Reason{{What: "it stands by, and nobody works on it"}}}))
		}
	}
	for _, n := range p.stay {
		drained := func(b observed.Balancer) bool { return b.Draining[n.Name] }
		if n.Role == spec.RoleControlPlane && slices.ContainsFunc(slices.Collect(maps.Values(p.Observed.Balancers)), drained) {
			p.tail = append(p.tail, p.add(Step{ID: id(RestoreBackend, n.Name, "drained"), Verb: RestoreBackend, Node: n.Name, Needs: p.has(id(Start, n.Name)),
				Why: []Reason{{What: "the load balancer sends no new connections to it"}}}))
		}
	}
}

// takesMember reports whether an etcd member that is healthy restarts with the node's programs.
func (p *planner) takesMember(n topology.Node, d difference) bool {
	m, ok := p.Observed.Etcd.Member(n.Name, n.EtcdPeerURL())
	return ok && m.Healthy && p.Wanted.HasEtcdMember(n) && slices.Contains(d.restart, "etcd")
}

// promote makes voters of learners that were left behind.
func (p *planner) promote() {
	for _, n := range p.stay {
		m, ok := p.Observed.Etcd.Member(n.Name, n.EtcdPeerURL())
		if !ok || !m.Learner || !p.Wanted.HasEtcdMember(n) || !p.Observed.Etcd.Quorum || p.takes(n) {
			continue
		}
		p.tail = []string{p.add(Step{ID: id(PromoteMember, n.Name), Verb: PromoteMember, Node: n.Name, Needs: p.tail,
			Why: []Reason{{What: "its etcd member is a learner still"}}, Guard: Guard{Etcd: OpPromote}})}
	}
}

func (p *planner) sickness(n topology.Node) []Reason {
	if a := p.Observed.APIServers[n.Name]; n.Role == spec.RoleControlPlane && !a.Ready && p.alive(n.Name) {
		return []Reason{{What: "its API server is not ready", New: a.Error}}
	}
	return nil
}

// roll plans what differs on healthy nodes: those of etcd and the control plane one
// after another, load balancers by a reload, the others side by side.
func (p *planner) roll() {
	p.rollBalancers()
	for _, n := range p.stay {
		_, d := p.balancerPart(n, p.diff(n))
		if p.losesLocal(n, d) || !p.rollsNow(n, d) {
			continue
		}
		switch n.Role {
		case spec.RoleLoadBalancer:
			if len(p.lastOf(SetBackends, n.Name)) == 0 && !p.laterBackends() {
				p.setBackends("configuration", p.tail, d.why()...)
			}
		case spec.RoleControlPlane, spec.RoleEtcd:
			p.rollShared(n, d)
		default:
			p.rollAlone(n, d)
		}
	}
	p.beginLocals() // whose files are listed by then
}

// rollsNow reports whether what differs on a node is for this part of the plan.
func (p *planner) rollsNow(n topology.Node, d difference) bool {
	return !p.sick(n) && !p.hasTurn(n) && !p.moves(n) && (!d.none() || p.losesKubelet(n, d))
}

// laterBackends reports whether the load balancers are written later, because a
// control-plane node leaves, or one of themselves.
func (p *planner) laterBackends() bool {
	return slices.ContainsFunc(p.late, func(n Node) bool { return n.Role == spec.RoleControlPlane || named(p.balancers, n.Name) && !n.Rejoin })
}

func (p *planner) rollAlone(n topology.Node, d difference) {
	var needs []string
	if p.OneByOne {
		needs = p.tail
	}
	if p.losesLocal(n, d) { // one worker after another, too
		needs = slices.Concat(needs, p.local)
	}
	if len(d.files)+len(d.unwanted) > 0 {
		needs = []string{p.add(Step{ID: id(WriteFiles, n.Name), Verb: WriteFiles, Node: n.Name, Why: d.why(), Needs: needs})}
	}
	if p.losesLocal(n, d) {
		p.local = needs
	}
	needs = p.serveCertificates(n, d, needs)
	if needs = p.programs(n, d, needs, nil); p.OneByOne {
		p.tail = needs
	}
}

// programs plans starts, reloads and restarts of a node's programs but those that are done.
func (p *planner) programs(n topology.Node, d difference, needs, done []string) []string {
	for _, part := range []struct {
		verb  string
		units []string
	}{{Restart, d.restart}, {Reload, d.reload}, {Start, d.start}} {
		units := slices.DeleteFunc(slices.Clone(part.units), func(u string) bool {
			return slices.Contains(done, u) || isBalancer(u) && n.Role == spec.RoleControlPlane // its own steps tell it
		})
		if len(units) > 0 {
			needs = []string{p.add(Step{ID: id(part.verb, n.Name), Verb: part.verb, Node: n.Name, Why: d.why(), Units: units, Needs: needs})}
		}
	}
	return needs
}

// servingCertificate is the file that API servers read again by themselves.
const servingCertificate = topology.PKIDir + "/apiserver.crt"

// serving are the certificates that programs serve, and read again by themselves.
var serving = map[string]string{
	servingCertificate:                   "kube-apiserver",
	topology.PKIDir + "/etcd/server.crt": "etcd",
}

// serveCertificates waits for the programs that serve another certificate without a restart.
func (p *planner) serveCertificates(n topology.Node, d difference, needs []string) []string {
	var units []string
	for _, u := range p.Desired[n.Name].Units {
		changed := slices.ContainsFunc(d.files, func(file string) bool { return serving[file] == u.Name })
		if changed && !slices.Contains(slices.Concat(d.restart, d.start), u.Name) {
			units = append(units, u.Name)
		}
	}
	if slices.Contains(d.restart, "etcd") { // the API server is stopped with it
		units = slices.DeleteFunc(units, func(u string) bool { return u == "kube-apiserver" })
	}
	if len(units) == 0 {
		return needs
	}
	return []string{p.add(Step{ID: id(ServeCertificate, n.Name), Verb: ServeCertificate, Node: n.Name, Units: units, Needs: needs,
		Why: []Reason{{What: "read again by itself"}}})}
}

func (p *planner) rollShared(n topology.Node, d difference) {
	etcd, api := slices.Contains(d.restart, "etcd"), slices.Contains(d.restart, "kube-apiserver")
	needs := []string(nil)
	turns := len(d.restart) > 0 || p.OneByOne // what is restarted takes turns, controllers that lead included
	if turns {
		needs = p.tail
	}
	needs = p.removeKubelet(n, d, needs)
	if len(d.files)+len(d.unwanted) > 0 {
		needs = []string{p.add(Step{ID: id(WriteFiles, n.Name), Verb: WriteFiles, Node: n.Name, Why: d.why(), Needs: needs})}
	}
	p.deleteKubeletNode(n, d, needs)
	needs = p.serveCertificates(n, d, needs)
	if etcd || api {
		needs = p.restartShared(n, d, needs, etcd)
		p.tail = needs
	}
	rest := p.programs(n, d, needs, []string{"etcd", "kube-apiserver"})
	if p.gainsKubelet(n, d, rest); turns {
		p.tail = rest
	}
}

// restartShared restarts etcd and the API server of a node. The API server beside a
// member is stopped first, in good order: it could answer nothing meanwhile.
func (p *planner) restartShared(n topology.Node, d difference, needs []string, etcd bool) []string {
	api, why := n.Role == spec.RoleControlPlane, d.why()
	others := len(p.backends) > 1
	then := func(s Step) {
		s.Node, s.Why, s.Needs = n.Name, why, needs
		needs = []string{p.add(s)}
	}
	if api {
		then(Step{ID: id(DrainBackend, n.Name), Verb: DrainBackend, Guard: Guard{OtherAPIServers: others}})
	}
	switch {
	case etcd:
		if api {
			then(Step{ID: id(Stop, n.Name, "kube-apiserver"), Verb: Stop, Units: []string{"kube-apiserver"}, Guard: Guard{OtherAPIServers: others, Etcd: OpStop}})
		}
		if len(p.Observed.Etcd.Voting()) > 1 {
			then(Step{ID: id(MoveLeader, n.Name), Verb: MoveLeader, Guard: Guard{Etcd: OpStop}})
		}
		then(Step{ID: id(Restart, n.Name, "etcd"), Verb: Restart, Units: []string{"etcd"}, Guard: Guard{Etcd: OpStop}})
		if api {
			then(Step{ID: id(Start, n.Name, "kube-apiserver"), Verb: Start, Units: []string{"kube-apiserver"}})
		}
	default:
		then(Step{ID: id(Restart, n.Name, "kube-apiserver"), Verb: Restart, Units: []string{"kube-apiserver"}, Guard: Guard{OtherAPIServers: others}})
	}
	if api {
		then(Step{ID: id(RestoreBackend, n.Name), Verb: RestoreBackend})
	}
	return needs
}
