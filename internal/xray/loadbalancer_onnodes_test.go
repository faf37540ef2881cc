package xray

import (
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/haplane/haplane/internal/xray/evidence"
	"github.com/haplane/haplane/internal/xray/evidence/evidencetest"
	"github.com/haplane/haplane/spec"
)

func onNodes(identity spec.Identity) func() *evidence.Evidence {
	return func() *evidence.Evidence { return evidencetest.OnControlPlane(identity) }
}

// onNode breaks the load balancer of cp-2.
func onNode(change func(*evidence.Machine)) func(*evidence.Evidence) {
	return func(e *evidence.Evidence) { change(evidencetest.Machine(e, "cp-2")) }
}

// wantsOnNodes is a cluster file by which control-plane nodes are the load balancers.
func wantsOnNodes() Expectation {
	c := &spec.Cluster{}
	c.Spec.LoadBalancer.Kind = spec.OnControlPlane
	spec.SetDefaults(c)
	return Expectation{Cluster: c}
}

// onNodesCases are about control-plane nodes that are the load balancers.
var onNodesCases = []checkCase{
	{check: "lb-single-point", name: "on control-plane nodes", of: onNodes(spec.Shared), status: Pass, says: "cp-1, cp-2, cp-3, the address moved by keepalived"},
	{check: "lb-listens", name: "at the address that moves, beside API servers at their own", of: onNodes(spec.PerNode), status: Pass, says: "10.10.10.3:6443"},
	{check: "lb-listens", name: "at no address of clients, beside API servers at their own", of: onNodes(spec.Shared), status: Fail, node: "cp-2", says: "it listens at 10.10.10.99:6443", change: onNode(func(m *evidence.Machine) {
		m.LoadBalancer.Frontends, m.Listening[len(m.Listening)-1] = []string{"10.10.10.99:6443"}, netip.MustParseAddrPort("10.10.10.99:6443")
	})},
	{check: "lb-backends", name: "on control-plane nodes", of: onNodes(spec.Shared), status: Pass, says: "cp-3 (10.10.10.13:6443)"},
	{check: "lb-backends", name: "one on control-plane nodes lacks one", of: onNodes(spec.Shared), status: Fail, node: "cp-2", says: "cp-3", change: onNode(func(m *evidence.Machine) { m.LoadBalancer.Backends = m.LoadBalancer.Backends[:2] })},
	{check: "lb-backends", name: "a control-plane node without, by the cluster file", of: onNodes(spec.Shared), expect: wantsOnNodes(), status: Fail, node: "cp-2", says: "none was found", change: onNode(func(m *evidence.Machine) {
		m.LoadBalancer, m.Keepalived = nil, nil
	})},
	{check: "lb-address-held", name: "by a control-plane node", of: onNodes(spec.Shared), status: Pass, says: "cp-1 has 10.10.10.3"},
	{check: "lb-address-held", name: "by two control-plane nodes", of: onNodes(spec.Shared), status: Fail, node: "cp-1,cp-2", says: "cp-1, cp-2 have it", change: onNode(func(m *evidence.Machine) {
		m.Addresses = append(m.Addresses, address("10.10.10.3"))
	})},
	{check: "lb-address-moves", name: "between control-plane nodes", of: onNodes(spec.Shared), status: Pass, says: "priority 100"},
	{check: "lb-address-moves", name: "a control-plane node that others do not hear", of: onNodes(spec.Shared), status: Fail, node: "cp-2", says: "virtual_router_id 4", change: onNode(func(m *evidence.Machine) { m.Keepalived.Instances[0].RouterID = 4 })},
	{check: "failures-tolerated", name: "load balancers on control-plane nodes", of: onNodes(spec.Shared), status: Pass, says: "3 load balancers serving: 2 may fail"},
	{check: "failures-tolerated", name: "haplane's load balancers on control-plane nodes, of which most have to agree", of: onNodes(spec.Shared), expect: wantsOnNodes(), status: Pass, says: "3 load balancers serving: 1 may fail"},
	{check: "failures-tolerated", name: "one of three load balancers on control-plane nodes has stopped", of: onNodes(spec.Shared), status: Fail, says: "2 of 3 load balancers serving: not cp-2; 1 may fail", change: onNode(func(m *evidence.Machine) {
		m.Program(evidence.HAProxy).Running = false
	})},
	{check: "lb-address-moves", name: "a control-plane node that takes the address without a load balancer", of: onNodes(spec.Shared), status: Fail, node: "cp-2", says: "no load balancer was seen there", change: func(e *evidence.Evidence) {
		evidencetest.DropProgram(e, "cp-2", evidence.HAProxy)
		m := evidencetest.Machine(e, "cp-2")
		m.LoadBalancer, m.Listening = nil, m.Listening[:len(m.Listening)-1]
	}},
}

// The picture has each of them twice: as a load balancer at the address that moves, and as an API server at its own.
func TestPictureOfLoadBalancersOnControlPlaneNodes(t *testing.T) {
	p := pictureOf(evidencetest.OnControlPlane(spec.Shared))
	endpoints := []string{"10.10.10.11:6443", "10.10.10.12:6443", "10.10.10.13:6443"}
	var want []PictureLoadBalancer
	for _, name := range everyServer {
		want = append(want, PictureLoadBalancer{Node: name, Kind: "haproxy", Frontends: []string{"10.10.10.3:6443"}, Backends: endpoints})
	}
	if diff := cmp.Diff(want, p.LoadBalancers); diff != "" {
		t.Errorf("load balancers (-want +got):\n%s", diff)
	}
	if len(p.APIServers) != 3 || p.Endpoint != "10.10.10.3:6443" {
		t.Errorf("%+v", p)
	}
	servers := map[string]string{"cp-1": "https://10.10.10.11:6443", "cp-2": "https://10.10.10.12:6443", "cp-3": "https://10.10.10.13:6443", "worker-1": "https://10.10.10.3:6443"}
	for _, n := range p.Nodes {
		if n.Server != servers[n.Name] {
			t.Errorf("the kubelet of %s asks %s, want %s", n.Name, n.Server, servers[n.Name])
		}
	}
}
