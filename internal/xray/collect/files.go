package collect

import (
	"errors"

	"github.com/haplane/haplane/internal/xray/evidence"
)

// A kind says what of a file may be looked at.
type kind string

// The kinds. Of all of them, mode, owner and size are seen too.
const (
	asText     kind = "text"     // a configuration, without its secrets
	asBalancer kind = "balancer" // the configuration of a load balancer, without its secrets
	asPEM      kind = "pem"      // certificates and public keys, not what is between them
	asKey      kind = "key"      // how many private keys it has, and what openssl makes public of one, on the machine
	asDigest   kind = "digest"   // the SHA-256
	asStat     kind = "stat"     // nothing: keys are never opened
)

// errPending is about a file that is still to be fetched.
var errPending = errors.New("not looked at yet")

// A shelf has the files of one machine, live ones or copies. Paths are those on the
// machine. What is not there is fs.ErrNotExist.
type shelf interface {
	// read returns what may be seen of a file.
	read(path string, how kind) (string, error)
	stat(path string, how kind) (evidence.File, error)
	// glob returns the paths that match, in their order.
	glob(pattern string, how kind) []string
}

// usual is where kubeadm, haplane, k0s, k3s and distributions keep their files. What
// flags name beside comes on top.
var usual = []struct {
	how      kind
	patterns []string
}{
	{asText, kubeconfigs},
	{asText, []string{
		"/etc/kubernetes/manifests/*",
		"/var/lib/kubelet/config.yaml", "/var/lib/kubelet/kubeadm-flags.env", "/etc/default/kubelet", "/etc/sysconfig/kubelet",
		"/etc/default/haproxy", "/etc/sysconfig/haproxy", "/etc/default/keepalived", "/etc/sysconfig/keepalived",
		"/var/lib/kube-proxy/config.conf",
	}},
	{asPEM, certificates},
	{asStat, keys},
	{asBalancer, []string{haproxyConfig, nginxConfig, keepalivedConfigs[0]}},
}

// These are evidence whatever flags say.
var (
	kubeconfigs = []string{"/etc/kubernetes/*.conf", "/etc/kubernetes/*kubeconfig", "/etc/kubernetes/*-kubeconfig.yaml", "/etc/kubernetes/ssl/kubecfg-*.yaml",
		"/var/lib/kubelet/*kubeconfig", "/var/lib/kube-proxy/*kubeconfig", "/var/lib/kube-scheduler/*kubeconfig", "/var/lib/kube-controller-manager/*kubeconfig",
		"/var/lib/kubernetes/*.kubeconfig", "/root/.kube/config", "/var/lib/k0s/kubelet.conf", "/var/lib/k0s/pki/*.conf", "/etc/rancher/k3s/k3s.yaml"}
	certificates = []string{"/etc/kubernetes/pki/*.crt", "/etc/kubernetes/pki/*.pub", "/etc/kubernetes/pki/etcd/*.crt",
		"/var/lib/kubelet/pki/kubelet-client-current.pem"}
	keys = []string{"/etc/kubernetes/pki/*.key", "/etc/kubernetes/pki/etcd/*.key", "/var/lib/kubelet/pki/*.key",
		"/var/lib/k0s/pki/*.key", "/var/lib/k0s/pki/etcd/*.key"}
)

// ahead is what flags, as a rule, will name: to look at it at once saves a round.
var ahead = []want{
	{asPEM, "/var/lib/kubelet/pki/*.crt"}, {asPEM, "/etc/haproxy/*.crt"},
	{asDigest, "/etc/kubernetes/*.yaml"},
	{asStat, "/var/lib/etcd"},
}

// Where load balancers have their configuration if they are not told.
const (
	haproxyConfig = "/etc/haproxy/haproxy.cfg"
	nginxConfig   = "/etc/nginx/nginx.conf"
)
