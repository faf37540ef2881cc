package xray

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/haplane/haplane/internal/xray/evidence"
)

func etcdQuorum(s *Scene) []Finding {
	var out []Finding
	for _, m := range s.Machines {
		if !s.memberOf(m).Learner {
			out = append(out, s.memberDown(m)...)
		}
	}
	if len(s.etcdNodes()) == 0 {
		return out
	}
	out = append(out, s.etcdLeader()...)
	if teller, ok := s.etcdTeller(); ok {
		out = append(out, s.etcdVoters(teller))
	}
	return out
}

// memberDown judges the etcd of one machine. Learners refuse the read that /health
// makes, so they are never healthy by it.
func (s *Scene) memberDown(m *evidence.Machine) []Finding {
	if m.Etcd == nil {
		p := cmp.Or(m.Program(evidence.EtcdServer), s.k0sOfMember(m))
		if p == nil || p.Running || m.Way != evidence.Machines {
			return nil
		}
		return []Finding{at{m.Name, p.Source()}.fail("a member that runs", "no process of it")}
	}
	where := at{m.Name, m.Etcd.Endpoint}
	switch {
	case m.Etcd.Err != "":
		return []Finding{where.fail("a member that answers", m.Etcd.Err)}
	case m.Etcd.Healthy != nil && !*m.Etcd.Healthy && !m.Etcd.Learner:
		f := where.fail("a healthy member", "unhealthy: "+m.Etcd.Health)
		if strings.HasPrefix(m.Etcd.Health, "ALARM") { // members run, and are none the healthier for being started again
			f = f.fixed("Clear the alarm: haplane xray --explain etcd-alarms-and-quota.")
		}
		return []Finding{f}
	}
	return nil
}

// k0sOfMember is the k0s controller of a machine with a member, where it is stopped:
// nothing else shows that it runs etcd.
func (s *Scene) k0sOfMember(m *evidence.Machine) *evidence.Program {
	p := m.Program(evidence.K0s)
	if p == nil || p.Running || !slices.ContainsFunc(s.etcdMembers(), func(member evidence.EtcdMember) bool { return s.memberMachine(member) == m }) {
		return nil
	}
	return p
}

// etcdLeader wants one cluster with one leader that all members name.
func (s *Scene) etcdLeader() []Finding {
	var out []Finding
	nodes := s.etcdNodes()
	cluster := mostCommon(nodes, func(n etcdNode) string { return n.ClusterID })
	following := slices.DeleteFunc(slices.Clone(nodes), func(n etcdNode) bool { return !n.follows() || n.ClusterID != cluster })
	leader := mostCommon(following, func(n etcdNode) string { return n.Leader })
	for _, n := range nodes {
		switch {
		case n.ClusterID != cluster:
			out = append(out, n.at().fail("one cluster: "+cluster, "it is of cluster "+n.ClusterID).
				fixed("Let no API server ask %[1]s, and see what was written to it. Then remove the member that the others have in its place, stop etcd on %[1]s, move its data away and add it anew.", n.machine.Name))
		case !n.follows():
			out = append(out, n.at().fail("a leader", "it knows none"))
		case n.Leader != leader:
			out = append(out, n.at().fail("one leader: "+s.memberByID(leader), "it follows "+s.memberByID(n.Leader)))
		}
	}
	return orPass(out, nodes[0].cluster(), "%s leads", s.memberByID(leader))
}

// memberByID names a member by its machine, else by its name, else by its ID.
func (s *Scene) memberByID(id string) string {
	for _, m := range s.etcdMembers() {
		if m.ID != id {
			continue
		}
		if machine := s.memberMachine(m); machine != nil {
			return machine.Name
		}
		return memberName(m)
	}
	return "member " + id
}

// etcdVoters counts the healthy voters against the quorum. Those that were not
// asked are neither healthy nor down.
func (s *Scene) etcdVoters(teller etcdNode) Finding {
	p, where := s.etcdPart(), teller.cluster()
	observed := fmt.Sprintf("%d of %d voting members healthy, %d needed", len(p.serving), p.expected, p.needed)
	unasked, missed := s.unasked(teller.Members)
	switch {
	case len(p.serving)+len(unasked) < p.needed:
		return where.fail(fmt.Sprintf("%d healthy voting members", p.needed), observed).
			fixed("Start members until %d answer. If their data is gone for good, restore a snapshot.", p.needed)
	case missed:
		return where.unseen(observed + "; could not be asked: " + list(unasked))
	case len(unasked) > 0:
		return where.skip("%s; not asked: %s", observed, list(unasked))
	case p.tolerated() == 0:
		return where.pass("%s: one failure more ends service", observed)
	}
	return where.pass("%s: %s tolerated", observed, plural(p.tolerated(), "failure"))
}

// unasked are voters of which nothing is known; missed tells whether one is on a
// machine that should have been looked at. One that never started is known not to serve.
func (s *Scene) unasked(members []evidence.EtcdMember) (names []string, missed bool) {
	for _, member := range voters(members) {
		m := s.memberMachine(member)
		if member.Name == "" || m != nil && (m.Etcd != nil || len(s.memberDown(m)) > 0) {
			continue
		}
		names = append(names, memberName(member))
		missed = missed || slices.ContainsFunc(s.Missing, func(x evidence.Missing) bool {
			return x.Node != "" && (x.Node == member.Name || m != nil && x.Node == m.Name)
		})
	}
	return names, missed
}
