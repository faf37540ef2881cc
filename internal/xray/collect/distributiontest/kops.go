package distributiontest

import (
	"fmt"
	"strings"

	"github.com/haplane/haplane/internal/xray/evidence/evidencetest"
)

// kOps, kubernetes/kops of August 2026 (after 1.34): nodeup/pkg/model (kube_apiserver.go and
// its golden files in tests/golden/minimal, kubelet.go, context.go, kube_apiserver_healthcheck.go,
// etcd_manager_tls.go) and tests/integration/update_cluster/ha/data for etcd-manager's
// manifests. The load balancer is the cloud's; etcd-manager runs etcd, whose settings are in its environment.

const kopsPKI = "/srv/kubernetes/"

// Kops has an API at api.internal.ha.example.com.
func Kops() *Cluster {
	nodes, workers := machines("control-plane", 3, 11), machines("nodes", 2, 21)
	for _, n := range nodes {
		n.kopsFiles()
		n.kopsPods()
		n.kopsKubelet("https://127.0.0.1")
		n.kopsEtcd("main", 4001, 2380)
		n.kopsEtcd("events", 4002, 2381)
	}
	for _, n := range workers {
		n.kopsKubelet("https://api.internal.ha.example.com")
	}
	return cluster("kops", "100.64.0.1", append(nodes, workers...)...)
}

func (n *Node) kopsFiles() {
	const of = kopsPKI + "kube-apiserver/"
	n.pair(of+"server", serving(evidencetest.CA, "kubernetes-master", "kubernetes", "kubernetes.default", "kubernetes.default.svc", "kubernetes.default.svc.cluster.local",
		"api.ha.example.com", "api.internal.ha.example.com", "100.64.0.1", "127.0.0.1"))
	n.Files[of+"server.crt"] = File{Mode: 0o644, Text: n.Files[of+"server.crt"].Text + authority(evidencetest.CA)}
	n.pair(of+"kubelet-api", client(evidencetest.CA, "kubelet-api"))
	n.pair(of+"etcd-client", client("etcd-clients-ca", "kube-apiserver"))
	n.file(of+"etcd-ca.crt", 0o644, authority("etcd-clients-ca"))
	n.pair(of+"apiserver-aggregator", client("apiserver-aggregator-ca", "aggregator"))
	n.file(of+"apiserver-aggregator-ca.crt", 0o644, authority("apiserver-aggregator-ca"))
	n.file(of+"service-account.pub", 0o600, publicKey("service accounts"))
	n.file(of+"service-account.key", 0o600, keyText)
	n.ca(kopsPKI+"kube-controller-manager/ca.crt", kopsPKI+"kube-controller-manager/ca.key", evidencetest.CA)
	n.file(kopsPKI+"kube-controller-manager/service-account.key", 0o600, keyText)
	for _, name := range []string{"kube-controller-manager", "kube-scheduler"} {
		n.pair(kopsPKI+name+"/server", serving(evidencetest.CA, name, name+".kube-system.svc.cluster.local"))
		n.kubeconfig("/var/lib/"+name+"/kubeconfig", "https://127.0.0.1", user{name: "system:" + name})
	}
	n.file("/var/lib/kube-scheduler/config.yaml", 0o400, "apiVersion: kubescheduler.config.k8s.io/v1\nclientConnection:\n  kubeconfig: /var/lib/kube-scheduler/kubeconfig\nkind: KubeSchedulerConfiguration\n")
	const secrets = "/etc/kubernetes/kube-apiserver-healthcheck/secrets/"
	n.pair(secrets+"client", client(evidencetest.CA, "kube-apiserver-healthcheck"))
	n.file(secrets+"ca.crt", 0o644, authority(evidencetest.CA))
	for _, cluster := range []string{"main", "events"} {
		folder := "/etc/kubernetes/pki/etcd-manager-" + cluster + "/"
		for _, name := range []string{"etcd-manager-ca", "etcd-peers-ca"} {
			n.ca(folder+name+".crt", folder+name+".key", name+"-"+cluster)
		}
		n.ca(folder+"etcd-clients-ca.crt", folder+"etcd-clients-ca.key", "etcd-clients-ca")
	}
}

