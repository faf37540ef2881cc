package xray

import (
	"slices"
	"testing"

	corev1 "k8s.io/api/core/v1"

	"github.com/haplane/haplane/internal/xray/evidence"
	"github.com/haplane/haplane/internal/xray/evidence/evidencetest"
	"github.com/haplane/haplane/spec"
)

// apiServerStops ends the API server of cp-3, and nothing else.
func apiServerStops(e *evidence.Evidence) {
	evidencetest.Program(e, "cp-3", evidence.APIServer).Running = false
	*evidencetest.Server(e, "cp-3") = evidence.Server{Node: "cp-3", Address: "10.10.10.13:6443", Err: "connection refused"}
	*evidencetest.Request(e, "cp-3", evidence.LocalAPIServer) = evidence.Request{Purpose: evidence.LocalAPIServer, Err: "connection refused"}
}

// memberStops ends the etcd member of a node; its API server is not ready then.
func memberStops(e *evidence.Evidence, node string) {
	m := evidencetest.Machine(e, node)
	m.Etcd = &evidence.Etcd{Endpoint: m.Etcd.Endpoint, Err: "connection refused"}
	m.Program(evidence.EtcdServer).Running = false
	evidencetest.Server(e, node).Ready, evidencetest.Server(e, node).ReadyDetail = new(false), "etcd"
}

func noMemberAsked(e *evidence.Evidence) {
	for _, m := range e.Machines {
		m.Etcd = nil
	}
}

// leaveNodes takes control-plane nodes out, as if there had never been more.
func leaveNodes(names ...string) func(*evidence.Evidence) {
	return func(e *evidence.Evidence) {
		other := func(name string) bool { return name != "" && !slices.Contains(names, name) }
		e.Machines = slices.DeleteFunc(e.Machines, func(m *evidence.Machine) bool { return m.Program(evidence.APIServer) != nil && other(m.Name) })
		e.Servers = slices.DeleteFunc(e.Servers, func(s evidence.Server) bool { return other(s.Node) })
		e.API.Nodes = slices.DeleteFunc(e.API.Nodes, func(n corev1.Node) bool { return IsControlPlane(n) && other(n.Name) })
		for _, m := range e.Machines {
			if m.Etcd != nil {
				m.Etcd.Members = slices.DeleteFunc(m.Etcd.Members, func(m evidence.EtcdMember) bool { return other(m.Name) })
			}
		}
	}
}

func eachMember(change func(*evidence.Etcd)) func(*evidence.Evidence) {
	return func(e *evidence.Evidence) {
		for _, m := range e.Machines {
			if m.Etcd != nil {
				change(m.Etcd)
			}
		}
	}
}

func addMember(member evidence.EtcdMember) func(*evidence.Evidence) {
	return eachMember(func(e *evidence.Etcd) { e.Members = append(e.Members, member) })
}

var neverStarted = evidence.EtcdMember{ID: "1", PeerURLs: []string{"https://10.10.10.11:2390"}}

// refuse is a machine that runs and does not let us in.
func refuse(e *evidence.Evidence, name string) {
	m := evidencetest.Machine(e, name)
	*m = evidence.Machine{Name: name, Way: evidence.Machines, Addresses: m.Addresses}
	e.Missing = append(e.Missing, evidence.Missing{Way: evidence.Machines, Node: name, Source: "ssh " + name, Err: "permission denied (publickey)"})
}

// nobodyAtTheEndpoint lets the load balancer vanish for all who ask.
func nobodyAtTheEndpoint(e *evidence.Evidence) {
	*evidencetest.Server(e, "") = evidence.Server{Address: evidencetest.Endpoint, Err: "connection refused"}
	for _, m := range e.Machines {
		for i := range m.Requests {
			if r := &m.Requests[i]; r.Purpose == evidence.ThroughLoadBalancer {
				r.Status, r.Err = 0, "connection refused"
			}
		}
	}
}

