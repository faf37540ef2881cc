package xray

import (
	"fmt"
	"slices"
	"strings"

	"github.com/haplane/haplane/internal/xray/evidence"
)

// failuresTolerated fails where something that should serve does not, and warns of
// what bears no failure although all of it serves. A load balancer that is alone is
// what lb-single-point warns of.
func failuresTolerated(s *Scene) []Finding {
	if !s.Used(evidence.Machines, evidence.API) {
		return nil
	}
	t := s.tolerance()
	var out []Finding
	alone := t.singlePoints()
	for _, p := range t.parts {
		out = append(out, p.judge())
		if p.known() && p.tolerated() == 0 {
			alone = slices.DeleteFunc(alone, func(m string) bool { return slices.Contains(p.serving, m) })
		}
	}
	for _, m := range alone {
		out = append(out, at{}.warn("no machine whose failure alone ends service", "the failure of "+m+" takes along every API server, by the etcd members that they use").
			fixed("Let each API server use the member beside it, or all members."))
	}
	return out
}

func (p part) judge() Finding {
	serve := fmt.Sprintf("%s that serve", plural(p.expected, p.noun))
	switch {
	case len(p.down) > 0:
		return at{}.fail(serve, fmt.Sprintf("%s: not %s; %s", p.serveNow(), list(p.why()), p.left()))
	case p.missed:
		return at{}.unseen(p.gap())
	case !p.known():
		return at{}.skip("%s", p.gap())
	case p.tolerated() == 0 && p.name == "loadBalancers":
		return at{}.skip("%s is a single point of failure, which lb-single-point judges", p.alone)
	case p.tolerated() == 0:
		return at{}.warn("enough of them that one may fail", p.serveNow()+": "+p.left())
	}
	return at{}.pass("%s: %s", p.serveNow(), p.left())
}

// why is what does not serve; of what does and is of no use, why.
func (p part) why() []string {
	return append(slices.DeleteFunc(slices.Clone(p.down), func(name string) bool {
		return slices.ContainsFunc(p.uncounted, func(u string) bool { return strings.HasPrefix(u, name+": ") })
	}), p.uncounted...)
}
