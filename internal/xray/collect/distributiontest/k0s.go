package distributiontest

import (
	"fmt"
	"strings"

	"github.com/haplane/haplane/internal/xray/evidence"
	"github.com/haplane/haplane/internal/xray/evidence/evidencetest"
)

// k0s, k0sproject/k0s at dff90ce (after 1.37.0-alpha.1): pkg/install/systemd_linux.go,
// docs/high-availability.md; the programs with their flags are those of evidencetest.K0s. A
// controller is no node: it has no kubelet.

const k0sPKI = evidencetest.K0sPKI

// K0s has spec.api.externalAddress, and HAProxy as its documentation has it: three frontends
// to the same machines.
func K0s() *Cluster {
	e := evidencetest.K0s()
	nodes, workers := machines("controller", 3, 11), machines("worker", 2, 21)
	balancer := node("lb", vip)
	for i, n := range nodes {
		n.k0sFiles()
		n.k0sUnit("k0scontroller", "controller", "--config=/etc/k0s/k0s.yaml")
		from := evidencetest.Machine(e, fmt.Sprintf("cp-%d", i+1))
		for _, p := range from.Programs {
			if p.Name != evidence.K0s {
				n.runs("/system.slice/k0scontroller.service", n.instead(from, p.Argv)...)
			}
		}
		n.member(n.Name, "https", 2379, 2380)
		n.Member.ClientURL = "https://127.0.0.1:2379"
		n.Listening = []string{":6443", ":9443", ":8132", "127.0.0.1:2379", n.Address + ":2380", "127.0.0.1:10257", "127.0.0.1:10259"}
	}
	for _, n := range workers {
		n.k0sUnit("k0sworker", "worker", "--token-file=/etc/k0s/token")
		n.k0sWorker(evidencetest.Machine(e, "worker-1"))
	}
	balancer.packagedHAProxy(k0sHAProxy(nodes), "/etc/haproxy/haproxy.cfg")
	return cluster("k0s", evidencetest.ServiceIP, append(append(nodes, workers...), balancer)...)
}

// instead has a command line's machine replaced by this one.
func (n *Node) instead(of *evidence.Machine, argv []string) []string {
	var out []string
	names := strings.NewReplacer(of.Addresses[0].String(), n.Address, "--name="+of.Name, "--name="+n.Name, evidencetest.LoadBalancerAddress, vip)
	for _, arg := range argv {
		out = append(out, names.Replace(arg))
	}
	return out
}

func (n *Node) k0sUnit(name, role, flag string) {
	n.service(service{name: name, exec: "/usr/local/bin/k0s " + role + " " + flag, settings: "StartLimitInterval=5\nStartLimitBurst=10\nRestartSec=10\nDelegate=yes\n" +
		"KillMode=process\nLimitCORE=infinity\nTasksMax=infinity\nTimeoutStartSec=0\nLimitNOFILE=999999\nRestart=always\n"})
}

func (n *Node) k0sFiles() {
	n.file("/etc/k0s/k0s.yaml", 0o600, "apiVersion: k0s.k0sproject.io/v1beta1\nkind: ClusterConfig\nmetadata: {name: k0s}\nspec:\n  api:\n    address: "+n.Address+
		"\n    externalAddress: "+vip+"\n    sans: ["+vip+"]\n")
	for _, base := range []string{"ca", "front-proxy-ca", "etcd/ca"} {
		name := map[string]string{"ca": evidencetest.CA, "front-proxy-ca": evidencetest.FrontProxyCA, "etcd/ca": evidencetest.EtcdCA}[base]
		n.ca(k0sPKI+base+".crt", k0sPKI+base+".key", name)
	}
	n.pair(k0sPKI+"server", both(evidencetest.CA, "kubernetes", "kubernetes", "kubernetes.default", "kubernetes.default.svc", "kubernetes.default.svc.cluster",
		"kubernetes.svc.cluster.local", "localhost", "127.0.0.1", n.Address, vip, evidencetest.ServiceIP))
	n.pair(k0sPKI+"apiserver-kubelet-client", both(evidencetest.CA, "apiserver-kubelet-client"))
	n.pair(k0sPKI+"apiserver-etcd-client", both(evidencetest.EtcdCA, "apiserver-etcd-client", "127.0.0.1", "localhost"))
	n.pair(k0sPKI+"front-proxy-client", both(evidencetest.FrontProxyCA, "front-proxy-client"))
	n.pair(k0sPKI+"etcd/server", both(evidencetest.EtcdCA, "etcd-server", "127.0.0.1", "localhost", n.Name))
	n.pair(k0sPKI+"etcd/peer", both(evidencetest.EtcdCA, n.Address, n.Address))
	n.file(k0sPKI+"sa.pub", 0o640, publicKey("service accounts"))
	n.file(k0sPKI+"sa.key", 0o640, keyText)
	n.file("/var/lib/k0s/konnectivity.conf", 0o644, "apiVersion: apiserver.k8s.io/v1beta1\nkind: EgressSelectorConfiguration\n")
	for name, who := range map[string]string{"admin": "kubernetes-admin", "ccm": "system:kube-controller-manager", "scheduler": "system:kube-scheduler"} {
		n.kubeconfig(k0sPKI+name+".conf", "https://localhost:6443", user{name: who})
	}
}

func (n *Node) k0sWorker(from *evidence.Machine) {
	for _, p := range from.Programs {
		if p.Name != evidence.K0s {
			n.runs("/system.slice/k0sworker.service", n.instead(from, p.Argv)...)
		}
	}
	n.file(k0sPKI+"ca.crt", 0o644, authority(evidencetest.CA))
	n.kubeconfig("/var/lib/k0s/kubelet.conf", "https://"+vip+":6443", user{name: "system:node:" + n.Name, organization: []string{"system:nodes"}})
	n.file("/var/lib/k0s/kubelet-config.yaml", 0o644, strings.Replace(kubeletConfig(k0sPKI+"ca.crt"), "staticPodPath: /etc/kubernetes/manifests\n", "", 1))
	n.file("/etc/k0s/token", 0o600, Planted+"\n")
	n.runs(InPod, "/usr/local/bin/kube-proxy", "--config=/var/lib/kube-proxy/config.conf", "--hostname-override="+n.Name)
	n.Listening = []string{":10250", "127.0.0.1:10248", "127.0.0.1:10249", ":10256"}
}

// k0sHAProxy is at the end of Debian's own configuration, whose defaults have mode http.
func k0sHAProxy(nodes []*Node) string {
	text := "global\n    daemon\n    maxconn 2000\n\ndefaults\n    log     global\n    mode    http\n    option  httplog\n    option  dontlognull\n" +
		"    timeout connect 5000\n    timeout client  50000\n    timeout server  50000\n\n"
	ports := []struct {
		name string
		port int
	}{{"kubeAPI", 6443}, {"konnectivity", 8132}, {"controllerJoinAPI", 9443}}
	for _, p := range ports {
		text += fmt.Sprintf("frontend %s\n    bind :%d\n    mode tcp\n    default_backend %s_backend\n", p.name, p.port, p.name)
	}
	for _, p := range ports {
		text += fmt.Sprintf("\nbackend %s_backend\n    mode tcp\n", p.name)
		for i, n := range nodes {
			text += fmt.Sprintf("    server k0s-controller%d %s:%d check check-ssl verify none\n", i+1, n.Address, p.port)
		}
	}
	return text + "\nlisten stats\n   bind *:9000\n   mode http\n   stats enable\n   stats uri /\n"
}
