package xray

import (
	"slices"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/haplane/haplane/internal/xray/evidence"
	"github.com/haplane/haplane/internal/xray/evidence/evidencetest"
	"github.com/haplane/haplane/spec"
)

// apiServer changes the API server of cp-2.
func cp2APIServer(change func(*evidence.Program)) func(*evidence.Evidence) {
	return func(e *evidence.Evidence) { change(evidencetest.Program(e, "cp-2", evidence.APIServer)) }
}

func cp2Flag(program, name, value string) func(*evidence.Evidence) {
	return func(e *evidence.Evidence) {
		evidencetest.SetFlag(evidencetest.Program(e, "cp-2", program), name, value)
	}
}

func cp2NoFlag(program, name string) func(*evidence.Evidence) {
	return func(e *evidence.Evidence) { evidencetest.DropFlag(evidencetest.Program(e, "cp-2", program), name) }
}

var terminationCases = slices.Concat(stopCases, skewCases, clockCases, gateCases)

var stopCases = []checkCase{
	{check: "graceful-shutdown", name: "healthy", status: Pass, says: "delay 5s, then up to 1m0s for requests and 5s for watches, late ones go elsewhere; killed after 1m30s"},
	{check: "graceful-shutdown", name: "files alone", of: folderShared, status: Pass},
	{check: "graceful-shutdown", name: "units through the API", of: apiOnlyShared, status: Skip, says: "nothing that it judges was found"},
	{check: "graceful-shutdown", name: "k0s", of: evidencetest.K0s, status: Warn, node: "cp-1,cp-2,cp-3", says: "killed after 5s"},
	{check: "graceful-shutdown", name: "k0s does not wait for the delay", of: evidencetest.K0s, status: Fail, node: "cp-2", says: "killed after 5s, within the 10s",
		change: setFlag("cp-2", server, "shutdown-delay-duration", "10s")},
	{check: "graceful-shutdown", name: "kubeadm", of: evidencetest.Kubeadm, status: Warn, node: "cp-1,cp-2,cp-3", says: "stops listening at once"},
	{check: "graceful-shutdown", name: "pods through the API", of: apiOnlyKubeadm, status: Warn, node: "cp-1,cp-2,cp-3", says: "killed after 30s"},
	{check: "graceful-shutdown", name: "no delay", status: Warn, node: "cp-2", says: "none (the default)", change: cp2NoFlag(evidence.APIServer, "shutdown-delay-duration")},
	{check: "graceful-shutdown", name: "a delay that the load balancer misses", status: Fail, node: "cp-2", says: "above 600ms, in which lb-1 notices", change: cp2Flag(evidence.APIServer, "shutdown-delay-duration", "600ms")},
	{check: "graceful-shutdown", name: "a delay that it just notices", status: Pass, change: cp2Flag(evidence.APIServer, "shutdown-delay-duration", "601ms")},
	{check: "graceful-shutdown", name: "no 429", status: Warn, node: "cp-1,cp-2,cp-3", says: "late ones are refused", change: func(e *evidence.Evidence) { evidencetest.Machine(e, "lb-1").LoadBalancer.Redispatch = false }},
	{check: "graceful-shutdown", name: "429 by another word", status: Pass, change: cp2Flag(evidence.APIServer, "shutdown-send-retry-after", "1")},
	{check: "graceful-shutdown", name: "no grace for watches", status: Warn, node: "cp-2", says: "all watches end", change: cp2NoFlag(evidence.APIServer, "shutdown-watch-termination-grace-period")},
	{check: "graceful-shutdown", name: "killed within its delay", status: Fail, node: "cp-2", says: "killed after 4s, within the 10s", change: cp2APIServer(func(p *evidence.Program) { p.StopTimeout = 4 * time.Second })},
	{check: "graceful-shutdown", name: "killed while requests may run", status: Warn, node: "cp-2", says: "1m5s", change: cp2APIServer(func(p *evidence.Program) { p.StopTimeout = 64 * time.Second })},
	{check: "graceful-shutdown", name: "just enough time", status: Pass, change: cp2APIServer(func(p *evidence.Program) { p.StopTimeout = 65 * time.Second })},
	{check: "graceful-shutdown", name: "shorter requests", status: Pass, change: func(e *evidence.Evidence) {
		cp2Flag(evidence.APIServer, "request-timeout", "10s")(e)
		cp2APIServer(func(p *evidence.Program) { p.StopTimeout = 15 * time.Second })(e)
	}},
	{check: "graceful-shutdown", name: "when it is killed is not known", status: Pass, change: cp2APIServer(func(p *evidence.Program) { p.StopTimeout = 0 })},
	{check: "graceful-shutdown", name: "a duration that is none", status: Error, node: "cp-2", says: "--request-timeout=60 is not a duration", change: cp2Flag(evidence.APIServer, "request-timeout", "60")},
}

