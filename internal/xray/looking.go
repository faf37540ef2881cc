package xray

import (
	"cmp"
	"maps"
	"slices"
	"strings"

	"github.com/haplane/haplane/internal/xray/evidence"
)

var lookingChecks = []Check{
	{
		ID: "evidence-complete", Subject: Looking, Title: "All that should have been looked at could be",
		Why:    "What could not be looked at is neither right nor wrong: whatever else this report says, it does not speak for that.",
		Source: "https://kubernetes.io/docs/tasks/debug/debug-cluster/",
		Fix:    "Mend what is named, or leave it out, and look again.",
		Needs:  anyWay, Run: evidenceComplete,
	},
}

func evidenceComplete(s *Scene) []Finding {
	var out []Finding
	for _, x := range s.Missing {
		out = append(out, at{x.Node, x.Source}.unseen(x.Err).fixed("%s", cmp.Or(x.Fix, "Mend it, or leave it out, and look again.")))
	}
	for _, m := range s.Machines {
		for _, f := range unreadable(m) {
			if !s.told(f) {
				out = append(out, f)
			}
		}
	}
	out = slices.Concat(out, s.unjudged(), s.unrecognised(), s.unbalancing(), s.unseenInFolder(), s.noAPIServer(), s.absent())
	return orPass(out, at{}, "nothing is missing of %s", s.lookedAt())
}

// unreadable is what a machine has and what could not be read.
func unreadable(m *evidence.Machine) []Finding {
	var out []Finding
	for _, path := range slices.Sorted(maps.Keys(m.Kubeconfigs)) {
		if k := m.Kubeconfigs[path]; k.Err != "" {
			out = append(out, at{m.Name, path}.unseen("a kubeconfig that cannot be read: "+k.Err).fixed("Make a new kubeconfig for who uses %s on %s, and put it in its place.", path, m.Name))
		}
	}
	for _, path := range slices.Sorted(maps.Keys(m.Certificates)) {
		i := slices.IndexFunc(m.Certificates[path], func(c evidence.Certificate) bool { return c.Err != "" })
		if i >= 0 && m.Kubeconfigs[path].Err == "" {
			out = append(out, at{m.Name, path}.unseen("a certificate that cannot be read: "+m.Certificates[path][i].Err).
				fixed("See what names %s on %s, and let it name the file with the certificate. Leave the file as it is, it may be a key.", path, m.Name))
		}
	}
	if lb := m.LoadBalancer; lb != nil && lb.Err != "" && lb.Err != evidence.NotInCopy {
		out = append(out, at{m.Name, lb.Path}.unseen("the load balancer's configuration: "+lb.Err).fixed("Make %s on %s readable.", lb.Path, m.Name))
	}
	if e := m.Etcd; e != nil && e.Err != "" && !stopped(m, evidence.EtcdServer) {
		out = append(out, at{m.Name, e.Endpoint}.unseen("etcd did not answer: "+e.Err).
			fixed("See the log of etcd on %s, and whether the certificate that its API server uses for etcd is good.", m.Name))
	}
	return out
}

// stopped tells a program that was seen not to run: that it does not answer is
// known then, and not a gap.
func stopped(m *evidence.Machine, program string) bool {
	p := m.Program(program)
	return p != nil && !p.Running && m.Way == evidence.Machines
}

// told tells whether what was missing says it already.
func (s *Scene) told(f Finding) bool {
	return slices.ContainsFunc(s.Missing, func(x evidence.Missing) bool {
		return x.Node == f.Node && slices.Contains(strings.FieldsFunc(x.Source, func(r rune) bool { return strings.ContainsRune(" ,()", r) }), f.Source)
	})
}

// lookedAt names what the evidence is made of.
func (s *Scene) lookedAt() string {
	var parts []string
	if n := len(s.WithFiles()); n > 0 {
		parts = append(parts, plural(n, "machine"))
	}
	if s.API != nil {
		parts = append(parts, "the API")
	}
	if len(parts) == 0 {
		return "what was named"
	}
	return strings.Join(parts, " and ")
}
