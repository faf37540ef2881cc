package evidencetest

import (
	"crypto/sha256"
	"fmt"
	"slices"
	"strings"

	"github.com/haplane/haplane/internal/xray/evidence"
	"github.com/haplane/haplane/spec"
)

// Paths of files that tests name often.
const (
	PKI            = "/etc/kubernetes/pki/"
	ServingCert    = PKI + "apiserver.crt"
	ServingKey     = PKI + "apiserver.key"
	KubeletConf    = "/etc/kubernetes/kubelet.conf"
	KubeProxyConf  = "/etc/kubernetes/kube-proxy.conf"
	AdminConf      = "/etc/kubernetes/admin.conf"
	SchedulerConf  = "/etc/kubernetes/scheduler.conf"
	ManagerConf    = "/etc/kubernetes/controller-manager.conf"
	EncryptionFile = "/etc/kubernetes/encryption.yaml"
)

// controlPlaneFiles are the keys, certificates and kubeconfigs of a control-plane
// node. kubeadm makes leaf certificates on each node, haplane one for all.
func (m maker) controlPlaneFiles(out *evidence.Machine, n node) {
	of := "" // whose key it is
	if m.kubeadm {
		of = n.name
	}
	pair(out, PKI+"ca", authority(CA))
	pair(out, PKI+"apiserver", m.serving(n))
	pair(out, PKI+"apiserver-kubelet-client", Row{CA: CA, CommonName: "kube-apiserver-kubelet-client", Usages: ForClient, Key: "kubelet-client " + of})
	pair(out, PKI+"apiserver-etcd-client", Row{CA: EtcdCA, CommonName: "kube-apiserver-etcd-client", Usages: ForClient, Key: "etcd-client " + of})
	certificate(out, PKI+"front-proxy-ca.crt", authority(FrontProxyCA))
	pair(out, PKI+"front-proxy-client", Row{CA: FrontProxyCA, CommonName: "front-proxy-client", Usages: ForClient, Key: "front-proxy " + of})
	certificate(out, PKI+"etcd/ca.crt", authority(EtcdCA))
	pair(out, PKI+"etcd/healthcheck-client", Row{CA: EtcdCA, CommonName: "etcd-healthcheck-client", Usages: ForClient, Key: "healthcheck " + of})
	for _, name := range []string{"server", "peer"} {
		names := []string{n.address, "127.0.0.1", n.name, "localhost"}
		pair(out, PKI+"etcd/"+name, Row{CA: EtcdCA, CommonName: n.name, Names: names, Usages: ForBoth, Key: name + n.name})
	}
	file(out, evidence.File{Path: PKI + "sa.key", Mode: 0o600, Private: true, Sealed: true})
	file(out, evidence.File{Path: PKI + "sa.pub", Mode: 0o644, PublicKeys: []string{PublicKey("service accounts")}, Digest: digest([]byte("sa.pub"))})
	if !m.kubeadm {
		file(out, evidence.File{Path: EncryptionFile, Mode: 0o600, Digest: digest([]byte("encryption"))})
		file(out, evidence.File{Path: "/etc/kubernetes/audit-policy.yaml", Mode: 0o644, Digest: digest([]byte("audit"))})
		file(out, evidence.File{Path: "/etc/kubernetes/authentication.yaml", Mode: 0o644, Digest: digest([]byte("authentication"))})
	}
	local := "https://127.0.0.1:6443"
	if m.kubeadm {
		local = "https://" + n.address + ":6443"
	}
	kubeconfig(out, AdminConf, "kubernetes-admin", "https://"+Endpoint, of)
	kubeconfig(out, ManagerConf, "system:kube-controller-manager", local, of)
	kubeconfig(out, SchedulerConf, "system:kube-scheduler", local, of)
	if m.identity == spec.Shared {
		kubeconfig(out, "/etc/kubernetes/haplane-agent.conf", "haplane-agent", local, of)
	}
}

// serving is the row of an API server's certificate.
func (m maker) serving(n node) Row {
	kubernetes := []string{"kubernetes", "kubernetes.default", "kubernetes.default.svc", "kubernetes.default.svc.cluster.local"}
	r := Row{CA: CA, CommonName: "kube-apiserver", Usages: ForServer, Key: "apiserver"}
	if m.kubeadm {
		r.Key += n.name
		r.Names = slices.Concat([]string{ServiceIP, n.address, LoadBalancerAddress, n.name}, kubernetes)
		return r
	}
	r.Names = []string{LoadBalancerAddress}
	if m.identity == spec.PerNode {
		for _, n := range controlPlane {
			r.Names = append(r.Names, n.address)
		}
	}
	r.Names = append(append(r.Names, "127.0.0.1", ServiceIP, "localhost"), kubernetes...)
	return r
}

// nodeFiles are those of a node with a kubelet. kubeadm has the kubelet of a
// control-plane node that joined talk to its own API server, and keeps kube-proxy's
// kubeconfig in the cluster.
func (m maker) nodeFiles(out *evidence.Machine, n node) {
	certificate(out, PKI+"ca.crt", authority(CA))
	server := "https://" + Endpoint
	if m.kubeadm && slices.Contains(controlPlane[1:], n) {
		server = "https://" + n.address + ":6443"
	}
	kubeconfig(out, KubeletConf, "system:node:"+n.name, server, n.name)
	if m.kubeadm {
		client := out.Certificates[KubeletConf]
		delete(out.Certificates, KubeletConf)
		out.Certificates[rotated] = client
		file(out, evidence.File{Path: rotated, Mode: 0o600})
		return
	}
	pair(out, "/var/lib/kubelet/pki/kubelet", Row{CA: CA, CommonName: n.name, Names: []string{n.address, n.name}, Usages: ForServer})
	kubeconfig(out, KubeProxyConf, "system:kube-proxy", "https://"+Endpoint, "")
}

// rotated is where a kubelet keeps the client certificate that it renews itself.
const rotated = "/var/lib/kubelet/pki/kubelet-client-current.pem"

func certificate(m *evidence.Machine, path string, r Row) {
	c := Issue(r)
	m.Certificates[path] = []evidence.Certificate{c}
	file(m, evidence.File{Path: path, Mode: 0o644, Digest: c.Fingerprint()})
}

// pair adds path.crt and path.key.
func pair(m *evidence.Machine, path string, r Row) {
	certificate(m, path+".crt", r)
	file(m, evidence.File{Path: path + ".key", Mode: 0o600})
}

// kubeconfig adds a kubeconfig with the client certificate that it contains.
func kubeconfig(m *evidence.Machine, path, user, server, of string) {
	r := Row{CA: CA, CommonName: user, Usages: ForClient, Key: user + " " + of}
	if strings.HasPrefix(user, "system:node:") {
		r.Organization = []string{"system:nodes"}
	}
	m.Certificates[path] = []evidence.Certificate{Issue(r)}
	m.Kubeconfigs[path] = evidence.Kubeconfig{Path: path, Context: user + "@demo", Server: server, User: user}
	file(m, evidence.File{Path: path, Mode: 0o600})
}

func file(m *evidence.Machine, f evidence.File) {
	f.Owner, f.Size = "root", 1024
	m.Files[f.Path] = f
}

func digest(content []byte) string { return fmt.Sprintf("%x", sha256.Sum256(content)) }

func cutAny(text string) (port string, all bool) { return strings.CutPrefix(text, ":::") }
