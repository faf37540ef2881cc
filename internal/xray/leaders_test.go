package xray

import (
	"testing"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/haplane/haplane/internal/xray/evidence"
	"github.com/haplane/haplane/internal/xray/evidence/evidencetest"
	"github.com/haplane/haplane/spec"
)

func withLease(name string, change func(*coordinationv1.LeaseSpec)) func(*evidence.Evidence) {
	return func(e *evidence.Evidence) { change(&evidencetest.Lease(e, name).Spec) }
}

func renewedBefore(name string, age time.Duration) func(*evidence.Evidence) {
	return withLease(name, func(l *coordinationv1.LeaseSpec) { l.RenewTime = new(metav1.NewMicroTime(evidencetest.At.Add(-age))) })
}

func released(name string) func(*evidence.Evidence) {
	return withLease(name, func(l *coordinationv1.LeaseSpec) { l.HolderIdentity, l.LeaseDurationSeconds = new(""), new(int32(1)) })
}

func heldBy(name, holder string) func(*evidence.Evidence) {
	return withLease(name, func(l *coordinationv1.LeaseSpec) { l.HolderIdentity = new(holder + "_1f0c") })
}

func dropLease(name string) func(*evidence.Evidence) {
	return func(e *evidence.Evidence) {
		var kept []coordinationv1.Lease
		for _, l := range e.API.Leases {
			if l.Name != name {
				kept = append(kept, l)
			}
		}
		e.API.Leases = kept
	}
}

// balancerOn has a control-plane node balance as well.
func balancerOn(name string) func(*evidence.Evidence) {
	return func(e *evidence.Evidence) {
		lb, m := evidencetest.Machine(e, "lb-1"), evidencetest.Machine(e, name)
		m.LoadBalancer, m.Addresses = lb.LoadBalancer, append(m.Addresses, lb.Addresses...)
		evidencetest.DropMachine(e, "lb-1")
	}
}

