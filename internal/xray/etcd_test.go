package xray

import (
	"slices"

	"github.com/haplane/haplane/internal/xray/evidence"
	"github.com/haplane/haplane/internal/xray/evidence/evidencetest"
	"github.com/haplane/haplane/spec"
)

var etcdCases = slices.Concat(etcdQuorumCases, etcdMemberCases, etcdVoterCases, etcdTLSCases, etcdConfigCases, etcdCertificateCases, etcdHealthCases, etcdEndpointCases, etcdSnapshotCases)

// withEtcd changes the flags of etcd on a machine.
func withEtcd(machine string, change func(*evidence.Program)) func(*evidence.Evidence) {
	return func(e *evidence.Evidence) { change(evidencetest.Program(e, machine, evidence.EtcdServer)) }
}

// etcdOn changes what the member on a machine says.
func etcdOn(machine string, change func(*evidence.Etcd)) func(*evidence.Evidence) {
	return func(e *evidence.Evidence) { change(evidencetest.Etcd(e, machine)) }
}

// etcdEverywhere changes what all members say.
func etcdEverywhere(change func(*evidence.Etcd)) func(*evidence.Evidence) {
	return func(e *evidence.Evidence) {
		for _, m := range e.Machines {
			if m.Etcd != nil {
				change(m.Etcd)
			}
		}
	}
}

func etcdUnhealthy(why string) func(*evidence.Etcd) {
	return func(m *evidence.Etcd) { m.Healthy, m.Health = new(false), why }
}

// etcdFourth is a voter on a machine that nobody named.
var etcdFourth = evidence.EtcdMember{ID: "7c3ab1e2f0d94a55", Name: "cp-4", PeerURLs: []string{"https://10.10.10.14:2380"}, ClientURLs: []string{"https://10.10.10.14:2379"}}

func etcdAdded(m evidence.EtcdMember) func(*evidence.Evidence) {
	return func(e *evidence.Evidence) { evidencetest.AddMember(e, m) }
}

func k0sStopped(machine string) func(*evidence.Evidence) {
	return func(e *evidence.Evidence) { evidencetest.StopK0s(e, machine) }
}

func etcdStopped(machines ...string) func(*evidence.Evidence) {
	return func(e *evidence.Evidence) {
		for _, m := range machines {
			evidencetest.StopEtcd(e, m)
		}
	}
}

// etcdFile has cp-1 to cp-3, and etcd-1 to etcd-3 where those are asked for.
func etcdFile(dedicated bool) Expectation {
	c := &spec.Cluster{}
	for _, name := range []string{"cp-1", "cp-2", "cp-3"} {
		c.Spec.Nodes = append(c.Spec.Nodes, spec.Node{Name: name, Role: spec.RoleControlPlane})
		if dedicated {
			c.Spec.Nodes = append(c.Spec.Nodes, spec.Node{Name: "etcd-" + name[3:], Role: spec.RoleEtcd})
		}
	}
	return Expectation{Cluster: c}
}

