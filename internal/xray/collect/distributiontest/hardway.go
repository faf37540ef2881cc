package distributiontest

import (
	"fmt"
	"strings"

	"github.com/haplane/haplane/internal/xray/evidence/evidencetest"
)

// Kubernetes The Hard Way, kelseyhightower/kubernetes-the-hard-way: tags 1.8.0 and 1.18.6
// (docs 04 to 09), and today's form at 1.32 (2025): units/, configs/, ca.conf. Google's load
// balancer is in the old ones, of which nothing is on a machine; for 1.8 nginx as Debian
// has it stands in its place, as many did it at home.

const old = "/var/lib/kubernetes/"

// HardWay18 is of 2017: the CA's key signs service accounts' tokens, and the others
// reach the API server without TLS.
func HardWay18() *Cluster {
	nodes, workers, balancer := machines("controller", 3, 11), machines("worker", 2, 21), node("lb", vip)
	apiServer := []string{"--admission-control=Initializers,NamespaceLifecycle,NodeRestriction,LimitRanger,ServiceAccount,DefaultStorageClass,ResourceQuota",
		"--enable-swagger-ui=true", "--experimental-encryption-provider-config=" + old + "encryption-config.yaml", "--insecure-bind-address=127.0.0.1",
		"--runtime-config=api/all", "--service-account-key-file=" + old + "ca-key.pem", "--tls-ca-file=" + old + "ca.pem"}
	for _, n := range nodes {
		n.hardWayController(nodes, "kubernetes.default", apiServer)
		n.hardWayEtcd(nodes, "http://127.0.0.1:2379", "")
		n.service(service{name: "kube-controller-manager", settings: onFailure, exec: command("/usr/local/bin/kube-controller-manager", "--address=0.0.0.0",
			"--cluster-cidr=10.200.0.0/16", "--cluster-name=kubernetes", "--cluster-signing-cert-file="+old+"ca.pem", "--cluster-signing-key-file="+old+"ca-key.pem",
			"--leader-elect=true", "--master=http://127.0.0.1:8080", "--root-ca-file="+old+"ca.pem", "--service-account-private-key-file="+old+"ca-key.pem",
			"--service-cluster-ip-range=10.32.0.0/24", "--v=2")})
		n.service(service{name: "kube-scheduler", settings: onFailure, exec: command("/usr/local/bin/kube-scheduler", "--leader-elect=true", "--master=http://127.0.0.1:8080", "--v=2")})
	}
	for _, n := range workers {
		n.hardWayWorker()
		n.service(service{name: "kubelet", settings: onFailure, exec: command("/usr/local/bin/kubelet", "--allow-privileged=true", "--anonymous-auth=false",
			"--authorization-mode=Webhook", "--client-ca-file="+old+"ca.pem", "--cluster-dns=10.32.0.10", "--cluster-domain=cluster.local", "--container-runtime=remote",
			"--container-runtime-endpoint=unix:///var/run/cri-containerd.sock", "--image-pull-progress-deadline=2m", "--kubeconfig=/var/lib/kubelet/kubeconfig",
			"--network-plugin=cni", "--pod-cidr=10.200.0.0/24", "--register-node=true", "--require-kubeconfig", "--runtime-request-timeout=15m",
			"--tls-cert-file=/var/lib/kubelet/"+n.Name+".pem", "--tls-private-key-file=/var/lib/kubelet/"+n.Name+"-key.pem", "--v=2")})
		n.service(service{name: "kube-proxy", settings: onFailure, exec: command("/usr/local/bin/kube-proxy", "--cluster-cidr=10.200.0.0/16",
			"--kubeconfig=/var/lib/kube-proxy/kubeconfig", "--proxy-mode=iptables", "--v=2")})
	}
	balancer.packagedNginx("stream {\n  upstream kubernetes {\n" + strings.Join(each(nodes, func(n *Node) string { return "    server " + n.Address + ":6443;\n" }), "") +
		"  }\n  server {\n    listen 6443;\n    proxy_pass kubernetes;\n  }\n}\n")
	return cluster("hard-way-1.8", "10.32.0.1", append(append(nodes, workers...), balancer)...)
}

