package distributiontest

import (
	"fmt"
	"strings"

	"github.com/haplane/haplane/internal/xray/evidence/evidencetest"
)

// Kubespray, kubernetes-sigs/kubespray at 46dbdd3 (2026, after v2.31): roles/etcd/templates
// (etcd.env, etcd-host.service, make-ssl-etcd.sh), roles/kubernetes/control-plane/templates/
// kubeadm-config.v1beta4.yaml.j2, roles/kubernetes/node/templates (kubelet.env, kubelet.service,
// loadbalancer/nginx.conf and haproxy.cfg with their manifests), roles/kubernetes/kubeadm/tasks
// (which kubeconfig leads where), roles/kubernetes/preinstall/defaults (pki is a link to ssl).

const spraySSL, sprayEtcd = "/etc/kubernetes/ssl/", "/etc/ssl/etcd/ssl/"

// Kubespray has nginx on each worker; control-plane nodes ask their own API server.
func Kubespray() *Cluster {
	c, nodes := kubespray("kubespray")
	for _, n := range c.Nodes[3:] {
		n.file("/etc/nginx/nginx.conf", 0o640, "error_log stderr notice;\n\nworker_processes 2;\nworker_rlimit_nofile 130048;\nworker_shutdown_timeout 10s;\n\n"+
			"events {\n  multi_accept on;\n  use epoll;\n  worker_connections 16384;\n}\n\nstream {\n  upstream kube_apiserver {\n    least_conn;\n"+
			strings.Join(each(nodes, func(n *Node) string { return "    server " + n.Address + ":6443;\n" }), "")+"  }\n\n  server {\n    listen        127.0.0.1:6443;\n"+
			"    proxy_pass    kube_apiserver;\n    proxy_timeout 10m;\n    proxy_connect_timeout 1s;\n  }\n}\n\nhttp {\n  aio threads;\n  server {\n    listen 8081;\n"+
			"    location /healthz {\n      access_log off;\n      return 200;\n    }\n    location /stub_status {\n      stub_status on;\n    }\n  }\n}\n")
		n.static(staticPod{name: "nginx-proxy", file: "nginx-proxy.yml", image: "docker.io/library/nginx:1.28.0-alpine", mounts: same("/etc/nginx"),
			process: []string{"nginx: master process nginx -g daemon off;"}})
	}
	return c
}

// KubesprayHAProxy is the same with loadbalancer_apiserver_type: haproxy.
func KubesprayHAProxy() *Cluster {
	c, nodes := kubespray("kubespray-haproxy")
	for _, n := range c.Nodes[3:] {
		text := "global\n    maxconn                 4000\n    log                     127.0.0.1 local0\n\ndefaults\n    mode                    http\n    log                     global\n" +
			"    option                  httplog\n    option                  dontlognull\n    option                  http-server-close\n    option                  redispatch\n" +
			"    retries                 5\n    timeout http-request    5m\n    timeout queue           5m\n    timeout connect         30s\n    timeout client          5m\n" +
			"    timeout server          15m\n    timeout http-keep-alive 30s\n    timeout check           30s\n    maxconn                 4000\n\nfrontend healthz\n  bind 0.0.0.0:8081\n" +
			"  mode http\n  monitor-uri /healthz\n\nfrontend kube_api_frontend\n  bind 127.0.0.1:6443\n  mode tcp\n  option tcplog\n  default_backend kube_api_backend\n\n" +
			"backend kube_api_backend\n  mode tcp\n  balance leastconn\n  default-server inter 15s downinter 15s rise 2 fall 2 slowstart 60s maxconn 1000 maxqueue 256 weight 100\n" +
			"  option httpchk GET /healthz\n  http-check expect status 200\n"
		for _, to := range nodes {
			text += fmt.Sprintf("  server %s %s:6443 check check-ssl verify none\n", to.Name, to.Address)
		}
		n.file("/etc/haproxy/haproxy.cfg", 0o640, text)
		n.static(staticPod{name: "haproxy", file: "haproxy.yml", image: "docker.io/library/haproxy:3.2.0-alpine", mounts: same("/usr/local/etc/haproxy"),
			process: []string{"haproxy", "-W", "-db", "-f", "/usr/local/etc/haproxy/haproxy.cfg"}})
		n.Change(manifests+"haproxy.yml", "path: /usr/local/etc/haproxy", "path: /etc/haproxy")
	}
	return c
}