var etcdQuorumCases = []checkCase{
	{check: "etcd-quorum", name: "healthy", status: Pass, says: "3 of 3 voting members healthy, 2 needed: 1 failure tolerated"},
	{check: "etcd-quorum", name: "its leader", status: Pass, says: "cp-1 leads"},
	{check: "etcd-quorum", name: "kubeadm", of: evidencetest.Kubeadm, status: Pass, says: "1 failure tolerated"},
	{check: "etcd-quorum", name: "on machines of its own", status: Pass, says: "etcd-1 leads", change: evidencetest.MoveEtcd},
	{check: "etcd-quorum", name: "a member is stopped", status: Fail, node: "cp-3", says: "no process of it", change: etcdStopped("cp-3")},
	{check: "etcd-quorum", name: "a member runs and does not answer", status: Fail, node: "cp-2", says: "connection refused", change: etcdOn("cp-2", func(m *evidence.Etcd) {
		*m = evidence.Etcd{Endpoint: m.Endpoint, Err: "connection refused"}
	})},
	{check: "etcd-quorum", name: "k0s is stopped, and etcd with it", of: evidencetest.K0s, status: Fail, node: "cp-3", says: "no process of it", change: k0sStopped("cp-3")},
	{check: "etcd-quorum", name: "two are stopped", status: Fail, node: ",cp-2,cp-3", says: "1 of 3 voting members healthy, 2 needed", change: etcdStopped("cp-2", "cp-3")},
	{check: "etcd-quorum", name: "all are stopped", status: Fail, node: "cp-1,cp-2,cp-3", change: etcdStopped("cp-1", "cp-2", "cp-3")},
	{check: "etcd-quorum", name: "a member is unhealthy", status: Fail, node: "cp-2", says: "RANGE ERROR", change: etcdOn("cp-2", etcdUnhealthy("RANGE ERROR:context deadline exceeded"))},
	{check: "etcd-quorum", name: "writes are refused", status: Fail, node: ",cp-1,cp-2,cp-3", says: "Clear the alarm", change: etcdEverywhere(etcdUnhealthy("ALARM NOSPACE"))},
	{check: "etcd-quorum", name: "a learner is never healthy", status: Pass, says: "2 of 2 voting members healthy", change: func(e *evidence.Evidence) { evidencetest.Demote(e, "cp-3") }},
	{check: "etcd-quorum", name: "the first machine has the learner", status: Pass, says: "2 of 2 voting members healthy", change: func(e *evidence.Evidence) {
		evidencetest.Demote(e, "cp-1")
		etcdEverywhere(func(m *evidence.Etcd) { m.Leader = evidencetest.Etcd(e, "cp-2").ID })(e)
	}},
	{check: "etcd-quorum", name: "a learner that is stopped", status: Pass, says: "2 of 2 voting members healthy", change: func(e *evidence.Evidence) {
		evidencetest.Demote(e, "cp-3")
		evidencetest.StopEtcd(e, "cp-3")
	}},
	{check: "etcd-quorum", name: "one knows no leader", status: Fail, node: "cp-1", says: "it knows none", change: etcdOn("cp-1", func(m *evidence.Etcd) { m.Leader = "" })},
	{check: "etcd-quorum", name: "one follows another leader", status: Fail, node: "cp-1", says: "one leader: cp-2 | it follows cp-1", change: func(e *evidence.Evidence) {
		etcdEverywhere(func(m *evidence.Etcd) { m.Leader = evidencetest.Etcd(e, "cp-2").ID })(e)
		evidencetest.Etcd(e, "cp-1").Leader = evidencetest.Etcd(e, "cp-1").ID
	}},
	{check: "etcd-quorum", name: "the first machine is a cluster of its own", status: Fail, node: "cp-1", says: "it is of cluster cdf818194e3a8c32", change: etcdAlone},
	{check: "etcd-quorum", name: "a ghost takes the spare", status: Pass, says: "3 of 4 voting members healthy, 3 needed: one failure more ends service", change: etcdAdded(evidencetest.Ghost(false))},
	{check: "etcd-quorum", name: "a machine died", status: Error, says: "could not be asked: member cp-3", change: func(e *evidence.Evidence) { evidencetest.Fail(e, "cp-3") }},
	{check: "etcd-quorum", name: "two machines died", status: Error, says: "1 of 3 voting members healthy", change: func(e *evidence.Evidence) {
		evidencetest.Fail(e, "cp-2")
		evidencetest.Fail(e, "cp-3")
	}},
	{check: "etcd-quorum", name: "a machine was not named", status: Skip, says: "not asked: member cp-3", change: func(e *evidence.Evidence) { evidencetest.DropMachine(e, "cp-3") }},
}

// etcdAlone is cp-1 with a cluster of its own, in which it is the only member.
func etcdAlone(e *evidence.Evidence) {
	etcdOn("cp-1", func(m *evidence.Etcd) {
		m.ID, m.ClusterID, m.Leader = "8e9e05c52164694d", "cdf818194e3a8c32", "8e9e05c52164694d"
		m.Members = []evidence.EtcdMember{{ID: m.ID, Name: "cp-1", PeerURLs: []string{"https://10.10.10.11:2380"}, ClientURLs: []string{"https://10.10.10.11:2379"}}}
	})(e)
	for _, machine := range []string{"cp-2", "cp-3"} {
		evidencetest.Etcd(e, machine).Leader = evidencetest.Etcd(e, "cp-2").ID
	}
}

