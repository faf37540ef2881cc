package distributiontest

import "github.com/haplane/haplane/internal/xray/evidence/evidencetest"

// HardWayToday is the form of 2025, with one machine for the control plane and etcd
// without TLS on its loopback: nothing of it is highly available, and it does not say so.
func HardWayToday() *Cluster {
	control, nodes := node("server", "10.0.0.11"), machines("node", 2, 21)
	const endpoint = "https://server.kubernetes.local:6443"
	control.hardWayServer()
	for _, n := range nodes {
		n.file("/var/lib/kubelet/ca.crt", 0o644, authority(evidencetest.CA))
		r := both(evidencetest.CA, "system:node:"+n.Name, n.Name, "127.0.0.1")
		r.Organization = []string{"system:nodes"}
		n.pair("/var/lib/kubelet/kubelet", r)
		n.kubeconfig("/var/lib/kubelet/kubeconfig", endpoint, user{name: "system:node:" + n.Name, organization: []string{"system:nodes"}})
		n.kubeconfig("/var/lib/kube-proxy/kubeconfig", endpoint, user{name: "system:kube-proxy", organization: []string{"system:node-proxier"}})
		n.file("/var/lib/kubelet/kubelet-config.yaml", 0o644, kubeletConfig("/var/lib/kubelet/ca.crt")+"tlsCertFile: /var/lib/kubelet/kubelet.crt\ntlsPrivateKeyFile: /var/lib/kubelet/kubelet.key\n")
		n.service(service{name: "kubelet", settings: onFailure, exec: command("/usr/local/bin/kubelet", "--config=/var/lib/kubelet/kubelet-config.yaml",
			"--kubeconfig=/var/lib/kubelet/kubeconfig", "--v=2")})
		n.hardWayProxy()
		n.Listening = append(n.Listening, ":10250", "127.0.0.1:10248", "127.0.0.1:10249", ":10256")
	}
	return cluster("hard-way-today", "10.32.0.1", append([]*Node{control}, nodes...)...)
}

func (n *Node) hardWayServer() {
	names := []string{"127.0.0.1", "10.32.0.1", "kubernetes", "kubernetes.default", "kubernetes.default.svc", "kubernetes.default.svc.cluster",
		"kubernetes.svc.cluster.local", "server.kubernetes.local", "api-server.kubernetes.local"}
	n.ca(old+"ca.crt", old+"ca.key", evidencetest.CA)
	n.pair(old+"kube-api-server", both(evidencetest.CA, "kubernetes", names...))
	r := client(evidencetest.CA, "service-accounts")
	r.Key = "service accounts"
	n.pair(old+"service-accounts", r)
	n.file(old+"encryption-config.yaml", 0o644, "kind: EncryptionConfiguration\napiVersion: apiserver.config.k8s.io/v1\nresources:\n- resources: [secrets]\n  providers:\n  - aescbc:\n      keys:\n      - name: key1\n        secret: "+Planted+"\n  - identity: {}\n")
	n.kubeconfig(old+"kube-controller-manager.kubeconfig", "https://server.kubernetes.local:6443", user{name: "system:kube-controller-manager"})
	n.kubeconfig(old+"kube-scheduler.kubeconfig", "https://server.kubernetes.local:6443", user{name: "system:kube-scheduler"})
	n.service(service{name: "etcd", settings: "Type=notify\n" + onFailure, exec: command("/usr/local/bin/etcd", "--name controller", "--initial-advertise-peer-urls http://127.0.0.1:2380",
		"--listen-peer-urls http://127.0.0.1:2380", "--listen-client-urls http://127.0.0.1:2379", "--advertise-client-urls http://127.0.0.1:2379",
		"--initial-cluster-token etcd-cluster-0", "--initial-cluster controller=http://127.0.0.1:2380", "--initial-cluster-state new", "--data-dir=/var/lib/etcd")})
	n.Member = &Member{"controller", "http://127.0.0.1:2379", "http://127.0.0.1:2380"}
	n.service(service{name: "kube-apiserver", settings: onFailure, exec: command("/usr/local/bin/kube-apiserver", "--allow-privileged=true", "--audit-log-maxage=30",
		"--audit-log-maxbackup=3", "--audit-log-maxsize=100", "--audit-log-path=/var/log/audit.log", "--authorization-mode=Node,RBAC", "--bind-address=0.0.0.0",
		"--client-ca-file="+old+"ca.crt", "--enable-admission-plugins=NamespaceLifecycle,NodeRestriction,LimitRanger,ServiceAccount,DefaultStorageClass,ResourceQuota",
		"--etcd-servers=http://127.0.0.1:2379", "--event-ttl=1h", "--encryption-provider-config="+old+"encryption-config.yaml",
		"--kubelet-certificate-authority="+old+"ca.crt", "--kubelet-client-certificate="+old+"kube-api-server.crt", "--kubelet-client-key="+old+"kube-api-server.key",
		"--runtime-config='api/all=true'", "--service-account-key-file="+old+"service-accounts.crt", "--service-account-signing-key-file="+old+"service-accounts.key",
		"--service-account-issuer=https://server.kubernetes.local:6443", "--service-node-port-range=30000-32767", "--tls-cert-file="+old+"kube-api-server.crt",
		"--tls-private-key-file="+old+"kube-api-server.key", "--v=2")})
	n.service(service{name: "kube-controller-manager", settings: onFailure, exec: command("/usr/local/bin/kube-controller-manager", "--bind-address=0.0.0.0",
		"--cluster-cidr=10.200.0.0/16", "--cluster-name=kubernetes", "--cluster-signing-cert-file="+old+"ca.crt", "--cluster-signing-key-file="+old+"ca.key",
		"--kubeconfig="+old+"kube-controller-manager.kubeconfig", "--root-ca-file="+old+"ca.crt", "--service-account-private-key-file="+old+"service-accounts.key",
		"--service-cluster-ip-range=10.32.0.0/24", "--use-service-account-credentials=true", "--v=2")})
	n.hardWayScheduler("kubescheduler.config.k8s.io/v1")
	n.Listening = append(n.Listening, ":6443")
}
