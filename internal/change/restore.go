package change

import (
	"fmt"
	"slices"
	"strings"

	"github.com/haplane/haplane/internal/render"
	"github.com/haplane/haplane/internal/topology"
	"github.com/haplane/haplane/spec"
)

// Restore returns the steps that give all members of etcd the data of a snapshot. What can fail comes
// first: the data is made on every machine, beside what is there, before anything stops. What was there is kept until
// a write was acknowledged. A run that was cut off after the data took its place does not stop anything again.
func Restore(in Input) (*Change, error) {
	p := &planner{Input: in}
	p.leaveLost()
	members, why := p.restored(), []Reason{{What: "etcd's data", New: "the snapshot"}}
	if len(members) == 0 {
		return nil, &Refused{Step: StageData, Err: errNoMembers}
	}
	if silent := p.silent(); len(silent) > 0 {
		return nil, &Refused{Step: StageData, Err: fmt.Errorf("off, or not answering: %s; a member would keep other data than the rest", strings.Join(silent, ", "))}
	}
	made := p.remake()
	heed := p.heedRestores(members)
	var swapped []string
	if slices.ContainsFunc(members, func(n topology.Node) bool { return !p.swapped(n) }) {
		staged := append(p.ready(made), heed...)
		for _, n := range members {
			staged = append(staged, p.add(Step{ID: id(StageData, n.Name), Verb: StageData, Node: n.Name, Why: why, Needs: made[n.Name]}))
		}
		down := p.rewrite(p.haltAll(members, why, staged))
		for _, n := range members {
			swapped = append(swapped, p.add(Step{ID: id(SwapData, n.Name), Verb: SwapData, Node: n.Name, Why: why, Needs: down}))
		}
	} else {
		swapped = append(p.ready(made), heed...)
	}
	started := p.startAll(members, why, swapped)
	started = append(started, p.add(Step{ID: ApplyManifests, Verb: ApplyManifests, Needs: []string{WriteObject},
		Why: []Reason{{What: "objects of haplane's that the snapshot may have as they were"}}}))
	ends := p.nodesRegister(started)
	ends = append(ends, p.add(Step{ID: ReleaseEndpoints, Verb: ReleaseEndpoints, Needs: []string{WriteObject},
		Why: []Reason{{What: "a hold of endpoints that the snapshot may have, of a change that was under way then"}}}))
	ends = append(ends, p.ownKey(ends)...)
	for _, n := range members {
		p.add(Step{ID: id(DropData, n.Name), Verb: DropData, Node: n.Name, Why: why, Needs: ends})
	}
	p.finishRemade(ends)
	return &Change{Steps: p.steps}, nil
}

// ownKey has Secrets written anew that a key of the snapshot's own has encrypted, and sees that none of it is left.
func (p *planner) ownKey(needs []string) []string {
	if p.Task.Encryption == "" {
		return nil
	}
	why := []Reason{{What: "Secrets of the snapshot", New: "the encryption key of now"}}
	rewritten := p.add(Step{ID: RewriteSecrets, Verb: RewriteSecrets, Why: why, Needs: needs})
	return []string{p.add(Step{ID: ProveUnused, Verb: ProveUnused, Why: why, Needs: []string{rewritten}})}
}

// heedRestores brings haplane's program of now to machines that take snapshots with another one, and starts that again. One that is older
// may not know of snapshot.RestoringFile: cut off between, it would keep snapshots of data that goes again, and remove those that are good.
func (p *planner) heedRestores(members []topology.Node) []string {
	const unit = "haplane-snapshots"
	var out []string
	for _, n := range members {
		if slices.Contains(p.Task.Made, n.Name) || !slices.Contains(p.diff(n).restart, unit) {
			continue
		}
		why := []Reason{{What: unit + " is that of another haplane", New: "it has to know what a restore is"}}
		written := p.add(Step{ID: id(WriteFiles, n.Name, unit), Verb: WriteFiles, Node: n.Name, Why: why, Files: []string{render.AgentBinary, topology.UnitDir + "/" + unit + ".service"}})
		out = append(out, p.add(Step{ID: id(Restart, n.Name, unit), Verb: Restart, Node: n.Name, Why: why, Units: []string{unit}, Needs: []string{written}}))
	}
	return out
}

