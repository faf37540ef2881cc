package distributiontest

import (
	"fmt"
	"strings"
)

// OpenShift 4 on its own machines, sources of August 2026: bindata/ of
// openshift/cluster-kube-apiserver-operator, cluster-kube-controller-manager-operator,
// cluster-kube-scheduler-operator and cluster-etcd-operator (pods, config.yaml), pkg/operator/configobservation/apiserver (which
// certificates are served), templates/ of openshift/machine-config-operator (kubelet, haproxy,
// keepalived). Flags of the API server and the controller-manager are in the file that
// --openshift-config names. HAProxy listens on 9445; a rule of the packet filter leads there.

const (
	shiftPods, shiftIn, shiftCerts = "/etc/kubernetes/static-pod-resources/", "/etc/kubernetes/static-pod-resources/", "/etc/kubernetes/static-pod-certs/"
	shiftDomain                    = "ocp.example.com"
	shiftInternal                  = "https://api-int." + shiftDomain + ":6443"
)

// OpenShift has three masters and two workers.
func OpenShift() *Cluster {
	nodes, workers := machines("master", 3, 11), machines("worker", 2, 21)
	for i, n := range nodes {
		n.shiftKubelet("node-role.kubernetes.io/control-plane,node-role.kubernetes.io/master")
		n.shiftEtcd(nodes)
		n.shiftAPIServer(nodes)
		n.shiftManager()
		n.shiftBalancer(i, nodes)
	}
	for _, n := range workers {
		n.shiftKubelet("node-role.kubernetes.io/worker")
	}
	return cluster("openshift", "172.30.0.1", append(nodes, workers...)...)
}

func (n *Node) shiftKubelet(labels string) {
	flags := []string{"--config=/etc/kubernetes/kubelet.conf", "--config-dir=/etc/openshift/kubelet.conf.d", "--bootstrap-kubeconfig=/etc/kubernetes/kubeconfig",
		"--kubeconfig=/var/lib/kubelet/kubeconfig", "--container-runtime-endpoint=/var/run/crio/crio.sock", "--runtime-cgroups=/system.slice/crio.service"}
	set := []string{"--node-labels=" + labels + ",node.openshift.io/os_id=${ID},${CUSTOM_KUBELET_LABELS}", "--node-ip=${KUBELET_NODE_IP}", "--address=${KUBELET_NODE_IP}",
		"--minimum-container-ttl-duration=6m0s", "--cloud-provider=", "--hostname-override=${KUBELET_NODE_NAME}", "--v=${KUBELET_LOG_LEVEL}"}
	n.file("/etc/kubernetes/kubelet.conf", 0o644, strings.Replace(kubeletConfig("/etc/kubernetes/kubelet-ca.crt"), "rotateCertificates", "serverTLSBootstrap: true\nrotateCertificates", 1))
	n.file("/etc/kubernetes/kubelet-ca.crt", 0o644, authority("kube-control-plane-signer")+authority("kube-apiserver-to-kubelet-signer"))
	n.file("/etc/os-release", 0o644, "NAME=\"Red Hat Enterprise Linux CoreOS\"\nID=\"rhcos\"\n")
	n.kubeconfig("/var/lib/kubelet/kubeconfig", shiftInternal, user{name: "default-auth", cert: kubeletPEM, key: kubeletPEM, trusts: shiftBundle()})
	n.kubeconfig("/etc/kubernetes/kubeconfig", shiftInternal, user{name: "kubelet", token: true, trusts: shiftBundle()})
	n.file("/var/lib/kubelet/pki/kubelet-client-2026-10-23-08-00-00.pem", 0o600, certificate(client("kube-csr-signer", "system:node:"+n.Name, "system:nodes"))+keyText)
	n.link(kubeletPEM, "/var/lib/kubelet/pki/kubelet-client-2026-10-23-08-00-00.pem")
	real := strings.NewReplacer("${ID}", "rhcos", ",${CUSTOM_KUBELET_LABELS}", "", "${KUBELET_NODE_IP}", n.Address, "${KUBELET_NODE_NAME}", n.Name, "${KUBELET_LOG_LEVEL}", "2")
	process := append([]string{"/usr/bin/kubelet"}, flags...)
	for _, f := range set {
		process = append(process, real.Replace(f))
	}
	n.service(service{name: "kubelet", exec: command("/usr/local/bin/kubenswrapper", append(append([]string{"/usr/bin/kubelet"}, flags...), set...)...), process: process,
		settings: "Type=notify\nEnvironment=\"KUBELET_NODE_IP=0.0.0.0\"\nEnvironmentFile=/etc/os-release\nEnvironmentFile=-/etc/kubernetes/kubelet-workaround\nEnvironmentFile=-/etc/kubernetes/kubelet-env\nRestart=always\nRestartSec=10\n",
		dropIns: map[string]string{"20-nodenet.conf": "[Service]\nEnvironment=\"KUBELET_NODE_IP=" + n.Address + "\" \"KUBELET_NODE_IPS=" + n.Address + "\"\n",
			"20-aws-node-name.conf": "[Service]\nEnvironment=\"KUBELET_NODE_NAME=" + n.Name + "\"\n", "20-logging.conf": "[Service]\nEnvironment=\"KUBELET_LOG_LEVEL=2\"\n"}})
	n.Listening = append(n.Listening, ":10250", "127.0.0.1:10248")
}

