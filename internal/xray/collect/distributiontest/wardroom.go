package distributiontest

import (
	"fmt"
	"strings"
)

// Wardroom, heptiolabs/wardroom at its last commit (2019): swizzle/install.yml with
// ansible/roles/etcd (a unit, http), ansible/roles/kubernetes-master (kubeadm 1.15 with that
// etcd as an external one, and the lease reconciler), roles/kubernetes (the unit of the
// kubelet in /etc), roles/test_loadbalancer (nginx in Docker). Each master is initialised by
// itself with the first one's keys, its serving certificate among them.

// Wardroom names machines by their addresses, as its example inventory does.
func Wardroom() *Cluster {
	nodes, workers, balancer := machines("master", 3, 11), machines("node", 2, 21), node("loadbalancer", vip)
	k := newKubeadm(nodes, workers, "api.example.com:6443")
	k.version, k.remote = "v1.15.3", true
	k.names = append(addresses(nodes), names(nodes)...)
	k.etcd = []string{"--etcd-servers=" + urls(nodes, "http", 2379)}
	k.apiServer = []string{"--endpoint-reconciler-type=lease", "--insecure-port=0"}
	k.kubelet = k.wardroomKubelet
	k.lay()
	for _, n := range nodes {
		n.file("/etc/kubernetes/pki/apiserver.crt", 0o700, nodes[0].Files["/etc/kubernetes/pki/apiserver.crt"].Text)
		initial := strings.Join(each(nodes, func(m *Node) string { return fmt.Sprintf("%s=http://%s:2380", m.Name, m.Address) }), ",")
		client, peer := fmt.Sprintf("http://%s:2379", n.Address), fmt.Sprintf("http://%s:2380", n.Address)
		n.service(service{name: "etcd", settings: "Type=notify\nRestart=always\nRestartSec=5s\nLimitNOFILE=40000\nTimeoutStartSec=0\n", exec: command("/usr/local/bin/etcd",
			"--name="+n.Name, "--data-dir=/var/lib/etcd", "--listen-client-urls="+client, "--advertise-client-urls="+client, "--listen-peer-urls="+peer,
			"--initial-advertise-peer-urls="+peer, "--initial-cluster="+initial, "--initial-cluster-token=444fddcc-beae-45bc-9da6-d941d446b595", "--initial-cluster-state=new")})
		n.member(n.Name, "http", 2379, 2380)
	}
	balancer.file("/etc/nginx/nginx.conf", 0o644, "events {}\n\nstream {\n    upstream kubernetes {\n"+
		strings.Join(each(nodes, func(n *Node) string { return "        server " + n.Address + ":6443;\n" }), "")+
		"    }\n\n    server {\n        listen 6443;\n        proxy_pass kubernetes;\n    }\n}\n")
	balancer.runs(InDocker, "nginx: master process nginx -g daemon off;")
	return cluster("wardroom", "10.96.0.1", append(append(nodes, workers...), balancer)...)
}

func (k *kubeadm) wardroomKubelet(n *Node, _ bool) {
	n.kubeletFiles("/etc/kubernetes/kubelet.conf", "https://"+k.endpoint)
	n.file("/etc/default/kubelet", 0o644, "KUBELET_EXTRA_ARGS= --node-ip="+n.Address+"\n")
	const flags = "--kubeconfig=/etc/kubernetes/kubelet.conf --require-kubeconfig=true"
	const pods = "--pod-manifest-path=/etc/kubernetes/manifests --allow-privileged=true"
	const network = "--network-plugin=cni --cni-conf-dir=/etc/cni/net.d --cni-bin-dir=/opt/cni/bin"
	const dns = "--cluster-dns=10.96.0.10 --cluster-domain=cluster.local"
	n.service(service{name: "kubelet", exec: "/usr/bin/kubelet", settings: "Restart=always\nStartLimitInterval=0\nRestartSec=10\n",
		process: strings.Fields("/usr/bin/kubelet " + flags + " " + pods + " " + network + " " + dns),
		dropIns: map[string]string{"10-kubeadm.conf": "[Service]\nEnvironment=\"KUBELET_KUBECONFIG_ARGS=" + flags + "\"\nEnvironment=\"KUBELET_SYSTEM_PODS_ARGS=" + pods +
			"\"\nEnvironment=\"KUBELET_NETWORK_ARGS=" + network + "\"\nEnvironment=\"KUBELET_DNS_ARGS=" + dns + "\"\nExecStart=\n" +
			"ExecStart=/usr/bin/kubelet $KUBELET_KUBECONFIG_ARGS $KUBELET_SYSTEM_PODS_ARGS $KUBELET_NETWORK_ARGS $KUBELET_DNS_ARGS $KUBELET_EXTRA_ARGS\n"}})
	n.runs(InPod, "/usr/local/bin/kube-proxy", "--config=/var/lib/kube-proxy/config.conf", "--hostname-override="+n.Name)
}
