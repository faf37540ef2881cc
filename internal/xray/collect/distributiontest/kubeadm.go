package distributiontest

import (
	"fmt"
	"strings"

	"github.com/haplane/haplane/internal/xray/evidence/evidencetest"
)

// kubeadm v1.37.2, cmd/kubeadm/app of k8s.io/kubernetes: phases/controlplane/manifests.go,
// phases/etcd/local.go, phases/certs/certlist.go, phases/kubeconfig/kubeconfig.go,
// cmd/phases/join/kubelet.go (the kubelet of a control-plane node asks its own API server);
// unit and drop-in of the packages: cmd/krel/templates/latest/kubelet of kubernetes/release.

// A kubeadm is what a cluster.yaml of it asks for.
type kubeadm struct {
	version, service, pods string
	endpoint               string // host:port
	port                   int    // of the API servers
	names                  []string
	pki                    string
	nodes                  []*Node // of the control plane
	workers                []*Node
	etcd                   []string // flags of API servers for an external one; nil for a stacked one
	apiServer              []string // more flags
	manager, scheduler     []string
	remote                 bool // before 1.19 all kubeconfigs have the endpoint
	kubelet                func(n *Node, controlPlane bool)
}

const pki = "/etc/kubernetes/pki/"

func newKubeadm(nodes, workers []*Node, endpoint string) *kubeadm {
	return &kubeadm{version: "v1.37.2", service: "10.96.0.0/12", pods: "10.244.0.0/16", endpoint: endpoint, port: 6443, pki: pki, nodes: nodes, workers: workers}
}

func (k *kubeadm) lay() {
	if k.kubelet == nil {
		k.kubelet = k.packagedKubelet
	}
	for _, n := range k.nodes {
		k.certificates(n)
		k.kubeconfigs(n)
		k.programs(n)
		k.kubelet(n, true)
	}
	for _, n := range k.workers {
		n.file(k.pki+"ca.crt", 0o644, authority(evidencetest.CA))
		k.kubelet(n, false)
	}
}

func (k *kubeadm) certificates(n *Node) {
	ca := func(base, name string) { n.ca(k.pki+base+".crt", k.pki+base+".key", name) }
	ca("ca", evidencetest.CA)
	ca("front-proxy-ca", evidencetest.FrontProxyCA)
	host, _, _ := strings.Cut(k.endpoint, ":")
	n.pair(k.pki+"apiserver", serving(evidencetest.CA, "kube-apiserver", append([]string{n.Name, "kubernetes", "kubernetes.default", "kubernetes.default.svc",
		"kubernetes.default.svc.cluster.local", firstOf(k.service), n.Address, host}, k.names...)...))
	n.pair(k.pki+"apiserver-kubelet-client", client(evidencetest.CA, "kube-apiserver-kubelet-client", "kubeadm:cluster-admins"))
	n.pair(k.pki+"front-proxy-client", client(evidencetest.FrontProxyCA, "front-proxy-client"))
	n.file(k.pki+"sa.pub", 0o600, publicKey("service accounts"))
	n.file(k.pki+"sa.key", 0o600, keyText)
	if k.etcd != nil {
		return
	}
	ca("etcd/ca", evidencetest.EtcdCA)
	k.etcdCertificates(n)
	n.pair(k.pki+"apiserver-etcd-client", client(evidencetest.EtcdCA, "kube-apiserver-etcd-client"))
}

func (k *kubeadm) etcdCertificates(n *Node) {
	for _, name := range []string{"etcd/server", "etcd/peer"} {
		r := both(evidencetest.EtcdCA, n.Name, n.Name, "localhost", n.Address, "127.0.0.1", "::1")
		r.Key = name + n.Name
		n.pair(k.pki+name, r)
	}
	n.pair(k.pki+"etcd/healthcheck-client", client(evidencetest.EtcdCA, "kube-etcd-healthcheck-client"))
}

// firstOf is the first address of a network whose address ends in 0.
func firstOf(network string) string {
	address, _, _ := strings.Cut(network, "/")
	return strings.TrimSuffix(address, "0") + "1"
}

func (k *kubeadm) local(n *Node) string {
	if k.remote {
		return "https://" + k.endpoint
	}
	return fmt.Sprintf("https://%s:%d", n.Address, k.port)
}

const kubeletPEM = "/var/lib/kubelet/pki/kubelet-client-current.pem"

func (k *kubeadm) kubeconfigs(n *Node) {
	n.kubeconfig("/etc/kubernetes/admin.conf", "https://"+k.endpoint, user{name: "kubernetes-admin", organization: []string{"kubeadm:cluster-admins"}})
	n.kubeconfig("/etc/kubernetes/controller-manager.conf", k.local(n), user{name: "system:kube-controller-manager"})
	n.kubeconfig("/etc/kubernetes/scheduler.conf", k.local(n), user{name: "system:kube-scheduler"})
}

