package topology

// Paths on machines are kubeadm's, so that who knows one cluster knows all.
const (
	KubernetesDir = "/etc/kubernetes"
	PKIDir        = KubernetesDir + "/pki"
	KubeletPKIDir = "/var/lib/kubelet/pki" // kubelet's own, and the pair that it serves
	// KubeletClients and KubeletServers are, as patterns of the shell, the certificates that a kubelet got by itself:
	// those with which it asks, and those that it serves.
	KubeletClients = KubeletPKIDir + "/kubelet-client-*.pem"
	KubeletServers = KubeletPKIDir + "/kubelet-server-*.pem"
	KubeletPair    = KubeletPKIDir + "/kubelet" // with .crt and .key
	BinDir         = "/usr/local/bin"
	ImageDir       = "/usr/share/haplane/images" // container images, one archive each
	ContainerdDir  = "/var/lib/containerd"       // its store
	CNIBinDir      = "/opt/cni/bin"
	CNIConfigDir   = "/etc/cni/net.d"
	UnitDir        = "/etc/systemd/system"
	EtcdDataDir    = "/var/lib/etcd"
	AuditLog       = "/var/log/kubernetes/audit.log"
	HAProxySocket  = "/run/haproxy/admin.sock"
	BalancerDir    = "/run/haplane"
	StandBy        = BalancerDir + "/stand-by" // 1 where a load balancer is not to have the address that moves
	BalancerWell   = BalancerDir + "/haproxy"  // 0 where it could have it: its HAProxy is well; else 1
	BalancerTrack  = BalancerDir + "/track"    // what keepalived is told
	// BalancerInForce is who votes, by whom a load balancer goes; there once it may have the address that moves.
	BalancerInForce = "/var/lib/haplane/balancer/electorates.json"
	KeepalivedPID   = BalancerDir + "/keepalived-vrrp.pid"
)

// HAProxy's backends: of the API servers that are well, and of last resort. Each has a
// server for every API server, named after its node.
const (
	HAProxyBackend    = "kube-apiserver"
	HAProxyLastResort = "kube-apiserver-last-resort"
)

// Ctr talks to containerd, of what Kubernetes has there. ImportImage makes an archive of a container image, which follows, known
// to it.
const (
	Ctr         = BinDir + "/ctr --namespace k8s.io"
	ImportImage = Ctr + " images import --local --digests=false"
)
