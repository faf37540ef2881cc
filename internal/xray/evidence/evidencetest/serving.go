package evidencetest

import (
	"time"

	"github.com/haplane/haplane/internal/xray/evidence"
)

// servers are the load balancer and each API server, asked from outside.
func (m maker) servers() []evidence.Server {
	out := []evidence.Server{m.server("", LoadBalancerAddress, LoadBalancerAddress, controlPlane[0])}
	for _, n := range controlPlane {
		out = append(out, m.server(n.name, n.address, "kubernetes.default", n))
	}
	return out
}

func (m maker) server(name, address, serverName string, answering node) evidence.Server {
	return evidence.Server{
		Node: name, Address: address + ":6443", ServerName: serverName,
		Certificates: []evidence.Certificate{Issue(m.serving(answering))},
		Ready:        new(true), Version: KubernetesVersion,
		ServiceAccountKeys: []string{KeyID("service accounts")},
	}
}

// loadBalancer is lb-1: HAProxy, as haplane configures it.
func (m maker) loadBalancer() *evidence.Machine {
	out := m.machine(balancer)
	certificate(out, "/etc/haproxy/kubernetes-ca.crt", authority(CA))
	file(out, evidence.File{Path: haproxyConfig, Mode: 0o644})
	p := m.program(evidence.HAProxy, "", 5*time.Second, nil)
	p.Argv = []string{"/usr/sbin/haproxy", "-Ws", "-f", haproxyConfig}
	p.Unit = unit("haproxy", p.Argv, 5*time.Second)
	out.Programs = []evidence.Program{p}
	number(out)
	out.Listening = listening(":::6443")
	out.LoadBalancer = haproxy()
	return out
}

const haproxyConfig = "/etc/haproxy/haproxy.cfg"

func haproxy() *evidence.LoadBalancer {
	lb := &evidence.LoadBalancer{
		Kind: evidence.HAProxy, Path: haproxyConfig, Frontends: []string{":6443"},
		ConnectTimeout: 250 * time.Millisecond, ClientTimeout: 5 * time.Hour, ServerTimeout: 5 * time.Hour,
		Redispatch: true, Tries: 1, CutDeadSessions: true, TCPUserTimeout: 2 * time.Second, KeepAlive: true,
		Check: evidence.HealthCheck{
			Kind: "http", Method: "GET", Path: "/readyz", TLS: true, Verified: true, Name: "kubernetes.default", Expect: "status 200",
			Interval: 500 * time.Millisecond, FastInterval: 100 * time.Millisecond, Timeout: time.Second, Fall: 2, Rise: 1,
		},
	}
	for _, n := range controlPlane {
		lb.Backends = append(lb.Backends, evidence.Backend{Name: n.name, Address: n.address + ":6443", Checked: true})
		lb.State = append(lb.State, evidence.Backend{Name: n.name, Address: n.address + ":6443", Checked: true, Status: "UP", Detail: "L7OK"})
	}
	return lb
}

// etcdIDs are the member IDs, in the order of the control-plane nodes. The first leads.
var etcdIDs = []string{"8211f1d0f64f3269", "91bc3c398fb3c146", "fd422379fda50e48"}

// etcd is what the member of a control-plane node says.
func (m maker) etcd(index int) *evidence.Etcd {
	out := &evidence.Etcd{
		Endpoint: "https://127.0.0.1:2379", ID: etcdIDs[index], ClusterID: "ef37ad9dc622a7c4", Leader: etcdIDs[0], Version: EtcdVersion,
		Healthy: new(true), Alarms: []string{}, DBSize: 24 << 20, DBInUse: 9 << 20, Quota: 4 << 30,
		FsyncP99: 8 * time.Millisecond, CommitP99: 16 * time.Millisecond,
	}
	if m.kubeadm {
		out.Quota = 2 << 30
	}
	for i, n := range controlPlane {
		out.Members = append(out.Members, evidence.EtcdMember{ID: etcdIDs[i], Name: n.name,
			PeerURLs: []string{"https://" + n.address + ":2380"}, ClientURLs: []string{"https://" + n.address + ":2379"}})
	}
	return out
}
