package change

import "github.com/haplane/haplane/internal/topology"

// What a load balancer that is somebody else's does cannot be told to it: it is looked at from outside.

// checkOutside looks whether it does what it must for these API servers, before anybody relies on it.
func (p *planner) checkOutside(what string, servers []topology.Node, needs []string, why ...Reason) string {
	s := Step{ID: CheckBalancer, Verb: CheckBalancer, Why: why, Needs: needs, Backends: nodeNames(servers)}
	if what != "" {
		s.ID = id(CheckBalancer, "", what)
	}
	return p.add(s)
}

// reached waits until it leads to API servers that are ready.
func (p *planner) reached(what string, nodes []topology.Node, needs []string, why ...Reason) []string {
	var out []string
	for _, n := range nodes {
		out = append(out, p.add(Step{ID: id(RestoreBackend, n.Name, what), Verb: RestoreBackend, Node: n.Name, Why: why, Needs: needs}))
	}
	return out
}

// withoutOutside waits until nobody is sent to an API server that has stopped for good.
func (p *planner) withoutOutside(n Node, why []Reason, needs []string) []string {
	return []string{p.add(Step{ID: id(WithoutBackend, n.Name), Verb: WithoutBackend, Node: n.Name, Why: why, Needs: needs})}
}
