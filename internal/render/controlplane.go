package render

import (
	_ "embed"
	"encoding/base64"
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/haplane/haplane/internal/fileset"
	"github.com/haplane/haplane/internal/pki"
	"github.com/haplane/haplane/internal/topology"
	"github.com/haplane/haplane/spec"
)

// A planned stop of an API server: it answers 500 on /readyz at once, serves on
// for Topology.ShutdownDelay, until the load balancer has long seen that (see
// loadbalancer.go), then ends watches one by one for watchGrace.
const (
	watchGrace  = "5s"
	stopTimeout = 87 * time.Second // after the delay: the grace, and 60 s for requests under way
)

// Anonymous requests may ask for the health of an API server and nothing else:
// that is how the load balancer does.
const authenticationConfig = `apiVersion: apiserver.config.k8s.io/v1
kind: AuthenticationConfiguration
anonymous:
  enabled: true
  conditions:
  - path: /livez
  - path: /readyz
  - path: /healthz
`

// New Secrets are encrypted; identity stays last so that older ones can be read.
const encryptionConfig = `apiVersion: apiserver.config.k8s.io/v1
kind: EncryptionConfiguration
resources:
- resources: [secrets]
  providers:
  - secretbox:
      keys:
%s  - identity: {}
`

// encryptionKeys has a line for each key; the first one writes, all of them read.
func (b *builder) encryptionKeys() string {
	text := ""
	for _, k := range b.Keys.EncryptionKeys() {
		text += fmt.Sprintf("      - name: %s\n        secret: %s\n", k.Name, base64.StdEncoding.EncodeToString(k.Key))
	}
	return text
}

//go:embed manifests/audit-policy.yaml
var auditPolicy string

// apiServerRereads are the flags whose files a running API server reads again, in Kubernetes
// v1.37.2. The files of all others it reads when it starts: those of etcd-cafile,
// kubelet-certificate-authority, service-account-*, audit-policy-file; without
// --encryption-provider-config-automatic-reload that of encryption-provider-config; and
// authentication-config, of which it refuses to change the anonymous part, all that ours has.
var apiServerRereads = []string{
	"tls-cert-file", "tls-private-key-file", // apiserver/pkg/server/options/serving.go: a DynamicCertKeyPairContent
	"client-ca-file", "requestheader-client-ca-file", // .../options/authentication.go: DynamicFileCAContent
	"proxy-client-cert-file", "proxy-client-key-file", // kube-aggregator/pkg/apiserver/apiserver.go
	"kubelet-client-certificate", "kubelet-client-key", // client-go/transport/transport.go: ReloadTLSFiles
	"etcd-certfile", "etcd-keyfile", // etcd/client/pkg/transport/listener.go: GetClientCertificate
}

