package xray

import (
	"strings"

	coordinationv1 "k8s.io/api/coordination/v1"

	"github.com/haplane/haplane/internal/xray/evidence"
)

var leaderChecks = []Check{
	{
		ID: "leader-leases", Subject: Leaders, Title: "Controller-manager and scheduler have one leader each, which renews its Lease",
		Why:    "Without a leader of kube-controller-manager nothing is replaced, scaled or evicted; without one of kube-scheduler no new pod is placed. What runs goes on running, so it may be noticed late.",
		Source: "https://kubernetes.io/docs/concepts/architecture/leases/#leader-election",
		Fix:    "Start the program on all control-plane nodes, and see in its log why it does not get or renew its Lease.",
		Needs:  []evidence.Way{evidence.API}, Run: leaderLeases,
	},
	{
		ID: "leader-lease-timing", Subject: Leaders, Title: "A leader that died is replaced soon, and none gives up over one slow answer",
		Why:    "Others take over --leader-elect-lease-duration after the last renewal: until then nobody leads. A leader that has not renewed for --leader-elect-renew-deadline gives up. Programs refuse to start unless the first is longer than the second, and that longer than 1.2 times --leader-elect-retry-period. Defaults are 15 s, 10 s and 2 s.",
		Source: "https://kubernetes.io/docs/reference/command-line-tools-reference/kube-controller-manager/",
		Fix:    "Leave the three --leader-elect flags out, or set them to the defaults on all nodes.",
		Needs:  anyWay, Run: leaderLeaseTiming,
	},
	{
		ID: "leader-release-on-exit", Subject: Leaders, Title: "A leader that is stopped gives up its Lease",
		Why:    "Then another takes over within a retry period; otherwise only when the Lease has run out, which is 15 s by default, at each upgrade and restart. kube-scheduler does so by itself, kube-controller-manager since 1.36 with the gate ControllerManagerReleaseLeaderElectionLockOnExit, which is off by default.",
		Source: "https://kubernetes.io/docs/reference/command-line-tools-reference/feature-gates/",
		Fix:    "Set --feature-gates=ControllerManagerReleaseLeaderElectionLockOnExit=true of kube-controller-manager on all nodes (1.36 and later; an older one does not start with it).",
		Needs:  anyWay, Run: leaderReleaseOnExit,
	},
	{
		ID: "leader-spread", Subject: Leaders, Title: "Not everything leads on one machine",
		Why:    "Leaders are elected wherever they are, and both on one node is nothing to repair. Where the leader of etcd and the load balancer's address are on that machine too, its failure stops everything at once: new leaders are elected only after etcd has elected its own and the address has moved.",
		Source: "https://kubernetes.io/docs/concepts/architecture/leases/#leader-election",
		Fix:    "Restart kube-controller-manager or kube-scheduler there, so that another node leads, or move etcd's leader with etcdctl move-leader (3.3 and later).",
		Needs:  []evidence.Way{evidence.API}, Run: leaderSpread,
	},
}

// elected are the Leases of kube-system that are for leader election.
var elected = []string{"kube-controller-manager", "kube-scheduler"}

func (s *Scene) lease(name string) *coordinationv1.Lease {
	if s.API == nil {
		return nil
	}
	for i := range s.API.Leases {
		if s.API.Leases[i].Name == name {
			return &s.API.Leases[i]
		}
	}
	return nil
}

// leaders are the nodes that hold the Leases.
func (s *Scene) leaders() map[string]string {
	out := map[string]string{}
	for _, name := range elected {
		if l := s.lease(name); l != nil && l.Spec.HolderIdentity != nil {
			out[name] = holder(*l.Spec.HolderIdentity)
		}
	}
	return out
}

// holder is the host in the identity of a leader: hostname_uuid.
func holder(identity string) string {
	i := strings.LastIndex(identity, "_")
	if i < 0 {
		return identity
	}
	return identity[:i]
}
