package change

import (
	"fmt"
	"slices"
	"strings"

	"github.com/haplane/haplane/internal/topology"
	"github.com/haplane/haplane/spec"
)

// A GoneError names nodes that cannot come back as they were, because a change took from
// them what cannot be given back.
type GoneError struct{ Nodes, Why []string }

func (e *GoneError) Error() string { return strings.Join(e.Why, "\n") }

// missing is what a node that leaves has lost already; "" where it can come back.
func (p *planner) missing(n topology.Node) string {
	_, member := p.Observed.Etcd.Member(n.Name, n.EtcdPeerURL())
	switch {
	case !p.Observed.Machines[n.Name].Made:
		return "its machine is gone"
	case p.Wanted.HasEtcdMember(n) && p.Observed.Etcd.Seen && !member:
		return "its etcd member was removed"
	}
	return ""
}

// halfJoined reports whether a node was to leave before its etcd member voted: it is made anew
// where it is wanted again.
func (p *planner) halfJoined(n topology.Node) bool {
	m, there := p.member(n)
	return p.Wanted.HasEtcdMember(n) && there && (m.Learner || m.Name == "") && !p.Back
}

// gone are the nodes that are to come back and cannot.
func (p *planner) gone() *GoneError {
	out := &GoneError{}
	if !p.Back {
		return out
	}
	for _, n := range p.Wanted.Nodes {
		why := "it is gone"
		for _, r := range p.Record {
			if r.Name == n.Name {
				why = ""
			}
			if r.Name == n.Name && r.State == Leaving {
				why = p.missing(r.Node)
			}
			if r.Name == n.Name && n.Role == spec.RoleLoadBalancer && !slices.Equal(r.Addresses, n.Addresses) {
				why = "it has given its address to all load balancers; go on instead"
			}
		}
		if why != "" {
			out.Nodes, out.Why = append(out.Nodes, n.Name), append(out.Why, fmt.Sprintf("%s cannot come back as it was: %s", n.Name, why))
		}
	}
	return out
}

// comeBack ends the leaving of nodes that are wanted again.
func (p *planner) comeBack() {
	for _, n := range p.back {
		why := []Reason{{What: n.Name + " was to leave, and stays"}}
		needs := append(p.has(id(Start, n.Name)), p.has(id(RestoreBackend, n.Name, "drained"))...)
		if ready := p.has(id(NodeReady, n.Name)); len(ready) > 0 {
			needs = append(needs, ready...)
		} else if p.Wanted.RunsKubelet(n) {
			needs = []string{p.add(Step{ID: id(NodeReady, n.Name), Verb: NodeReady, Node: n.Name, Why: why, Needs: needs})}
		}
		if p.Wanted.RunsKubelet(n) {
			needs = []string{p.add(Step{ID: id(UncordonNode, n.Name), Verb: UncordonNode, Node: n.Name, Why: why, Needs: needs})}
		}
		if p.Wanted.Balances(n) {
			needs = slices.Concat(needs, p.balancersKnow())
		}
		p.add(Step{ID: id(Activate, n.Name), Verb: Activate, Node: n.Name, Why: why, Needs: needs})
	}
}
