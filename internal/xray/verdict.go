package xray

import (
	"fmt"
	"slices"
	"strings"

	"github.com/haplane/haplane/internal/xray/evidence"
	"github.com/haplane/haplane/spec"
)

// A Verdict is the report in one line.
type Verdict struct {
	Summary  string        `json:"summary"`
	Identity spec.Identity `json:"identity,omitempty"`
	// IdentityTells is what tells the identity.
	IdentityTells []string `json:"identityTells,omitempty"`
	// ToleratedFailures is how many machines may fail at once, whichever they are,
	// with the API still served where clients reach it: machines with an API server,
	// with an etcd member, or with a load balancer. So it is 0 where there is one load
	// balancer, however many control-plane nodes there are, and -1 where the API is not
	// served now. What is down already is no longer counted on. It is absent where it
	// is not known of an API server or a member whether it serves; what is behind an
	// address that was not looked into does not count, and the summary says so.
	ToleratedFailures *int `json:"toleratedFailures,omitempty"`
	// Tolerated counts by part: apiServers, etcdMembers, loadBalancers; those that are known.
	Tolerated map[string]int `json:"tolerated,omitempty"`
	// SinglePoints are machines whose failure alone would end service.
	SinglePoints []string       `json:"singlePoints,omitempty"`
	Counts       map[Status]int `json:"counts"`
}

func (s *Scene) verdict(findings []Finding) Verdict {
	v := Verdict{Identity: s.Identity.Identity, IdentityTells: s.Identity.Tells, Counts: map[Status]int{}}
	for _, f := range findings {
		v.Counts[f.Status]++
	}
	if s.Used(evidence.Machines, evidence.API) {
		t := s.tolerance()
		v.Tolerated, v.SinglePoints, v.Summary = t.byPart(), t.singlePoints(), t.sentence()
		if n, known := t.number(); known {
			v.ToleratedFailures = &n
		}
	} else {
		v.Summary = "how many failures are tolerated is not known: files do not show what serves (" + s.configuredParts() + ")"
	}
	if apart := s.apartNow(); apart != "" {
		v.Summary += "; " + apart
	}
	if n := v.Counts[Fail]; n > 0 {
		v.Summary += fmt.Sprintf("; %s failed", plural(n, "finding"))
	}
	return v
}

// configuredParts counts what files are for.
func (s *Scene) configuredParts() string {
	return fmt.Sprintf("they are for %s, %s and %s", plural(len(s.Instances(evidence.APIServer)), "API server"),
		plural(len(s.Instances(evidence.EtcdServer)), "etcd member"), plural(len(s.balancers()), "load balancer"))
}

// sentence says how many control-plane nodes may fail, and then whether the way to
// them may: the one is what etcd's quorum bounds, the other what people forget.
func (t tolerance) sentence() string {
	if n, known := t.number(); known && n < 0 {
		return "the API is not served: " + t.ended()
	}
	n, known := t.nodes().number()
	text := fmt.Sprintf("tolerates %s now (%s)", plural(n, t.nodeNoun()+" failure"), t.nodeParts())
	switch {
	case !known:
		text = fmt.Sprintf("how many %s failures are tolerated is not known: %s", t.nodeNoun(), t.gaps())
	case n == 0:
		text = fmt.Sprintf("tolerates no %s failure now (%s)", t.nodeNoun(), t.nodeParts())
	}
	for _, why := range t.parts[0].uncounted {
		if !strings.HasSuffix(why, ": "+otherData) { // that is said of replicas that are none
			text += "; not counted is " + why
		}
	}
	if len(t.parts) > 2 {
		text += "; " + t.parts[2].way()
	}
	return text
}

// nodeNoun is what fails: where etcd is on machines of its own, those as well.
func (t tolerance) nodeNoun() string {
	servers, members := t.parts[0], t.parts[1]
	for _, m := range members.serving {
		if !slices.Contains(slices.Concat(servers.serving, servers.down, servers.unseen), m) {
			return "control-plane or etcd machine"
		}
	}
	return "control-plane node"
}

func (t tolerance) nodeParts() string {
	var parts []string
	for _, p := range t.parts[:2] {
		if p.known() {
			parts = append(parts, p.counted())
		}
	}
	if t.parts[1].known() {
		parts = append(parts, fmt.Sprintf("quorum %d", t.parts[1].needed))
	}
	return strings.Join(parts, ", ")
}

// gaps are what is not known of API servers and members, and what is.
func (t tolerance) gaps() string {
	var gaps, serving []string
	for _, p := range t.parts[:2] {
		if p.known() {
			serving = append(serving, p.serveNow())
		} else {
			gaps = append(gaps, p.gap())
		}
	}
	text := strings.Join(gaps, ", and ")
	if len(serving) > 0 {
		text += " (" + strings.Join(serving, ", ") + ")"
	}
	return text
}

// ended is what is not enough any more.
func (t tolerance) ended() string {
	var out []string
	for i, p := range t.parts {
		switch {
		case !p.known() || p.tolerated() >= 0:
		case i == 2:
			out = append(out, "nobody answers at "+list(p.down))
		default:
			out = append(out, p.serveNow())
		}
	}
	return strings.Join(out, ", ")
}

// way is what load balancers bear, and who does without them.
func (p part) way() string {
	text := fmt.Sprintf("%d of %s may fail", p.tolerated(), plural(p.expected, p.noun))
	switch {
	case !p.known():
		text = p.gap()
	case p.tolerated() == 0:
		text = p.alone + " is a single point of failure"
	}
	if len(p.spared) > 0 {
		text += fmt.Sprintf("; %s and the pods there have load balancers of their own", list(p.spared))
	}
	return text
}

func plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
