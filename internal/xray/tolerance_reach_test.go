package xray

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/haplane/haplane/internal/xray/evidence"
	"github.com/haplane/haplane/internal/xray/evidence/evidencetest"
	"github.com/haplane/haplane/spec"
)

// says changes what lb-1 says of a server.
func says(index int, status, detail string) func(*evidence.LoadBalancer) {
	return func(lb *evidence.LoadBalancer) { lb.State[index].Status, lb.State[index].Detail = status, detail }
}

// listenOnLoopback has the API server of a node listen there alone.
func listenOnLoopback(node string) func(*evidence.Evidence) {
	return func(e *evidence.Evidence) {
		m := evidencetest.Machine(e, node)
		evidencetest.SetFlag(m.Program(server), "bind-address", "127.0.0.1")
		for i, l := range m.Listening {
			if l.Port() == 6443 {
				m.Listening[i] = netip.MustParseAddrPort("127.0.0.1:6443")
			}
		}
		*evidencetest.Server(e, node) = evidence.Server{Node: node, Address: "10.10.10.12:6443", Err: "connection refused"}
	}
}

// unasked is a load balancer whose state is not known.
func unasked(change func(*evidence.LoadBalancer)) func(*evidence.Evidence) {
	return withLB(func(lb *evidence.LoadBalancer) {
		lb.State = nil
		change(lb)
	})
}

func nothing(*evidence.LoadBalancer) {}

// What clients can reach is what tolerates a failure.
func TestAPIServersThatClientsDoNotReach(t *testing.T) {
	for _, c := range []struct {
		name   string
		of     func() *evidence.Evidence
		change func(*evidence.Evidence)
		why    string // of cp-2; "" where it counts
	}{
		{"healthy", nil, nil, ""},
		{"nothing was asked", nil, unasked(nothing), ""},
		{"the load balancer cannot reach it", nil, withLB(says(1, "DOWN", "L4TOUT")), "lb-1 has it DOWN (L4TOUT)"},
		{"one check was late", nil, withLB(func(lb *evidence.LoadBalancer) { says(1, "DOWN", "L4TOUT")(lb); lb.State[1].Just = true }), ""},
		{"drained", nil, withLB(says(1, "MAINT", "")), "lb-1 has it MAINT"},
		{"no check, and so always up", nil, withLB(says(1, "no check", "")), ""},
		{"by name, for HAProxy tells no addresses", nil, withLB(func(lb *evidence.LoadBalancer) {
			for i := range lb.State {
				lb.State[i].Address = ""
			}
			says(1, "DOWN", "")(lb)
		}), "lb-1 has it DOWN"},
		{"it lacks it", nil, unasked(func(lb *evidence.LoadBalancer) { lb.Backends = lb.Backends[:1] }), "lb-1 does not have it"},
		{"it does not have it yet", nil, withLB(func(lb *evidence.LoadBalancer) { lb.State = lb.State[:1]; lb.Backends = lb.Backends[:1] }), "lb-1 does not have it"},
		{"under a wrong port", nil, unasked(func(lb *evidence.LoadBalancer) { lb.Backends[1].Address = "10.10.10.12:6444" }), "lb-1 has it under port 6444, and it listens on 6443"},
		{"without a port", nil, unasked(func(lb *evidence.LoadBalancer) {
			lb.Backends = append(lb.Backends[:1], evidence.Backend{Address: "10.10.10.12:"})
		}), ""},
		{"disabled", nil, unasked(func(lb *evidence.LoadBalancer) { lb.Backends[1].Status = "MAINT" }), "lb-1 does not have it"},
		{"under a name that may be anybody's", nil, unasked(func(lb *evidence.LoadBalancer) {
			lb.Backends = []evidence.Backend{{Name: "api", Address: "api.example.org:6443"}}
		}), ""},
		{"on loopback", nil, changes(listenOnLoopback("cp-2"), withLB(says(1, "DOWN", "L4CON"))), "lb-1 has it DOWN (L4CON)"},
		{"on loopback, nothing was asked", nil, changes(listenOnLoopback("cp-2"), unasked(nothing)), "it listens on 127.0.0.1 only"},
		{"on loopback, behind somebody else's load balancer", evidencetest.Kubeadm, listenOnLoopback("cp-2"), "it listens on 127.0.0.1 only"},
		{"on loopback, by its pod", apiOnlyKubeadm, func(e *evidence.Evidence) {
			p := e.Machine("cp-2").Program(server)
			p.Argv = append(p.Argv, "--bind-address=127.0.0.1")
		}, "it listens on 127.0.0.1 only"},
		{"on loopback, beside a load balancer of its own", evidencetest.Kubeadm, changes(listenOnLoopback("cp-2"), func(e *evidence.Evidence) {
			evidencetest.Machine(e, "cp-2").LoadBalancer = &evidence.LoadBalancer{Kind: evidence.HAProxy, Backends: []evidence.Backend{{Name: "own", Address: "127.0.0.1:6443"}}}
		}), ""},
		{"one of two load balancers lacks it", nil, changes(secondLB("keepalived"), func(e *evidence.Evidence) {
			lb := *evidencetest.Machine(e, "lb-2").LoadBalancer
			lb.State, lb.Backends = nil, lb.Backends[:1]
			evidencetest.Machine(e, "lb-2").LoadBalancer = &lb
		}), "lb-2 does not have it"},
		{"a load balancer that has stopped lacks it", nil, changes(secondLB("keepalived"), func(e *evidence.Evidence) {
			lb := *evidencetest.Machine(e, "lb-2").LoadBalancer
			lb.State, lb.Backends = nil, lb.Backends[:1]
			evidencetest.Machine(e, "lb-2").LoadBalancer = &lb
			evidencetest.Program(e, "lb-2", evidence.HAProxy).Running = false
		}), ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			if c.of == nil {
				c.of = healthy(spec.Shared)
			}
			e := c.of()
			if c.change != nil {
				c.change(e)
			}
			s := NewScene(e, Expectation{})
			state, why := s.counts("cp-2", nil)
			if why != c.why || (state == serves) != (why == "") {
				t.Errorf("standing %d because of %q, want %q", state, why, c.why)
			}
			for _, other := range []string{"cp-1"} {
				if _, why := s.counts(other, nil); why != "" {
					t.Errorf("%s: %s", other, why)
				}
			}
			summary := Evaluate(e, Options{}).Verdict.Summary
			if strings.Contains(summary, "; not counted is cp-2: "+c.why) != (c.why != "") {
				t.Errorf("the verdict: %s", summary)
			}
		})
	}
}
