package change

import (
	"slices"

	"github.com/haplane/haplane/spec"
)

// A Handover is that of the endpoints of default/kubernetes, from whoever wrote them to who will:
// API servers whose advertised address or reconciler differs would write what the others do not want,
// and the last one with the reconciler lease, when it stops, would leave the Service without any.
type Handover struct {
	Why  []Reason
	Hold bool // API servers of one kind write them; else haplane agent does before and after
	// Meanwhile are the endpoints while API servers of both kinds run: the load balancer's, which drains
	// one before it stops. Then are those in the end.
	Meanwhile, Then []string
}

// hold keeps API servers off the endpoints before one of the other kind starts, and has these
// lead through the load balancer. All later steps come after.
func (p *planner) hold() {
	if p.Handover == nil || !p.Handover.Hold || !p.touchesAPIServers() {
		return
	}
	held := p.add(Step{ID: HoldEndpoints, Verb: HoldEndpoints, Why: p.Handover.Why, Needs: p.tail})
	p.first = append(p.first, p.add(Step{ID: id(SetEndpoints, "", "meanwhile"), Verb: SetEndpoints, Why: p.Handover.Why, Needs: []string{held}, Endpoints: p.Handover.Meanwhile}))
}

// touchesAPIServers reports whether one stops, starts or joins in this change.
func (p *planner) touchesAPIServers() bool {
	for _, n := range p.stay {
		if n.Role == spec.RoleControlPlane && (p.sick(n) || slices.Contains(p.diff(n).restart, "kube-apiserver")) {
			return true
		}
	}
	control := func(role spec.Role) bool { return role == spec.RoleControlPlane }
	for _, n := range p.joins {
		if control(n.Role) {
			return true
		}
	}
	return slices.ContainsFunc(slices.Concat(p.early, p.late, p.turns), func(n Node) bool { return control(n.Role) })
}

// serving reports whether some API server is ready.
func (p *planner) serving() bool {
	for _, a := range p.Observed.APIServers {
		if a.Ready {
			return true
		}
	}
	return false
}

// release hands the endpoints over when all API servers are of the new kind: written first, then
// API servers may write again.
func (p *planner) release() {
	if p.Handover == nil {
		return
	}
	set := p.add(Step{ID: SetEndpoints, Verb: SetEndpoints, Why: p.Handover.Why, Needs: p.ends(), Endpoints: p.Handover.Then})
	if !p.Handover.Hold {
		return
	}
	p.add(Step{ID: ReleaseEndpoints, Verb: ReleaseEndpoints, Why: p.Handover.Why, Needs: []string{set}, Endpoints: p.Handover.Then})
}

// ends are the steps so far that no other one needs.
func (p *planner) ends() []string {
	var out []string
	for _, s := range p.steps {
		if !slices.ContainsFunc(p.steps, func(o Step) bool { return slices.Contains(o.Needs, s.ID) }) {
			out = append(out, s.ID)
		}
	}
	return out
}