// Without 429 the HTTP server closes at the end of the delay: nothing is waited for
// after the last request.
func TestStopTimeOfDefaults(t *testing.T) {
	e := evidencetest.Kubeadm()
	a := evidencetest.Program(e, "cp-1", evidence.APIServer)
	for timeout, want := range map[time.Duration]int{time.Minute: 0, 59 * time.Second: 1} {
		a.StopTimeout = timeout
		i := Instance{a, evidencetest.Machine(e, "cp-1")}
		s, err := stopOf(i)
		if err != nil {
			t.Fatal(err)
		}
		if got := stopTime(i, s); len(got) != want {
			t.Errorf("%s: %d findings, want %d\n%s", timeout, len(got), want, show(got))
		}
	}
}

// upgrade gives a program of nodes another version, and what serves there.
func upgrade(program, version string, nodes ...string) func(*evidence.Evidence) {
	return func(e *evidence.Evidence) {
		for _, node := range nodes {
			evidencetest.Program(e, node, program).Version = version
			if program == evidence.APIServer {
				evidencetest.Server(e, node).Version = version
			}
			if program == evidence.Kubelet {
				evidencetest.Node(e, node).Status.NodeInfo.KubeletVersion = version
			}
		}
	}
}

func changes(all ...func(*evidence.Evidence)) func(*evidence.Evidence) {
	return func(e *evidence.Evidence) {
		for _, change := range all {
			change(e)
		}
	}
}

var skewCases = []checkCase{
	{check: "version-skew", name: "healthy", status: Pass, says: "3 API servers: v1.37.2"},
	{check: "version-skew", name: "through the API alone", of: apiOnlyShared, status: Pass, says: "kubelet: v1.37.2"},
	{check: "version-skew", name: "files alone", of: folderShared, status: Skip, says: "machines over SSH"},
	{check: "version-skew", name: "another patch", status: Warn, node: "cp-2", says: "v1.37.2, as on cp-1 | v1.37.3", change: upgrade(evidence.APIServer, "v1.37.3", "cp-2")},
	{check: "version-skew", name: "an upgrade that has begun", status: Warn, node: "cp-1", says: "upgrade under way", change: changes(
		upgrade(evidence.APIServer, "v1.38.0", "cp-1"), upgrade(evidence.ControllerManager, "v1.38.0", "cp-1"), upgrade(evidence.Scheduler, "v1.38.0", "cp-1"))},
	{check: "version-skew", name: "an upgrade that lacks one", status: Warn, node: "cp-3", change: upgrade(evidence.APIServer, "v1.38.0", "cp-1", "cp-2")},
	{check: "version-skew", name: "two of each: the older ones are left", status: Warn, node: "cp-1", change: changes(leaveNodes("cp-1", "cp-2"), upgrade(evidence.APIServer, "v1.38.0", "cp-2"))},
	{check: "version-skew", name: "two minor versions apart", status: Fail, node: "cp-2", says: "more than one minor version", change: upgrade(evidence.APIServer, "v1.39.0", "cp-2")},
	{check: "version-skew", name: "one older and one newer", status: Fail, node: "cp-1", says: "more than one minor version", change: changes(
		upgrade(evidence.APIServer, "v1.36.0", "cp-1"), upgrade(evidence.APIServer, "v1.38.0", "cp-2"), upgrade(evidence.ControllerManager, "v1.36.0", "cp-1"), upgrade(evidence.Scheduler, "v1.36.0", "cp-1"),
		upgrade(evidence.Kubelet, "v1.36.0", "cp-1", "cp-2", "cp-3", "worker-1"), upgrade(evidence.KubeProxy, "v1.36.0", "cp-1", "cp-2", "cp-3", "worker-1"))},
	{check: "version-skew", name: "another major version", status: Fail, node: "cp-2", change: upgrade(evidence.APIServer, "v2.37.2", "cp-2")},
	{check: "version-skew", name: "a controller manager before its API server", status: Fail, node: "cp-2", says: "not newer than any API server that it talks to (v1.37.2)", change: upgrade(evidence.ControllerManager, "v1.38.0", "cp-2")},
	{check: "version-skew", name: "a scheduler one behind", status: Pass, says: "v1.36.9", change: upgrade(evidence.Scheduler, "v1.36.9", "cp-2")},
	{check: "version-skew", name: "a scheduler two behind", status: Fail, node: "cp-2", says: "at most 1 minor version older", change: upgrade(evidence.Scheduler, "v1.35.0", "cp-2")},
	{check: "version-skew", name: "a kubelet that is newer", status: Fail, node: "worker-1", says: "kubelet not newer", change: upgrade(evidence.Kubelet, "v1.38.0", "worker-1")},
	{check: "version-skew", name: "a kubelet newer than one API server", status: Fail, node: "cp-1", says: "(v1.37.2)", change: changes(
		upgrade(evidence.APIServer, "v1.38.0", "cp-1"), upgrade(evidence.Kubelet, "v1.38.0", "cp-1"))},
	{check: "version-skew", name: "a kubelet that uses the API server beside it", of: evidencetest.Kubeadm, status: Warn, node: "cp-2", change: changes(
		upgrade(evidence.APIServer, "v1.38.0", "cp-2"), upgrade(evidence.Kubelet, "v1.38.0", "cp-2"))},
	{check: "version-skew", name: "a kubelet three behind", status: Pass, says: "v1.34.0, v1.37.2", change: upgrade(evidence.Kubelet, "v1.34.0", "worker-1")},
	{check: "version-skew", name: "a kubelet four behind", status: Fail, node: "worker-1", says: "at most 3 minor versions older", change: upgrade(evidence.Kubelet, "v1.33.0", "worker-1")},
	{check: "version-skew", name: "a kubelet four behind, by the API", of: apiOnlyShared, status: Fail, node: "worker-1", change: withNode("worker-1", func(n *corev1.Node) { n.Status.NodeInfo.KubeletVersion = "v1.33.0" })},
	{check: "version-skew", name: "a kube-proxy four behind", status: Fail, node: "worker-1", says: "kube-proxy", change: upgrade(evidence.KubeProxy, "v1.33.0", "worker-1")},
	{check: "version-skew", name: "a version that is none", status: Pass, change: upgrade(evidence.Scheduler, "devel", "cp-2")},
}