// leaveLost leaves out members that were lost again after the data was written to: one that got the data once more would have forgotten
// what it acknowledged. They are made anew as members that join.
func (p *planner) leaveLost() {
	if !slices.Contains(p.Done, WriteObject) {
		return
	}
	task := *p.Task
	task.Made = slices.DeleteFunc(slices.Clone(task.Made), func(name string) bool {
		return slices.Contains(p.Done, id(SwapData, name)) && !p.Observed.Machines[name].Made
	})
	p.Task = &task
}

// swapped reports whether an earlier run has put the data in place, on a machine that is there still.
func (p *planner) swapped(n topology.Node) bool {
	return slices.Contains(p.Done, id(SwapData, n.Name)) && p.Observed.Machines[n.Name].Made
}

// RestoreBack returns the steps that give the members back the data that they had before a restore that was cut off. Where
// nobody has other data yet, nothing is stopped for that: what was is started, and what was made beside the data goes.
func RestoreBack(in Input) (*Change, error) {
	p := &planner{Input: in}
	members, why := p.restored(), []Reason{{What: "etcd's data", New: "what it was before"}}
	silent := p.silent()
	if !p.begun(SwapData) && !p.begun(SwapDataBack) {
		return p.unstage(members, why, silent), nil
	}
	if len(silent) > 0 {
		return nil, &Refused{Step: SwapDataBack, Err: fmt.Errorf("off, or not answering: %s; a member would keep the restored data", strings.Join(silent, ", "))}
	}
	down := p.rewrite(p.haltAll(members, why, nil))
	var swapped []string
	for _, n := range members {
		swapped = append(swapped, p.add(Step{ID: id(SwapDataBack, n.Name), Verb: SwapDataBack, Node: n.Name, Why: why, Needs: down}))
	}
	p.startAll(members, why, swapped)
	return &Change{Steps: p.steps}, nil
}

// unstage goes back from a restore that has not touched anybody's data.
func (p *planner) unstage(members []topology.Node, why []Reason, silent []string) *Change {
	var needs []string
	if p.begun(Halt) {
		needs = p.startAll(members, why, p.rewrite(nil))
	}
	for _, n := range members {
		p.add(Step{ID: id(DropData, n.Name), Verb: DropData, Node: n.Name, Why: why, Needs: needs})
	}
	c := &Change{Steps: p.steps}
	if len(silent) > 0 {
		c.warnings = append(c.warnings, fmt.Sprintf("%s cannot be reached: a folder restore-%s may stay beside etcd's data there, which nobody reads", strings.Join(silent, ", "), p.Task.Name()))
	}
	return c
}

// begun reports whether an earlier run has begun with a step of a verb.
func (p *planner) begun(verb string) bool {
	return slices.ContainsFunc(p.Begun, func(step string) bool { return strings.HasPrefix(step, verb+"@") })
}

// silent are the nodes that are to have the data, whose machines are there and take no commands.
func (p *planner) silent() []string {
	var out []string
	for _, name := range p.Task.Members {
		if p.Observed.Machines[name].Made && !p.comes(name) {
			out = append(out, name)
		}
	}
	return out
}

// comes reports whether a machine takes commands, or will when it was made.
func (p *planner) comes(name string) bool { return p.alive(name) || slices.Contains(p.Task.Made, name) }

// restored are the nodes whose members have the data afterwards.
func (p *planner) restored() []topology.Node {
	return slices.DeleteFunc(slices.Clone(p.Wanted.EtcdMembers()), func(n topology.Node) bool {
		return !slices.Contains(p.Task.Members, n.Name) || !p.comes(n.Name)
	})
}