// kopsPod runs a program under go-runner, which writes its log.
func (n *Node) kopsPod(name string, mounts map[string]string, flags ...string) {
	var sidecars []any
	if name == "kube-apiserver" {
		mounts["/secrets"] = "/etc/kubernetes/kube-apiserver-healthcheck/secrets"
		sidecars = []any{map[string]any{"name": "healthcheck", "image": "registry.k8s.io/kops/kube-apiserver-healthcheck:1.34.0-beta.1",
			"args": []string{"--ca-cert=/secrets/ca.crt", "--client-cert=/secrets/client.crt", "--client-key=/secrets/client.key"}}}
	}
	mounts["/var/log/"+name+".log"] = "/var/log/" + name + ".log"
	program := append([]string{"/usr/local/bin/" + name}, append(flags, "--v=2")...)
	n.static(staticPod{name: name, file: name + ".manifest", image: "registry.k8s.io/" + name + ":v1.35.4", command: []string{"/go-runner"},
		args: append([]string{"--log-file=/var/log/" + name + ".log", "--also-stdout"}, program...), mounts: mounts, process: program, sidecars: sidecars})
}

func (n *Node) kopsPods() {
	const of = kopsPKI + "kube-apiserver/"
	n.kopsPod("kube-apiserver", same("/etc/ssl", kopsPKI+"ca.crt", strings.TrimSuffix(of, "/")),
		"--allow-privileged=true", "--anonymous-auth=false", "--api-audiences=kubernetes.svc.default", "--apiserver-count=3", "--authorization-mode=Node,RBAC",
		"--bind-address=0.0.0.0", "--client-ca-file="+kopsPKI+"ca.crt", "--enable-admission-plugins=DefaultStorageClass,DefaultTolerationSeconds,LimitRanger,NodeRestriction,ResourceQuota,ServiceAccount",
		"--etcd-cafile="+of+"etcd-ca.crt", "--etcd-certfile="+of+"etcd-client.crt", "--etcd-keyfile="+of+"etcd-client.key",
		"--etcd-servers-overrides=/events#https://127.0.0.1:4002", "--etcd-servers=https://127.0.0.1:4001",
		"--kubelet-client-certificate="+of+"kubelet-api.crt", "--kubelet-client-key="+of+"kubelet-api.key", "--kubelet-preferred-address-types=InternalIP,Hostname,ExternalIP",
		"--proxy-client-cert-file="+of+"apiserver-aggregator.crt", "--proxy-client-key-file="+of+"apiserver-aggregator.key", "--requestheader-allowed-names=aggregator",
		"--requestheader-client-ca-file="+of+"apiserver-aggregator-ca.crt", "--requestheader-extra-headers-prefix=X-Remote-Extra-",
		"--requestheader-group-headers=X-Remote-Group", "--requestheader-username-headers=X-Remote-User", "--secure-port=443",
		"--service-account-issuer=https://api.internal.ha.example.com", "--service-account-jwks-uri=https://api.internal.ha.example.com/openid/v1/jwks",
		"--service-account-key-file="+of+"service-account.pub", "--service-account-signing-key-file="+of+"service-account.key",
		"--service-cluster-ip-range=100.64.0.0/13", "--storage-backend=etcd3", "--tls-cert-file="+of+"server.crt", "--tls-private-key-file="+of+"server.key")
	const manager, conf = kopsPKI + "kube-controller-manager/", "/var/lib/kube-controller-manager/kubeconfig"
	n.kopsPod("kube-controller-manager", same(kopsPKI+"ca.crt", strings.TrimSuffix(manager, "/"), "/var/lib/kube-controller-manager"),
		"--allocate-node-cidrs=true", "--attach-detach-reconcile-sync-period=1m0s", "--authentication-kubeconfig="+conf, "--authorization-kubeconfig="+conf,
		"--cloud-provider=external", "--cluster-cidr=100.96.0.0/11", "--cluster-name=ha.example.com", "--cluster-signing-cert-file="+manager+"ca.crt",
		"--cluster-signing-key-file="+manager+"ca.key", "--configure-cloud-routes=true", "--kubeconfig="+conf, "--leader-elect=true", "--root-ca-file="+kopsPKI+"ca.crt",
		"--service-account-private-key-file="+manager+"service-account.key", "--tls-cert-file="+manager+"server.crt", "--tls-private-key-file="+manager+"server.key",
		"--use-service-account-credentials=true")
	const scheduler, of2 = "/var/lib/kube-scheduler/kubeconfig", kopsPKI + "kube-scheduler/"
	n.kopsPod("kube-scheduler", same("/var/lib/kube-scheduler", strings.TrimSuffix(of2, "/")), "--authentication-kubeconfig="+scheduler, "--authentication-skip-lookup=false",
		"--authentication-tolerate-lookup-failure=false", "--authorization-kubeconfig="+scheduler, "--config=/var/lib/kube-scheduler/config.yaml", "--leader-elect=true",
		"--tls-cert-file="+of2+"server.crt", "--tls-private-key-file="+of2+"server.key")
	n.Listening = append(n.Listening, ":443", ":10257", ":10259", "127.0.0.1:3990")
}