// shiftBundle are the CAs of what API servers show: to the load balancer's clients, on
// loopback, and in the service network.
func shiftBundle() string {
	return authority("kube-apiserver-lb-signer") + authority("kube-apiserver-localhost-signer") + authority("kube-apiserver-service-network-signer")
}

// shiftPair writes tls.crt and tls.key of a secret.
func (n *Node) shiftPair(folder string, r row) { n.pair(folder+"/tls", r) }

func (n *Node) shiftEtcd(nodes []*Node) {
	const certs = shiftPods + "etcd-certs/"
	const secret, bundle = "secrets/etcd-all-certs/", "configmaps/etcd-all-bundles/server-ca-bundle.crt"
	n.file(certs+bundle, 0o644, authority("openshift-etcd_etcd-signer"))
	for _, m := range nodes {
		n.pair(certs+secret+"etcd-peer-"+m.Name, both("openshift-etcd_etcd-signer", "system:etcd-peer:"+m.Name, "localhost", m.Address))
		n.pair(certs+secret+"etcd-serving-"+m.Name, both("openshift-etcd_etcd-signer", "system:etcd-server:"+m.Name, "etcd.kube-system.svc", "etcd.openshift-etcd.svc", "localhost", "127.0.0.1", "::1", m.Address))
	}
	file := func(kind, end string) string { return shiftCerts + secret + "etcd-" + kind + "-" + n.Name + end }
	flags := []string{"--logger=zap", "--log-level=info", "--feature-gates=InitialCorruptCheck=true", "--initial-advertise-peer-urls=https://${NODE_IT_IP}:2380",
		"--cert-file=" + file("serving", ".crt"), "--key-file=" + file("serving", ".key"), "--trusted-ca-file=" + shiftCerts + bundle, "--client-cert-auth=true",
		"--peer-cert-file=" + file("peer", ".crt"), "--peer-key-file=" + file("peer", ".key"), "--peer-trusted-ca-file=" + shiftCerts + bundle, "--peer-client-cert-auth=true",
		"--advertise-client-urls=https://${NODE_IT_IP}:2379", "--listen-client-urls=https://0.0.0.0:2379", "--listen-client-http-urls=https://0.0.0.0:2381",
		"--listen-peer-urls=https://0.0.0.0:2380", "--metrics=extensive", "--listen-metrics-urls=https://0.0.0.0:9978"}
	variable := "NODE_" + strings.ReplaceAll(n.Name, "-", "_")
	script := strings.ReplaceAll("#!/bin/sh\nset -euo pipefail\nETCD_INITIAL_CLUSTER=$(discover-etcd-initial-cluster --data-dir=/var/lib/etcd)\nexport ETCD_INITIAL_CLUSTER\n"+
		"export ETCD_NAME=${NODE_IT_ETCD_NAME}\nset -x\nexec nice -n -19 ionice -c2 -n0 etcd \\\n  "+strings.Join(flags, " \\\n  ")+" || mv /etc/kubernetes/etcd-backup-dir/etcd-member.yaml /etc/kubernetes/manifests\n", "NODE_IT", variable)
	n.static(staticPod{name: "etcd", file: "etcd-pod.yaml", namespace: "openshift-etcd", image: "quay.io/openshift-release-dev/ocp-v4.0-art-dev@sha256:0", grace: 30,
		command: []string{"/bin/sh", "-c", script}, mounts: map[string]string{"/etc/kubernetes/static-pod-certs": shiftPods + "etcd-certs",
			"/etc/kubernetes/static-pod-resources": shiftPods + "etcd-pod-4", "/var/lib/etcd/": "/var/lib/etcd", "/etc/kubernetes/manifests": "/etc/kubernetes/manifests"},
		env: map[string]string{variable + "_IP": n.Address, variable + "_ETCD_NAME": n.Name, variable + "_ETCD_URL_HOST": n.Address, "ETCD_DATA_DIR": "/var/lib/etcd",
			"ETCD_INITIAL_CLUSTER_STATE": "existing", "ETCD_QUOTA_BACKEND_BYTES": "8589934592", "ETCD_HEARTBEAT_INTERVAL": "100", "ETCD_ELECTION_TIMEOUT": "1000",
			"ETCD_TLS_MIN_VERSION": "TLS1.2", "ALL_ETCD_ENDPOINTS": urls(nodes, "https", 2379)},
		process: strings.Split(strings.ReplaceAll("etcd\n"+strings.Join(flags, "\n"), "${NODE_IT_IP}", n.Address), "\n")})
	n.member(n.Name, "https", 2379, 2380)
}

