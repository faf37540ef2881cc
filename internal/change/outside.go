package change

import (
	"slices"

	"github.com/haplane/haplane/internal/topology"
	"github.com/haplane/haplane/spec"
)

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
func (p *planner) withoutOutside(n Node, needs []string) []string {
	return []string{p.add(Step{ID: id(WithoutBackend, n.Name), Verb: WithoutBackend, Node: n.Name, Why: []Reason{{What: n.Name + " leaves"}}, Needs: needs})}
}

// started are the API servers that stay and serve, or do when they are mended.
func (p *planner) started() []topology.Node {
	return slices.DeleteFunc(slices.Clone(p.stay), func(n topology.Node) bool {
		mended := len(p.has(id(Start, n.Name)))+len(p.has(id(Serve, n.Name))) > 0
		return n.Role != spec.RoleControlPlane || p.sick(n) && !mended && !p.servesWhileEtcdMoves(n)
	})
}

// reachedAgain waits for API servers that were mended and, where a run was cut off, for all that stay: nobody knows what
// that one did not wait for. Where the load balancer moves, its new place is looked at later.
func (p *planner) reachedAgain() {
	if !p.Wanted.ExternalBalancer() || p.Relocates != nil {
		return
	}
	again := slices.DeleteFunc(p.started(), func(n topology.Node) bool { return !p.Resumed && (!p.sick(n) || p.servesWhileEtcdMoves(n)) })
	p.tail = compact(append(slices.Clone(p.tail), p.reached("again", again, p.tail, Reason{What: "API servers that were mended, or restarted by a run that was cut off"})...))
}
