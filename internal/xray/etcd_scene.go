package xray

import (
	"slices"

	"github.com/haplane/haplane/internal/xray/evidence"
)

// An etcdNode is a machine whose member answered.
type etcdNode struct {
	*evidence.Etcd
	machine *evidence.Machine
}

func (n etcdNode) at() at { return at{n.machine.Name, n.Endpoint} }

// cluster is where something about all members was seen.
func (n etcdNode) cluster() at { return at{source: n.machine.Name + ":" + n.Endpoint} }

func (n etcdNode) follows() bool { return n.Leader != "" && n.Leader != "0" }

func (s *Scene) etcdNodes() []etcdNode {
	var out []etcdNode
	for _, m := range s.Machines {
		if m.Etcd != nil && m.Etcd.Err == "" {
			out = append(out, etcdNode{m.Etcd, m})
		}
	}
	return out
}

// etcdTeller is the member whose list of members counts: one of the cluster that
// most are of, better one with a leader, since the list of others may be old.
// Learners do not list members.
func (s *Scene) etcdTeller() (teller etcdNode, found bool) {
	nodes := s.etcdNodes()
	cluster := mostCommon(nodes, func(n etcdNode) string { return n.ClusterID })
	for _, n := range nodes {
		if len(n.Members) == 0 || n.ClusterID != cluster {
			continue
		}
		if !found || n.follows() && !teller.follows() {
			teller, found = n, true
		}
	}
	return teller, found
}

// memberMachine is the machine of a member: the one that answers with its ID, else
// the one with its address, else with its name.
func (s *Scene) memberMachine(member evidence.EtcdMember) *evidence.Machine {
	for _, m := range s.Machines {
		if m.Etcd != nil && m.Etcd.ID != "" && m.Etcd.ID == member.ID {
			return m
		}
	}
	for _, u := range slices.Concat(member.PeerURLs, member.ClientURLs) {
		if m := s.machineAtURL(u); m != nil && maybeOf(m, member) {
			return m
		}
	}
	for _, i := range s.Instances(evidence.EtcdServer) {
		if name := i.EtcdSetting("name", ""); name != "" && name == member.Name && maybeOf(i.Machine, member) {
			return i.Machine
		}
	}
	if m := s.Machine(member.Name); member.Name != "" && m != nil && maybeOf(m, member) {
		return m
	}
	return nil
}

// machineAtURL is the machine of a URL's host, or nil.
func (s *Scene) machineAtURL(u string) *evidence.Machine {
	if hostPort := HostPort(u); hostPort != "" && !loopback(hostPort) {
		return s.machineOf(hostPort)
	}
	return nil
}

// maybeOf tells whether a member that said nothing may be the one of a machine.
// One without a name has never started: it is a machine's only where etcd is set up
// there to be reached as that member is.
func maybeOf(m *evidence.Machine, member evidence.EtcdMember) bool {
	if m.Etcd != nil && m.Etcd.ID != "" {
		return false // that is another one
	}
	if member.Name != "" {
		return true
	}
	p := m.Program(evidence.EtcdServer)
	return p != nil && slices.ContainsFunc(SplitURLs(p.EtcdSetting("initial-advertise-peer-urls", "")), func(u string) bool {
		return slices.ContainsFunc(member.PeerURLs, func(peer string) bool { return HostPort(peer) == HostPort(u) })
	})
}

// memberOf is the member of a machine; it has no ID where none is known.
func (s *Scene) memberOf(m *evidence.Machine) evidence.EtcdMember {
	for _, member := range s.etcdMembers() {
		if s.memberMachine(member) == m {
			return member
		}
	}
	return evidence.EtcdMember{}
}

func memberName(m evidence.EtcdMember) string {
	if m.Name == "" {
		return "member " + m.ID + " (" + list(m.PeerURLs) + ", never started)"
	}
	return "member " + m.Name
}

func voters(members []evidence.EtcdMember) []evidence.EtcdMember {
	return slices.DeleteFunc(slices.Clone(members), func(m evidence.EtcdMember) bool { return m.Learner })
}