func (b *builder) apiServer() {
	t := b.Topology
	b.addCert(pkiPath("ca.crt"), pki.CA)
	b.addPair(pkiPath("apiserver"), pki.APIServer)
	b.addPair(pkiPath("apiserver-kubelet-client"), pki.APIServerKubeletClient)
	b.addPair(pkiPath("apiserver-etcd-client"), pki.APIServerEtcdClient)
	b.addCert(pkiPath("etcd/ca.crt"), pki.EtcdCA)
	b.addCert(pkiPath("front-proxy-ca.crt"), pki.FrontProxyCA)
	b.addPair(pkiPath("front-proxy-client"), pki.FrontProxyClient)
	b.addSecret(pkiPath("sa.key"), b.Keys.ServiceAccountKey)
	b.add(pkiPath("sa.pub"), string(b.Keys.ServiceAccountPubs()))
	b.add(path.Join(topology.KubernetesDir, "authentication.yaml"), authenticationConfig)
	b.addSecret(path.Join(topology.KubernetesDir, "encryption.yaml"),
		fmt.Appendf(nil, encryptionConfig, b.encryptionKeys()))
	b.add(path.Join(topology.KubernetesDir, "audit-policy.yaml"), auditPolicy)

	reconciler := "lease"
	if t.Reconciler == spec.ReconcilerNone {
		reconciler = "none"
	}
	b.addService(service{
		name: "kube-apiserver", description: "Kubernetes API server", after: []string{"etcd.service"},
		argv: b.flags("kube-apiserver", append(b.peerFlags(),
			[2]string{"advertise-address", t.AdvertiseAddress(b.node).String()},
			[2]string{"allow-privileged", "true"},
			[2]string{"audit-log-maxage", "30"},
			[2]string{"audit-log-maxbackup", "10"},
			[2]string{"audit-log-maxsize", "100"},
			[2]string{"audit-log-path", topology.AuditLog},
			[2]string{"audit-policy-file", "/etc/kubernetes/audit-policy.yaml"},
			[2]string{"authentication-config", "/etc/kubernetes/authentication.yaml"},
			[2]string{"authorization-mode", "Node,RBAC"},
			[2]string{"bind-address", b.bindAddress()},
			[2]string{"client-ca-file", pkiPath("ca.crt")},
			[2]string{"enable-admission-plugins", "NodeRestriction"},
			[2]string{"enable-bootstrap-token-auth", "true"},
			[2]string{"encryption-provider-config", "/etc/kubernetes/encryption.yaml"},
			[2]string{"endpoint-reconciler-type", reconciler},
			[2]string{"etcd-cafile", pkiPath("etcd/ca.crt")},
			[2]string{"etcd-certfile", pkiPath("apiserver-etcd-client.crt")},
			[2]string{"etcd-keyfile", pkiPath("apiserver-etcd-client.key")},
			[2]string{"etcd-servers", strings.Join(t.EtcdServers(), ",")},
			[2]string{"goaway-chance", "0.001"},
			[2]string{"kubelet-certificate-authority", pkiPath("ca.crt")},
			[2]string{"kubelet-client-certificate", pkiPath("apiserver-kubelet-client.crt")},
			[2]string{"kubelet-client-key", pkiPath("apiserver-kubelet-client.key")},
			[2]string{"kubelet-preferred-address-types", "InternalIP"},
			[2]string{"profiling", "false"},
			[2]string{"proxy-client-cert-file", pkiPath("front-proxy-client.crt")},
			[2]string{"proxy-client-key-file", pkiPath("front-proxy-client.key")},
			[2]string{"requestheader-allowed-names", "front-proxy-client"},
			[2]string{"requestheader-client-ca-file", pkiPath("front-proxy-ca.crt")},
			[2]string{"requestheader-extra-headers-prefix", "X-Remote-Extra-"},
			[2]string{"requestheader-group-headers", "X-Remote-Group"},
			[2]string{"requestheader-username-headers", "X-Remote-User"},
			[2]string{"secure-port", strconv.Itoa(topology.APIServerPort)},
			// A pod's token ends when it says so, after an hour, and not after a year: clients read
			// the next one, which kubelet writes in time.
			[2]string{"service-account-extend-token-expiration", "false"},
			[2]string{"service-account-issuer", "https://kubernetes.default.svc." + t.DNSDomain},
			[2]string{"service-account-key-file", pkiPath("sa.pub")},
			[2]string{"service-account-signing-key-file", pkiPath("sa.key")},
			[2]string{"service-cluster-ip-range", topology.Join(t.Services)},
			[2]string{spec.ShutdownDelay, t.ShutdownDelay().String()},
			[2]string{"shutdown-send-retry-after", "false"},
			[2]string{"shutdown-watch-termination-grace-period", watchGrace},
			[2]string{"tls-cert-file", pkiPath("apiserver.crt")},
			[2]string{"tls-min-version", "VersionTLS12"},
			[2]string{"tls-private-key-file", pkiPath("apiserver.key")},
		)...),
		// As for etcd: notify would make starting wait for readiness.
		service: []string{"Type=exec", fmt.Sprintf("TimeoutStopSec=%d", int((t.ShutdownDelay() + stopTimeout).Seconds())),
			"LogsDirectory=kubernetes", "LogsDirectoryMode=0700"},
		user: b.ownUser("kube-apiserver"),
		self: apiServerRereads,
	})
}

// peerFlags are how API servers of different versions reach each other. In the
// shared identity they cannot: v1.37.2 publishes --advertise-address, which is the
// load balancer's, whatever --peer-advertise-ip says (Extra.PeerAdvertiseAddress of
// its controlplane package is never set), and so could ask itself. There the
// feature is off.
func (b *builder) peerFlags() [][2]string {
	if b.Topology.Identity == spec.Shared {
		return [][2]string{{"feature-gates", "UnknownVersionInteroperabilityProxy=false"}}
	}
	return [][2]string{
		{"peer-advertise-ip", b.node.Address.String()},
		{"peer-advertise-port", strconv.Itoa(topology.APIServerPort)},
		{"peer-ca-file", pkiPath("ca.crt")},
	}
}

