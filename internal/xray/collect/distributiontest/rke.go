package distributiontest

import (
	"fmt"
	"strings"

	"github.com/haplane/haplane/internal/xray/evidence/evidencetest"
)

// RKE 1, rancher/rke at 40c5dd4 (2024): cluster/plan.go (flags of every program), pki/ (names
// of files), and the service options of Kubernetes 1.18, rke/k8s_service_options.go of
// rancher/kontainer-driver-metadata at 02fbf14; nginx.conf and the modes of keys are
// templates/nginx.tmpl and cert-deployer of rancher/rke-tools. All programs are containers of Docker in the
// host's network: no manifest and no unit names them, and nginx's configuration is in the container.

const rkeSSL = "/etc/kubernetes/ssl/"

// RKE has three machines with the roles controlplane and etcd, and two workers.
func RKE() *Cluster {
	nodes, workers := machines("node", 5, 11)[:3], machines("node", 5, 11)[3:]
	for _, n := range nodes {
		n.rkeControlPlane(nodes)
		n.rkeNode()
	}
	for _, n := range workers {
		n.rkeNode()
		n.runs(InDocker, "nginx: master process nginx -g daemon off;")
		n.Processes[len(n.Processes)-1].Image = map[string]string{"/etc/nginx/nginx.conf": rkeNginx(nodes)}
		n.Listening = append(n.Listening, ":6443")
	}
	return cluster("rke", "10.43.0.1", append(nodes, workers...)...)
}

func rkeNginx(nodes []*Node) string {
	return "error_log stderr notice;\n\nworker_processes auto;\nevents {\n  multi_accept on;\n  use epoll;\n  worker_connections 1024;\n}\n\nstream {\n        upstream kube_apiserver {\n            \n" +
		strings.Join(each(nodes, func(n *Node) string { return "            server " + n.Address + ":6443;\n" }), "") +
		"            \n        }\n\n        server {\n            listen        6443;\n            proxy_pass    kube_apiserver;\n            proxy_timeout 10m;\n" +
		"            proxy_connect_timeout 2s;\n\n        }\n}\n"
}

func rkeNames(nodes []*Node) []string {
	return append(append(addresses(nodes), "127.0.0.1", "10.43.0.1", "localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc",
		"kubernetes.default.svc.cluster.local"), names(nodes)...)
}

// rkePair writes BASE.pem and BASE-key.pem, both for root alone.
func (n *Node) rkePair(name string, r row) {
	n.file(rkeSSL+name+".pem", 0o600, certificate(r))
	n.file(rkeSSL+name+"-key.pem", 0o600, keyText)
}

func (n *Node) rkeConfig(name, who string, organization ...string) {
	n.rkePair(name, client(evidencetest.CA, who, organization...))
	n.kubeconfig(rkeSSL+"kubecfg-"+name+".yaml", "https://127.0.0.1:6443", user{name: name, ca: rkeSSL + "kube-ca.pem", cert: rkeSSL + name + ".pem", key: rkeSSL + name + "-key.pem"})
}

func (n *Node) rkeControlPlane(nodes []*Node) {
	n.rkePair("kube-apiserver", serving(evidencetest.CA, "system:kube-apiserver", rkeNames(nodes)...))
	n.Files[rkeSSL+"kube-apiserver.pem"] = File{Mode: 0o600, Text: certificate(both(evidencetest.CA, "system:kube-apiserver", rkeNames(nodes)...))}
	n.rkePair("kube-service-account-token", row{CA: evidencetest.CA, CommonName: "kube-service-account-token", Key: "service accounts"})
	n.rkePair("kube-apiserver-proxy-client", client("kube-apiserver-requestheader-ca", "kube-apiserver-proxy-client"))
	n.ca(rkeSSL+"kube-apiserver-requestheader-ca.pem", rkeSSL+"kube-apiserver-requestheader-ca-key.pem", "kube-apiserver-requestheader-ca")
	n.file(rkeSSL+"kube-ca-key.pem", 0o600, keyText)
	own := "kube-etcd-" + strings.ReplaceAll(n.Address, ".", "-")
	for _, m := range nodes {
		n.rkePair("kube-etcd-"+strings.ReplaceAll(m.Address, ".", "-"), both(evidencetest.CA, "system:kube-etcd-"+m.Address, rkeNames(nodes)...))
	}
	n.rkeConfig("kube-controller-manager", "system:kube-controller-manager")
	n.rkeConfig("kube-scheduler", "system:kube-scheduler")
	n.file("/etc/kubernetes/admission.yaml", 0o600, "apiVersion: apiserver.k8s.io/v1alpha1\nkind: AdmissionConfiguration\nplugins: null\n")
	initial := strings.Join(each(nodes, func(m *Node) string { return "etcd-" + m.Name + "=https://" + m.Address + ":2380" }), ",")
	n.runs(InDocker, "/usr/local/bin/etcd", "--name=etcd-"+n.Name, "--data-dir=/var/lib/rancher/etcd/", "--listen-client-urls=https://0.0.0.0:2379",
		"--advertise-client-urls=https://"+n.Address+":2379", "--initial-advertise-peer-urls=https://"+n.Address+":2380", "--listen-peer-urls=https://0.0.0.0:2380",
		"--initial-cluster-token=etcd-cluster-1", "--initial-cluster="+initial, "--initial-cluster-state=new", "--trusted-ca-file="+rkeSSL+"kube-ca.pem",
		"--peer-trusted-ca-file="+rkeSSL+"kube-ca.pem", "--cert-file="+rkeSSL+own+".pem", "--key-file="+rkeSSL+own+"-key.pem", "--peer-cert-file="+rkeSSL+own+".pem",
		"--peer-key-file="+rkeSSL+own+"-key.pem", "--client-cert-auth=true", "--peer-client-cert-auth=true", "--enable-v2=true", "--election-timeout=5000", "--heartbeat-interval=500")
	n.member("etcd-"+n.Name, "https", 2379, 2380)
	n.runs(InDocker, n.rkeAPIServer(nodes)...)
	n.runs(InDocker, "kube-controller-manager", "--cluster-cidr=10.42.0.0/16", "--kubeconfig="+rkeSSL+"kubecfg-kube-controller-manager.yaml", "--root-ca-file="+rkeSSL+"kube-ca.pem",
		"--service-account-private-key-file="+rkeSSL+"kube-service-account-token-key.pem", "--service-cluster-ip-range=10.43.0.0/16", "--address=0.0.0.0", "--cloud-provider=",
		"--allow-untagged-cloud=true", "--allocate-node-cidrs=true", "--configure-cloud-routes=false", "--enable-hostpath-provisioner=false", "--leader-elect=true",
		"--node-monitor-grace-period=40s", "--pod-eviction-timeout=5m0s", "--profiling=false", "--terminated-pod-gc-threshold=1000", "--use-service-account-credentials=true", "--v=2")
	n.runs(InDocker, "kube-scheduler", "--kubeconfig="+rkeSSL+"kubecfg-kube-scheduler.yaml", "--leader-elect=true", "--v=2", "--address=0.0.0.0", "--profiling=false")
	n.Listening = append(n.Listening, ":6443", ":2379", ":2380")
}