func (n *Node) kopsEtcd(cluster string, client, peer int) {
	n.static(staticPod{name: "etcd-manager-" + cluster, file: "etcd-" + cluster + "-" + n.Name + ".manifest", image: "registry.k8s.io/etcd-manager/etcd-manager-slim:v3.0.20260707",
		command: []string{"/go-runner"}, process: []string{"/ko-app/etcd-manager", "--cluster-name=etcd"},
		args: []string{"--log-file=/var/log/etcd.log", "--also-stdout", "/ko-app/etcd-manager", "--backup-store=s3://backups/ha.example.com/backups/etcd/" + cluster,
			fmt.Sprintf("--client-urls=https://__name__:%d", client), "--cluster-name=etcd", "--containerized=true", "--dns-suffix=.internal.ha.example.com", "--grpc-port=3996",
			fmt.Sprintf("--peer-urls=https://__name__:%d", peer), "--quarantine-client-urls=https://__name__:3994", "--v=6", "--volume-name-tag=k8s.io/etcd/" + cluster, "--volume-provider=aws"},
		mounts: map[string]string{"/rootfs": "/", "/run": "/run", "/etc/kubernetes/pki/etcd-manager": "/etc/kubernetes/pki/etcd-manager-" + cluster}})
	n.runs(InPod, "/opt/etcd-v3.6.12/etcd")
}

func (n *Node) kopsKubelet(server string) {
	n.file(kopsPKI+"ca.crt", 0o644, authority(evidencetest.CA))
	n.pair(kopsPKI+"kubelet-server", serving(evidencetest.CA, "system:node:"+n.Name, n.Name, n.Address))
	n.kubeconfig("/var/lib/kubelet/kubeconfig", server, user{name: "system:node:" + n.Name, organization: []string{"system:nodes"}})
	n.kubeconfig("/var/lib/kube-proxy/kubeconfig", server, user{name: "system:kube-proxy"})
	n.kopsPod("kube-proxy", same("/var/lib/kube-proxy"), "--cluster-cidr=100.96.0.0/11", "--conntrack-max-per-core=131072", "--kubeconfig=/var/lib/kube-proxy/kubeconfig",
		"--master="+server, "--oom-score-adj=-998")
	const flags = "--cloud-provider=external --kubeconfig=/var/lib/kubelet/kubeconfig --register-schedulable=true --runtime-request-timeout=15m0s --v=2 --config=/var/lib/kubelet/kubelet.conf"
	n.file("/etc/sysconfig/kubelet", 0o644, "DAEMON_ARGS=\""+flags+"\"\nHOME=\"/root\"\n")
	n.file("/var/lib/kubelet/kubelet.conf", 0o644, kubeletConfig(kopsPKI+"ca.crt")+"tlsCertFile: /srv/kubernetes/kubelet-server.crt\ntlsPrivateKeyFile: /srv/kubernetes/kubelet-server.key\nshutdownGracePeriod: 30s\n")
	n.service(service{name: "kubelet", folder: "/lib/systemd/system", exec: "/usr/local/bin/kubelet \"$DAEMON_ARGS\"", process: append([]string{"/usr/local/bin/kubelet"}, strings.Fields(flags)...),
		settings: "EnvironmentFile=/etc/sysconfig/kubelet\nRestart=always\nRestartSec=2s\nStartLimitInterval=0\nKillMode=process\nUser=root\n"})
	n.Listening = append(n.Listening, ":10250", "127.0.0.1:10248", "127.0.0.1:10249", ":10256")
}