// bindAddress is where the API server listens: on all addresses of the machine, or, where the load balancer has the same port on the address
// that moves, on the node's own, which is the one that the others use.
func (b *builder) bindAddress() string {
	if b.besideBalancer() {
		return b.node.Address.String()
	}
	if b.Topology.IPv6() {
		return "::"
	}
	return "0.0.0.0"
}

// controllerManagerRereads is apiServerRereads of the controller manager. ca.crt is also the
// file of root-ca-file, which it reads once.
var controllerManagerRereads = []string{
	"client-ca-file", "requestheader-client-ca-file", // apiserver/pkg/server/options/authentication.go
	"cluster-signing-cert-file", "cluster-signing-key-file", // kubernetes/pkg/controller/certificates/signer/ca_provider.go
}

func (b *builder) controllerManager() {
	signing := pkiPath("ca.crt")
	if b.signs() {
		// It signs the certificates that nodes ask for. Where haplane does not have it, it stays as it is there.
		key := b.Keys.Pairs[pki.CA].Key
		b.files.Add(fileset.File{Path: pkiPath("ca.key"), Mode: 0o600, Data: key, Keep: len(key) == 0})
	}
	if beside := b.Keys.Beside; beside != nil && beside.Name == pki.CA {
		// It takes one certificate (signer/ca_provider.go), and ca.crt has those of all that are trusted.
		signing = pkiPath("ca-signing.crt")
		b.add(signing, string(b.Keys.Pairs[pki.CA].Cert))
	}
	const conf = "/etc/kubernetes/controller-manager.conf"
	b.addKubeconfig("controller-manager.conf", pki.ControllerManager, "system:kube-controller-manager", b.ownAPIServer())
	b.addService(service{
		name: "kube-controller-manager", description: "Kubernetes controller manager", after: []string{"kube-apiserver.service"},
		argv: b.flags("kube-controller-manager", slices.Concat([][2]string{
			{"allocate-node-cidrs", "true"},
			{"authentication-kubeconfig", conf},
			{"authorization-kubeconfig", conf},
			{"bind-address", "127.0.0.1"},
			{"client-ca-file", pkiPath("ca.crt")},
			{"cluster-cidr", topology.Join(b.Topology.Pods)},
			{"cluster-name", b.Topology.Name},
		}, b.signerFlags(signing), [][2]string{
			{"controllers", "*,bootstrapsigner,tokencleaner"},
			// Hands leadership over when it stops instead of letting the lease run out.
			{"feature-gates", "ControllerManagerReleaseLeaderElectionLockOnExit=true"},
			{"kubeconfig", conf},
			{"leader-elect", "true"},
			{"profiling", "false"},
			{"requestheader-client-ca-file", pkiPath("front-proxy-ca.crt")},
			{"root-ca-file", pkiPath("ca.crt")},
			{"service-account-private-key-file", pkiPath("sa.key")},
			{"service-cluster-ip-range", topology.Join(b.Topology.Services)},
			{"use-service-account-credentials", "true"},
		})...),
		service: []string{"Type=exec", "TimeoutStopSec=30"},
		user:    b.ownUser("kube-controller-manager"),
		self:    controllerManagerRereads,
	})
}

// signs reports whether the controller manager has the key of the CA: without it, nobody signs what nodes ask for.
func (b *builder) signs() bool { return !slices.Contains(b.Topology.ExternalCA, spec.CA) }

// signerFlags are what it signs with; without them it runs no signer, as kubeadm has it where the key is elsewhere.
func (b *builder) signerFlags(cert string) [][2]string {
	if !b.signs() {
		return nil
	}
	return [][2]string{{"cluster-signing-cert-file", cert}, {"cluster-signing-key-file", pkiPath("ca.key")}}
}

func (b *builder) scheduler() {
	const conf = "/etc/kubernetes/scheduler.conf"
	b.addKubeconfig("scheduler.conf", pki.Scheduler, "system:kube-scheduler", b.ownAPIServer())
	b.addService(service{
		name: "kube-scheduler", description: "Kubernetes scheduler", after: []string{"kube-apiserver.service"},
		argv: b.flags("kube-scheduler",
			[2]string{"authentication-kubeconfig", conf},
			[2]string{"authorization-kubeconfig", conf},
			[2]string{"bind-address", "127.0.0.1"},
			[2]string{"kubeconfig", conf},
			[2]string{"leader-elect", "true"},
			[2]string{"profiling", "false"},
		),
		service: []string{"Type=exec", "TimeoutStopSec=30"},
		user:    b.ownUser("kube-scheduler"),
	})
}