func kubespray(name string) (*Cluster, []*Node) {
	nodes, workers := machines("node", 5, 11)[:3], machines("node", 5, 11)[3:]
	k := newKubeadm(nodes, workers, nodes[0].Address+":6443")
	k.version, k.service, k.pods, k.pki = "v1.35.4", "10.233.0.0/18", "10.233.64.0/18", spraySSL
	k.names = append(append([]string{"localhost", "127.0.0.1", "::1"}, addresses(nodes)...), names(nodes)...)
	k.scheduler = []string{"--config=/etc/kubernetes/kubescheduler-config.yaml", "--bind-address=::", "--profiling=False"}
	k.manager = []string{"--allocate-node-cidrs=false", "--bind-address=::", "--cluster-name=cluster.local", "--configure-cloud-routes=false", "--leader-elect-lease-duration=15s",
		"--leader-elect-renew-deadline=10s", "--node-monitor-grace-period=40s", "--node-monitor-period=5s", "--profiling=False", "--terminated-pod-gc-threshold=12500"}
	k.apiServer = []string{"--anonymous-auth=True", "--bind-address=::", "--default-not-ready-toleration-seconds=300", "--default-unreachable-toleration-seconds=300",
		"--enable-aggregator-routing=False", "--endpoint-reconciler-type=lease", "--etcd-compaction-interval=5m0s", "--event-ttl=1h0m0s",
		"--kubelet-preferred-address-types=InternalDNS,InternalIP,Hostname,ExternalDNS,ExternalIP", "--profiling=False", "--request-timeout=1m0s",
		"--service-account-lookup=True", "--service-node-port-range=30000-32767", "--storage-backend=etcd3"}
	k.etcd = []string{} // by node: see below
	k.kubelet = k.sprayKubelet
	for _, n := range nodes {
		n.sprayEtcd(nodes)
	}
	k.layEach(func(n *Node) {
		k.etcd = []string{"--etcd-cafile=" + sprayEtcd + "ca.pem", "--etcd-certfile=" + sprayEtcd + "node-" + n.Name + ".pem",
			"--etcd-keyfile=" + sprayEtcd + "node-" + n.Name + "-key.pem", "--etcd-servers=" + urls(nodes, "https", 2379)}
	})
	for _, n := range nodes {
		n.link("/etc/kubernetes/pki", "/etc/kubernetes/ssl")
		n.file("/etc/kubernetes/kubescheduler-config.yaml", 0o644, "apiVersion: kubescheduler.config.k8s.io/v1\nkind: KubeSchedulerConfiguration\nclientConnection:\n"+
			"  kubeconfig: \"/etc/kubernetes/scheduler.conf\"\nleaderElection:\n  leaderElect: true\n  leaseDuration: 15s\n  renewDeadline: 10s\n")
	}
	return cluster(name, "10.233.0.1", append(nodes, workers...)...), nodes
}

// layEach is lay with something that is each node's own.
func (k *kubeadm) layEach(own func(n *Node)) {
	nodes := k.nodes
	for _, n := range nodes {
		own(n)
		k.nodes = []*Node{n}
		workers := k.workers
		k.workers = nil
		k.lay()
		k.workers = workers
	}
	k.nodes = nil
	k.lay()
	k.nodes = nodes
}