// HardWay118 is of 2020. nginx on each controller answers the checks of Google's load
// balancer, and balances nothing.
func HardWay118() *Cluster {
	nodes, workers := machines("controller", 3, 11), machines("worker", 2, 21)
	apiServer := []string{"--enable-admission-plugins=NamespaceLifecycle,NodeRestriction,LimitRanger,ServiceAccount,DefaultStorageClass,ResourceQuota",
		"--encryption-provider-config=" + old + "encryption-config.yaml", "--runtime-config='api/all=true'", "--service-account-key-file=" + old + "service-account.pem"}
	for _, n := range nodes {
		n.hardWayController(nodes, "kubernetes,kubernetes.default,kubernetes.default.svc,kubernetes.default.svc.cluster,kubernetes.svc.cluster.local", apiServer)
		n.hardWayEtcd(nodes, "https://127.0.0.1:2379", "Type=notify\n")
		n.pemPair(old+"service-account", client(evidencetest.CA, "service-accounts", "Kubernetes"))
		n.file(old+"service-account.pem", 0o644, certificate(row{CA: evidencetest.CA, CommonName: "service-accounts", Key: "service accounts"}))
		n.kubeconfig(old+"kube-controller-manager.kubeconfig", "https://127.0.0.1:6443", user{name: "system:kube-controller-manager"})
		n.kubeconfig(old+"kube-scheduler.kubeconfig", "https://127.0.0.1:6443", user{name: "system:kube-scheduler"})
		n.service(service{name: "kube-controller-manager", settings: onFailure, exec: command("/usr/local/bin/kube-controller-manager", "--bind-address=0.0.0.0",
			"--cluster-cidr=10.200.0.0/16", "--cluster-name=kubernetes", "--cluster-signing-cert-file="+old+"ca.pem", "--cluster-signing-key-file="+old+"ca-key.pem",
			"--kubeconfig="+old+"kube-controller-manager.kubeconfig", "--leader-elect=true", "--root-ca-file="+old+"ca.pem",
			"--service-account-private-key-file="+old+"service-account-key.pem", "--service-cluster-ip-range=10.32.0.0/24", "--use-service-account-credentials=true", "--v=2")})
		n.hardWayScheduler("kubescheduler.config.k8s.io/v1alpha1")
		n.packagedNginx("http {\n  include /etc/nginx/sites-enabled/*;\n}\n")
		n.file("/etc/nginx/sites-available/kubernetes.default.svc.cluster.local", 0o644, "server {\n  listen 80;\n  server_name kubernetes.default.svc.cluster.local;\n\n"+
			"  location /healthz {\n    proxy_pass https://127.0.0.1:6443/healthz;\n    proxy_ssl_trusted_certificate "+old+"ca.pem;\n  }\n}\n")
		n.link("/etc/nginx/sites-enabled/kubernetes.default.svc.cluster.local", "/etc/nginx/sites-available/kubernetes.default.svc.cluster.local")
	}
	for _, n := range workers {
		n.hardWayWorker()
		n.file("/var/lib/kubelet/kubelet-config.yaml", 0o644, kubeletConfig(old+"ca.pem")+
			"tlsCertFile: /var/lib/kubelet/"+n.Name+".pem\ntlsPrivateKeyFile: /var/lib/kubelet/"+n.Name+"-key.pem\n")
		n.service(service{name: "kubelet", settings: onFailure, exec: command("/usr/local/bin/kubelet", "--config=/var/lib/kubelet/kubelet-config.yaml", "--container-runtime=remote",
			"--container-runtime-endpoint=unix:///var/run/containerd/containerd.sock", "--image-pull-progress-deadline=2m", "--kubeconfig=/var/lib/kubelet/kubeconfig",
			"--network-plugin=cni", "--register-node=true", "--v=2")})
		n.hardWayProxy()
	}
	return cluster("hard-way-1.18", "10.32.0.1", append(nodes, workers...)...)
}

const onFailure = "Restart=on-failure\nRestartSec=5\n"

func (n *Node) hardWayController(nodes []*Node, dns string, more []string) {
	all := append(append([]string{"10.32.0.1"}, addresses(nodes)...), vip, "127.0.0.1")
	r := both(evidencetest.CA, "kubernetes", append(all, strings.Split(dns, ",")...)...)
	r.Organization = []string{"Kubernetes"}
	for _, folder := range []string{old, "/etc/etcd/"} {
		n.file(folder+"ca.pem", 0o644, authority(evidencetest.CA))
		n.pemPair(folder+"kubernetes", r)
	}
	n.file(old+"ca-key.pem", 0o600, keyText)
	n.file(old+"encryption-config.yaml", 0o600, "kind: EncryptionConfig\napiVersion: v1\nresources:\n- resources: [secrets]\n  providers:\n  - aescbc:\n      keys:\n      - name: key1\n        secret: "+Planted+"\n  - identity: {}\n")
	flags := append([]string{"--advertise-address=" + n.Address, "--allow-privileged=true", "--apiserver-count=3", "--audit-log-maxage=30", "--audit-log-maxbackup=3",
		"--audit-log-maxsize=100", "--audit-log-path=/var/log/audit.log", "--authorization-mode=Node,RBAC", "--bind-address=0.0.0.0", "--client-ca-file=" + old + "ca.pem",
		"--etcd-cafile=" + old + "ca.pem", "--etcd-certfile=" + old + "kubernetes.pem", "--etcd-keyfile=" + old + "kubernetes-key.pem",
		"--etcd-servers=" + urls(nodes, "https", 2379), "--event-ttl=1h", "--kubelet-certificate-authority=" + old + "ca.pem",
		"--kubelet-client-certificate=" + old + "kubernetes.pem", "--kubelet-client-key=" + old + "kubernetes-key.pem", "--kubelet-https=true"}, more...)
	n.service(service{name: "kube-apiserver", settings: onFailure, exec: command("/usr/local/bin/kube-apiserver", append(flags,
		"--service-cluster-ip-range=10.32.0.0/24", "--service-node-port-range=30000-32767", "--tls-cert-file="+old+"kubernetes.pem",
		"--tls-private-key-file="+old+"kubernetes-key.pem", "--v=2")...)})
	n.Listening = append(n.Listening, ":6443")
}

