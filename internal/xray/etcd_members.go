package xray

import (
	"fmt"
	"slices"

	"github.com/haplane/haplane/internal/xray/evidence"
	"github.com/haplane/haplane/spec"
)

func etcdMembersMatchNodes(s *Scene) []Finding {
	teller, ok := s.etcdTeller()
	if !ok {
		return nil
	}
	var out []Finding
	for _, member := range teller.Members {
		out = append(out, s.behind(member, teller))
	}
	for _, i := range s.Instances(evidence.EtcdServer) {
		if !slices.ContainsFunc(teller.Members, func(m evidence.EtcdMember) bool { return s.memberMachine(m) == i.Machine }) {
			out = append(out, i.at().fail("a member of "+teller.machine.Name+"'s cluster", "it is not in the list of members there").
				fixed("Add it with etcdctl member add --learner, or stop it and remove its data."))
		}
	}
	return append(out, s.membersByFile(teller.Members)...)
}

// behind judges a member by what stands behind it. A learner takes no part in the
// quorum: one without a machine does no harm yet.
func (s *Scene) behind(member evidence.EtcdMember, teller etcdNode) Finding {
	m := s.memberMachine(member)
	switch {
	case m == nil:
		return s.homeless(member, teller.cluster())
	case m.Program(evidence.EtcdServer) != nil || m.Etcd != nil || s.k0sOfMember(m) != nil:
		return at{m.Name, teller.Endpoint}.pass("%s", memberName(member))
	case !lookedInto(m):
		return at{m.Name, teller.Endpoint}.skip("%s: its machine was not looked into", memberName(member))
	}
	return at{m.Name, teller.Endpoint}.fail("a machine that runs etcd", memberName(member)+": no etcd was seen on "+m.Name)
}

// homeless judges a member that is on no machine. Machines that were not named to
// us may be there: only a cluster file, or control-plane nodes with etcd on all of
// them, tells that there is none.
func (s *Scene) homeless(member evidence.EtcdMember, where at) Finding {
	fix := fmt.Sprintf("Remove it: etcdctl member remove %s.", member.ID)
	observed := fmt.Sprintf("%s at %s is on no machine that was looked at", memberName(member), list(member.PeerURLs))
	if member.Name == "" {
		observed = memberName(member) + ": on no machine"
	}
	switch {
	case member.Learner:
		return where.warn("a machine for every member", observed+"; it is a learner").fixed("%s", fix)
	case member.Name == "":
		return where.fail("a member that has started", observed+", and it counts for the quorum").fixed("%s", fix)
	case s.Expect.Cluster != nil && !slices.Contains(s.etcdByFile(), member.Name):
		return where.fail("members of the cluster file: "+list(s.etcdByFile()), observed).fixed("%s", fix)
	case s.Expect.Cluster == nil && s.etcdIsStacked() && !s.isNode(member):
		return where.fail("a control-plane node for every member", observed+", nor on a node of the cluster").fixed("%s", fix)
	}
	return where.warn("a machine for every member", observed).fixed("Name its machine too, or remove the member if that is gone.")
}

// etcdByFile are the nodes that the cluster file wants to have etcd.
func (s *Scene) etcdByFile() []string {
	if own := s.Expected(spec.RoleEtcd); len(own) > 0 {
		return own
	}
	return s.Expected(spec.RoleControlPlane)
}

// membersByFile are nodes that should be members. Those with an etcd were judged before.
func (s *Scene) membersByFile(members []evidence.EtcdMember) []Finding {
	var out []Finding
	for _, name := range s.etcdByFile() {
		m := s.Machine(name)
		if !slices.ContainsFunc(members, func(e evidence.EtcdMember) bool {
			return e.Name == name || m != nil && s.memberMachine(e) == m
		}) && (m == nil || m.Program(evidence.EtcdServer) == nil) {
			out = append(out, at{name, "cluster file"}.fail("a member of etcd", "it is none").
				fixed("Add it, with etcd on that machine, or take the node out of the cluster file."))
		}
	}
	return out
}

// etcdIsStacked: where members answered they are beside API servers, and the API lists the nodes.
func (s *Scene) etcdIsStacked() bool {
	for _, n := range s.etcdNodes() {
		if n.machine.Program(evidence.APIServer) == nil {
			return false
		}
	}
	return s.API != nil && len(s.API.Nodes) > 0
}

func (s *Scene) isNode(member evidence.EtcdMember) bool {
	for _, n := range s.API.Nodes {
		if n.Name == member.Name {
			return true
		}
		for _, a := range internalIPs(n) {
			if slices.ContainsFunc(member.PeerURLs, func(u string) bool { return urlHost(u) == a.String() }) {
				return true
			}
		}
	}
	return false
}