func (n *Node) shiftAPIServer(nodes []*Node) {
	const certs, pod = shiftPods + "kube-apiserver-certs/", shiftPods + "kube-apiserver-pod-7/"
	n.shiftPair(certs+"secrets/service-network-serving-certkey", serving("kube-apiserver-service-network-signer", "172.30.0.1", "kubernetes", "kubernetes.default",
		"kubernetes.default.svc", "kubernetes.default.svc.cluster.local", "openshift", "openshift.default", "172.30.0.1"))
	n.shiftPair(certs+"secrets/localhost-serving-cert-certkey", serving("kube-apiserver-localhost-signer", "127.0.0.1", "localhost", "127.0.0.1"))
	n.shiftPair(certs+"secrets/external-loadbalancer-serving-certkey", serving("kube-apiserver-lb-signer", "api."+shiftDomain, "api."+shiftDomain))
	n.shiftPair(certs+"secrets/internal-loadbalancer-serving-certkey", serving("kube-apiserver-lb-signer", "api-int."+shiftDomain, "api-int."+shiftDomain))
	n.shiftPair(certs+"secrets/kubelet-client", client("kube-apiserver-to-kubelet-signer", "system:kube-apiserver", "kube-master"))
	n.shiftPair(certs+"secrets/aggregator-client", client("aggregator-signer", "system:openshift-aggregator"))
	n.file(certs+"configmaps/client-ca/ca-bundle.crt", 0o644, authority("kube-csr-signer")+authority("kube-control-plane-signer"))
	n.file(certs+"configmaps/aggregator-client-ca/ca-bundle.crt", 0o644, authority("aggregator-signer"))
	n.file(certs+"secrets/bound-service-account-signing-key/service-account.key", 0o600, keyText)
	n.file(certs+"secrets/bound-service-account-signing-key/service-account.pub", 0o600, publicKey("bound"))
	n.file(pod+"configmaps/etcd-serving-ca/ca-bundle.crt", 0o644, authority("openshift-etcd_etcd-signer"))
	n.file(pod+"configmaps/kubelet-serving-ca/ca-bundle.crt", 0o644, authority("kube-csr-signer"))
	n.file(pod+"configmaps/sa-token-signing-certs/service-account-001.pub", 0o644, publicKey("service accounts"))
	n.file(pod+"configmaps/bound-sa-token-signing-certs/service-account-001.pub", 0o644, publicKey("bound"))
	n.shiftPair(pod+"secrets/etcd-client", client("openshift-etcd_etcd-signer", "etcd"))
	n.file(pod+"configmaps/config/config.yaml", 0o644, shiftConfig(nodes))
	const run = "hyperkube kube-apiserver --openshift-config=" + shiftIn + "configmaps/config/config.yaml --advertise-address=${HOST_IP} -v=2 --permit-address-sharing"
	n.static(staticPod{name: "kube-apiserver", file: "kube-apiserver-pod.yaml", namespace: "openshift-kube-apiserver", image: "quay.io/openshift-release-dev/ocp-v4.0-art-dev@sha256:0",
		command: []string{"/bin/bash", "-ec"}, args: []string{"LOCK=/var/log/kube-apiserver/.lock\nexec {LOCK_FD}>${LOCK} && flock --verbose -w 30 \"${LOCK_FD}\" || {\n  exit 1\n}\n" +
			"exec watch-termination --termination-touch-file=/var/log/kube-apiserver/.terminating --graceful-termination-duration=194s -- " + run + "\n"}, grace: 194,
		mounts:  map[string]string{"/etc/kubernetes/static-pod-resources": strings.TrimSuffix(pod, "/"), "/etc/kubernetes/static-pod-certs": strings.TrimSuffix(certs, "/"), "/var/log/kube-apiserver": "/var/log/kube-apiserver"},
		process: strings.Fields(strings.ReplaceAll(strings.TrimPrefix(run, "hyperkube "), "${HOST_IP}", n.Address))})
	n.Listening = append(n.Listening, ":6443")
}

