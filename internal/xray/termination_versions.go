package xray

import (
	"slices"

	"k8s.io/apimachinery/pkg/util/version"

	"github.com/haplane/haplane/internal/xray/evidence"
)

// versioned is a version with where it was seen.
type versioned struct {
	at   at
	text string
}

// parse is nil for what is no version.
func (v versioned) parse() *version.Version {
	p, err := version.ParseGeneric(v.text)
	if err != nil {
		return nil
	}
	return p
}

// versionsOf are those of a program, as its instances say; parseable ones only.
func (s *Scene) versionsOf(program string) []versioned {
	var out []versioned
	for _, p := range s.Instances(program) {
		v := versioned{p.at(), p.Version}
		if server := s.Server(p.Machine.Name); program == evidence.APIServer && server != nil && server.Version != "" {
			v = versioned{at{p.Machine.Name, "https://" + server.Address + "/version"}, server.Version}
		}
		out = append(out, v)
	}
	return slices.DeleteFunc(out, func(v versioned) bool { return v.parse() == nil })
}

// apiServerVersions falls back on what answered, where no API server was looked at.
func (s *Scene) apiServerVersions() []versioned {
	out := s.versionsOf(evidence.APIServer)
	if len(out) > 0 {
		return out
	}
	for _, server := range s.Servers {
		out = append(out, versioned{at{server.Node, "https://" + server.Address + "/version"}, server.Version})
	}
	if s.API != nil {
		out = append(out, versioned{at{source: s.API.Server + "/version"}, s.API.Version})
	}
	return slices.DeleteFunc(out, func(v versioned) bool { return v.parse() == nil })
}

// kubeletVersions are those that nodes report; of machines that are no nodes, the program's.
func (s *Scene) kubeletVersions() []versioned {
	var out []versioned
	reported := map[*evidence.Machine]bool{}
	if s.API != nil {
		for _, n := range s.API.Nodes {
			where, m := at{n.Name, "node " + n.Name}, s.MachineOf(n)
			if m != nil {
				where.node = m.Name
			}
			out = append(out, versioned{where, n.Status.NodeInfo.KubeletVersion})
			reported[m] = true
		}
	}
	for _, k := range s.Instances(evidence.Kubelet) {
		if !reported[k.Machine] {
			out = append(out, versioned{k.at(), k.Version})
		}
	}
	return slices.DeleteFunc(out, func(v versioned) bool { return v.parse() == nil })
}
