package xrayhtmltest

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/haplane/haplane/internal/xray/evidence"
	"github.com/haplane/haplane/internal/xray/evidence/evidencetest"
	"github.com/haplane/haplane/spec"
)

// five has five control-plane nodes, the last of which died.
func five() *evidence.Evidence {
	e := evidencetest.Healthy(spec.PerNode)
	for n := 4; n <= 5; n++ {
		name, address := fmt.Sprintf("cp-%d", n), netip.AddrFrom4([4]byte{10, 10, 10, byte(10 + n)})
		grow(e, name, address)
	}
	for _, m := range e.Machines {
		if m.Etcd == nil {
			continue
		}
		for n := 4; n <= 5; n++ {
			name := fmt.Sprintf("cp-%d", n)
			m.Etcd.Members = append(m.Etcd.Members, evidence.EtcdMember{ID: name, Name: name,
				ClientURLs: []string{"https://" + evidencetest.Machine(e, name).Addresses[0].String() + ":2379"}})
		}
	}
	evidencetest.Fail(e, "cp-5")
	return e
}

// grow adds a control-plane node that is like cp-3.
func grow(e *evidence.Evidence, name string, address netip.Addr) {
	like := evidencetest.Machine(e, "cp-3")
	m := *like
	m.Name, m.Hostname, m.Addresses = name, name, []netip.Addr{address, netip.MustParseAddr("2001:db8::" + name[3:])}
	etcd := *like.Etcd
	etcd.ID, m.Etcd = name, &etcd
	m.Programs = append([]evidence.Program{}, like.Programs...)
	for i := range m.Programs {
		m.Programs[i].Argv, m.Programs[i].Unit = slices.Clone(m.Programs[i].Argv), nil
		evidencetest.SetFlag(&m.Programs[i], "advertise-address", address.String())
	}
	e.Machines = append(e.Machines, &m)
	s := *evidencetest.Server(e, "cp-3")
	s.Node, s.Address = name, address.String()+":6443"
	e.Servers = append(e.Servers, s)
	lb := evidencetest.Machine(e, "lb-1").LoadBalancer
	b := evidence.Backend{Name: name, Address: s.Address, Checked: true}
	lb.Backends = append(lb.Backends, b)
	b.Status = "UP"
	lb.State = append(lb.State, b)
	node := evidencetest.Node(e, "cp-3").DeepCopy()
	node.Name = name
	e.API.Nodes = append(e.API.Nodes, *node)
	e.API.Endpoints.Subsets[0].Addresses = append(e.API.Endpoints.Subsets[0].Addresses, corev1.EndpointAddress{IP: address.String()})
}

// twoBalancers do not have the same backends.
func twoBalancers() *evidence.Evidence {
	e := evidencetest.Healthy(spec.Shared)
	m := *evidencetest.Machine(e, "lb-1")
	m.Name, m.Hostname, m.Addresses = "lb-2", "lb-2", []netip.Addr{netip.MustParseAddr("10.10.10.4")}
	lb := *m.LoadBalancer
	lb.Backends, lb.State = lb.Backends[:2], lb.State[:2]
	m.LoadBalancer = &lb
	e.Machines = append(e.Machines, &m)
	return e
}

// single is one control-plane node without a load balancer.
func single() *evidence.Evidence {
	e := evidencetest.Kubeadm()
	for _, name := range []string{"cp-2", "cp-3", "worker-1"} {
		evidencetest.DropMachine(e, name)
	}
	e.Servers, e.API.Nodes = e.Servers[1:2], e.API.Nodes[:1]
	e.API.Server = "https://10.10.10.11:6443"
	for path := range evidencetest.Machine(e, "cp-1").Kubeconfigs {
		evidencetest.SetServer(e, "cp-1", path, "https://10.10.10.11:6443")
	}
	etcd := evidencetest.Machine(e, "cp-1").Etcd
	etcd.Members = etcd.Members[:1]
	e.API.Endpoints, e.API.Slices = evidencetest.Endpoints(6443, "10.10.10.11")
	return e
}

// manyWorkers has more than are drawn one by one, some of them not ready.
func manyWorkers() *evidence.Evidence {
	e := evidencetest.Healthy(spec.Shared)
	for i := range 40 {
		n := evidencetest.Node(e, "worker-1").DeepCopy()
		n.Name = fmt.Sprintf("worker-%d", i+2)
		if i%9 == 0 {
			n.Status.Conditions[0].Status = "Unknown"
		}
		e.API.Nodes = append(e.API.Nodes, *n)
	}
	return e
}

// Markup is what must not become part of the page.
const Markup = `<script>alert(1)</script><img src=x onerror=alert(2)>"'&{{.}}`

// hostile has markup, scripts of both directions and endless words where machines
// and the API may put them.
func hostile() *evidence.Evidence {
	e := evidencetest.Healthy(spec.SharedCertificate)
	long := strings.Repeat("endless-name-", 20)
	cp1, cp2, lb := evidencetest.Machine(e, "cp-1"), evidencetest.Machine(e, "cp-2"), evidencetest.Machine(e, "lb-1")
	cp1.Name, cp2.Name = Markup, "\u202eسيرفر "+long
	lb.LoadBalancer.Kind, lb.LoadBalancer.Frontends = Markup, []string{long, Markup}
	cp1.Etcd.Members[1].Name = "</svg></style>" + Markup
	cp1.Etcd.Version = "3.7.1\x00\x1b[31m\n" + Markup
	evidencetest.SetFlag(cp1.Program(evidence.APIServer), "advertise-address", "javascript:alert(3)"+Markup)
	evidencetest.SetServer(e, "worker-1", evidencetest.KubeletConf, "https://evil.example/"+Markup)
	e.Machine("worker-1").Name = "漢字漢字漢字漢字漢字漢字漢字漢字漢字"
	e.Missing = append(e.Missing, evidence.Missing{Way: evidence.Machines, Node: "at-\u2029" + long, Source: Markup, Err: Markup + long, Fix: "javascript:alert(4)"})
	e.API.Endpoints.Subsets[0].Addresses[0].IP = Markup
	return e
}
