package change

import (
	"github.com/haplane/haplane/internal/topology"
	"github.com/haplane/haplane/spec"
)

// last takes away what was there for the old way beside the new one: names of certificates, ports of
// load balancers. Nobody goes the old way any more then.
func (p *planner) last() {
	if len(p.Last) == 0 {
		return
	}
	needs := p.ends()
	if len(p.Narrowed) > 0 {
		needs = []string{p.add(Step{ID: id(IssueCertificates, "", "last"), Verb: IssueCertificates, Last: true, Why: p.Narrowed, Needs: needs})}
	}
	for _, n := range p.Wanted.Nodes {
		if _, differs := p.Last[n.Name]; differs {
			p.lastOn(n, needs)
		}
	}
}

func (p *planner) lastOn(n topology.Node, needs []string) {
	if p.Wanted.BalancesLocally(n) {
		p.add(Step{ID: id(SetBackends, n.Name, "last"), Verb: SetBackends, Node: n.Name, Last: true, Backends: nodeNames(p.ordered()),
			Why: []Reason{{What: "what was led to it beside what is wanted"}}, Needs: needs})
		return
	}
	if p.Wanted.Balances(n) {
		p.add(Step{ID: id(SetBackends, n.Name, "last"), Verb: SetBackends, Node: n.Name, Last: true, Backends: nodeNames(p.ordered()), Balancers: p.sharerNames(),
			Why: []Reason{{What: "what was served beside what is wanted"}}, Needs: needs})
	}
	if n.Role == spec.RoleLoadBalancer || p.onControlPlane() && p.Last[n.Name].Files[servingCertificate].Sum() == p.Desired[n.Name].Files[servingCertificate].Sum() {
		return
	}
	written := p.add(Step{ID: id(WriteFiles, n.Name, "last"), Verb: WriteFiles, Node: n.Name, Last: true, Why: p.Narrowed, Needs: needs})
	p.add(Step{ID: id(ServeCertificate, n.Name, "last"), Verb: ServeCertificate, Node: n.Name, Units: []string{"kube-apiserver"}, Last: true, Needs: []string{written},
		Why: []Reason{{What: "the API server reads its certificate again by itself"}}})
}
