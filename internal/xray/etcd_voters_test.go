package xray

import (
	"time"

	"github.com/haplane/haplane/internal/xray/evidence"
	"github.com/haplane/haplane/internal/xray/evidence/evidencetest"
)

var etcdVoterCases = []checkCase{
	{check: "etcd-odd-members", name: "healthy", status: Pass, says: "3, which tolerate 1 failure"},
	{check: "etcd-odd-members", name: "four", status: Warn, says: "4, which tolerate 1 failure, as 3 do", change: etcdAdded(etcdFourth)},
	{check: "etcd-odd-members", name: "a ghost makes four", status: Warn, says: "4, which", change: etcdAdded(evidencetest.Ghost(false))},
	{check: "etcd-odd-members", name: "a learner does not count", status: Pass, says: "3, which", change: etcdAdded(evidencetest.Ghost(true))},
	{check: "etcd-odd-members", name: "two", status: Warn, says: "2, which tolerate 0 failures, as 1 do", change: func(e *evidence.Evidence) { evidencetest.Demote(e, "cp-1") }},
	{check: "etcd-odd-members", name: "one", status: Warn, says: "its failure ends service", change: func(e *evidence.Evidence) {
		evidencetest.RemoveMember(e, "cp-2")
		evidencetest.RemoveMember(e, "cp-3")
	}},
	{check: "etcd-odd-members", name: "nine", status: Warn, says: "each write waits for 5 of them", change: func(e *evidence.Evidence) {
		for range 6 {
			evidencetest.AddMember(e, etcdFourth)
		}
	}},

	{check: "etcd-learners", name: "healthy", status: Pass, says: "voting members only"},
	{check: "etcd-learners", name: "one that never started", status: Warn, says: "never started) is a learner", change: etcdAdded(evidencetest.Ghost(true))},
	{check: "etcd-learners", name: "one that runs", status: Warn, node: "cp-3", says: "etcdctl member promote fd422379fda50e48", change: func(e *evidence.Evidence) { evidencetest.Demote(e, "cp-3") }},
	{check: "etcd-learners", name: "one that does not answer", status: Warn, node: "cp-1", says: "it cannot catch up", change: func(e *evidence.Evidence) {
		evidencetest.Demote(e, "cp-1")
		*evidencetest.Etcd(e, "cp-1") = evidence.Etcd{Err: "connection refused"}
	}},
	{check: "etcd-learners", name: "one that lists no members", status: Warn, node: "cp-1", says: "member cp-1 is a learner | etcdctl", change: func(e *evidence.Evidence) {
		evidencetest.Demote(e, "cp-1")
		evidencetest.Etcd(e, "cp-1").Err = "etcdserver: rpc not supported for learner"
	}},
	{check: "etcd-learners", name: "a ghost that votes", status: Pass, change: etcdAdded(evidencetest.Ghost(false))},
}