// haltAll ends all that reads or writes etcd, and then etcd. Nobody waits for requests under way:
// what they would write is not in the data that comes. On machines that are made only now, nothing runs.
func (p *planner) haltAll(members []topology.Node, why []Reason, needs []string) []string {
	var halted, down []string
	for _, n := range p.Record { // those that leave too
		if n.Role == spec.RoleControlPlane && p.alive(n.Name) {
			halted = append(halted, p.add(Step{ID: id(Halt, n.Name, "kube-apiserver"), Verb: Halt, Node: n.Name, Why: why, Needs: needs,
				Units: append(slices.Clone(besideAPIServer), "kube-apiserver")}))
		}
	}
	if halted == nil {
		halted = needs
	}
	for _, n := range members {
		if p.alive(n.Name) {
			down = append(down, p.add(Step{ID: id(Halt, n.Name, "etcd"), Verb: Halt, Node: n.Name, Why: why, Needs: halted, Units: []string{"etcd"}}))
		}
	}
	if down == nil {
		down = halted
	}
	return down
}

// of are those of the programs that the node runs.
func (p *planner) of(n topology.Node, units []string) []string {
	var out []string
	for _, u := range units {
		for _, has := range p.Desired[n.Name].Units {
			if has.Name == u {
				out = append(out, u)
			}
		}
	}
	return out
}

// startAll starts etcd, then the API servers, and returns the steps after which all serve and a write was acknowledged. The
// data has the Leases of controllers that are dead: others would wait until they end.
func (p *planner) startAll(members []topology.Node, why []Reason, needs []string) []string {
	var etcd, apis, balancers, serving []string
	for _, n := range members {
		etcd = append(etcd, p.add(Step{ID: id(Start, n.Name, "etcd"), Verb: Start, Node: n.Name, Why: why, Needs: needs, Units: []string{"etcd"}}))
	}
	hasMember := func(n topology.Node) bool {
		return slices.ContainsFunc(members, func(m topology.Node) bool { return m.Name == n.Name })
	}
	var on []topology.Node
	for _, n := range p.Wanted.ControlPlane() {
		if p.comes(n.Name) && (p.Wanted.ExternalEtcd() || hasMember(n)) {
			on = append(on, n)
			// The write goes by an address that a machine made anew may have to vote on.
			apis = append(apis, p.add(Step{ID: id(Start, n.Name, "kube-apiserver"), Verb: Start, Node: n.Name, Why: why, Needs: etcd,
				Units: append([]string{"kube-apiserver"}, p.of(n, []string{render.Voter})...)}))
		}
	}
	for _, n := range p.Wanted.LoadBalancers() {
		if slices.Contains(p.Task.Made, n.Name) { // others found their API servers again by themselves
			what, units := "node", p.rest(n)
			if n.Role == spec.RoleControlPlane {
				what, units = "balancer", p.balancersOf(n)
			}
			balancers = append(balancers, p.add(Step{ID: id(Start, n.Name, what), Verb: Start, Node: n.Name, Why: madeAnew(n.Name), Units: units, Needs: apis}))
		}
	}
	wrote := p.add(Step{ID: WriteObject, Verb: WriteObject, Why: []Reason{{What: "a write through the API is acknowledged"}}, Needs: slices.Concat(etcd, balancers)})
	released := []string{wrote}
	if !slices.Contains(p.Done, ReleaseLeases) {
		released = []string{p.add(Step{ID: ReleaseLeases, Verb: ReleaseLeases, Why: []Reason{{What: "their holders were stopped"}}, Needs: released})}
	}
	for i, n := range on {
		serving = append(serving, p.add(Step{ID: id(Start, n.Name, "controllers"), Verb: Start, Node: n.Name, Why: why, Needs: append(slices.Clone(released), apis[i]), Units: p.of(n, besideAPIServer)}))
	}
	if p.Wanted.ExternalBalancer() { // haplane's own found them again before the write
		serving = append(serving, p.reached("restored", on, apis, why...)...)
	}
	return append(serving, released...)
}

// nodesRegister waits for the Nodes: one that came after the snapshot was taken is not in it.
func (p *planner) nodesRegister(needs []string) []string {
	ends := slices.Clone(needs)
	for _, n := range p.Wanted.Nodes {
		rest := p.startRest(n)
		if !p.comes(n.Name) || !p.Wanted.RunsKubelet(n) {
			ends = append(ends, rest...)
			continue
		}
		ends = append(ends, p.add(Step{ID: id(RegisterNode, n.Name), Verb: RegisterNode, Node: n.Name,
			Why: []Reason{{What: "a Node that the snapshot may not have"}}, Needs: append(slices.Clone(needs), rest...)}))
	}
	return ends
}
