package evidencetest

import (
	"slices"
	"strings"
	"time"

	"github.com/haplane/haplane/internal/xray/evidence"
	"github.com/haplane/haplane/spec"
)

// K0sPKI is where k0s has its keys and certificates.
const K0sPKI = "/var/lib/k0s/pki/"

// K0s is what machines and API show of a cluster that k0s made, with spec.api.externalAddress
// in its configuration: three controllers, which are no nodes, a worker, and HAProxy, which
// logs in to look whether they are ready. One unit
// runs all programs of a machine, with the flags and files that k0s gives them
// (pkg/component of github.com/k0sproject/k0s). Every API server advertises its own address
// and leaves the endpoints of the kubernetes Service alone: k0s keeps that one of the external
// address.
func K0s() *evidence.Evidence {
	e := Healthy(spec.PerNode)
	for _, n := range controlPlane {
		k0sController(Machine(e, n.name), n)
		Server(e, n.name).Certificates = Machine(e, n.name).Certificates[K0sPKI+"server.crt"]
	}
	Server(e, "").Certificates = Server(e, controlPlane[0].name).Certificates
	k0sWorker(Machine(e, worker.name))
	Machine(e, balancer.name).LoadBalancer.Check.LogsIn = true
	e.API.Endpoints, e.API.Slices = Endpoints(6443, LoadBalancerAddress)
	delete(e.API.Endpoints.Labels, "endpointslice.kubernetes.io/skip-mirror")
	e.API.Slices[0].Labels["endpointslice.kubernetes.io/managed-by"] = "endpointslicemirroring-controller.k8s.io"
	e.API.Nodes = e.API.Nodes[len(controlPlane):]
	for i := range e.API.Pods {
		e.API.Pods[i].Spec.NodeName = worker.name
	}
	return e
}

func k0sController(m *evidence.Machine, n node) {
	dropFiles(m)
	k0sFiles(m, n)
	m.Programs = []evidence.Program{
		k0sProgram(evidence.K0s, "", []string{"controller", "--config=/etc/k0s/k0s.yaml"}),
		k0sProgram(evidence.EtcdServer, EtcdVersion, k0sEtcdFlags(n)),
		k0sProgram(evidence.APIServer, KubernetesVersion, k0sAPIServerFlags(n)),
		k0sProgram(evidence.ControllerManager, KubernetesVersion, k0sManagerFlags()),
		k0sProgram(evidence.Scheduler, KubernetesVersion, []string{
			"--authentication-kubeconfig=" + K0sPKI + "scheduler.conf", "--authorization-kubeconfig=" + K0sPKI + "scheduler.conf",
			"--bind-address=127.0.0.1", "--kubeconfig=" + K0sPKI + "scheduler.conf", "--leader-elect=true", "--profiling=false", "--v=1"}),
	}
	m.Program(evidence.K0s).Config = map[string]any{"apiVersion": "k0s.k0sproject.io/v1beta1", "kind": "ClusterConfig",
		"spec": map[string]any{"api": map[string]any{"address": n.address, "externalAddress": LoadBalancerAddress}}}
	number(m)
	m.Listening = listening(":::6443", ":::9443", ":::8132", "127.0.0.1:2379", n.address+":2380", "127.0.0.1:10257", "127.0.0.1:10259")
	for i := range m.Etcd.Members {
		m.Etcd.Members[i].ClientURLs = []string{"https://127.0.0.1:2379"}
	}
	m.Etcd.Quota = 2 << 30
	m.Requests = slices.DeleteFunc(m.Requests, func(r evidence.Request) bool { return r.Purpose != evidence.LocalAPIServer })
	anonymous(m)
}

// StopK0s is what shows after systemctl stop k0scontroller: its unit, which does not
// say what it runs.
func StopK0s(e *evidence.Evidence, machine string) {
	m, p := Machine(e, machine), *Program(e, machine, evidence.K0s)
	Stop(&p)
	m.Programs, m.Etcd, m.Requests, m.Listening = []evidence.Program{p}, nil, nil, nil
	s := Server(e, machine)
	*s = evidence.Server{Node: s.Node, Address: s.Address, ServerName: s.ServerName, Err: "dial tcp " + s.Address + ": connect: connection refused"}
}

// anonymous: with --anonymous-auth=false API servers answer 401 to whoever does not log in.
func anonymous(m *evidence.Machine) {
	for i := range m.Requests {
		m.Requests[i].Status = 401
	}
}