var toleratedCases = []checkCase{
	{check: "failures-tolerated", name: "healthy", status: Pass, says: "3 API servers serving: 2 may fail", change: secondLB("keepalived")},
	{check: "failures-tolerated", name: "healthy etcd", status: Pass, says: "3 etcd members serving, quorum 2: 1 may fail", change: secondLB("keepalived")},
	{check: "failures-tolerated", name: "a load balancer that is alone", status: Skip, says: "lb-1, the only load balancer, is a single point of failure, which lb-single-point judges"},
	{check: "failures-tolerated", name: "through the API alone", of: apiOnlyShared, status: Skip, says: "it was not seen whether the API server of cp-1, cp-2, cp-3 serves"},
	{check: "failures-tolerated", name: "members that were not asked", status: Skip, says: "nothing that was read says where they listen", change: noMemberAsked},
	{check: "failures-tolerated", name: "no member on a machine", status: Skip, says: "no etcd member was found on the machines", change: changes(noMemberAsked, func(e *evidence.Evidence) {
		for _, node := range []string{"cp-1", "cp-2", "cp-3"} {
			evidencetest.DropProgram(e, node, evidence.EtcdServer)
		}
	})},
	{check: "failures-tolerated", name: "API servers are pods", of: apiOnlyKubeadm, status: Skip, says: "no etcd member was asked, which is done over SSH"},
	{check: "failures-tolerated", name: "files alone", of: folderShared, status: Skip, says: "seen only with"},
	{check: "failures-tolerated", name: "an API server has stopped", status: Fail, says: "2 of 3 API servers serving: not cp-3; 1 may fail", change: apiServerStops},
	{check: "failures-tolerated", name: "an API server is not ready", status: Fail, says: "not cp-2", change: func(e *evidence.Evidence) { evidencetest.Server(e, "cp-2").Ready = new(false) }},
	{check: "failures-tolerated", name: "a member has stopped", status: Fail, says: "2 of 3 etcd members serving, quorum 2: not cp-3; the failure of any of cp-1, cp-2 ends service", change: func(e *evidence.Evidence) { memberStops(e, "cp-3") }},
	{check: "failures-tolerated", name: "a member is unhealthy", status: Fail, says: "not cp-3", change: func(e *evidence.Evidence) { evidencetest.Machine(e, "cp-3").Etcd.Healthy = new(false) }},
	{check: "failures-tolerated", name: "a machine died", status: Fail, says: "not cp-3", change: func(e *evidence.Evidence) { evidencetest.Fail(e, "cp-3") }},
	{check: "failures-tolerated", name: "no quorum", status: Fail, says: "service has ended", change: func(e *evidence.Evidence) { memberStops(e, "cp-3"); memberStops(e, "cp-2") }},
	{check: "failures-tolerated", name: "a member that never started", status: Fail, says: "3 of 4 etcd members serving, quorum 3: not member 1 (https://10.10.10.11:2390, never started)", change: addMember(neverStarted)},
	{check: "failures-tolerated", name: "a learner does not count", status: Pass, says: "3 etcd members serving", change: func(e *evidence.Evidence) {
		secondLB("keepalived")(e)
		addMember(evidence.EtcdMember{ID: "1", Learner: true})(e)
	}},
	{check: "failures-tolerated", name: "a member that the cluster file does not know", status: Fail, says: "not member old", expect: Expectation{Cluster: clusterFile},
		change: addMember(evidence.EtcdMember{ID: "1", Name: "old", PeerURLs: []string{"https://10.10.10.19:2380"}})},
	{check: "failures-tolerated", name: "a member that nobody named", status: Skip, says: "etcd member of far serves",
		change: addMember(evidence.EtcdMember{ID: "1", Name: "far", PeerURLs: []string{"https://10.20.0.1:2380"}})},
	{check: "failures-tolerated", name: "a machine that refuses us", status: Error, says: "etcd member of cp-3 serves", change: func(e *evidence.Evidence) { refuse(e, "cp-3") }},
	{check: "failures-tolerated", name: "a node that the cluster file wants", status: Skip, says: "API server of cp-4 serves", expect: Expectation{Cluster: &spec.Cluster{Spec: spec.Spec{
		Nodes: append([]spec.Node{{Name: "cp-4", Role: spec.RoleControlPlane}}, clusterFile.Spec.Nodes...)}}}},
	{check: "failures-tolerated", name: "one control-plane node", status: Warn, says: "1 API server serving: the failure of cp-1 ends service", change: leaveNodes("cp-1")},
	{check: "failures-tolerated", name: "two control-plane nodes", status: Warn, says: "2 etcd members serving, quorum 2: the failure of any of cp-1, cp-2 ends service", change: leaveNodes("cp-1", "cp-2")},
	{check: "failures-tolerated", name: "all API servers use one member", status: Warn, says: "the failure of cp-1 takes along every API server", change: func(e *evidence.Evidence) {
		evidencetest.SetFlagEverywhere(e, evidence.APIServer, "etcd-servers", "https://10.10.10.11:2379")
	}},
	{check: "failures-tolerated", name: "two load balancers", status: Pass, says: "2 load balancers serving: 1 may fail", change: secondLB("keepalived")},
	{check: "failures-tolerated", name: "one of two load balancers has stopped", status: Fail, says: "1 of 2 load balancers serving: not lb-2", change: func(e *evidence.Evidence) {
		secondLB("keepalived")(e)
		evidencetest.Program(e, "lb-2", evidence.HAProxy).Running = false
	}},
	{check: "failures-tolerated", name: "nobody answers at the endpoint", status: Fail, says: "10.10.10.3:6443", change: nobodyAtTheEndpoint},
}