func (n *Node) rkeAPIServer(nodes []*Node) []string {
	servers := []string{fmt.Sprintf("https://%s:2379", n.Address)} // its own first
	for _, m := range nodes {
		if m != n {
			servers = append(servers, fmt.Sprintf("https://%s:2379", m.Address))
		}
	}
	return []string{"kube-apiserver", "--admission-control-config-file=/etc/kubernetes/admission.yaml", "--client-ca-file=" + rkeSSL + "kube-ca.pem", "--cloud-provider=",
		"--etcd-cafile=" + rkeSSL + "kube-ca.pem", "--etcd-certfile=" + rkeSSL + "kube-node.pem", "--etcd-keyfile=" + rkeSSL + "kube-node-key.pem", "--etcd-prefix=/registry",
		"--etcd-servers=" + strings.Join(servers, ","), "--kubelet-client-certificate=" + rkeSSL + "kube-apiserver.pem", "--kubelet-client-key=" + rkeSSL + "kube-apiserver-key.pem",
		"--proxy-client-cert-file=" + rkeSSL + "kube-apiserver-proxy-client.pem", "--proxy-client-key-file=" + rkeSSL + "kube-apiserver-proxy-client-key.pem",
		"--requestheader-allowed-names=kube-apiserver-proxy-client", "--requestheader-client-ca-file=" + rkeSSL + "kube-apiserver-requestheader-ca.pem",
		"--service-account-key-file=" + rkeSSL + "kube-service-account-token-key.pem", "--service-cluster-ip-range=10.43.0.0/16", "--service-node-port-range=30000-32767",
		"--tls-cert-file=" + rkeSSL + "kube-apiserver.pem", "--tls-private-key-file=" + rkeSSL + "kube-apiserver-key.pem", "--authorization-mode=Node,RBAC",
		"--allow-privileged=true", "--anonymous-auth=false", "--bind-address=0.0.0.0", "--insecure-port=0", "--kubelet-preferred-address-types=InternalIP,ExternalIP,Hostname",
		"--profiling=false", "--requestheader-extra-headers-prefix=X-Remote-Extra-", "--requestheader-group-headers=X-Remote-Group", "--requestheader-username-headers=X-Remote-User",
		"--secure-port=6443", "--service-account-lookup=true", "--storage-backend=etcd3", "--runtime-config=authorization.k8s.io/v1beta1=true",
		"--enable-admission-plugins=NamespaceLifecycle,LimitRanger,ServiceAccount,DefaultStorageClass,ResourceQuota,NodeRestriction,Priority", "--advertise-address=" + n.Address}
}

func (n *Node) rkeNode() {
	n.file(rkeSSL+"kube-ca.pem", 0o600, authority(evidencetest.CA))
	n.rkeConfig("kube-node", "system:node", "system:nodes")
	n.rkeConfig("kube-proxy", "system:kube-proxy")
	n.runs(InDocker, "kubelet", "--client-ca-file="+rkeSSL+"kube-ca.pem", "--cloud-provider=", "--cluster-dns=10.43.0.10", "--cluster-domain=cluster.local", "--fail-swap-on=false",
		"--hostname-override="+n.Name, "--kubeconfig="+rkeSSL+"kubecfg-kube-node.yaml", "--pod-infra-container-image=rancher/pause:3.1", "--root-dir=/var/lib/kubelet",
		"--address=0.0.0.0", "--anonymous-auth=false", "--authentication-token-webhook=true", "--cgroups-per-qos=True", "--authorization-mode=Webhook", "--read-only-port=0",
		"--resolv-conf=/etc/resolv.conf", "--v=2")
	n.runs(InDocker, "kube-proxy", "--cluster-cidr=10.42.0.0/16", "--hostname-override="+n.Name, "--kubeconfig="+rkeSSL+"kubecfg-kube-proxy.yaml", "--v=2", "--healthz-bind-address=127.0.0.1")
	n.Listening = append(n.Listening, ":10250", "127.0.0.1:10248", "127.0.0.1:10249", "127.0.0.1:10256")
}
