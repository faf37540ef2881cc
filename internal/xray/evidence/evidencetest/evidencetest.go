// Package evidencetest is evidence of clusters that never ran: healthy ones, for
// tests to break in one place and judge. Keys and certificates are real, issued for
// a fixed time.
package evidencetest

import (
	"fmt"
	"net/netip"
	"slices"
	"time"

	"github.com/haplane/haplane/internal/xray/evidence"
	"github.com/haplane/haplane/spec"
)

// At is when all evidence was collected.
var At = time.Date(2026, time.November, 22, 22, 31, 0, 0, time.UTC)

// Addresses and names of the clusters.
const (
	LoadBalancerAddress = "10.10.10.3"
	Endpoint            = LoadBalancerAddress + ":6443"
	ServiceIP           = "10.96.0.1"
	ServiceCIDR         = "10.96.0.0/12"
	KubernetesVersion   = "v1.37.2"
	EtcdVersion         = "3.7.1"
)

// A node is a machine of the fixture.
type node struct{ name, address string }

var (
	controlPlane = []node{{"cp-1", "10.10.10.11"}, {"cp-2", "10.10.10.12"}, {"cp-3", "10.10.10.13"}}
	worker       = node{"worker-1", "10.10.10.21"}
	balancer     = node{"lb-1", LoadBalancerAddress}
)

// A maker makes the evidence of one cluster.
type maker struct {
	identity spec.Identity
	kubeadm  bool
}

// Healthy is what machines and API show of a cluster that haplane made in an
// identity: control-plane nodes cp-1, cp-2 and cp-3 with an etcd member each,
// worker-1, and the load balancer lb-1. The caller owns it; only the certificates'
// contents are shared.
func Healthy(identity spec.Identity) *evidence.Evidence {
	m := maker{identity: identity}
	e := m.evidence()
	e.Machines = append(e.Machines, m.loadBalancer())
	return e
}

// Kubeadm is the same of a cluster that kubeadm made, with stacked etcd and a load
// balancer of which only its address is known.
func Kubeadm() *evidence.Evidence {
	return maker{identity: spec.PerNode, kubeadm: true}.evidence()
}

func (m maker) evidence() *evidence.Evidence {
	e := &evidence.Evidence{At: At, Ways: []evidence.Way{evidence.Machines, evidence.API}, Missing: []evidence.Missing{}}
	for i, n := range controlPlane {
		e.Machines = append(e.Machines, m.controlPlaneNode(i, n))
	}
	e.Machines = append(e.Machines, m.workerNode())
	e.API = m.api()
	e.Servers = m.servers()
	return e
}

func (m maker) machine(n node) *evidence.Machine {
	out := &evidence.Machine{
		Name: n.name, Hostname: n.name, Way: evidence.Machines,
		Addresses: []netip.Addr{netip.MustParseAddr(n.address)},
		Clock:     &evidence.Clock{Ahead: 2 * time.Millisecond, Uncertainty: 5 * time.Millisecond},
	}
	dropFiles(out)
	return out
}

// dropFiles leaves a machine without any.
func dropFiles(m *evidence.Machine) {
	m.Files, m.Certificates, m.Kubeconfigs = map[string]evidence.File{}, map[string][]evidence.Certificate{}, map[string]evidence.Kubeconfig{}
}

func (m maker) controlPlaneNode(index int, n node) *evidence.Machine {
	out := m.machine(n)
	m.controlPlaneFiles(out, n)
	m.nodeFiles(out, n)
	out.Programs = slices.Concat(m.controlPlanePrograms(n), m.nodePrograms(n))
	if m.identity == spec.Shared {
		out.Programs = append(out.Programs, m.agent(n))
	}
	number(out)
	out.Etcd = m.etcd(index)
	out.Listening = listening(":::6443", n.address+":2379", "127.0.0.1:2379", n.address+":2380", "127.0.0.1:2381",
		"127.0.0.1:10257", "127.0.0.1:10259", ":::10250", "127.0.0.1:10248", "127.0.0.1:10249", "127.0.0.1:10256")
	out.Requests = append(requests(), evidence.Request{Purpose: evidence.LocalAPIServer, URL: "https://127.0.0.1:6443/readyz",
		ServerName: "kubernetes.default", Status: 200, Took: 3 * time.Millisecond})
	if m.identity == spec.Shared {
		out.Listening = append(out.Listening, netip.MustParseAddrPort("127.0.0.1:10271"))
		out.Requests = append(out.Requests, evidence.Request{Purpose: evidence.AgentHealth, URL: "http://127.0.0.1:10271/healthz",
			Status: 200, Took: time.Millisecond})
	}
	return out
}

func (m maker) workerNode() *evidence.Machine {
	out := m.machine(worker)
	m.nodeFiles(out, worker)
	out.Programs = m.nodePrograms(worker)
	number(out)
	out.Listening = listening(":::10250", "127.0.0.1:10248", "127.0.0.1:10249", "127.0.0.1:10256")
	out.Requests = requests()
	return out
}

// requests are those that every node with a kubelet makes.
func requests() []evidence.Request {
	return []evidence.Request{
		{Purpose: evidence.ThroughLoadBalancer, URL: "https://" + Endpoint + "/readyz", Status: 200, Took: 4 * time.Millisecond},
		{Purpose: evidence.ThroughService, URL: "https://" + ServiceIP + ":443/readyz", Status: 200, Took: 4 * time.Millisecond},
	}
}

// number gives the programs of a machine their processes.
func number(m *evidence.Machine) {
	for i := range m.Programs {
		m.Programs[i].Where = fmt.Sprintf("pid %d", 231+10*i)
	}
}

// listening parses addresses with ports; those of all addresses begin with "::".
func listening(texts ...string) []netip.AddrPort {
	var out []netip.AddrPort
	for _, text := range texts {
		if port, all := cutAny(text); all {
			text = "[::]:" + port
		}
		out = append(out, netip.MustParseAddrPort(text))
	}
	return out
}