func k0sProgram(name, version string, flags []string) evidence.Program {
	p := maker{}.program(name, version, 5*time.Second, nil)
	p.Argv = append([]string{"/var/lib/k0s/bin/" + name}, flags...)
	if name == evidence.K0s {
		p.Argv[0], p.StopTimeout = "/usr/local/bin/k0s", 90*time.Second
	}
	p.Unit = unit("k0scontroller", []string{"/usr/local/bin/k0s", "controller", "--config=/etc/k0s/k0s.yaml"}, 90*time.Second)
	delete(p.Unit.Settings, "TimeoutStopSec")
	p.Unit.Settings["KillMode"] = "process"
	return p
}

func k0sFiles(m *evidence.Machine, n node) {
	of := n.name
	pair(m, K0sPKI+"ca", authority(CA))
	pair(m, K0sPKI+"server", Row{CA: CA, CommonName: "kubernetes", Usages: ForBoth, Key: "apiserver" + of, Names: []string{
		"kubernetes", "kubernetes.default", "kubernetes.default.svc", "kubernetes.default.svc.cluster", "kubernetes.svc.cluster.local",
		"localhost", "127.0.0.1", n.address, LoadBalancerAddress, ServiceIP}})
	pair(m, K0sPKI+"apiserver-kubelet-client", Row{CA: CA, CommonName: "apiserver-kubelet-client", Usages: ForBoth, Key: "kubelet-client " + of})
	pair(m, K0sPKI+"apiserver-etcd-client", Row{CA: EtcdCA, CommonName: "apiserver-etcd-client", Usages: ForBoth, Key: "etcd-client " + of,
		Names: []string{"127.0.0.1", "localhost"}})
	pair(m, K0sPKI+"front-proxy-ca", authority(FrontProxyCA))
	pair(m, K0sPKI+"front-proxy-client", Row{CA: FrontProxyCA, CommonName: "front-proxy-client", Usages: ForBoth, Key: "front-proxy " + of})
	pair(m, K0sPKI+"etcd/ca", authority(EtcdCA))
	pair(m, K0sPKI+"etcd/server", Row{CA: EtcdCA, CommonName: "etcd-server", Usages: ForBoth, Key: "server " + of, Names: []string{"127.0.0.1", "localhost"}})
	pair(m, K0sPKI+"etcd/peer", Row{CA: EtcdCA, CommonName: n.address, Usages: ForBoth, Key: "peer " + of, Names: []string{n.address}})
	file(m, evidence.File{Path: K0sPKI + "sa.key", Mode: 0o600, Private: true, Sealed: true})
	file(m, evidence.File{Path: K0sPKI + "sa.pub", Mode: 0o640, PublicKeys: []string{PublicKey("service accounts")}, Digest: digest([]byte("sa.pub"))})
	file(m, evidence.File{Path: "/var/lib/k0s/konnectivity.conf", Mode: 0o644, Digest: digest([]byte("konnectivity"))})
	local := "https://localhost:6443"
	kubeconfig(m, K0sPKI+"admin.conf", "kubernetes-admin", local, of)
	kubeconfig(m, K0sPKI+"ccm.conf", "system:kube-controller-manager", local, of)
	kubeconfig(m, K0sPKI+"scheduler.conf", "system:kube-scheduler", local, of)
	for path, f := range m.Files {
		if f.Mode == 0o600 {
			f.Mode, f.Owner, f.Group = 0o640, k0sOwner(path), "root"
			m.Files[path] = f
		}
	}
}

func k0sOwner(path string) string {
	switch {
	case strings.Contains(path, "/etcd/"):
		return "etcd"
	case strings.HasSuffix(path, "admin.conf"):
		return "root"
	case strings.HasSuffix(path, "scheduler.conf"):
		return "kube-scheduler"
	}
	return "kube-apiserver"
}

func k0sEtcdFlags(n node) []string {
	return []string{
		"--name=" + n.name, "--data-dir=/var/lib/k0s/etcd", "--listen-client-urls=https://127.0.0.1:2379", "--advertise-client-urls=https://127.0.0.1:2379",
		"--client-cert-auth=true", "--listen-peer-urls=https://" + n.address + ":2380", "--initial-advertise-peer-urls=https://" + n.address + ":2380",
		"--tls-min-version=TLS1.2", "--trusted-ca-file=" + K0sPKI + "etcd/ca.crt", "--cert-file=" + K0sPKI + "etcd/server.crt",
		"--key-file=" + K0sPKI + "etcd/server.key", "--peer-trusted-ca-file=" + K0sPKI + "etcd/ca.crt", "--peer-key-file=" + K0sPKI + "etcd/peer.key",
		"--peer-cert-file=" + K0sPKI + "etcd/peer.crt", "--log-level=info", "--peer-client-cert-auth=true", "--enable-pprof=false",
	}
}

