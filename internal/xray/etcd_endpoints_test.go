package xray

import (
	"net/netip"

	"github.com/haplane/haplane/internal/xray/evidence"
	"github.com/haplane/haplane/internal/xray/evidence/evidencetest"
)

// etcdServers gives the API server of a machine other members.
func etcdServers(machine, urls string, before ...func(*evidence.Evidence)) func(*evidence.Evidence) {
	return func(e *evidence.Evidence) {
		for _, change := range before {
			change(e)
		}
		evidencetest.SetFlag(evidencetest.Program(e, machine, evidence.APIServer), "etcd-servers", urls)
	}
}

var etcdEndpointCases = []checkCase{
	{check: "etcd-endpoints-of-api-servers", name: "healthy", status: Pass, says: "--etcd-servers=https://127.0.0.1:2379: the member beside it"},
	{check: "etcd-endpoints-of-api-servers", name: "kubeadm", of: evidencetest.Kubeadm, status: Pass, says: "the member beside it"},
	{check: "etcd-endpoints-of-api-servers", name: "kubeadm by its pods", of: func() *evidence.Evidence { return evidencetest.APIOnly(evidencetest.Kubeadm()) }, status: Pass, says: "the member beside it"},
	{check: "etcd-endpoints-of-api-servers", name: "kubeadm in a folder", of: func() *evidence.Evidence { return evidencetest.Folder(evidencetest.Kubeadm()) }, status: Pass, says: "the member beside it"},
	{check: "etcd-endpoints-of-api-servers", name: "its own by its address", status: Pass, change: etcdServers("cp-2", "https://10.10.10.12:2379")},
	{check: "etcd-endpoints-of-api-servers", name: "its own without a scheme", status: Pass, change: etcdServers("cp-2", "10.10.10.12:2379")},
	{check: "etcd-endpoints-of-api-servers", name: "all members on machines of their own", status: Pass, says: "10.10.10.31:2379,https://10.10.10.32:2379", change: evidencetest.MoveEtcd},
	{check: "etcd-endpoints-of-api-servers", name: "a port where no member listens", status: Fail, node: "cp-2", says: "of which https://127.0.0.1:2377 is none",
		change: etcdServers("cp-2", "https://127.0.0.1:2379,https://127.0.0.1:2377")},
	{check: "etcd-endpoints-of-api-servers", name: "the peers' port", status: Fail, node: "cp-2", says: "of which https://10.10.10.12:2380 is none", change: etcdServers("cp-2", "https://10.10.10.12:2380")},
	{check: "etcd-endpoints-of-api-servers", name: "one that is no member", status: Fail, node: "cp-1", says: "of which https://10.10.10.34:2379 is none",
		change: etcdServers("cp-1", "https://10.10.10.31:2379,https://10.10.10.32:2379,https://10.10.10.33:2379,https://10.10.10.34:2379", evidencetest.MoveEtcd)},
	{check: "etcd-endpoints-of-api-servers", name: "another node's alone", status: Fail, node: "cp-3", says: "cp-1 alone, a single point of failure", change: etcdServers("cp-3", "https://10.10.10.11:2379")},
	{check: "etcd-endpoints-of-api-servers", name: "one of three elsewhere", status: Fail, node: "cp-3", says: "etcd-1 alone", change: etcdServers("cp-3", "https://10.10.10.31:2379", evidencetest.MoveEtcd)},
	{check: "etcd-endpoints-of-api-servers", name: "two of three elsewhere", status: Warn, node: "cp-3", says: "all members: etcd-1, etcd-2, etcd-3",
		change: etcdServers("cp-3", "https://10.10.10.31:2379,https://10.10.10.32:2379", evidencetest.MoveEtcd)},
	{check: "etcd-endpoints-of-api-servers", name: "loopback without a member", status: Fail, node: "cp-3", says: "of which https://127.0.0.1:2379 is none", change: etcdServers("cp-3", "https://127.0.0.1:2379", evidencetest.MoveEtcd)},
	{check: "etcd-endpoints-of-api-servers", name: "a learner beside it", status: Fail, node: "cp-3", says: "of which https://127.0.0.1:2379 is none", change: func(e *evidence.Evidence) { evidencetest.Demote(e, "cp-3") }},
	{check: "etcd-endpoints-of-api-servers", name: "a proxy on its machine", status: Skip, says: "what is behind https://127.0.0.1:23790 is not known", change: etcdServers("cp-3", "https://127.0.0.1:23790", evidencetest.MoveEtcd, func(e *evidence.Evidence) {
		m := evidencetest.Machine(e, "cp-3")
		m.Listening = append(m.Listening, netip.MustParseAddrPort("127.0.0.1:23790"))
	})},
	{check: "etcd-endpoints-of-api-servers", name: "a name that is not known", status: Skip, says: "https://etcd.example.org:2379 is not known", change: etcdServers("cp-3", "https://etcd.example.org:2379", evidencetest.MoveEtcd)},
	{check: "etcd-endpoints-of-api-servers", name: "members that were not asked", of: func() *evidence.Evidence { return evidencetest.Folder(evidencetest.Kubeadm()) }, status: Skip, says: "the members are not known",
		change: etcdServers("cp-3", "https://10.10.10.34:2379")},
	{check: "etcd-endpoints-of-api-servers", name: "no flag", status: Skip, says: "no --etcd-servers", change: func(e *evidence.Evidence) {
		evidencetest.DropFlag(evidencetest.Program(e, "cp-3", evidence.APIServer), "etcd-servers")
	}},
}