var etcdHealthCases = []checkCase{
	{check: "etcd-same-version", name: "healthy", status: Pass, says: "3.7.1 on 3 members"},
	{check: "etcd-same-version", name: "an upgrade under way", status: Warn, node: "cp-1", says: "3.7.1, as the others | 3.6.4", change: etcdOn("cp-1", func(m *evidence.Etcd) { m.Version = "3.6.4" })},
	{check: "etcd-same-version", name: "another patch", status: Warn, node: "cp-3", says: "3.7.0", change: etcdOn("cp-3", func(m *evidence.Etcd) { m.Version = "3.7.0" })},
	{check: "etcd-same-version", name: "too far apart", status: Fail, node: "cp-2", says: "more than one minor version", change: etcdOn("cp-2", func(m *evidence.Etcd) { m.Version = "3.5.21" })},
	{check: "etcd-same-version", name: "by images", of: evidencetest.Kubeadm, status: Warn, node: "cp-3", says: "3.6.4", change: func(e *evidence.Evidence) {
		evidencetest.APIOnly(e)
		for i, tag := range []string{"v3.6.5-0", "v3.6.5-0", "v3.6.4-0"} {
			e.Machines[i].Program(evidence.EtcdServer).Version = tag
		}
	}},

	{check: "etcd-alarms-and-quota", name: "healthy", status: Pass, says: "24 MiB of 4.0 GiB (0%), 9 MiB in use"},
	{check: "etcd-alarms-and-quota", name: "kubeadm sets no quota", of: evidencetest.Kubeadm, status: Pass, says: "2.0 GiB (1%), the default quota", change: etcdEverywhere(func(m *evidence.Etcd) { m.Quota = 0 })},
	{check: "etcd-alarms-and-quota", name: "the quota is nearly used", status: Warn, node: "cp-1", says: "5 MiB of 5 MiB (87%)", change: etcdOn("cp-1", func(m *evidence.Etcd) { m.DBSize, m.Quota = 4_800_000, 5_500_000 })},
	{check: "etcd-alarms-and-quota", name: "the quota is used", status: Fail, node: "cp-2", says: "(96%)", change: etcdOn("cp-2", func(m *evidence.Etcd) { m.DBSize, m.Quota = 96<<20, 100<<20 })},
	{check: "etcd-alarms-and-quota", name: "the quota of its flags", status: Warn, node: "cp-3", says: "24 MiB of 29 MiB (83%)", change: func(e *evidence.Evidence) {
		evidencetest.Etcd(e, "cp-3").Quota = 0
		evidencetest.SetFlag(evidencetest.Program(e, "cp-3", evidence.EtcdServer), "quota-backend-bytes", "30000000")
	}},
	{check: "etcd-alarms-and-quota", name: "the quota of its configuration file", status: Warn, node: "cp-3", says: "24 MiB of 29 MiB (83%)", change: func(e *evidence.Evidence) {
		evidencetest.Etcd(e, "cp-3").Quota = 0
		p := evidencetest.Program(e, "cp-3", evidence.EtcdServer)
		p.Argv, p.Config = []string{"etcd", "--config-file=/etc/etcd.yaml", "--quota-backend-bytes=4294967296"}, map[string]any{"quota-backend-bytes": float64(30000000)}
	}},
	{check: "etcd-alarms-and-quota", name: "no quota", status: Warn, node: "cp-3", says: "grows until the disk is full", change: func(e *evidence.Evidence) {
		evidencetest.Etcd(e, "cp-3").Quota = 0
		evidencetest.SetFlag(evidencetest.Program(e, "cp-3", evidence.EtcdServer), "quota-backend-bytes", "-1")
	}},
	{check: "etcd-alarms-and-quota", name: "no space", status: Fail, node: "cp-2", says: "NOSPACE on member 91bc3c398fb3c146", change: etcdEverywhere(etcdAlarm("NOSPACE on member 91bc3c398fb3c146"))},
	{check: "etcd-alarms-and-quota", name: "corrupt", status: Fail, node: "cp-3", says: "etcdctl endpoint hashkv", change: etcdEverywhere(etcdAlarm("CORRUPT on member fd422379fda50e48"))},
	{check: "etcd-alarms-and-quota", name: "no space on a member that does not answer", status: Fail, node: "cp-3", says: "NOSPACE", change: func(e *evidence.Evidence) {
		etcdEverywhere(etcdAlarm("NOSPACE on member fd422379fda50e48"))(e)
		evidencetest.StopEtcd(e, "cp-3")
	}},

	{check: "etcd-disk-latency", name: "healthy", status: Pass, says: "took at most 8ms, of all commits 16ms"},
	{check: "etcd-disk-latency", name: "about 10 ms", status: Pass, says: "at most 16ms", change: etcdOn("cp-2", func(m *evidence.Etcd) { m.FsyncP99 = 16 * time.Millisecond })},
	{check: "etcd-disk-latency", name: "slow", status: Warn, node: "cp-2", says: "at most 32ms", change: etcdOn("cp-2", func(m *evidence.Etcd) { m.FsyncP99 = 32 * time.Millisecond })},
	{check: "etcd-disk-latency", name: "far too slow", status: Fail, node: "cp-1", says: "2.048s", change: etcdOn("cp-1", func(m *evidence.Etcd) { m.FsyncP99 = 2048 * time.Millisecond })},
	{check: "etcd-disk-latency", name: "it has written nothing", status: Skip, change: etcdEverywhere(func(m *evidence.Etcd) { m.FsyncP99 = 0 })},
}

func etcdAlarm(text string) func(*evidence.Etcd) {
	return func(m *evidence.Etcd) { m.Alarms = []string{text} }
}