// AgentListen is where haplane agent serves /healthz and /metrics.
const AgentListen = "127.0.0.1:10271"

func (b *builder) agent() {
	const conf = "/etc/kubernetes/haplane-agent.conf"
	b.addKubeconfig("haplane-agent.conf", pki.Agent, pki.AgentUser, b.ownAPIServer())
	argv := []string{AgentBinary, "agent", "--kubeconfig=" + conf, "--node-name=" + b.node.Name}
	if b.Topology.OwnsEndpoints() {
		argv = append(argv, "--endpoint="+b.Topology.LoadBalancer.String())
	}
	b.addService(service{
		name: "haplane-agent", description: "haplane agent, which approves what kubelets serve and keeps endpoints",
		after:   []string{"kube-apiserver.service"},
		argv:    append(argv, "--listen="+AgentListen),
		service: []string{"Type=exec", "TimeoutStopSec=10"},
		user:    b.ownUser("haplane-agent"),
	})
}

// AgentBinary is where a control-plane node has haplane itself.
const AgentBinary = topology.BinDir + "/haplane"

// An apiServer is where a program asks the API, and the name that it verifies there; "" is the host of the URL.
type apiServer struct{ URL, Name string }

// throughBalancer is what the programs of a Kubernetes node ask. One that has the load balancer itself asks its own API server, as kubeadm's
// control-plane nodes do: a connection of a machine to an address that it has comes from that address, and hangs when another one has it.
func (b *builder) throughBalancer() apiServer {
	if b.besideBalancer() {
		return b.ownAPIServer()
	}
	return apiServer{URL: b.Topology.APIEndpoint()}
}

// ownAPIServer is that of the node itself. Where it does not listen on 127.0.0.1, it is at the node's address, which its certificate may
// not name.
func (b *builder) ownAPIServer() apiServer {
	if b.besideBalancer() {
		return apiServer{b.node.APIServer(), topology.KubernetesName}
	}
	return apiServer{URL: "https://127.0.0.1:" + strconv.Itoa(topology.APIServerPort)}
}

// besideBalancer reports whether the node has an API server and the load balancer.
func (b *builder) besideBalancer() bool {
	return b.node.Role == spec.RoleControlPlane && b.Topology.Balances(b.node)
}

func (b *builder) addKubeconfig(file, row, user string, server apiServer) {
	b.certificates[path.Join(topology.KubernetesDir, file)] = row
	b.addSecret(path.Join(topology.KubernetesDir, file),
		Kubeconfig(KubeconfigInput{Cluster: b.Topology.Name, User: user, Context: user + "@" + b.Topology.Name,
			Server: server.URL, ServerName: server.Name, CA: b.Keys.Trusted(pki.CA), Client: b.Keys.Pairs[row]}))
}

// KubeconfigInput is what a kubeconfig says.
type KubeconfigInput struct {
	Cluster, User, Context string
	Server                 string
	ServerName             string // verified instead of the host in Server
	CA                     []byte
	Client                 pki.Pair
}

// Kubeconfig renders a kubeconfig with everything in it.
func Kubeconfig(in KubeconfigInput) []byte {
	b64 := base64.StdEncoding.EncodeToString
	var w strings.Builder
	fmt.Fprintf(&w, "apiVersion: v1\nkind: Config\nclusters:\n- name: %s\n  cluster:\n    server: %s\n", in.Cluster, in.Server)
	if in.ServerName != "" {
		fmt.Fprintf(&w, "    tls-server-name: %s\n", in.ServerName)
	}
	fmt.Fprintf(&w, "    certificate-authority-data: %s\n", b64(in.CA))
	fmt.Fprintf(&w, "users:\n- name: %s\n  user:\n    client-certificate-data: %s\n    client-key-data: %s\n",
		in.User, b64(in.Client.Cert), b64(in.Client.Key))
	fmt.Fprintf(&w, "contexts:\n- name: %s\n  context:\n    cluster: %s\n    user: %s\ncurrent-context: %s\n",
		in.Context, in.Cluster, in.User, in.Context)
	return []byte(w.String())
}
