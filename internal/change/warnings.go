package change

import (
	"fmt"
	"slices"

	"github.com/haplane/haplane/internal/topology"
)

// Warnings tell what is not there for a time while the change is carried out, beside what
// the steps say of etcd.
func (c *Change) Warnings() []string { return c.warnings }

// warn finds what the steps take away for a time: the way to the API, and all API servers but one.
func (p *planner) warn(steps []Step) []string {
	out := append(p.warnMove(), p.warnHurt()...)
	serving := map[string]bool{}
	for name, a := range p.Observed.APIServers {
		if a.Ready {
			serving[name] = true
		}
	}
	before, least, left := len(serving), len(serving), ""
	for _, s := range steps {
		n := p.node(s.Node)
		api := actsOnAPIServer(s, n)
		stops, starts := s.Verb == Stop || s.Verb == Restart, s.Verb == Start || s.Verb == Restart
		switch {
		case slices.ContainsFunc(p.late, func(l Node) bool { return l.Name == n.Name && p.clientsFirst(l) }):
		case p.Wanted.Balances(n) && !p.others(n) && (s.Verb == RemoveMachine || (s.Verb == Restart || s.Verb == SetBackends) && takesWay(s.Units)):
			out = append(out, fmt.Sprintf("while %s is away, the API cannot be reached through it, and there is no other load balancer", n.Name))
		case p.Wanted.Balances(n) && s.Verb == SetBackends && takesWay(s.Units) && !p.leases(n):
			out = append(out, fmt.Sprintf("%s was made by an older haplane and cannot hand over %s, which is on no machine for some seconds", n.Name, topology.Join(p.Wanted.LBAddresses)))
		case api && stops:
			if delete(serving, n.Name); len(serving) < least {
				least = len(serving)
				for name := range serving {
					left = name
				}
			}
		}
		if api && starts {
			serving[n.Name] = true
		}
	}
	switch {
	case least != 1 || before == 1:
	case len(serving) == 1:
		out = append(out, fmt.Sprintf("%s is the only API server then; now there are %d", left, before))
	default:
		out = append(out, fmt.Sprintf("for a time %s is the only API server; now there are %d", left, before))
	}
	return out
}