func (n *Node) hardWayEtcd(nodes []*Node, local, settings string) {
	initial := strings.Join(each(nodes, func(m *Node) string { return m.Name + "=https://" + m.Address + ":2380" }), ",")
	n.service(service{name: "etcd", settings: settings + onFailure, exec: command("/usr/local/bin/etcd", "--name "+n.Name, "--cert-file=/etc/etcd/kubernetes.pem",
		"--key-file=/etc/etcd/kubernetes-key.pem", "--peer-cert-file=/etc/etcd/kubernetes.pem", "--peer-key-file=/etc/etcd/kubernetes-key.pem",
		"--trusted-ca-file=/etc/etcd/ca.pem", "--peer-trusted-ca-file=/etc/etcd/ca.pem", "--peer-client-cert-auth", "--client-cert-auth",
		fmt.Sprintf("--initial-advertise-peer-urls https://%s:2380", n.Address), fmt.Sprintf("--listen-peer-urls https://%s:2380", n.Address),
		fmt.Sprintf("--listen-client-urls https://%s:2379,%s", n.Address, local), fmt.Sprintf("--advertise-client-urls https://%s:2379", n.Address),
		"--initial-cluster-token etcd-cluster-0", "--initial-cluster "+initial, "--initial-cluster-state new", "--data-dir=/var/lib/etcd")})
	n.member(n.Name, "https", 2379, 2380)
}

func (n *Node) hardWayWorker() {
	n.file(old+"ca.pem", 0o644, authority(evidencetest.CA))
	r := both(evidencetest.CA, "system:node:"+n.Name, n.Name, n.Address)
	r.Organization = []string{"system:nodes"}
	n.pemPair("/var/lib/kubelet/"+n.Name, r)
	n.kubeconfig("/var/lib/kubelet/kubeconfig", "https://"+vip+":6443", user{name: "system:node:" + n.Name, organization: []string{"system:nodes"}})
	n.kubeconfig("/var/lib/kube-proxy/kubeconfig", "https://"+vip+":6443", user{name: "system:kube-proxy", organization: []string{"system:node-proxier"}})
	n.Listening = append(n.Listening, ":10250", "127.0.0.1:10248", "127.0.0.1:10249", ":10256")
}

func (n *Node) hardWayScheduler(version string) {
	n.file("/etc/kubernetes/config/kube-scheduler.yaml", 0o644, "apiVersion: "+version+"\nkind: KubeSchedulerConfiguration\nclientConnection:\n  kubeconfig: \""+old+
		"kube-scheduler.kubeconfig\"\nleaderElection:\n  leaderElect: true\n")
	n.service(service{name: "kube-scheduler", settings: onFailure, exec: command("/usr/local/bin/kube-scheduler", "--config=/etc/kubernetes/config/kube-scheduler.yaml", "--v=2")})
}

func (n *Node) hardWayProxy() {
	n.file("/var/lib/kube-proxy/kube-proxy-config.yaml", 0o644, "kind: KubeProxyConfiguration\napiVersion: kubeproxy.config.k8s.io/v1alpha1\nclientConnection:\n"+
		"  kubeconfig: \"/var/lib/kube-proxy/kubeconfig\"\nmode: \"iptables\"\nclusterCIDR: \"10.200.0.0/16\"\n")
	n.service(service{name: "kube-proxy", settings: onFailure, exec: command("/usr/local/bin/kube-proxy", "--config=/var/lib/kube-proxy/kube-proxy-config.yaml")})
}

// packagedNginx is Debian's, with what is in its configuration beside events.
func (n *Node) packagedNginx(text string) {
	n.file("/etc/nginx/nginx.conf", 0o644, "user www-data;\nworker_processes auto;\npid /run/nginx.pid;\ninclude /etc/nginx/modules-enabled/*.conf;\nevents {\n  worker_connections 768;\n}\n"+text)
	n.service(service{name: "nginx", folder: usrUnits, settings: "Type=forking\nPIDFile=/run/nginx.pid\n", exec: "/usr/sbin/nginx -g 'daemon on; master_process on;'",
		process: []string{"nginx: master process /usr/sbin/nginx -g daemon on; master_process on;"}})
}