func (n *Node) sprayEtcd(nodes []*Node) {
	alternative := append([]string{"localhost", "etcd.kube-system.svc.cluster.local", "etcd.kube-system.svc", "etcd.kube-system", "etcd", "127.0.0.1"}, addresses(nodes)...)
	alternative = append(alternative, names(nodes)...)
	n.file(sprayEtcd+"ca.pem", 0o700, authority(evidencetest.EtcdCA))
	n.file(sprayEtcd+"ca-key.pem", 0o700, keyText)
	for _, kind := range []string{"member", "admin", "node"} {
		r := both(evidencetest.EtcdCA, "etcd-"+kind+"-"+n.Name, alternative...)
		n.file(sprayEtcd+kind+"-"+n.Name+".pem", 0o700, certificate(r))
		n.file(sprayEtcd+kind+"-"+n.Name+"-key.pem", 0o700, keyText)
	}
	number := n.Name[len(n.Name)-1:]
	var initial []string
	for i, m := range nodes {
		initial = append(initial, fmt.Sprintf("etcd%d=https://%s:2380", i+1, m.Address))
	}
	n.file("/etc/etcd.env", 0o640, strings.NewReplacer("ADDRESS", n.Address, "NUMBER", number, "PEERS", strings.Join(initial, ","), "THIS", n.Name).Replace(`# Environment file for etcd 3.6.8
ETCD_DATA_DIR=/var/lib/etcd
ETCD_ADVERTISE_CLIENT_URLS=https://ADDRESS:2379
ETCD_INITIAL_ADVERTISE_PEER_URLS=https://ADDRESS:2380
ETCD_INITIAL_CLUSTER_STATE=existing
ETCD_METRICS=basic
ETCD_LISTEN_CLIENT_URLS=https://ADDRESS:2379,https://127.0.0.1:2379
ETCD_ELECTION_TIMEOUT=5000
ETCD_HEARTBEAT_INTERVAL=250
ETCD_INITIAL_CLUSTER_TOKEN=k8s_etcd
ETCD_LISTEN_PEER_URLS=https://ADDRESS:2380
ETCD_NAME=etcdNUMBER
ETCD_PROXY=off
ETCD_INITIAL_CLUSTER=PEERS
ETCD_AUTO_COMPACTION_RETENTION=8
ETCD_SNAPSHOT_COUNT=100000
ETCD_QUOTA_BACKEND_BYTES=2147483648
ETCD_MAX_REQUEST_BYTES=1572864
ETCD_LOG_LEVEL=info
ETCD_MAX_SNAPSHOTS=5
ETCD_MAX_WALS=5
ETCD_TRUSTED_CA_FILE=/etc/ssl/etcd/ssl/ca.pem
ETCD_CERT_FILE=/etc/ssl/etcd/ssl/member-THIS.pem
ETCD_KEY_FILE=/etc/ssl/etcd/ssl/member-THIS-key.pem
ETCD_CLIENT_CERT_AUTH=true
ETCD_PEER_TRUSTED_CA_FILE=/etc/ssl/etcd/ssl/ca.pem
ETCD_PEER_CERT_FILE=/etc/ssl/etcd/ssl/member-THIS.pem
ETCD_PEER_KEY_FILE=/etc/ssl/etcd/ssl/member-THIS-key.pem
ETCD_PEER_CLIENT_CERT_AUTH=True
ETCDCTL_ENDPOINTS=https://127.0.0.1:2379
ETCDCTL_CACERT=/etc/ssl/etcd/ssl/ca.pem
ETCDCTL_KEY=/etc/ssl/etcd/ssl/admin-THIS-key.pem
ETCDCTL_CERT=/etc/ssl/etcd/ssl/admin-THIS.pem
ETCD_EXPERIMENTAL_INITIAL_CORRUPT_CHECK=True
ETCD_EXPERIMENTAL_WATCH_PROGRESS_NOTIFY_INTERVAL=5s
`))
	n.service(service{name: "etcd", exec: "/usr/local/bin/etcd", settings: "Type=notify\nUser=root\nEnvironmentFile=/etc/etcd.env\nNotifyAccess=all\nRestart=always\nRestartSec=10s\nLimitNOFILE=40000\n"})
	n.member("etcd"+number, "https", 2379, 2380)
}

func (k *kubeadm) sprayKubelet(n *Node, controlPlane bool) {
	to := "https://localhost:6443" // nginx's
	if controlPlane {
		to = k.local(n)
	}
	const flags = "--bootstrap-kubeconfig=/etc/kubernetes/bootstrap-kubelet.conf --config=/etc/kubernetes/kubelet-config.yaml --kubeconfig=/etc/kubernetes/kubelet.conf --runtime-cgroups=/system.slice/containerd.service"
	n.kubeletFiles("/etc/kubernetes/kubelet.conf", to)
	n.file("/etc/kubernetes/kubelet-config.yaml", 0o600, kubeletConfig(spraySSL+"ca.crt"))
	n.file("/etc/kubernetes/kubelet.env", 0o600, "KUBE_LOG_LEVEL=\"--v=2\"\nKUBELET_ADDRESS=\"--node-ip="+n.Address+"\"\nKUBELET_HOSTNAME=\"--hostname-override="+n.Name+"\"\n\n"+
		"KUBELET_ARGS=\""+strings.ReplaceAll(flags, " --", " \\\n--")+" \"\nKUBELET_CLOUDPROVIDER=\"\"\n\nPATH=/usr/local/bin:/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin\n")
	n.service(service{name: "kubelet", settings: "EnvironmentFile=-/etc/kubernetes/kubelet.env\nRestart=always\nRestartSec=10s\n",
		exec:    command("/usr/local/bin/kubelet", "$KUBE_LOGTOSTDERR", "$KUBE_LOG_LEVEL", "$KUBELET_API_SERVER", "$KUBELET_ADDRESS", "$KUBELET_PORT", "$KUBELET_HOSTNAME", "$KUBELET_ARGS", "$KUBELET_CLOUDPROVIDER"),
		process: strings.Fields("/usr/local/bin/kubelet --v=2 --node-ip=" + n.Address + " --hostname-override=" + n.Name + " " + flags)})
	n.runs(InPod, "/usr/local/bin/kube-proxy", "--config=/var/lib/kube-proxy/config.conf", "--hostname-override="+n.Name)
}
