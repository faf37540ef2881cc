package xray

import (
	"slices"
	"strings"
	"testing"

	"github.com/haplane/haplane/internal/xray/evidence"
	"github.com/haplane/haplane/internal/xray/evidence/evidencetest"
	"github.com/haplane/haplane/spec"
)

func nodeLocal(identity spec.Identity) func() *evidence.Evidence {
	return func() *evidence.Evidence { return evidencetest.NodeLocal(identity) }
}

// wantsNodeLocal is a cluster file by which workers have load balancers of their own.
func wantsNodeLocal() Expectation {
	c := spec.Default("demo")
	c.Spec.LoadBalancer.NodeLocal = true
	return Expectation{Cluster: c}
}

func onWorker(change func(*evidence.Machine)) func(*evidence.Evidence) {
	return func(e *evidence.Evidence) { change(evidencetest.Machine(e, "worker-1")) }
}

// nodeLocalCases are about workers with load balancers of their own.
var nodeLocalCases = []checkCase{
	{check: "lb-single-point", name: "workers have their own", of: nodeLocal(spec.Shared), status: Warn, node: "lb-1",
		says: "lb-1 alone: without it nobody reaches the API but worker-1 and the pods there, by load balancers of their own"},
	{check: "lb-listens", name: "a worker's own", of: nodeLocal(spec.PerNode), expect: wantsNodeLocal(), status: Pass,
		says: "what worker-1 and its pods send to 10.10.10.3:6443 is led to 10.10.10.21:7445"},
	{check: "lb-listens", name: "a worker's own to which nothing leads", of: nodeLocal(spec.Shared), expect: wantsNodeLocal(), status: Fail, node: "worker-1",
		says: "no rule leads to 10.10.10.21:7445", change: onWorker(func(m *evidence.Machine) { m.Led = nil })},
	{check: "lb-backends", name: "a worker's own lacks one", of: nodeLocal(spec.Shared), status: Fail, node: "worker-1", says: "cp-3",
		change: onWorker(func(m *evidence.Machine) { m.LoadBalancer.Backends = m.LoadBalancer.Backends[:2] })},
	{check: "lb-backends", name: "a worker without its own, by the cluster file", of: nodeLocal(spec.Shared), expect: wantsNodeLocal(), status: Fail, node: "worker-1",
		says: "none was found", change: func(e *evidence.Evidence) {
			evidencetest.DropProgram(e, "worker-1", evidence.HAProxy)
			evidencetest.Machine(e, "worker-1").LoadBalancer = nil
		}},
	// An API server that only a worker's own does not know is in reach of all others.
	{check: "failures-tolerated", name: "a worker's own lacks one", of: nodeLocal(spec.Shared), status: Skip, says: "lb-1, the only load balancer, is a single point of failure",
		change: onWorker(func(m *evidence.Machine) {
			m.LoadBalancer.Backends, m.LoadBalancer.State = m.LoadBalancer.Backends[:2], m.LoadBalancer.State[:2]
		})},
}

// The verdict says who does without the load balancer, and counts no second one for the others.
func TestVerdictOfWorkersWithLoadBalancersOfTheirOwn(t *testing.T) {
	for _, identity := range []spec.Identity{spec.Shared, spec.PerNode, spec.SharedCertificate} {
		expects := []Expectation{{}}
		if identity == spec.Shared {
			expects = append(expects, wantsNodeLocal())
		}
		for _, expect := range expects {
			r := Evaluate(evidencetest.NodeLocal(identity), Options{Expectation: expect})
			const want = "lb-1, the only load balancer, is a single point of failure; worker-1 and the pods there have load balancers of their own"
			if !strings.Contains(r.Verdict.Summary, want) || !slices.Equal(r.Verdict.SinglePoints, []string{"lb-1"}) {
				t.Errorf("%s: %s, %v", identity, r.Verdict.Summary, r.Verdict.SinglePoints)
			}
			for _, f := range r.Findings {
				if f.Node == "worker-1" && (f.Status == Fail || f.Status == Warn || f.Status == Error) {
					t.Error(show([]Finding{f}))
				}
			}
		}
	}
}

// One that has stopped, or to which nothing leads, spares nobody.
func TestVerdictOfAWorkerWhoseLoadBalancerServesNobody(t *testing.T) {
	for name, change := range map[string]func(*evidence.Machine){
		"stopped": func(m *evidence.Machine) { m.Program(evidence.HAProxy).Running = false },
		"not led": func(m *evidence.Machine) { m.Led = nil },
	} {
		e := evidencetest.NodeLocal(spec.Shared)
		change(evidencetest.Machine(e, "worker-1"))
		if v := Evaluate(e, Options{Expectation: wantsNodeLocal()}).Verdict; strings.Contains(v.Summary, "worker-1") || !strings.Contains(v.Summary, "lb-1, the only load balancer") {
			t.Errorf("%s: %s", name, v.Summary)
		}
	}
}

// Where it is the load balancer that does not answer, workers that do are no sign of it.
func TestVerdictWhereOnlyWorkersGetThrough(t *testing.T) {
	e := evidencetest.NodeLocal(spec.Shared)
	for _, m := range e.Machines {
		for i, r := range m.Requests {
			if r.Purpose == evidence.ThroughLoadBalancer && m.Name != "worker-1" {
				m.Requests[i].Status, m.Requests[i].Err = 0, "connection refused"
			}
		}
	}
	evidencetest.Server(e, "").Err = "connection refused"
	if v := Evaluate(e, Options{}).Verdict; !strings.Contains(v.Summary, "the API is not served: nobody answers at 10.10.10.3:6443") {
		t.Error(v.Summary)
	}
}

func TestPictureOfWorkersWithLoadBalancersOfTheirOwn(t *testing.T) {
	var got []string
	for _, lb := range pictureOf(evidencetest.NodeLocal(spec.Shared)).LoadBalancers {
		got = append(got, lb.Node+map[bool]string{true: " for itself"}[lb.Local])
	}
	if !slices.Equal(got, []string{"lb-1", "worker-1 for itself"}) && !slices.Equal(got, []string{"worker-1 for itself", "lb-1"}) {
		t.Errorf("%q", got)
	}
}
