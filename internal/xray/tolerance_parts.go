package xray

import (
	"slices"

	"github.com/haplane/haplane/internal/xray/evidence"
	"github.com/haplane/haplane/spec"
)

// apiServerPart counts the API servers that are ready, and that clients reach, among those
// that there should be.
func (s *Scene) apiServerPart() part {
	p := part{name: "apiServers", noun: "API server", needed: 1}
	others := failedOn(oneStore(s))
	for _, name := range s.controlPlaneNames() {
		state, why := s.counts(name, others)
		p.add(name, state)
		if why != "" {
			p.uncounted = append(p.uncounted, name+": "+why)
		}
		p.missed = p.missed || state == notSeen && s.missed(name)
	}
	if p.expected == 0 {
		p.unknown = "no control-plane node was seen"
	}
	return p
}

// controlPlaneNames are machines, nodes that the API has, and nodes that the cluster
// file wants.
func (s *Scene) controlPlaneNames() []string {
	var out []string
	for _, m := range s.ControlPlane() {
		out = append(out, m.Name)
	}
	for _, name := range s.Expected(spec.RoleControlPlane) {
		if s.Machine(name) == nil {
			out = append(out, name)
		}
	}
	if s.API == nil {
		return out
	}
	for _, n := range s.API.Nodes {
		if IsControlPlane(n) && s.MachineOf(n) == nil && !slices.Contains(out, n.Name) {
			out = append(out, n.Name)
		}
	}
	return out
}

// apiServer is whether a node's API server serves: what it says of itself goes
// before what was asked on its machine, and that before its process.
func (s *Scene) apiServer(name string) standing {
	m, server := s.Machine(name), s.Server(name)
	var program *evidence.Program
	var local evidence.Request
	if m != nil {
		program = m.Program(evidence.APIServer)
		for _, r := range purpose(m, evidence.LocalAPIServer) {
			local = r
		}
	}
	switch {
	case server != nil && server.Ready != nil:
		return standingOf(*server.Ready)
	case local.Status != 0:
		return standingOf(answered(local))
	case server != nil && server.Err == "":
		return serves
	case local.Err != "" || s.gone(name) || server != nil && m != nil && m.Way == evidence.Machines:
		return isDown
	case program != nil && m.Way != evidence.Folder:
		return standingOf(program.Running)
	}
	return notSeen
}

// missed tells of what should have been looked at and could not be.
func (s *Scene) missed(name string) bool {
	return slices.ContainsFunc(s.Missing, func(x evidence.Missing) bool { return x.Node == name && name != "" })
}

// gone tells a machine that answers in no way: one that only refuses us may serve.
func (s *Scene) gone(name string) bool {
	m, server := s.Machine(name), s.Server(name)
	if !s.missed(name) || m != nil && lookedInto(m) {
		return false
	}
	if server != nil {
		return server.Err != ""
	}
	return m != nil && s.NodeOf(m) != nil && !isReady(*s.NodeOf(m))
}

// etcdPart counts voters that are healthy against the quorum of all voters.
func (s *Scene) etcdPart() part {
	p := part{name: "etcdMembers", noun: "etcd member"}
	for _, member := range voters(s.etcdMembers()) {
		name, state := s.voter(member)
		p.add(name, state)
		p.missed = p.missed || state == notSeen && s.missed(name)
	}
	p.needed = p.expected/2 + 1
	if p.expected == 0 {
		p.unknown = s.noMember()
	}
	return p
}

// noMember is why no member list was seen.
func (s *Scene) noMember() string {
	switch {
	case slices.ContainsFunc(s.Machines, func(m *evidence.Machine) bool { return m.Etcd != nil || len(s.memberDown(m)) > 0 }):
		return "no etcd member answered"
	case len(s.Instances(evidence.K3s)) > 0:
		return "what k3s keeps its data in was not asked, for it does not say how"
	case s.Used(evidence.Machines) && len(s.Instances(evidence.EtcdServer)) > 0:
		return "no etcd member was asked, for nothing that was read says where they listen"
	case s.Used(evidence.Machines):
		return "no etcd member was found on the machines that were looked at"
	}
	return "no etcd member was asked, which is done over SSH"
}

// ofTellersCluster tells a member of the cluster that most are of. One that was started anew, alone,
// may have the ID that it had: that comes from its peer URLs and the token.
func (s *Scene) ofTellersCluster(e *evidence.Etcd) bool {
	teller, ok := s.etcdTeller()
	return !ok || e.ClusterID == teller.ClusterID
}

// voter is how a voting member stands, under the name of its machine. One that never
// started, and one that the cluster file does not know, count for the quorum and
// serve nobody.
func (s *Scene) voter(member evidence.EtcdMember) (string, standing) {
	m := s.memberMachine(member)
	if m == nil {
		stray := member.Name == "" || s.Expect.Cluster != nil && !slices.Contains(s.etcdByFile(), member.Name)
		if stray {
			return memberName(member), isDown
		}
		return member.Name, notSeen
	}
	switch e := m.Etcd; {
	case e != nil && e.Err == "" && e.ID == member.ID && s.ofTellersCluster(e):
		return m.Name, standingOf(e.Healthy == nil || *e.Healthy)
	case member.Name == "" || e != nil && e.Err == "": // another member answers there, or one of another cluster
		return memberName(member), isDown
	case e != nil || len(s.memberDown(m)) > 0 || s.gone(m.Name):
		return m.Name, isDown
	}
	return m.Name, notSeen
}