var etcdMemberCases = []checkCase{
	{check: "etcd-members-match-nodes", name: "healthy", expect: etcdFile(false), status: Pass, says: "member cp-2"},
	{check: "etcd-members-match-nodes", name: "kubeadm", of: evidencetest.Kubeadm, status: Pass, says: "member cp-2"},
	{check: "etcd-members-match-nodes", name: "on machines of its own", expect: etcdFile(true), status: Pass, says: "member etcd-3", change: evidencetest.MoveEtcd},
	{check: "etcd-members-match-nodes", name: "k0s is stopped", of: evidencetest.K0s, status: Pass, says: "member cp-3", change: k0sStopped("cp-3")},
	{check: "etcd-members-match-nodes", name: "k0s runs without etcd", of: evidencetest.K0s, status: Fail, node: "cp-3", says: "no etcd was seen on cp-3", change: func(e *evidence.Evidence) {
		evidencetest.DropProgram(e, "cp-3", evidence.EtcdServer)
		evidencetest.Machine(e, "cp-3").Etcd = nil
	}},
	{check: "etcd-members-match-nodes", name: "a ghost", status: Fail, says: "never started): on no machine, and it counts for the quorum", change: etcdAdded(evidencetest.Ghost(false))},
	{check: "etcd-members-match-nodes", name: "a ghost, by the cluster file", expect: etcdFile(false), status: Fail, says: "etcdctl member remove d282ac2ce600c1ce", change: etcdAdded(evidencetest.Ghost(false))},
	{check: "etcd-members-match-nodes", name: "a ghost that learns", expect: etcdFile(false), status: Warn, says: "it is a learner", change: etcdAdded(evidencetest.Ghost(true))},
	{check: "etcd-members-match-nodes", name: "a ghost that once ran beside another", status: Fail, says: "member old at https://10.10.10.13:2390 is on no machine", expect: etcdFile(false),
		change: etcdAdded(evidence.EtcdMember{ID: "aa", Name: "old", PeerURLs: []string{"https://10.10.10.13:2390"}})},
	{check: "etcd-members-match-nodes", name: "a member is no node of the cluster", status: Fail, says: "nor on a node of the cluster", change: etcdAdded(etcdFourth)},
	{check: "etcd-members-match-nodes", name: "a member is not in the cluster file", expect: etcdFile(false), status: Fail, says: "members of the cluster file: cp-1, cp-2, cp-3 | member cp-4", change: etcdAdded(etcdFourth)},
	{check: "etcd-members-match-nodes", name: "a member on a node that was not named", status: Warn, says: "member cp-3 at https://10.10.10.13:2380 is on no machine that was looked at",
		change: func(e *evidence.Evidence) { evidencetest.DropMachine(e, "cp-3") }},
	{check: "etcd-members-match-nodes", name: "a member on machines of its own that were not named", status: Warn, says: "member cp-4", change: func(e *evidence.Evidence) {
		evidencetest.MoveEtcd(e)
		evidencetest.AddMember(e, etcdFourth)
	}},
	{check: "etcd-members-match-nodes", name: "no etcd on its machine", status: Fail, node: "cp-3", says: "no etcd was seen on cp-3", change: func(e *evidence.Evidence) {
		evidencetest.Machine(e, "cp-3").Etcd = nil
		evidencetest.DropProgram(e, "cp-3", evidence.EtcdServer)
	}},
	{check: "etcd-members-match-nodes", name: "an etcd that is no member", status: Fail, node: "cp-3", says: "it is not in the list of members", change: func(e *evidence.Evidence) {
		evidencetest.StopEtcd(e, "cp-3")
		evidencetest.RemoveMember(e, "cp-3")
	}},
	{check: "etcd-members-match-nodes", name: "a cluster of its own", expect: etcdFile(false), status: Fail, node: ",cp-1", change: func(e *evidence.Evidence) {
		etcdAlone(e)
		for _, machine := range []string{"cp-2", "cp-3"} {
			evidencetest.Etcd(e, machine).Members[0].Name = "cp-0"
		}
	}},
	{check: "etcd-members-match-nodes", name: "a node of the cluster file is no member", expect: etcdFile(false), status: Fail, node: "cp-3", says: "a member of etcd | it is none", change: func(e *evidence.Evidence) {
		evidencetest.Machine(e, "cp-3").Etcd = nil
		evidencetest.DropProgram(e, "cp-3", evidence.EtcdServer)
		evidencetest.RemoveMember(e, "cp-3")
	}},
	{check: "etcd-members-match-nodes", name: "a member that is about to start", status: Warn, says: "it is a learner", change: etcdAdded(evidencetest.Ghost(true))},
	{check: "etcd-members-match-nodes", name: "a machine died", status: Skip, says: "member cp-3: its machine was not looked into", change: func(e *evidence.Evidence) { evidencetest.Fail(e, "cp-3") }},
}
