package change

import (
	"slices"

	"github.com/haplane/haplane/internal/topology"
	"github.com/haplane/haplane/spec"
)

// relocate has the load balancer serve its new place beside the old one, under a certificate that has
// both, before any client of it is told of the new one.
func (p *planner) relocate() {
	if p.Relocates == nil {
		return
	}
	var done []string
	told := false
	for _, n := range p.stay {
		balancer, _ := p.balancerPart(n, p.diff(n))
		differs := n.Role == spec.RoleLoadBalancer || !balancer.none() && p.Wanted.Balances(n) // nobody relies on a worker's own for the new place: what is not led goes there
		if p.sick(n) && !p.servesWhileEtcdMoves(n) || p.diff(n).none() {
			continue
		}
		if differs && !told { // all of them at once
			told = true
			before := len(p.steps)
			p.setBackends("both", p.tail, p.Relocates...)
			for _, s := range p.steps[before:] {
				done = append(done, s.ID)
			}
		}
		if n.Role == spec.RoleControlPlane && p.Readdressed && slices.Contains(p.diff(n).files, servingCertificate) {
			written := p.add(Step{ID: id(WriteFiles, n.Name, "certificate"), Verb: WriteFiles, Node: n.Name, Why: p.Relocates,
				Files: []string{servingCertificate, topology.PKIDir + "/apiserver.key"}})
			done = append(done, p.add(Step{ID: id(ServeCertificate, n.Name, "certificate"), Verb: ServeCertificate, Node: n.Name, Units: []string{"kube-apiserver"}, Why: p.Relocates, Needs: []string{written}}))
		}
	}
	if p.Wanted.ExternalBalancer() {
		done = append(done, p.checkOutside("both", p.started(), slices.Concat(p.tail, done), p.Relocates...))
	}
	p.first = append(p.first, done...)
}

// servesWhileEtcdMoves reports whether a node counts as sick for want of the member that it is to have, and its API
// server serves with the others.
func (p *planner) servesWhileEtcdMoves(n topology.Node) bool {
	return p.takes(n) && p.alive(n.Name) && p.Observed.APIServers[n.Name].Ready
}

// moveClients has the user's kubeconfig follow, when all others have, and takes a load balancer away
// that another one has come for.
func (p *planner) moveClients() {
	if p.Relocates != nil {
		moved := p.add(Step{ID: ClientsMoved, Verb: ClientsMoved, Why: p.Relocates, Needs: p.ends()})
		p.add(Step{ID: MoveKubeconfig, Verb: MoveKubeconfig, Why: p.Relocates, Needs: []string{moved}})
	}
	for _, n := range p.late {
		if p.clientsFirst(n) {
			p.leaveNode(n)
		}
	}
}
