package change

import (
	"slices"

	"github.com/haplane/haplane/internal/render"
	"github.com/haplane/haplane/internal/topology"
	"github.com/haplane/haplane/spec"
)

// apiPrograms make up the API, and lead to it. All others need it, and start after it.
var apiPrograms = []string{"etcd", "kube-apiserver", render.Voter, "haproxy", render.Guard, "keepalived"}

// BringUp returns the steps that make a cluster of nothing, or of what an earlier run
// left: on all nodes side by side, for nobody relies on any of them yet. No node is the
// first one, and etcd starts as a cluster of all its members.
func BringUp(in Input) *Change {
	p := &planner{Input: in}
	p.certificates()
	written, serving, behind := map[string][]string{}, []string(nil), []string(nil)
	for _, n := range in.Wanted.Nodes {
		written[n.Name] = p.makeNode(n)
	}
	for _, n := range apiOrder(in.Wanted.Nodes) {
		if units, _ := p.split(n); len(units) > 0 {
			needs := slices.Clone(written[n.Name])
			if n.Role == spec.RoleLoadBalancer {
				needs = append(needs, behind...)
			}
			serving = append(serving, p.add(Step{ID: id(Start, n.Name, "api"), Verb: Start, Node: n.Name, Why: joins(n), Units: units, Needs: needs}))
			if n.Role != spec.RoleLoadBalancer {
				behind = serving
			}
		}
	}
	var ends []string
	if in.Wanted.ExternalBalancer() { // nobody relies on it before; every machine looks at it
		for _, n := range in.Wanted.Nodes {
			serving = append(serving, written[n.Name]...)
		}
		serving = []string{p.checkOutside("", in.Wanted.ControlPlane(), serving, Reason{What: "spec.loadBalancer.kind", New: "external"})}
		ends = append(ends, p.add(Step{ID: HoldIdle, Verb: HoldIdle, Why: []Reason{{What: "watches, on which nothing may be sent for long"}}, Needs: serving}))
	}
	why := p.Objects
	if why == nil {
		why = []Reason{{What: "RBAC rules and CoreDNS"}}
	}
	ends = append(ends, p.add(Step{ID: ApplyManifests, Verb: ApplyManifests, Why: why, Needs: serving}))
	for _, n := range in.Wanted.Nodes {
		needs := append(slices.Clone(written[n.Name]), serving...)
		if _, units := p.split(n); len(units) > 0 {
			needs = []string{p.add(Step{ID: id(Start, n.Name, "node"), Verb: Start, Node: n.Name, Why: joins(n), Units: units, Needs: needs})}
		}
		ends = append(ends, p.nodeReady(n, joins(n), needs)...)
	}
	for _, n := range in.Wanted.Nodes {
		p.add(Step{ID: id(Activate, n.Name), Verb: Activate, Node: n.Name, Why: joins(n), Needs: ends})
	}
	p.dnsReady([]Reason{{What: "CoreDNS"}}, ends)
	return &Change{Steps: p.steps}
}

// Resume returns the steps that start the machines of a cluster that was up, and wait
// until it is as it was: what runs on them starts with them.
func Resume(in Input) *Change {
	p := &planner{Input: in}
	why := []Reason{{What: "the machine is off"}}
	var serving, behind, ends []string
	started := map[string][]string{}
	for _, n := range in.Wanted.Nodes {
		if !in.Observed.Machines[n.Name].Running {
			started[n.Name] = []string{p.add(Step{ID: id(StartMachine, n.Name), Verb: StartMachine, Node: n.Name, Why: why})}
		}
	}
	for _, n := range apiOrder(in.Wanted.Nodes) {
		if units, _ := p.split(n); len(units) > 0 {
			needs := started[n.Name]
			if n.Role == spec.RoleLoadBalancer {
				needs = slices.Concat(needs, behind)
			}
			serving = append(serving, p.add(Step{ID: id(Serve, n.Name), Verb: Serve, Node: n.Name, Units: units, Needs: needs}))
			if n.Role != spec.RoleLoadBalancer {
				behind = serving
			}
		}
	}
	if in.Wanted.ExternalBalancer() {
		serving = p.reached("start", in.Wanted.ControlPlane(), serving, why...)
	}
	for _, n := range in.Wanted.Nodes {
		ends = append(ends, p.nodeReady(n, nil, append(started[n.Name], serving...))...)
	}
	p.dnsReady(nil, append(ends, serving...))
	return &Change{Steps: p.steps}
}

// apiOrder has the load balancers last: what they lead to is waited for first, so that it is
// not them who are blamed for what it lacks.
func apiOrder(nodes []topology.Node) []topology.Node {
	balancer := func(n topology.Node) int {
		if n.Role == spec.RoleLoadBalancer {
			return 1
		}
		return 0
	}
	return slices.SortedStableFunc(slices.Values(nodes), func(a, b topology.Node) int { return balancer(a) - balancer(b) })
}

// joins is why there are steps for a node that is new.
func joins(n topology.Node) []Reason {
	return []Reason{{What: "spec.nodes[" + n.Name + "]", New: string(n.Role)}}
}

// makeNode plans a machine and its files, as far as they are not as wanted, and returns
// the last of these steps.
func (p *planner) makeNode(n topology.Node) (last []string) {
	d := p.diff(n)
	if d.unseen {
		last = []string{p.add(Step{ID: id(CreateMachine, n.Name), Verb: CreateMachine, Node: n.Name, Why: joins(n)})}
	}
	if d.unseen || len(d.files)+len(d.unwanted) > 0 {
		last = []string{p.add(Step{ID: id(WriteFiles, n.Name), Verb: WriteFiles, Node: n.Name, Why: joins(n), Needs: last})}
	}
	return last
}

// split are the programs of a node that make up the API, and its others.
func (p *planner) split(n topology.Node) (first, rest []string) {
	for _, u := range p.Desired[n.Name].Units {
		if slices.Contains(apiPrograms, u.Name) && !p.Wanted.BalancesLocally(n) { // a worker's own load balancer leads to it
			first = append(first, u.Name)
		} else {
			rest = append(rest, u.Name)
		}
	}
	return first, rest
}

// nodeReady waits for a node that has a kubelet; of others, it is what the step needs.
func (p *planner) nodeReady(n topology.Node, why []Reason, needs []string) []string {
	if !p.Wanted.RunsKubelet(n) {
		return needs
	}
	return []string{p.add(Step{ID: id(NodeReady, n.Name), Verb: NodeReady, Node: n.Name, Why: why, Needs: needs})}
}

// dnsReady waits for CoreDNS, where there are nodes for it to run on.
func (p *planner) dnsReady(why []Reason, needs []string) {
	if slices.ContainsFunc(p.Wanted.Nodes, p.Wanted.RunsKubelet) {
		p.add(Step{ID: DNSReady, Verb: DNSReady, Why: why, Needs: needs})
	}
}
