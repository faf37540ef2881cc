package xray

import (
	"fmt"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"

	"github.com/haplane/haplane/internal/xray/evidence"
)

func leaderLeases(s *Scene) []Finding {
	if s.API == nil || s.API.Leases == nil {
		return nil
	}
	var out []Finding
	for _, name := range elected {
		out = append(out, s.leadersOf(name)...)
	}
	return out
}

// leadersOf judges the Leases of a program, which may have been given other names.
func (s *Scene) leadersOf(program string) []Finding {
	instances := s.Instances(program)
	var out []Finding
	var leases []string
	electing := 0
	for _, p := range instances {
		if v, _ := leaderElect(p); v == "false" {
			continue
		}
		electing++
		if ns := electionSetting(p, "leader-elect-resource-namespace", "resourceNamespace", "kube-system"); ns != "kube-system" {
			out = append(out, p.at().skip("%s has its Lease in %s, where it was not looked for", program, ns))
			continue
		}
		leases = append(leases, electionSetting(p, "leader-elect-resource-name", "resourceName", program))
	}
	if len(instances) == 0 {
		leases = []string{program}
	}
	for _, lease := range distinct(leases) {
		out = append(out, s.leaderLease(lease, program, len(instances) > 0))
	}
	if len(instances) > 0 && electing == 0 {
		return []Finding{at{}.skip("%s takes part in no election (see leader-elect-flags)", program)}
	}
	return out
}

func (s *Scene) leaderLease(lease, program string, seen bool) Finding {
	if !seen && s.lease(lease) == nil {
		return at{}.skip("no Lease %s, and nothing was seen that would hold it", lease)
	}
	return s.judgeLease(lease, program)
}

// judgeLease fails where nobody holds a Lease of kube-system, or its holder has
// stopped renewing it.
func (s *Scene) judgeLease(name, program string) Finding {
	where := at{source: "Lease kube-system/" + name}
	expected := program + " has a leader that renews"
	l := s.lease(name)
	switch {
	case l == nil:
		return where.fail(expected, "no such Lease: it never had one")
	case valueOf(l.Spec.HolderIdentity) == "":
		return where.fail(expected, "nobody holds it"+s.lastRenewed(l))
	case l.Spec.RenewTime == nil:
		return where.fail(expected, holder(*l.Spec.HolderIdentity)+" holds it and has never renewed it")
	}
	name = holder(*l.Spec.HolderIdentity)
	lasts := leaseSeconds(l)
	age := s.since(l.Spec.RenewTime.Time, s.Machine(name))
	if age > lasts {
		return where.fail(expected, fmt.Sprintf("%s held it, and last renewed it %s ago; it lasts %s", name, age.Round(time.Second), lasts))
	}
	return where.pass("%s leads: %s, renewed %s ago", program, name, max(age, 0).Round(time.Second))
}

func (s *Scene) lastRenewed(l *coordinationv1.Lease) string {
	if l.Spec.RenewTime == nil {
		return ""
	}
	return fmt.Sprintf("; it was given up %s ago", max(s.since(l.Spec.RenewTime.Time, nil), 0).Round(time.Second))
}

func leaseSeconds(l *coordinationv1.Lease) time.Duration {
	return time.Duration(valueOf(l.Spec.LeaseDurationSeconds)) * time.Second
}

// since is how long ago a machine wrote a time, when the API was read. Machine's
// clock and ours may differ, and a clock that was shifted is not the one that a
// program wrote by before: the shortest time that any clock gives counts.
func (s *Scene) since(t time.Time, m *evidence.Machine) time.Duration {
	now := s.At
	if s.API != nil && !s.API.ReadAt.IsZero() {
		now = s.API.ReadAt
	}
	least := now.Sub(t)
	if s.API != nil {
		least = min(least, now.Add(s.API.Ahead).Sub(t))
	}
	if m != nil && m.Clock != nil {
		least = min(least, now.Add(m.Clock.Ahead).Sub(t))
	}
	return least
}

// electionSetting is a flag about leader election, else that of the configuration.
func electionSetting(p Instance, flag, field, otherwise string) string {
	if v, ok := p.Flag(flag); ok {
		return v
	}
	if section, ok := p.Config["leaderElection"].(map[string]any); ok && section[field] != nil {
		return fmt.Sprint(section[field])
	}
	return otherwise
}