// What an API server says of itself goes before what was asked beside it, and that
// before its process.
func TestStandingOfAPIServers(t *testing.T) {
	local := func(e *evidence.Evidence) *evidence.Request {
		return evidencetest.Request(e, "cp-2", evidence.LocalAPIServer)
	}
	tests := []struct {
		name   string
		change func(e *evidence.Evidence, asked *evidence.Server)
		want   standing
	}{
		{"ready, though its process was not seen", func(e *evidence.Evidence, _ *evidence.Server) {
			evidencetest.Program(e, "cp-2", evidence.APIServer).Running = false
		}, serves},
		{"no credentials, asked beside it", func(_ *evidence.Evidence, asked *evidence.Server) { asked.Ready = nil }, serves},
		{"no credentials, not ready beside it", func(e *evidence.Evidence, asked *evidence.Server) { asked.Ready, local(e).Status = nil, 500 }, isDown},
		{"out of reach from here, asked beside it", func(_ *evidence.Evidence, asked *evidence.Server) { asked.Ready, asked.Err = nil, "i/o timeout" }, serves},
		{"out of reach, nothing asked beside it", func(e *evidence.Evidence, asked *evidence.Server) {
			asked.Ready, asked.Err = nil, "i/o timeout"
			evidencetest.Machine(e, "cp-2").Requests = nil
		}, isDown},
		{"a handshake is all there is", func(e *evidence.Evidence, asked *evidence.Server) {
			asked.Ready = nil
			evidencetest.Machine(e, "cp-2").Requests = nil
		}, serves},
		{"a pod that is ready, out of reach from here", func(e *evidence.Evidence, asked *evidence.Server) {
			m := evidencetest.Machine(e, "cp-2")
			m.Way, m.Requests, asked.Ready, asked.Err = evidence.API, nil, nil, "i/o timeout"
		}, serves},
		{"a node of the API, out of reach from here", func(e *evidence.Evidence, asked *evidence.Server) {
			m := evidencetest.Machine(e, "cp-2")
			m.Way, m.Requests, m.Programs, asked.Ready, asked.Err = evidence.API, nil, nil, nil, "i/o timeout"
		}, notSeen},
		{"a node of the API, and its machine does not answer either", func(e *evidence.Evidence, asked *evidence.Server) {
			m := evidencetest.Machine(e, "cp-2")
			m.Way, m.Requests, m.Programs, asked.Ready, asked.Err = evidence.API, nil, nil, nil, "i/o timeout"
			alsoMissing(evidence.Missing{Way: evidence.Machines, Node: "cp-2", Source: "ssh cp-2", Err: "i/o timeout"})(e)
		}, isDown},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			e := evidencetest.Healthy(spec.Shared)
			test.change(e, evidencetest.Server(e, "cp-2"))
			if got := NewScene(e, Expectation{}).apiServer("cp-2"); got != test.want {
				t.Errorf("standing %d, want %d", got, test.want)
			}
		})
	}
}
