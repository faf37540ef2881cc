package xray

import "github.com/haplane/haplane/internal/xray/evidence"

var terminationChecks = []Check{
	{
		ID: "graceful-shutdown", Subject: Termination, Title: "API servers stop in order, and are given the time for it",
		Why:    "An API server that is stopped serves on for --shutdown-delay-duration, then finishes requests for up to --request-timeout (60 s) and ends watches over --shutdown-watch-termination-grace-period. Then its port is closed, and late requests go to another one where the load balancer tries another; with --shutdown-send-retry-after they are answered 429 and come again after 5 s. Killed before that, it drops what was under way.",
		Source: "https://kubernetes.io/docs/reference/command-line-tools-reference/kube-apiserver/",
		Fix:    "First let TimeoutStopSec of the unit or terminationGracePeriodSeconds of the pod be the sum of the delay, the grace period for watches and 60 s. Set --shutdown-delay-duration (1.16 and later) above what the load balancer takes to notice. Set --shutdown-watch-termination-grace-period (1.27 and later), so that watches do not all end at once. Where the load balancer tries no other server, set --shutdown-send-retry-after (1.23 and later).",
		Needs:  []evidence.Way{evidence.Machines, evidence.Folder, evidence.API}, Run: gracefulShutdown,
	},
	{
		ID: "version-skew", Subject: Termination, Title: "Versions are within Kubernetes' skew policy",
		Why:    "API servers may be one minor version apart, and only while they are upgraded. Nothing that talks to one may be newer: kubelets and kube-proxies up to three minor versions older, controller managers and schedulers one.",
		Source: "https://kubernetes.io/releases/version-skew-policy/",
		Fix:    "Finish the upgrade: API servers first, then controller managers and schedulers, then kubelets.",
		Needs:  []evidence.Way{evidence.Machines, evidence.API}, Run: versionSkew,
	},
	{
		ID: "clock-skew", Subject: Termination, Title: "Clocks of all machines agree",
		Why:    "etcd warns of peers that are more than a second apart. An API server turns away service account tokens of another one whose clock is more than a minute ahead, and new certificates are valid from five minutes in the signer's past. Leader election does not compare clocks.",
		Source: "https://github.com/etcd-io/etcd/blob/main/server/etcdserver/api/rafthttp/probing_status.go",
		Fix:    "Run a time service (chrony, systemd-timesyncd) on all machines.",
		Needs:  []evidence.Way{evidence.Machines, evidence.API}, Run: clockSkew,
	},
	{
		ID: "feature-gates-equal", Subject: Termination, Title: "Feature gates are the same on all nodes",
		Why:    "What one API server accepts and stores, another one drops, where a gate differs; a leader that moves brings other behaviour along.",
		Source: "https://kubernetes.io/docs/reference/command-line-tools-reference/feature-gates/",
		Fix:    "Give the program the same --feature-gates on all nodes, as far as its version there knows them: with a gate that it does not know it does not start.",
		Needs:  []evidence.Way{evidence.Machines, evidence.Folder, evidence.API}, Run: featureGatesEqual,
	},
}
