package change

import (
	"slices"

	"github.com/haplane/haplane/internal/topology"
	"github.com/haplane/haplane/spec"
)

// remake plans the machines that are made anew because nothing of the control plane is left, with their files, and
// returns the last step on each. Nothing is started there before etcd's data is in place.
func (p *planner) remake() map[string][]string {
	out := map[string][]string{}
	if len(p.Task.Made) > 0 || p.reshapes() {
		p.certificates()
	}
	for _, n := range p.Wanted.Nodes {
		if !slices.Contains(p.Task.Made, n.Name) {
			continue
		}
		why, needs := madeAnew(n.Name), []string(nil)
		if !p.Observed.Machines[n.Name].Made { // what is left of it goes first
			needs = []string{p.add(Step{ID: id(RemoveMachine, n.Name), Verb: RemoveMachine, Node: n.Name, Why: why})}
		}
		if !p.alive(n.Name) {
			needs = []string{p.add(Step{ID: id(CreateMachine, n.Name), Verb: CreateMachine, Node: n.Name, Why: why, Needs: needs})}
		}
		out[n.Name] = []string{p.add(Step{ID: id(WriteFiles, n.Name), Verb: WriteFiles, Node: n.Name, Why: why, Needs: needs})}
	}
	return out
}

func madeAnew(name string) []Reason { return []Reason{{What: name + " is made anew"}} }

// ready are the last steps on all machines that are made anew, in the order of the nodes.
func (p *planner) ready(made map[string][]string) []string {
	var out []string
	for _, n := range p.Wanted.Nodes {
		out = append(out, made[n.Name]...)
	}
	return out
}

// reshapes reports whether a move of etcd was cut off when its quorum was lost: API servers may ask members that are
// no more, and nodes may lack the unit of the member that they are to have.
func (p *planner) reshapes() bool {
	gone := func(n Node) bool { return n.Role == spec.RoleEtcd && !p.wanted(n.Name) }
	return p.Task.Interrupts != "" && (p.Moving || slices.ContainsFunc(p.Record, gone))
}

func (p *planner) wanted(name string) bool {
	_, ok := p.Wanted.Node(name)
	return ok
}

// rewrite has the nodes of the control plane and of etcd get the files of where etcd is to be, and API servers the key of the snapshot to read with, or on
// the way back without it, while nothing runs there.
func (p *planner) rewrite(down []string) []string {
	var why []Reason
	if p.reshapes() {
		why = append(why, Reason{What: "where etcd is to be"})
	}
	if p.Task.Encryption != "" {
		why = append(why, Reason{What: "keys that API servers read Secrets with"})
	}
	out := slices.Clone(down)
	for _, n := range p.Wanted.Nodes {
		concerned := n.Role == spec.RoleControlPlane && len(why) > 0 || n.Role == spec.RoleEtcd && p.reshapes()
		if concerned && p.alive(n.Name) && !slices.Contains(p.Task.Made, n.Name) {
			out = append(out, p.add(Step{ID: id(WriteFiles, n.Name), Verb: WriteFiles, Node: n.Name, Needs: down, Why: why}))
		}
	}
	return out
}

// rest are the programs of a node that a restore does not start one by one.
func (p *planner) rest(n topology.Node) []string {
	var out []string
	for _, u := range p.Desired[n.Name].Units {
		own := n.Role == spec.RoleControlPlane && isBalancer(u.Name)
		if u.Name != "etcd" && u.Name != "kube-apiserver" && !slices.Contains(besideAPIServer, u.Name) && !own {
			out = append(out, u.Name)
		}
	}
	return out
}

// startRest starts them on a machine that was made anew, when the API takes writes.
func (p *planner) startRest(n topology.Node) []string {
	if !slices.Contains(p.Task.Made, n.Name) || n.Role == spec.RoleLoadBalancer || len(p.rest(n)) == 0 {
		return nil
	}
	return []string{p.add(Step{ID: id(Start, n.Name, "node"), Verb: Start, Node: n.Name, Why: madeAnew(n.Name), Units: p.rest(n), Needs: []string{WriteObject}})}
}

// finishRemade writes down that the machines that were made anew are nodes again.
func (p *planner) finishRemade(ends []string) {
	if len(p.Task.Made) == 0 {
		return
	}
	for _, n := range p.Wanted.Nodes {
		if slices.Contains(p.Task.Made, n.Name) {
			p.add(Step{ID: id(Activate, n.Name), Verb: Activate, Node: n.Name, Why: madeAnew(n.Name), Needs: ends})
		}
	}
	p.dnsReady([]Reason{{What: "CoreDNS"}}, ends)
}