// clocks are how far machines are ahead of the host that looks.
func clocks(ahead map[string]time.Duration) func(*evidence.Evidence) {
	return func(e *evidence.Evidence) {
		for name, d := range ahead {
			evidencetest.Machine(e, name).Clock.Ahead = d
		}
	}
}

func everywhere(d time.Duration) map[string]time.Duration {
	return map[string]time.Duration{"cp-1": d, "cp-2": d, "cp-3": d, "worker-1": d, "lb-1": d}
}

var clockCases = []checkCase{
	{check: "clock-skew", name: "healthy", status: Pass, says: "0s ahead of the others (to 5ms)"},
	{check: "clock-skew", name: "files alone", of: folderShared, status: Skip, says: "machines over SSH"},
	{check: "clock-skew", name: "the API alone", of: apiOnlyShared, status: Skip, says: "only over SSH"},
	{check: "clock-skew", name: "90 s ahead", status: Fail, node: "cp-2", says: "1m29.998s ahead of", change: clocks(map[string]time.Duration{"cp-2": 90 * time.Second})},
	{check: "clock-skew", name: "90 s behind", status: Fail, node: "cp-2", says: "1m30.002s behind the others", change: clocks(map[string]time.Duration{"cp-2": -90 * time.Second})},
	{check: "clock-skew", name: "3 s ahead", status: Warn, node: "worker-1", says: "2.998s ahead", change: clocks(map[string]time.Duration{"worker-1": 3 * time.Second})},
	{check: "clock-skew", name: "as much as asking took", status: Pass, change: func(e *evidence.Evidence) {
		*evidencetest.Machine(e, "cp-1").Clock = evidence.Clock{Ahead: 3 * time.Second, Uncertainty: 2 * time.Second}
	}},
	{check: "clock-skew", name: "the host that looks is wrong", status: Pass, change: clocks(everywhere(-time.Hour))},
	{check: "clock-skew", name: "of two, the host that looks decides", status: Fail, node: "cp-1", change: func(e *evidence.Evidence) {
		e.Machines = e.Machines[:2]
		clocks(map[string]time.Duration{"cp-1": time.Hour, "cp-2": 0})(e)
	}},
	{check: "clock-skew", name: "the API's clock", of: apiOnlyShared, status: Warn, says: "5s behind the host that looks", change: func(e *evidence.Evidence) { e.API.Ahead = -5 * time.Second }},
	{check: "clock-skew", name: "one died", status: Pass, change: func(e *evidence.Evidence) { evidencetest.Fail(e, "cp-3") }},
}

