package xray

import (
	"fmt"
	"slices"

	"github.com/haplane/haplane/internal/xray/evidence"
)

// unjudged warns of what a folder lacks or has disabled: it may be as wrong as it likes.
func (s *Scene) unjudged() []Finding {
	var out []Finding
	for _, m := range s.Machines {
		var whys []string
		for _, u := range m.Unjudged {
			whys = append(whys, u.Why)
		}
		for _, why := range distinct(whys) {
			out = append(out, unjudgedFor(m, why))
		}
	}
	return out
}

func unjudgedFor(m *evidence.Machine, why string) Finding {
	var sources []string
	for _, u := range m.Unjudged {
		if u.Why == why {
			sources = append(sources, u.Source)
		}
	}
	where, expected, fix := at{node: m.Name}, "copies of all that is judged", "Copy them as well, but for private keys, and look again."
	if len(sources) == 1 {
		where.source = sources[0]
	}
	if why != evidence.NotInCopy {
		expected, fix = "what is configured is to run", "If it is to run, enable it; if not, remove it."
	}
	return where.warn(expected, fmt.Sprintf("%s, and so not judged: %s", why, list(sources))).fixed("%s", fix)
}

// noAPIServer: whatever else is right, an x-ray that saw no API server has not seen
// what it is for.
func (s *Scene) noAPIServer() []Finding {
	runs := func(name string) bool { return len(s.Instances(name)) > 0 }
	looked := slices.ContainsFunc(s.Machines, lookedInto)
	if !looked || s.API != nil || len(s.ControlPlane())+len(s.Servers) > 0 || runs(evidence.K3s) || runs(evidence.K0s) {
		return nil
	}
	return []Finding{at{}.unseen(fmt.Sprintf("no API server was seen on %s: neither process nor unit nor static pod", plural(len(s.WithFiles()), "machine"))).
		fixed("Name the control-plane nodes as well; of each a copy needs /etc/kubernetes with its manifests, or /etc/systemd/system.")}
}