// pod is a static pod as kubeadm writes it.
func (k *kubeadm) pod(n *Node, name string, flags []string) {
	image := "registry.k8s.io/" + name + ":" + k.version
	if name == "etcd" {
		image = "registry.k8s.io/etcd:3.7.1-0"
	}
	mounts := same("/etc/ssl/certs", k.pki)
	switch name {
	case "etcd":
		mounts = same("/var/lib/etcd", k.pki+"etcd")
	case "kube-scheduler":
		mounts = same("/etc/kubernetes/scheduler.conf")
	case "kube-controller-manager":
		mounts["/etc/kubernetes/controller-manager.conf"] = "/etc/kubernetes/controller-manager.conf"
	}
	for _, f := range flags {
		if file, ok := strings.CutPrefix(f, "--config="); ok {
			mounts[file] = file
		}
		if file, ok := strings.CutPrefix(f, "--etcd-cafile="); ok && !strings.HasPrefix(file, k.pki) {
			mounts["/etc/ssl/etcd/ssl"] = "/etc/ssl/etcd/ssl"
		}
	}
	n.static(staticPod{name: name, image: image, command: append([]string{name}, flags...), mounts: mounts})
}

func (k *kubeadm) programs(n *Node) {
	if k.etcd == nil {
		k.pod(n, "etcd", etcdFlags(n, k.nodes, k.pki))
		n.member(n.Name, "https", 2379, 2380)
	}
	k.pod(n, "kube-apiserver", k.apiServerFlags(n))
	conf := "/etc/kubernetes/controller-manager.conf"
	k.pod(n, "kube-controller-manager", append(without([]string{"--allocate-node-cidrs=true", "--authentication-kubeconfig=" + conf, "--authorization-kubeconfig=" + conf,
		"--bind-address=127.0.0.1", "--client-ca-file=" + k.pki + "ca.crt", "--cluster-cidr=" + k.pods, "--cluster-name=kubernetes",
		"--cluster-signing-cert-file=" + k.pki + "ca.crt", "--cluster-signing-key-file=" + k.pki + "ca.key", "--controllers=*,bootstrapsigner,tokencleaner",
		"--kubeconfig=" + conf, "--leader-elect=true", "--requestheader-client-ca-file=" + k.pki + "front-proxy-ca.crt", "--root-ca-file=" + k.pki + "ca.crt",
		"--service-account-private-key-file=" + k.pki + "sa.key", "--service-cluster-ip-range=" + k.service, "--use-service-account-credentials=true"},
		namesOf(k.manager)...), k.manager...))
	conf = "/etc/kubernetes/scheduler.conf"
	k.pod(n, "kube-scheduler", append(without([]string{"--authentication-kubeconfig=" + conf, "--authorization-kubeconfig=" + conf, "--bind-address=127.0.0.1",
		"--kubeconfig=" + conf, "--leader-elect=true"}, namesOf(k.scheduler)...), k.scheduler...))
	n.Listening = append(n.Listening, fmt.Sprintf(":%d", k.port), "127.0.0.1:10257", "127.0.0.1:10259")
}

// namesOf are the names of flags.
func namesOf(flags []string) []string {
	var out []string
	for _, f := range flags {
		name, _, _ := strings.Cut(strings.TrimLeft(f, "-"), "=")
		out = append(out, name)
	}
	return out
}

func (k *kubeadm) apiServerFlags(n *Node) []string {
	flags := []string{
		"--advertise-address=" + n.Address, "--allow-privileged=true", "--authorization-mode=Node,RBAC", "--client-ca-file=" + k.pki + "ca.crt",
		"--enable-admission-plugins=NodeRestriction", "--enable-bootstrap-token-auth=true",
		"--kubelet-client-certificate=" + k.pki + "apiserver-kubelet-client.crt", "--kubelet-client-key=" + k.pki + "apiserver-kubelet-client.key",
		"--kubelet-preferred-address-types=InternalIP,ExternalIP,Hostname",
		"--proxy-client-cert-file=" + k.pki + "front-proxy-client.crt", "--proxy-client-key-file=" + k.pki + "front-proxy-client.key",
		"--requestheader-allowed-names=front-proxy-client", "--requestheader-client-ca-file=" + k.pki + "front-proxy-ca.crt",
		"--requestheader-extra-headers-prefix=X-Remote-Extra-", "--requestheader-group-headers=X-Remote-Group", "--requestheader-username-headers=X-Remote-User",
		fmt.Sprintf("--secure-port=%d", k.port), "--service-account-issuer=https://kubernetes.default.svc.cluster.local",
		"--service-account-key-file=" + k.pki + "sa.pub", "--service-account-signing-key-file=" + k.pki + "sa.key", "--service-cluster-ip-range=" + k.service,
		"--tls-cert-file=" + k.pki + "apiserver.crt", "--tls-private-key-file=" + k.pki + "apiserver.key",
	}
	etcd := k.etcd
	if etcd == nil {
		etcd = []string{"--etcd-cafile=" + k.pki + "etcd/ca.crt", "--etcd-certfile=" + k.pki + "apiserver-etcd-client.crt",
			"--etcd-keyfile=" + k.pki + "apiserver-etcd-client.key", "--etcd-servers=https://127.0.0.1:2379"}
	}
	etcd = append(append([]string{}, etcd...), k.apiServer...)
	return append(without(flags, namesOf(etcd)...), etcd...)
}