// shiftConfig is config.yaml as far as it matters here.
func shiftConfig(nodes []*Node) string {
	out := "apiVersion: kubecontrolplane.config.openshift.io/v1\nkind: KubeAPIServerConfig\napiServerArguments:\n"
	for _, a := range [][2]string{{"allow-privileged", "true"}, {"anonymous-auth", "true"}, {"authorization-mode", "Scope,SystemMasters,RBAC,Node"},
		{"client-ca-file", shiftCerts + "configmaps/client-ca/ca-bundle.crt"}, {"endpoint-reconciler-type", "lease"}, {"etcd-cafile", shiftIn + "configmaps/etcd-serving-ca/ca-bundle.crt"},
		{"etcd-certfile", shiftIn + "secrets/etcd-client/tls.crt"}, {"etcd-keyfile", shiftIn + "secrets/etcd-client/tls.key"}, {"etcd-prefix", "kubernetes.io"}, {"event-ttl", "3h"},
		{"goaway-chance", "0.001"}, {"kubelet-certificate-authority", shiftIn + "configmaps/kubelet-serving-ca/ca-bundle.crt"},
		{"kubelet-client-certificate", shiftCerts + "secrets/kubelet-client/tls.crt"}, {"kubelet-client-key", shiftCerts + "secrets/kubelet-client/tls.key"},
		{"proxy-client-cert-file", shiftCerts + "secrets/aggregator-client/tls.crt"}, {"proxy-client-key-file", shiftCerts + "secrets/aggregator-client/tls.key"},
		{"requestheader-client-ca-file", shiftCerts + "configmaps/aggregator-client-ca/ca-bundle.crt"}, {"requestheader-extra-headers-prefix", "X-Remote-Extra-"}, {"requestheader-group-headers", "X-Remote-Group"}, {"requestheader-username-headers", "X-Remote-User"},
		{"service-account-issuer", "https://kubernetes.default.svc"},
		{"service-account-signing-key-file", shiftCerts + "secrets/bound-service-account-signing-key/service-account.key"}, {"service-cluster-ip-range", "172.30.0.0/16"},
		{"shutdown-delay-duration", "129s"}, {"shutdown-send-retry-after", "true"}, {"tls-cert-file", shiftCerts + "secrets/service-network-serving-certkey/tls.crt"},
		{"tls-private-key-file", shiftCerts + "secrets/service-network-serving-certkey/tls.key"}} {
		out += fmt.Sprintf("  %s:\n  - %q\n", a[0], a[1])
	}
	out += "  etcd-servers:\n"
	for _, url := range append(strings.Split(urls(nodes, "https", 2379), ","), "https://localhost:2379") {
		out += "  - " + url + "\n"
	}
	out += "  requestheader-allowed-names:\n  - kube-apiserver-proxy\n  - system:kube-apiserver-proxy\n  - system:openshift-aggregator\nserviceAccountPublicKeyFiles:\n- " +
		shiftIn + "configmaps/sa-token-signing-certs\n- " + shiftIn + "configmaps/bound-sa-token-signing-certs\nservicesSubnet: 172.30.0.0/16\nservingInfo:\n  bindAddress: 0.0.0.0:6443\n  bindNetwork: tcp4\n  namedCertificates:\n"
	for _, name := range []string{"localhost-serving-cert-certkey", "service-network-serving-certkey", "external-loadbalancer-serving-certkey", "internal-loadbalancer-serving-certkey"} {
		out += fmt.Sprintf("  - certFile: %[1]ssecrets/%[2]s/tls.crt\n    keyFile: %[1]ssecrets/%[2]s/tls.key\n", shiftCerts, name)
	}
	return out
}