var leaderCases = []checkCase{
	{check: "leader-leases", name: "healthy", status: Pass, says: "kube-scheduler leads: cp-3, renewed 1s ago"},
	{check: "leader-leases", name: "nobody holds it", status: Fail, says: "nobody holds it; it was given up 1s ago", change: released("kube-scheduler")},
	{check: "leader-leases", name: "nobody ever held it", status: Fail, says: "nobody holds it", change: withLease("kube-scheduler", func(l *coordinationv1.LeaseSpec) { *l = coordinationv1.LeaseSpec{} })},
	{check: "leader-leases", name: "no longer renewed", status: Fail, says: "cp-2 held it, and last renewed it 41s ago; it lasts 15s", change: renewedBefore("kube-controller-manager", 40*time.Second)},
	{check: "leader-leases", name: "renewed a little ago", status: Pass, says: "13s ago", change: renewedBefore("kube-controller-manager", 12*time.Second)},
	{check: "leader-leases", name: "never renewed", status: Fail, says: "never renewed", change: withLease("kube-scheduler", func(l *coordinationv1.LeaseSpec) { l.RenewTime = nil })},
	{check: "leader-leases", name: "no Lease", status: Fail, says: "no such Lease", change: dropLease("kube-scheduler")},
	{check: "leader-leases", name: "its clock is behind", status: Pass, change: changes(renewedBefore("kube-scheduler", time.Minute), func(e *evidence.Evidence) {
		evidencetest.Machine(e, "cp-3").Clock.Ahead = -time.Minute
	})},
	{check: "leader-leases", name: "all clocks are behind ours", of: apiOnly(healthy(spec.Shared)), status: Pass, change: changes(renewedBefore("kube-scheduler", time.Minute),
		renewedBefore("kube-controller-manager", time.Minute), func(e *evidence.Evidence) { e.API.Ahead = -time.Minute })},
	{check: "leader-leases", name: "a clock that was shifted later", status: Pass, change: func(e *evidence.Evidence) { evidencetest.Machine(e, "cp-3").Clock.Ahead = 90 * time.Second }},
	{check: "leader-leases", name: "a Lease of another name", status: Pass, says: "kube-scheduler leads: cp-1", change: changes(setFlags(scheduler, "leader-elect-resource-name", "haplane-agent"))},
	{check: "leader-leases", name: "a Lease elsewhere", status: Skip, says: "other", change: setFlags(scheduler, "leader-elect-resource-namespace", "other")},
	{check: "leader-leases", name: "no election", status: Skip, says: "no election", change: changes(setFlags(scheduler, "leader-elect", "false"), dropLease("kube-scheduler"))},
	{check: "leader-leases", name: "nothing that would hold it", of: apiOnly(healthy(spec.Shared)), status: Skip, says: "nothing was seen", change: dropLease("kube-scheduler")},
	{check: "leader-leases", name: "leases could not be read", status: Skip, change: func(e *evidence.Evidence) { e.API.Leases = nil }},

	{check: "leader-lease-timing", name: "healthy", status: Pass, says: "lease 15s, renewed within 10s, tried every 2s"},
	{check: "leader-lease-timing", name: "long", status: Warn, node: "cp-1", says: "2m0s after a leader died", change: changes(setFlag("cp-1", manager, "leader-elect-lease-duration", "2m"), setFlag("cp-1", manager, "leader-elect-renew-deadline", "90s"))},
	{check: "leader-lease-timing", name: "short", status: Warn, node: "cp-2", says: "restarts", change: changes(setFlag("cp-2", scheduler, "leader-elect-lease-duration", "4s"), setFlag("cp-2", scheduler, "leader-elect-renew-deadline", "3s"))},
	{check: "leader-lease-timing", name: "renewed too late", status: Fail, node: "cp-3", says: "above the renew deadline", change: setFlag("cp-3", scheduler, "leader-elect-lease-duration", "10s")},
	{check: "leader-lease-timing", name: "tried too rarely", status: Fail, node: "cp-3", says: "1.2 times", change: setFlag("cp-3", scheduler, "leader-elect-retry-period", "9s")},
	{check: "leader-lease-timing", name: "in the configuration", status: Warn, node: "cp-1", says: "lease 3m0s", change: func(e *evidence.Evidence) {
		evidencetest.Program(e, "cp-1", scheduler).Config = map[string]any{"leaderElection": map[string]any{"leaseDuration": "3m"}}
	}},
	{check: "leader-lease-timing", name: "no duration", status: Error, node: "cp-1", says: `"soon"`, change: setFlag("cp-1", scheduler, "leader-elect-retry-period", "soon")},
	{check: "leader-lease-timing", name: "by the Lease", of: apiOnly(healthy(spec.Shared)), status: Warn, says: "kube-scheduler: lease 5m0s", change: withLease("kube-scheduler", func(l *coordinationv1.LeaseSpec) {
		l.LeaseDurationSeconds = new(int32(300))
	})},
	{check: "leader-lease-timing", name: "a Lease that was given up", of: apiOnly(healthy(spec.Shared)), status: Pass, change: released("kube-scheduler")},

	{check: "leader-release-on-exit", name: "healthy", status: Pass, says: "LockOnExit=true"},
	{check: "leader-release-on-exit", name: "the default", status: Warn, node: "cp-2", says: "up to 15s", change: setFlag("cp-2", manager, "feature-gates", "")},
	{check: "leader-release-on-exit", name: "off", status: Warn, node: "cp-2", change: setFlag("cp-2", manager, "feature-gates", releaseGate+"=false")},
	{check: "leader-release-on-exit", name: "before it could", of: evidencetest.Kubeadm, status: Skip, says: "v1.35.4 cannot", change: func(e *evidence.Evidence) {
		for _, name := range []string{"cp-1", "cp-2", "cp-3"} {
			evidencetest.Program(e, name, manager).Version = "v1.35.4"
		}
	}},
	{check: "leader-release-on-exit", name: "no election", of: evidencetest.Kubeadm, status: Skip, says: "no election", change: setFlags(manager, "leader-elect", "false")},

	{check: "leader-spread", name: "healthy", status: Pass, says: "controller-manager leads on cp-2, scheduler on cp-3"},
	{check: "leader-spread", name: "both on one node", status: Pass, says: "lead on cp-1", change: changes(heldBy("kube-scheduler", "cp-1"), heldBy("kube-controller-manager", "cp-1"))},
	{check: "leader-spread", name: "everything on one machine", status: Warn, node: "cp-1", says: "etcd's leader", change: changes(heldBy("kube-scheduler", "cp-1"), heldBy("kube-controller-manager", "cp-1"), balancerOn("cp-1"))},
	{check: "leader-spread", name: "beside the load balancer but not etcd's leader", status: Pass, says: "lead on cp-2", change: changes(heldBy("kube-scheduler", "cp-2"), balancerOn("cp-2"))},
	{check: "leader-spread", name: "one does not lead", status: Skip, change: dropLease("kube-scheduler")},
	{check: "leader-spread", name: "one node", status: Skip, says: "only control-plane node", change: func(e *evidence.Evidence) {
		changes(heldBy("kube-scheduler", "cp-1"), heldBy("kube-controller-manager", "cp-1"))(e)
		evidencetest.DropMachine(e, "cp-2")
		evidencetest.DropMachine(e, "cp-3")
	}},
}

func TestHolder(t *testing.T) {
	for identity, want := range map[string]string{"cp-1_5b6c": "cp-1", "cp-1": "cp-1", "my_host_5b6c": "my_host", "": ""} {
		if got := holder(identity); got != want {
			t.Errorf("holder(%q) = %q, want %q", identity, got, want)
		}
	}
}
