package xray

import (
	"fmt"
	"slices"
	"strings"

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
	where, expected, fix := at{node: m.Name}, "copies of all that is judged", "Copy them as well, and look again; what is between the lines of a private key is not read."
	if len(sources) == 1 {
		where.source = sources[0]
	}
	switch {
	case strings.HasSuffix(why, " is masked"):
		expected, fix = "what is configured is to run", "If it is to run, systemctl unmask and enable it; if not, remove its configuration."
	case why != evidence.NotInCopy:
		expected, fix = "what is configured is to run", "If it is to run, enable it; if not, remove it."
	}
	return where.warn(expected, fmt.Sprintf("%s, and so not judged: %s", why, list(sources))).fixed("%s", fix)
}

// unrecognised names manifests and units of programs that are not known here. Those that are a program of
// a cluster by their names are missing, too, and told as that.
func (s *Scene) unrecognised() []Finding {
	var out []Finding
	for _, m := range s.Machines {
		var parts []string
		for _, u := range m.Unrecognised {
			if u.Like == "" {
				parts = append(parts, fmt.Sprintf("%s (runs %s)", u.Source, u.Runs))
			}
		}
		if len(parts) > 0 {
			out = append(out, at{node: m.Name}.skip("no program that is known here is in %s: what these run was not judged", list(parts)))
		}
	}
	return out
}

// mayRun tells that a manifest or unit of a machine runs a program by its name, though its command does not
// show it.
func mayRun(m *evidence.Machine, program string) bool {
	return slices.ContainsFunc(m.Unrecognised, func(u evidence.Unrecognised) bool { return u.Like == program || u.Like == "hyperkube" })
}

// mayRun tells it of any machine.
func (s *Scene) mayRun(program string) bool {
	return slices.ContainsFunc(s.Machines, func(m *evidence.Machine) bool { return mayRun(m, program) })
}

// gaps says that what a check found nothing of may be in what was not looked at.
func (s *Scene) gaps() string {
	if len(s.Missing) == 0 && !slices.ContainsFunc(s.Machines, func(m *evidence.Machine) bool { return len(m.Unjudged) > 0 }) {
		return ""
	}
	return "; evidence-complete names what was not looked at"
}

// unbalancing warns of configurations of load balancers that were read and in which no API server
// was found, as long as the load balancer of the API was not seen.
func (s *Scene) unbalancing() []Finding {
	var out []Finding
	for _, m := range s.Machines {
		if len(s.balancers()) == 0 && len(m.Unbalancing) > 0 {
			out = append(out, at{m.Name, m.Unbalancing[0]}.warn("the load balancer of the API", "no server in "+list(m.Unbalancing)+" is known as an API server, and so it was not judged").
				fixed("If %s is the load balancer, copy all files that its configuration includes; if not, leave it out.", m.Name))
		}
	}
	return out
}

// unseenInFolder: nobody copied the load balancer, as far as that can be done.
func (s *Scene) unseenInFolder() []Finding {
	if s.Used(evidence.Machines, evidence.API) || len(s.balancers()) > 0 || s.Endpoint == "" || loopback(s.Endpoint) || s.owner(s.Endpoint) != nil {
		return nil
	}
	if _, aimed, _ := s.movesEndpoint(); len(aimed) > 0 { // kube-vip or keepalived on the control plane is it
		return nil
	}
	return []Finding{at{source: s.EndpointSource}.skip("the load balancer %s is not in the copy: haproxy.cfg, nginx.conf or keepalived.conf of the machines that are it were not judged", s.Endpoint)}
}

// noAPIServer: whatever else is right, an x-ray that saw no API server has not seen
// what it is for.
func (s *Scene) noAPIServer() []Finding {
	runs := func(name string) bool { return len(s.Instances(name)) > 0 }
	looked := slices.ContainsFunc(s.Machines, lookedInto)
	if !looked || s.API != nil || len(s.ControlPlane())+len(s.Servers) > 0 || runs(evidence.K3s) || runs(evidence.K0s) || s.mayRun(evidence.APIServer) {
		return nil
	}
	return []Finding{at{}.unseen(fmt.Sprintf("no API server was seen on %s: no process, unit or static pod is known as one", plural(len(s.WithFiles()), "machine"))).
		fixed("Name the control-plane nodes as well; of each a copy needs /etc/kubernetes with its manifests, or /etc/systemd/system.")}
}