func (n *Node) shiftManager() {
	const certs, pod = shiftPods + "kube-controller-manager-certs/", shiftPods + "kube-controller-manager-pod-5/"
	conf := shiftIn + "configmaps/controller-manager-kubeconfig/kubeconfig"
	secret := "secrets/kube-controller-manager-client-cert-key/tls"
	n.pair(certs+secret, client("kube-control-plane-signer", "system:kube-controller-manager"))
	n.kubeconfig(pod+"configmaps/controller-manager-kubeconfig/kubeconfig", shiftInternal, user{name: "kube-controller-manager",
		ca: shiftIn + "configmaps/serviceaccount-ca/ca-bundle.crt", cert: shiftCerts + secret + ".crt", key: shiftCerts + secret + ".key"})
	n.file(pod+"configmaps/serviceaccount-ca/ca-bundle.crt", 0o644, shiftBundle())
	n.file(pod+"secrets/service-account-private-key/service-account.key", 0o600, keyText)
	n.file(pod+"secrets/service-account-private-key/service-account.pub", 0o600, publicKey("service accounts"))
	n.file(certs+"secrets/csr-signer/tls.crt", 0o644, authority("kube-csr-signer"))
	n.file(certs+"secrets/csr-signer/tls.key", 0o600, keyText)
	n.file(certs+"configmaps/client-ca/ca-bundle.crt", 0o644, authority("kube-csr-signer")+authority("kube-control-plane-signer"))
	n.file(certs+"configmaps/aggregator-client-ca/ca-bundle.crt", 0o644, authority("aggregator-signer"))
	n.file(pod+"configmaps/config/config.yaml", 0o644, "apiVersion: kubecontrolplane.config.openshift.io/v1\nkind: KubeControllerManagerConfig\nextendedArguments:\n"+
		"  allocate-node-cidrs: [\"false\"]\n  cluster-cidr: [\"10.128.0.0/14\"]\n  cluster-signing-cert-file: ["+shiftCerts+"secrets/csr-signer/tls.crt]\n  cluster-signing-key-file: ["+shiftCerts+"secrets/csr-signer/tls.key]\n"+
		"  controllers: ['*', '-ttl', '-bootstrapsigner', '-tokencleaner', 'selinux-warning-controller']\n  leader-elect: [\"true\"]\n  leader-elect-renew-deadline: [12s]\n  leader-elect-retry-period: [3s]\n"+
		"  leader-elect-resource-lock: [leases]\n  root-ca-file: ["+shiftIn+"configmaps/serviceaccount-ca/ca-bundle.crt]\n  service-account-private-key-file: ["+shiftIn+"secrets/service-account-private-key/service-account.key]\n"+
		"  service-cluster-ip-range: [172.30.0.0/16]\n  use-service-account-credentials: [\"true\"]\n")
	flags := []string{"--openshift-config=" + shiftIn + "configmaps/config/config.yaml", "--kubeconfig=" + conf, "--authentication-kubeconfig=" + conf, "--authorization-kubeconfig=" + conf,
		"--client-ca-file=" + shiftCerts + "configmaps/client-ca/ca-bundle.crt", "--requestheader-client-ca-file=" + shiftCerts + "configmaps/aggregator-client-ca/ca-bundle.crt", "-v=2"}
	n.static(staticPod{name: "kube-controller-manager", file: "kube-controller-manager-pod.yaml", namespace: "openshift-kube-controller-manager", image: "quay.io/openshift-release-dev/ocp-v4.0-art-dev@sha256:0",
		command: []string{"/bin/bash", "-euxo", "pipefail", "-c"}, args: []string{"timeout 3m /bin/bash -exuo pipefail -c 'while [ -n \"$(ss -Htanop \\( sport = 10257 \\))\" ]; do sleep 1; done'\n\n" +
			"exec hyperkube kube-controller-manager " + strings.Join(flags, " \\\n  ") + "\n"},
		mounts:  map[string]string{"/etc/kubernetes/static-pod-resources": strings.TrimSuffix(pod, "/"), "/etc/kubernetes/static-pod-certs": strings.TrimSuffix(certs, "/")},
		process: append([]string{"kube-controller-manager"}, flags...)})
	const scheduler = shiftPods + "kube-scheduler-pod-6/"
	n.kubeconfig(scheduler+"configmaps/scheduler-kubeconfig/kubeconfig", shiftInternal, user{name: "system:kube-scheduler", signer: "kube-control-plane-signer", trusts: shiftBundle()})
	n.file(scheduler+"configmaps/config/config.yaml", 0o644, "apiVersion: kubescheduler.config.k8s.io/v1\nkind: KubeSchedulerConfiguration\nclientConnection:\n  kubeconfig: "+shiftIn+
		"configmaps/scheduler-kubeconfig/kubeconfig\nleaderElection:\n  leaderElect: true\n  leaseDuration: 137s\n  renewDeadline: 107s\n  retryPeriod: 26s\n  resourceNamespace: openshift-kube-scheduler\n  resourceLock: leases\n")
	n.static(staticPod{name: "kube-scheduler", file: "openshift-kube-scheduler-pod.yaml", namespace: "openshift-kube-scheduler", image: "quay.io/openshift-release-dev/ocp-v4.0-art-dev@sha256:0",
		command: []string{"hyperkube", "kube-scheduler"}, args: []string{"--config=" + shiftIn + "configmaps/config/config.yaml", "--authentication-kubeconfig=" + shiftIn + "configmaps/scheduler-kubeconfig/kubeconfig",
			"--authorization-kubeconfig=" + shiftIn + "configmaps/scheduler-kubeconfig/kubeconfig", "-v=2"},
		mounts:  map[string]string{"/etc/kubernetes/static-pod-resources": strings.TrimSuffix(scheduler, "/")},
		process: []string{"kube-scheduler", "--config=" + shiftIn + "configmaps/config/config.yaml", "--authentication-kubeconfig=" + shiftIn + "configmaps/scheduler-kubeconfig/kubeconfig", "--authorization-kubeconfig=" + shiftIn + "configmaps/scheduler-kubeconfig/kubeconfig", "-v=2"}})
	n.Listening = append(n.Listening, ":10257", ":10259")
}
