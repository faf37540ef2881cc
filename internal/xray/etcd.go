package xray

import "github.com/haplane/haplane/internal/xray/evidence"

var etcdChecks = []Check{
	{
		ID: "etcd-quorum", Subject: Etcd, Title: "All voting members of etcd are healthy and follow one leader",
		Why:    "etcd writes only what more than half of its voting members have stored. Below that every API server answers reads from its cache at best, and no write.",
		Source: "https://etcd.io/docs/latest/faq/#what-is-failure-tolerance",
		Fix:    "Start the member again. If its machine or its data is gone, remove the member before another one is added.",
		Needs:  fromMachines, Run: etcdQuorum,
	},
	{
		ID: "etcd-members-match-nodes", Subject: Etcd, Title: "Every member of etcd is a machine, and every machine with etcd is a member",
		Why:    "A member without a machine still counts for the quorum: it brings the cluster one failure closer to its end. An etcd that is no member stores what nobody else sees.",
		Source: "https://etcd.io/docs/latest/op-guide/runtime-configuration/",
		Fix:    "etcdctl member remove ID takes out a member that is gone; see first that the others are healthy.",
		Needs:  fromMachines, Run: etcdMembersMatchNodes,
	},
	{
		ID: "etcd-odd-members", Subject: Etcd, Title: "etcd has an odd number of voting members, three at least",
		Why:    "One more member than an odd number tolerates no failure more, and is one more that can fail.",
		Source: "https://etcd.io/docs/latest/faq/#why-an-odd-number-of-cluster-members",
		Fix:    "When all members are healthy, add one or remove one.",
		Needs:  fromMachines, Run: etcdOddMembers,
	},
	{
		ID: "etcd-learners", Subject: Etcd, Title: "No learner is left over in etcd",
		Why:    "A learner copies and does not vote. It is meant to be promoted within minutes; one that stays looks like a member and tolerates no failure.",
		Source: "https://etcd.io/docs/latest/learning/design-learner/",
		Fix:    "etcdctl member promote ID (3.4 and later, as learners) when it has caught up, or etcdctl member remove ID.",
		Needs:  fromMachines, Run: etcdLearners,
	},
	{
		ID: "etcd-tls", Subject: Etcd, Title: "etcd talks TLS only, and asks clients and peers for their certificates",
		Why:    "Who reads etcd reads every Secret; who writes it is above every rule of the API server.",
		Source: "https://etcd.io/docs/latest/op-guide/security/",
		Fix:    "First give API servers and members certificates of etcd's CA and let them show these. Then set --client-cert-auth, --trusted-ca-file, --peer-client-cert-auth and --peer-trusted-ca-file of etcd, and https in its URLs, one member after the other; a member's peer URL changes with etcdctl member update before it is restarted.",
		Needs:  anyWay, Run: etcdTLS,
	},
	{
		ID: "etcd-config-keys", Subject: Etcd, Title: "etcd reads every setting that it is given",
		Why:    "etcd passes over keys of its configuration file that it does not know, without a word, and over all flags and variables beside one. A setting that is misspelt or in the wrong place is off: client-cert-auth outside of its section lets everybody in.",
		Source: "https://github.com/etcd-io/etcd/blob/main/server/embed/config.go",
		Fix:    "Write the key as etcd's sample configuration file has it, and take away what is not wanted. Before client-cert-auth is turned on, see that all clients and peers show certificates. Restart one member after the other.",
		Needs:  anyWay, Run: etcdConfigKeys,
	},
	{
		ID: "etcd-own-ca", Subject: Etcd, Title: "etcd trusts a CA of its own",
		Why:    "etcd lets in whoever has a certificate of its trusted CA. If that is the cluster's CA, every kubelet and every user with a certificate has full access to the storage.",
		Source: "https://kubernetes.io/docs/setup/best-practices/certificates/#single-root-ca",
		Fix:    "Make a CA for etcd alone. Add it to --trusted-ca-file and --peer-trusted-ca-file of all members and --etcd-cafile of all API servers, beside the old one, and restart one after the other. Then reissue etcd's certificates and the API servers' client certificate for etcd from it, and take the cluster's CA out last.",
		Needs:  fromConfiguration, Run: etcdOwnCA,
	},
	{
		ID: "etcd-cert-names", Subject: Etcd, Title: "etcd listens, and has certificates, for the addresses under which it is reached",
		Why:    "API servers and peers verify the address that they connect to. A member whose certificate lacks it cannot be reached under it, which is noticed at the next reconnect. One that listens on loopback alone is reached from its own machine only.",
		Source: "https://etcd.io/docs/latest/op-guide/security/",
		Fix:    "Reissue the member's certificate with its advertised addresses, localhost and 127.0.0.1; etcd reads it again at the next handshake.",
		Needs:  fromConfiguration, Run: etcdCertNames,
	},
	{
		ID: "etcd-same-version", Subject: Etcd, Title: "All members of etcd have one version",
		Why:    "etcd runs with two minor versions only while it is upgraded; it works as the older one, and a member that is further apart does not join.",
		Source: "https://etcd.io/docs/latest/upgrades/",
		Fix:    "Finish the upgrade, one member after the other.",
		Needs:  []evidence.Way{evidence.Machines, evidence.API}, Run: etcdSameVersion,
	},
	{
		ID: "etcd-alarms-and-quota", Subject: Etcd, Title: "etcd has no alarm, and room in its quota",
		Why:    "A database that reaches its quota (2 GiB, if none is set) raises NOSPACE, and etcd refuses every write until somebody makes room and disarms it.",
		Source: "https://etcd.io/docs/latest/op-guide/maintenance/#space-quota",
		Fix:    "Compact and defragment, one member after the other, or raise --quota-backend-bytes; then etcdctl alarm disarm.",
		Needs:  fromMachines, Run: etcdAlarmsAndQuota,
	},
	{
		ID: "etcd-snapshots-current", Subject: Etcd, Title: "Snapshots that are to be taken on a schedule are taken",
		Why:    "A snapshot is what is left of the cluster when most members are lost with their disks. One that is taken by itself is missed by nobody until it is needed.",
		Source: "https://etcd.io/docs/latest/op-guide/recovery/",
		Fix:    "See the log of haplane-snapshots.service on the machine: etcd that does not answer, a disk without room, or a file that is missing.",
		Needs:  fromMachines, Run: etcdSnapshotsCurrent,
	},
	{
		ID: "etcd-disk-latency", Subject: Etcd, Title: "etcd's disks are fast enough",
		Why:    "Every write waits for the disks of more than half of the members. etcd's documentation asks for a 99th percentile of fsync below 10 ms; its alerts are critical above 1 s, where leaders lose their elections.",
		Source: "https://etcd.io/docs/latest/faq/#what-does-the-etcd-warning-failed-to-send-out-heartbeat-on-time-mean",
		Fix:    "Give etcd a disk of its own, better an SSD.",
		Needs:  fromMachines, Run: etcdDiskLatency,
	},
	{
		ID: "etcd-endpoints-of-api-servers", Subject: Etcd, Title: "API servers use members of etcd, and one that fails takes no other machine's API server along",
		Why:    "An API server beside a member may use that one alone: they fail together. One that uses a single member elsewhere fails with a machine that it does not run on.",
		Source: "https://kubernetes.io/docs/setup/production-environment/tools/kubeadm/ha-topology/",
		Fix:    "Set --etcd-servers of kube-apiserver to the member on its own machine, or to all members.",
		Needs:  anyWay, Run: etcdEndpointsOfAPIServers,
	},
}
