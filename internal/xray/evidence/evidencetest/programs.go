package evidencetest

import (
	"fmt"
	"strings"
	"time"

	"github.com/haplane/haplane/internal/xray/evidence"
	"github.com/haplane/haplane/spec"
)

func (m maker) controlPlanePrograms(n node) []evidence.Program {
	return []evidence.Program{
		m.program(evidence.EtcdServer, EtcdVersion, 30*time.Second, m.etcdFlags(n)),
		m.program(evidence.APIServer, KubernetesVersion, 90*time.Second, m.apiServerFlags(n)),
		m.program(evidence.ControllerManager, KubernetesVersion, 30*time.Second, m.controllerManagerFlags()),
		m.program(evidence.Scheduler, KubernetesVersion, 30*time.Second, []string{
			"--authentication-kubeconfig=" + SchedulerConf, "--authorization-kubeconfig=" + SchedulerConf,
			"--bind-address=127.0.0.1", "--kubeconfig=" + SchedulerConf, "--leader-elect=true"}),
	}
}

func (m maker) nodePrograms(n node) []evidence.Program {
	kubelet := m.program(evidence.Kubelet, KubernetesVersion, 30*time.Second, []string{
		"--config=/var/lib/kubelet/config.yaml", "--hostname-override=" + n.name, "--kubeconfig=" + KubeletConf, "--node-ip=" + n.address})
	kubelet.Config = map[string]any{
		"kind":           "KubeletConfiguration",
		"authentication": map[string]any{"x509": map[string]any{"clientCAFile": PKI + "ca.crt"}},
		"clusterDomain":  "cluster.local",
	}
	if !m.kubeadm {
		kubelet.Config["tlsCertFile"] = "/var/lib/kubelet/pki/kubelet.crt"
		kubelet.Config["tlsPrivateKeyFile"] = "/var/lib/kubelet/pki/kubelet.key"
	}
	kubelet.Unit = unit("kubelet", kubelet.Argv, 30*time.Second)
	proxy := m.program(evidence.KubeProxy, KubernetesVersion, 10*time.Second, []string{
		"--config=/var/lib/kube-proxy/config.conf", "--hostname-override=" + n.name})
	if !m.kubeadm { // whose configuration is in the container
		proxy.Config = map[string]any{"kind": "KubeProxyConfiguration", "mode": "iptables",
			"clientConnection": map[string]any{"kubeconfig": KubeProxyConf}}
	}
	return []evidence.Program{kubelet, proxy}
}

func (m maker) agent(n node) evidence.Program {
	p := m.program(evidence.HaplaneAgent, "", 10*time.Second, []string{"agent", "--kubeconfig=/etc/kubernetes/haplane-agent.conf",
		"--node-name=" + n.name, "--endpoint=" + Endpoint, "--listen=127.0.0.1:10271"})
	p.Unit = unit("haplane-agent", p.Argv, 10*time.Second)
	return p
}

// program is one that runs: of a systemd unit, or of a static pod, which is killed
// after 30 s.
func (m maker) program(name, version string, stop time.Duration, flags []string) evidence.Program {
	p := evidence.Program{Name: name, From: evidence.FromProcess, Running: true, Version: version,
		Argv: append([]string{"/usr/local/bin/" + name}, flags...), StopTimeout: stop}
	if m.kubeadm {
		p.Argv[0], p.StopTimeout = name, 30*time.Second
		return p
	}
	p.Unit = unit(name, p.Argv, stop)
	return p
}

func unit(name string, argv []string, stop time.Duration) *evidence.Unit {
	return &evidence.Unit{Name: name + ".service", Path: "/etc/systemd/system/" + name + ".service", Active: "active", Enabled: true,
		Exec:     append([]string{}, argv...),
		Settings: map[string]string{"Restart": "always", "RestartSec": "1", "TimeoutStopSec": fmt.Sprint(stop.Seconds())}}
}

func (m maker) etcdFlags(n node) []string {
	var initial []string
	for _, c := range controlPlane {
		initial = append(initial, c.name+"=https://"+c.address+":2380")
	}
	flags := []string{
		"--name=" + n.name, "--data-dir=/var/lib/etcd",
		"--listen-client-urls=https://127.0.0.1:2379,https://" + n.address + ":2379",
		"--advertise-client-urls=https://" + n.address + ":2379",
		"--listen-peer-urls=https://" + n.address + ":2380", "--initial-advertise-peer-urls=https://" + n.address + ":2380",
		"--initial-cluster=" + strings.Join(initial, ","),
		"--listen-metrics-urls=http://127.0.0.1:2381",
		"--cert-file=" + PKI + "etcd/server.crt", "--key-file=" + PKI + "etcd/server.key",
		"--client-cert-auth=true", "--trusted-ca-file=" + PKI + "etcd/ca.crt",
		"--peer-cert-file=" + PKI + "etcd/peer.crt", "--peer-key-file=" + PKI + "etcd/peer.key",
		"--peer-client-cert-auth=true", "--peer-trusted-ca-file=" + PKI + "etcd/ca.crt",
	}
	if m.kubeadm {
		return append(flags, "--initial-cluster-state=existing", "--snapshot-count=10000",
			"--feature-gates=InitialCorruptCheck=true", "--watch-progress-notify-interval=5s")
	}
	return append(flags, "--initial-cluster-state=new", "--initial-cluster-token=demo", "--tls-min-version=TLS1.2",
		"--quota-backend-bytes=4294967296")
}