var gateCases = []checkCase{
	{check: "feature-gates-equal", name: "healthy", status: Pass, says: "kube-controller-manager: the same on cp-1, cp-2, cp-3"},
	{check: "feature-gates-equal", name: "files alone", of: folderShared, status: Pass},
	{check: "feature-gates-equal", name: "pods through the API", of: apiOnlyKubeadm, status: Pass},
	{check: "feature-gates-equal", name: "units through the API", of: apiOnlyShared, status: Skip},
	{check: "feature-gates-equal", name: "a scheduler with one more", status: Fail, node: "cp-2", says: "kube-scheduler: none set, as on cp-1 | OpportunisticBatching=false", change: cp2Flag(evidence.Scheduler, "feature-gates", "OpportunisticBatching=false")},
	{check: "feature-gates-equal", name: "an API server with the opposite", status: Fail, node: "cp-2", change: cp2Flag(evidence.APIServer, "feature-gates", "UnknownVersionInteroperabilityProxy=true")},
	{check: "feature-gates-equal", name: "an API server without", status: Fail, node: "cp-2", says: "none set", change: cp2NoFlag(evidence.APIServer, "feature-gates")},
	{check: "feature-gates-equal", name: "the same in another order and another way", status: Pass, change: func(e *evidence.Evidence) {
		evidencetest.SetFlagEverywhere(e, evidence.APIServer, "feature-gates", "A=true,B=false")
		cp2APIServer(func(p *evidence.Program) {
			evidencetest.DropFlag(p, "feature-gates")
			p.Argv = append(p.Argv, "--feature-gates", "kube:B=False", "--feature-gates=A=1")
		})(e)
	}},
	{check: "feature-gates-equal", name: "a kubelet's configuration", status: Warn, node: "worker-1", says: "A=true", change: func(e *evidence.Evidence) {
		evidencetest.Program(e, "worker-1", evidence.Kubelet).Config["featureGates"] = map[string]any{"A": true}
	}},
	{check: "feature-gates-equal", name: "a kubelet's flag goes before its configuration", status: Pass, change: func(e *evidence.Evidence) {
		evidencetest.SetFlagEverywhere(e, evidence.Kubelet, "feature-gates", "A=false")
		evidencetest.Program(e, "worker-1", evidence.Kubelet).Config["featureGates"] = map[string]any{"A": true}
	}},
	{check: "feature-gates-equal", name: "etcd", status: Warn, node: "cp-2", says: "etcd", change: cp2Flag(evidence.EtcdServer, "feature-gates", "InitialCorruptCheck=true")},
	{check: "feature-gates-equal", name: "one control-plane node", status: Pass, says: "kubelet", change: leaveNodes("cp-1")},
}

// Who talks to the API server beside it may be newer than the others.
func TestAPIServersMet(t *testing.T) {
	tests := []struct {
		name          string
		of            func() *evidence.Evidence
		node, program string
		want          int
	}{
		{"a controller manager's kubeconfig leads to 127.0.0.1", healthy(spec.Shared), "cp-1", evidence.ControllerManager, 1},
		{"kubeadm's leads to the node's own address", evidencetest.Kubeadm, "cp-2", evidence.Scheduler, 1},
		{"kubeconfigs do not show through the API", apiOnlyKubeadm, "cp-2", evidence.Scheduler, 1},
		{"a kubelet's leads to the load balancer", healthy(spec.Shared), "cp-1", evidence.Kubelet, 3},
		{"a worker has none beside it", healthy(spec.Shared), "worker-1", evidence.Kubelet, 3},
		{"a node that is no machine", healthy(spec.Shared), "worker-9", evidence.Kubelet, 3},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			e := test.of()
			for _, m := range e.Machines {
				if a := m.Program(evidence.APIServer); a != nil {
					a.Version = evidencetest.KubernetesVersion
				}
			}
			s := NewScene(e, Expectation{})
			if got := s.met(test.node, test.program, s.apiServerVersions()); len(got) != test.want || test.want == 1 && got[0].at.node != test.node {
				t.Errorf("%v, want %d", got, test.want)
			}
		})
	}
}