func k0sManagerFlags() []string {
	return []string{
		"--allocate-node-cidrs=true", "--authentication-kubeconfig=" + K0sPKI + "ccm.conf", "--authorization-kubeconfig=" + K0sPKI + "ccm.conf",
		"--bind-address=127.0.0.1", "--client-ca-file=" + K0sPKI + "ca.crt", "--cluster-cidr=10.244.0.0/16", "--cluster-name=k0s",
		"--cluster-signing-cert-file=" + K0sPKI + "ca.crt", "--cluster-signing-key-file=" + K0sPKI + "ca.key",
		"--controllers=*,bootstrapsigner,tokencleaner", "--enable-hostpath-provisioner=true", "--kubeconfig=" + K0sPKI + "ccm.conf",
		"--leader-elect=true", "--node-cidr-mask-size=24", "--profiling=false", "--requestheader-client-ca-file=" + K0sPKI + "front-proxy-ca.crt",
		"--root-ca-file=" + K0sPKI + "ca.crt", "--service-account-private-key-file=" + K0sPKI + "sa.key",
		"--service-cluster-ip-range=" + ServiceCIDR, "--terminated-pod-gc-threshold=12500", "--use-service-account-credentials=true", "--v=1",
	}
}

func k0sAPIServerFlags(n node) []string {
	return []string{
		"--advertise-address=" + n.address, "--allow-privileged=true", "--anonymous-auth=false",
		"--api-audiences=https://kubernetes.default.svc,system:konnectivity-server", "--authorization-mode=Node,RBAC",
		"--client-ca-file=" + K0sPKI + "ca.crt", "--egress-selector-config-file=/var/lib/k0s/konnectivity.conf",
		"--enable-admission-plugins=NodeRestriction", "--enable-bootstrap-token-auth=true", "--endpoint-reconciler-type=none",
		"--kubelet-certificate-authority=" + K0sPKI + "ca.crt", "--kubelet-client-certificate=" + K0sPKI + "apiserver-kubelet-client.crt",
		"--kubelet-client-key=" + K0sPKI + "apiserver-kubelet-client.key", "--kubelet-preferred-address-types=InternalIP,ExternalIP,Hostname",
		"--profiling=false", "--proxy-client-cert-file=" + K0sPKI + "front-proxy-client.crt", "--proxy-client-key-file=" + K0sPKI + "front-proxy-client.key",
		"--requestheader-allowed-names=front-proxy-client", "--requestheader-client-ca-file=" + K0sPKI + "front-proxy-ca.crt",
		"--requestheader-extra-headers-prefix=X-Remote-Extra-", "--requestheader-group-headers=X-Remote-Group",
		"--requestheader-username-headers=X-Remote-User", "--secure-port=6443", "--service-account-issuer=https://kubernetes.default.svc",
		"--service-account-jwks-uri=https://kubernetes.default.svc/openid/v1/jwks", "--service-account-key-file=" + K0sPKI + "sa.pub",
		"--service-account-signing-key-file=" + K0sPKI + "sa.key", "--service-cluster-ip-range=" + ServiceCIDR,
		"--tls-cert-file=" + K0sPKI + "server.crt", "--tls-min-version=VersionTLS12", "--tls-private-key-file=" + K0sPKI + "server.key", "--v=1",
		"--etcd-servers=https://127.0.0.1:2379", "--etcd-cafile=" + K0sPKI + "etcd/ca.crt",
		"--etcd-certfile=" + K0sPKI + "apiserver-etcd-client.crt", "--etcd-keyfile=" + K0sPKI + "apiserver-etcd-client.key",
	}
}

func k0sWorker(m *evidence.Machine) {
	kubelet := m.Program(evidence.Kubelet)
	kubelet.Argv = []string{"/var/lib/k0s/bin/kubelet", "--config=/var/lib/k0s/kubelet-config.yaml", "--kubeconfig=/var/lib/k0s/kubelet.conf",
		"--root-dir=/var/lib/k0s/kubelet", "--cert-dir=/var/lib/k0s/kubelet/pki", "--runtime-cgroups=/system.slice/containerd.service", "--v=1"}
	kubelet.Config = map[string]any{"kind": "KubeletConfiguration", "authentication": map[string]any{"x509": map[string]any{"clientCAFile": K0sPKI + "ca.crt"}}}
	k0s := maker{}.program(evidence.K0s, "", 90*time.Second, []string{"worker", "--token-file=/etc/k0s/token"})
	k0s.Unit = unit("k0sworker", k0s.Argv, 90*time.Second)
	kubelet.Unit, kubelet.StopTimeout = k0s.Unit, 5*time.Second
	dropFiles(m)
	certificate(m, K0sPKI+"ca.crt", authority(CA))
	kubeconfig(m, "/var/lib/k0s/kubelet.conf", "system:node:"+worker.name, "https://"+Endpoint, worker.name)
	m.Programs = []evidence.Program{k0s, *kubelet} // kube-proxy is a pod's
	number(m)
	anonymous(m)
}