func (m maker) controllerManagerFlags() []string {
	flags := []string{
		"--allocate-node-cidrs=true", "--authentication-kubeconfig=" + ManagerConf, "--authorization-kubeconfig=" + ManagerConf,
		"--bind-address=127.0.0.1", "--client-ca-file=" + PKI + "ca.crt", "--cluster-cidr=10.244.0.0/16", "--cluster-name=demo",
		"--cluster-signing-cert-file=" + PKI + "ca.crt", "--cluster-signing-key-file=" + PKI + "ca.key",
		"--controllers=*,bootstrapsigner,tokencleaner", "--kubeconfig=" + ManagerConf, "--leader-elect=true",
		"--requestheader-client-ca-file=" + PKI + "front-proxy-ca.crt", "--root-ca-file=" + PKI + "ca.crt",
		"--service-account-private-key-file=" + PKI + "sa.key", "--service-cluster-ip-range=" + ServiceCIDR,
		"--use-service-account-credentials=true",
	}
	if m.kubeadm {
		return flags
	}
	return append(flags, "--feature-gates=ControllerManagerReleaseLeaderElectionLockOnExit=true", "--profiling=false")
}

func (m maker) apiServerFlags(n node) []string {
	advertised := n.address
	if m.identity == spec.Shared {
		advertised = LoadBalancerAddress
	}
	flags := []string{
		"--advertise-address=" + advertised, "--allow-privileged=true", "--authorization-mode=Node,RBAC",
		"--client-ca-file=" + PKI + "ca.crt", "--enable-admission-plugins=NodeRestriction", "--enable-bootstrap-token-auth=true",
		"--etcd-cafile=" + PKI + "etcd/ca.crt", "--etcd-certfile=" + PKI + "apiserver-etcd-client.crt",
		"--etcd-keyfile=" + PKI + "apiserver-etcd-client.key", "--etcd-servers=https://127.0.0.1:2379",
		"--kubelet-client-certificate=" + PKI + "apiserver-kubelet-client.crt", "--kubelet-client-key=" + PKI + "apiserver-kubelet-client.key",
		"--proxy-client-cert-file=" + PKI + "front-proxy-client.crt", "--proxy-client-key-file=" + PKI + "front-proxy-client.key",
		"--requestheader-allowed-names=front-proxy-client", "--requestheader-client-ca-file=" + PKI + "front-proxy-ca.crt",
		"--requestheader-extra-headers-prefix=X-Remote-Extra-", "--requestheader-group-headers=X-Remote-Group",
		"--requestheader-username-headers=X-Remote-User", "--secure-port=6443",
		"--service-account-issuer=https://kubernetes.default.svc.cluster.local", "--service-account-key-file=" + PKI + "sa.pub",
		"--service-account-signing-key-file=" + PKI + "sa.key", "--service-cluster-ip-range=" + ServiceCIDR,
		"--tls-cert-file=" + ServingCert, "--tls-private-key-file=" + ServingKey,
	}
	if m.kubeadm {
		return append(flags, "--kubelet-preferred-address-types=InternalIP,ExternalIP,Hostname")
	}
	return append(flags, m.haplaneFlags(n)...)
}

// haplaneFlags are those of an API server that kubeadm does not set.
func (m maker) haplaneFlags(n node) []string {
	reconciler, peer := "lease", []string{"--peer-advertise-ip=" + n.address, "--peer-advertise-port=6443", "--peer-ca-file=" + PKI + "ca.crt"}
	if m.identity == spec.Shared {
		reconciler, peer = "none", []string{"--feature-gates=UnknownVersionInteroperabilityProxy=false"}
	}
	return append(peer,
		"--audit-log-path=/var/log/kubernetes/audit.log", "--audit-policy-file=/etc/kubernetes/audit-policy.yaml",
		"--authentication-config=/etc/kubernetes/authentication.yaml", "--bind-address=0.0.0.0",
		"--encryption-provider-config="+EncryptionFile, "--endpoint-reconciler-type="+reconciler, "--goaway-chance=0.001",
		"--kubelet-certificate-authority="+PKI+"ca.crt", "--kubelet-preferred-address-types=InternalIP", "--profiling=false",
		"--shutdown-delay-duration=5s", "--shutdown-send-retry-after=false", "--shutdown-watch-termination-grace-period=5s",
		"--tls-min-version=VersionTLS12")
}