// etcdFlags are those of a member in a static pod.
func etcdFlags(n *Node, all []*Node, pki string) []string {
	initial := strings.Join(each(all, func(m *Node) string { return m.Name + "=https://" + m.Address + ":2380" }), ",")
	state := []string{"--initial-cluster=" + initial, "--initial-cluster-state=existing"}
	if n == all[0] { // which was there first
		state = []string{"--initial-cluster=" + n.Name + "=https://" + n.Address + ":2380"}
	}
	return append(state,
		"--advertise-client-urls=https://"+n.Address+":2379", "--cert-file="+pki+"etcd/server.crt", "--client-cert-auth=true", "--data-dir=/var/lib/etcd",
		"--feature-gates=InitialCorruptCheck=true", "--initial-advertise-peer-urls=https://"+n.Address+":2380", "--key-file="+pki+"etcd/server.key",
		"--listen-client-urls=https://127.0.0.1:2379,https://"+n.Address+":2379", "--listen-metrics-urls=http://127.0.0.1:2381",
		"--listen-peer-urls=https://"+n.Address+":2380", "--name="+n.Name, "--peer-cert-file="+pki+"etcd/peer.crt", "--peer-client-cert-auth=true",
		"--peer-key-file="+pki+"etcd/peer.key", "--peer-trusted-ca-file="+pki+"etcd/ca.crt", "--snapshot-count=10000",
		"--trusted-ca-file="+pki+"etcd/ca.crt", "--watch-progress-notify-interval=5s")
}

// packagedKubelet is that of the deb and rpm packages.
func (k *kubeadm) packagedKubelet(n *Node, controlPlane bool) {
	to := "https://" + k.endpoint
	if controlPlane {
		to = k.local(n)
	}
	const flags = "--bootstrap-kubeconfig=/etc/kubernetes/bootstrap-kubelet.conf --kubeconfig=/etc/kubernetes/kubelet.conf"
	const config, more = "--config=/var/lib/kubelet/config.yaml", "--node-ip="
	n.kubeletFiles("/etc/kubernetes/kubelet.conf", to)
	n.file("/var/lib/kubelet/config.yaml", 0o644, kubeletConfig(k.pki+"ca.crt"))
	n.file("/var/lib/kubelet/kubeadm-flags.env", 0o644, "KUBELET_KUBEADM_ARGS=\""+more+n.Address+"\"\n")
	n.service(service{name: "kubelet", folder: usrUnits, exec: "/usr/bin/kubelet", settings: "Restart=always\nStartLimitInterval=0\nRestartSec=10\n",
		process: strings.Fields("/usr/bin/kubelet " + flags + " " + config + " " + more + n.Address),
		dropIns: map[string]string{"10-kubeadm.conf": "[Service]\nEnvironment=\"KUBELET_KUBECONFIG_ARGS=" + flags + "\"\nEnvironment=\"KUBELET_CONFIG_ARGS=" + config + "\"\n" +
			"EnvironmentFile=-/var/lib/kubelet/kubeadm-flags.env\nEnvironmentFile=-/etc/default/kubelet\nExecStart=\n" +
			"ExecStart=/usr/bin/kubelet $KUBELET_KUBECONFIG_ARGS $KUBELET_CONFIG_ARGS $KUBELET_KUBEADM_ARGS $KUBELET_EXTRA_ARGS\n"}})
	n.runs(InPod, "/usr/local/bin/kube-proxy", "--config=/var/lib/kube-proxy/config.conf", "--hostname-override="+n.Name)
}

// kubeletFiles are what a kubelet has that bootstrapped itself.
func (n *Node) kubeletFiles(conf, server string) {
	n.kubeconfig(conf, server, user{name: "default-auth", cert: kubeletPEM, key: kubeletPEM})
	n.file("/var/lib/kubelet/pki/kubelet-client-2026-10-23-08-00-00.pem", 0o600,
		certificate(client(evidencetest.CA, "system:node:"+n.Name, "system:nodes"))+keyText)
	n.link(kubeletPEM, "/var/lib/kubelet/pki/kubelet-client-2026-10-23-08-00-00.pem")
	n.pair("/var/lib/kubelet/pki/kubelet", serving(n.Name+"-ca@1793000000", n.Name+"@1793000000", n.Name))
	n.Listening = append(n.Listening, ":10250", "127.0.0.1:10248", "127.0.0.1:10249", ":10256")
}

func kubeletConfig(ca string) string {
	return "apiVersion: kubelet.config.k8s.io/v1beta1\nkind: KubeletConfiguration\nauthentication:\n  anonymous: {enabled: false}\n  webhook: {enabled: true}\n" +
		"  x509: {clientCAFile: " + ca + "}\nauthorization: {mode: Webhook}\nclusterDomain: cluster.local\nrotateCertificates: true\nstaticPodPath: /etc/kubernetes/manifests\n"
}
