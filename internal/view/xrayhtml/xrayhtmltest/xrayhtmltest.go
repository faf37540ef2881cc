// Package xrayhtmltest has reports of clusters that never ran, of all the shapes
// that the page has to show.
package xrayhtmltest

import (
	"fmt"
	"net/netip"
	"slices"

	"github.com/haplane/haplane/internal/xray"
	"github.com/haplane/haplane/internal/xray/evidence"
	"github.com/haplane/haplane/internal/xray/evidence/evidencetest"
	"github.com/haplane/haplane/spec"
)

// A Case is a report with a name.
type Case struct {
	Name   string
	Report xray.Report
}

var cases = []struct {
	name string
	make func() *evidence.Evidence
}{
	{"shared", func() *evidence.Evidence { return evidencetest.Healthy(spec.Shared) }},
	{"shared-certificate", func() *evidence.Evidence { return evidencetest.Healthy(spec.SharedCertificate) }},
	{"per-node", func() *evidence.Evidence { return evidencetest.Healthy(spec.PerNode) }},
	{"kubeadm", evidencetest.Kubeadm},
	{"kubeadm-by-api", func() *evidence.Evidence { return evidencetest.APIOnly(evidencetest.Kubeadm()) }},
	{"k0s", evidencetest.K0s},
	{"k3s", evidencetest.K3s},
	{"by-api", func() *evidence.Evidence { return evidencetest.APIOnly(evidencetest.Healthy(spec.Shared)) }},
	{"folder", func() *evidence.Evidence { return evidencetest.Folder(evidencetest.Healthy(spec.Shared)) }},
	{"dead-node", deadNode},
	{"many-faults", manyFaults},
	{"ghosts", ghosts},
	{"external-etcd", externalEtcd},
	{"five", five},
	{"two-balancers", twoBalancers},
	{"on-control-plane", func() *evidence.Evidence { return evidencetest.OnControlPlane(spec.Shared) }},
	{"node-local", func() *evidence.Evidence { return evidencetest.NodeLocal(spec.Shared) }},
	{"single", single},
	{"many-workers", manyWorkers},
	{"hostile", hostile},
	{"nothing", func() *evidence.Evidence {
		return &evidence.Evidence{At: evidencetest.At, Ways: []evidence.Way{evidence.API}}
	}},
}

// Cases are all reports, made anew.
func Cases() []Case {
	var out []Case
	for _, c := range cases {
		r := xray.Evaluate(c.make(), xray.Options{})
		r.Took = "0.84 s"
		out = append(out, Case{c.name, r})
	}
	return out
}

func deadNode() *evidence.Evidence {
	e := evidencetest.Healthy(spec.Shared)
	evidencetest.Fail(e, "cp-2")
	return e
}

// manyFaults has one fault or more in each part of the picture.
func manyFaults() *evidence.Evidence {
	e := evidencetest.Healthy(spec.SharedCertificate)
	evidencetest.Reissue(e, "cp-1", evidencetest.ServingCert, func(r *evidencetest.Row) {
		r.Names = []string{"10.10.10.99", "api.old-name.example.org", "kubernetes", "localhost"}
	})
	evidencetest.SetFlag(evidencetest.Program(e, "cp-3", evidence.APIServer), "advertise-address", evidencetest.LoadBalancerAddress)
	evidencetest.SetFlag(evidencetest.Program(e, "cp-2", evidence.Scheduler), "leader-elect", "false")
	evidencetest.SetServer(e, "worker-1", evidencetest.KubeletConf, "https://10.10.10.12:6443")
	evidencetest.Machine(e, "cp-3").Etcd.Healthy = new(false)
	evidencetest.Machine(e, "cp-2").Etcd.Learner = true
	e.API.Endpoints, e.API.Slices = evidencetest.Endpoints(6443, "10.10.10.11", "10.10.10.12")
	lb := evidencetest.Machine(e, "lb-1").LoadBalancer
	lb.State[2].Status, lb.State[2].Detail = "DOWN", "L7STS/500"
	lb.Check.Path = "/healthz"
	evidencetest.Node(e, "worker-1").Status.Conditions[0].Status = "Unknown"
	return e
}

// ghosts are named by an endpoint, a backend and a member list, and are nowhere.
func ghosts() *evidence.Evidence {
	e := evidencetest.Healthy(spec.PerNode)
	lb := evidencetest.Machine(e, "lb-1").LoadBalancer
	lb.Backends = slices.DeleteFunc(lb.Backends, func(b evidence.Backend) bool { return b.Address == "10.10.10.12:6443" })
	lb.Backends = append(lb.Backends, evidence.Backend{Name: "cp-4", Address: "10.10.10.14:6443", Checked: true})
	lb.State = append(lb.State, evidence.Backend{Name: "cp-4", Address: "10.10.10.14:6443", Checked: true, Status: "DOWN", Detail: "L4TOUT"})
	e.API.Endpoints, e.API.Slices = evidencetest.Endpoints(6443, "10.10.10.11", "10.10.10.12", "10.10.10.13", "10.10.10.15")
	for _, m := range e.Machines {
		if m.Etcd != nil {
			m.Etcd.Members = append(m.Etcd.Members, evidence.EtcdMember{ID: "beef", Name: "cp-4",
				PeerURLs: []string{"https://10.10.10.14:2380"}, ClientURLs: []string{"https://10.10.10.14:2379"}})
		}
	}
	return e
}

// externalEtcd moves the members to machines of their own.
func externalEtcd() *evidence.Evidence {
	e := evidencetest.Healthy(spec.Shared)
	urls := "https://10.10.10.31:2379,https://10.10.10.32:2379,https://10.10.10.33:2379"
	var machines []*evidence.Machine
	for i := range 3 {
		cp := evidencetest.Machine(e, fmt.Sprintf("cp-%d", i+1))
		evidencetest.SetFlag(cp.Program(evidence.APIServer), "etcd-servers", urls)
		m := *cp
		m.Name = fmt.Sprintf("etcd-%d", i+1)
		m.Hostname, m.Addresses = m.Name, []netip.Addr{netip.AddrFrom4([4]byte{10, 10, 10, byte(31 + i)})}
		m.Programs, m.Requests, m.Kubeconfigs = []evidence.Program{*cp.Program(evidence.EtcdServer)}, nil, nil
		for j := range m.Etcd.Members {
			m.Etcd.Members[j].Name = fmt.Sprintf("etcd-%d", j+1)
			m.Etcd.Members[j].ClientURLs = []string{fmt.Sprintf("https://10.10.10.%d:2379", 31+j)}
		}
		cp.Etcd = nil
		evidencetest.DropProgram(e, cp.Name, evidence.EtcdServer)
		machines = append(machines, &m)
	}
	machines[2].Etcd.Healthy = new(false)
	e.Machines = append(e.Machines, machines...)
	return e
}
