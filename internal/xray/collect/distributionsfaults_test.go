package collect

import (
	"slices"
	"strings"
	"testing"

	"github.com/haplane/haplane/internal/xray"
	"github.com/haplane/haplane/internal/xray/collect/distributiontest"
	"github.com/haplane/haplane/internal/xray/evidence"
	"github.com/haplane/haplane/internal/xray/evidence/evidencetest"
)

// A fault is put into a healthy cluster of a distribution, in one place.
type fault struct {
	of, name string
	put      func(c *distributiontest.Cluster)
	check    string
	status   xray.Status
	node     string // "" for any
	ways     []evidence.Way
}

const haproxyCfg, keepalivedConf = "/etc/haproxy/haproxy.cfg", "/etc/keepalived/keepalived.conf"

var onMachines = []evidence.Way{evidence.Machines}

// on changes a text in files of a machine, and in the command lines that come of them.
func on(node, pattern, before, after string) func(*distributiontest.Cluster) {
	return func(c *distributiontest.Cluster) { c.Node(node).Change(pattern, before, after) }
}

func both(first, second func(*distributiontest.Cluster)) func(*distributiontest.Cluster) {
	return func(c *distributiontest.Cluster) { first(c); second(c) }
}

func reissue(node, file string, change func(*evidencetest.Row)) func(*distributiontest.Cluster) {
	return func(c *distributiontest.Cluster) { c.Node(node).Reissue(file, change) }
}

func withoutName(name string) func(*evidencetest.Row) {
	return func(r *evidencetest.Row) {
		r.Names = slices.DeleteFunc(slices.Clone(r.Names), func(n string) bool { return n == name })
	}
}

func ofAnother(r *evidencetest.Row) { r.CA = evidencetest.OtherCA }

var faults = []fault{
	{"kubeadm", "one API server is missing in one balancer", on("lb-2", haproxyCfg, "    server cp-3 10.0.0.13:6443 check verify none\n", ""), "lb-backends", xray.Fail, "lb-2", nil},
	{"kubeadm", "VRRP in two groups", on("lb-2", keepalivedConf, "virtual_router_id 51", "virtual_router_id 52"), "lb-address-moves", xray.Fail, "", nil},
	{"kubeadm", "a worker is tied to one API server", on("worker-1", "/etc/kubernetes/kubelet.conf", "10.0.0.10:6443", "10.0.0.11:6443"), "kubeconfig-servers", xray.Fail, "worker-1", nil},
	{"kubeadm-static-pods", "a certificate without the balancer's address", reissue("cp-2", "/etc/kubernetes/pki/apiserver.crt", withoutName("10.0.0.10")), "serving-cert-names", xray.Fail, "cp-2", nil},
	{"kubeadm-static-pods", "TLS cannot pass one of the balancers", on("cp-3", haproxyCfg, "    mode tcp\n", ""), "lb-tls-passthrough", xray.Fail, "cp-3", nil},
	{"kubeadm-external-etcd", "one API server is missing in both balancers", both(on("lb-1", haproxyCfg, "    server cp-2 10.0.0.12:6443 check verify none\n", ""),
		on("lb-2", haproxyCfg, "    server cp-2 10.0.0.12:6443 check verify none\n", "")), "lb-backends", xray.Fail, "lb-1", nil},
	{"kubeadm-external-etcd", "a member with another CA's certificate", reissue("etcd-2", "/etc/kubernetes/pki/etcd/server.crt", ofAnother), "chain-valid", xray.Fail, "etcd-2", nil},
	{"kubeadm-external-etcd", "one API server asks one member alone", on("cp-3", "/etc/kubernetes/manifests/*", "https://10.0.0.41:2379,https://10.0.0.42:2379,https://10.0.0.43:2379", "https://10.0.0.41:2379"), "etcd-endpoints-of-api-servers", xray.Fail, "cp-3", nil},
	{"kube-vip", "on one machine of three", func(c *distributiontest.Cluster) {
		for _, node := range []string{"cp-2", "cp-3"} {
			c.Node(node).Remove("/etc/kubernetes/manifests/kube-vip.yaml", "manager")
		}
	}, "lb-single-point", xray.Warn, "", nil},
	{"kube-vip", "another address", on("cp-2", "/etc/kubernetes/manifests/*", "10.0.0.10", "10.0.0.99"), "lb-address-moves", xray.Fail, "cp-2", nil},
	{"hard-way-1.8", "one API server is missing in nginx", on("lb", "/etc/nginx/nginx.conf", "    server 10.0.0.13:6443;\n", ""), "lb-backends", xray.Fail, "lb", nil},
	{"hard-way-1.18", "another key for service accounts", reissue("controller-2", "/var/lib/kubernetes/service-account.pem", func(r *evidencetest.Row) { r.Key = "another" }), "service-account-key-equal", xray.Fail, "controller-2", nil},
	{"hard-way-1.18", "a scheduler that elects nobody", on("controller-3", "/etc/kubernetes/config/*", "leaderElect: true", "leaderElect: false"), "leader-elect-flags", xray.Fail, "controller-3", nil},
	{"hard-way-today", "a kubelet that trusts another CA", reissue("server", "/var/lib/kubernetes/kube-api-server.crt", ofAnother), "chain-valid", xray.Fail, "server", nil},
	{"wardroom", "a worker is tied to one master", on("node-2", "/etc/kubernetes/kubelet.conf", "api.example.com:6443", "10.0.0.11:6443"), "kubeconfig-servers", xray.Fail, "node-2", nil},
	{"wardroom", "one master is missing in nginx", on("loadbalancer", "/etc/nginx/nginx.conf", "        server 10.0.0.12:6443;\n", ""), "lb-backends", xray.Fail, "loadbalancer", nil},
	{"kubespray", "one node is missing in a worker's nginx", on("node-4", "/etc/nginx/nginx.conf", "    server 10.0.0.12:6443;\n", ""), "lb-backends", xray.Fail, "node-4", nil},
	{"kubespray", "a worker goes past its nginx", on("node-5", "/etc/kubernetes/kubelet.conf", "localhost:6443", "10.0.0.11:6443"), "kubeconfig-servers", xray.Fail, "node-5", nil},
	{"kubespray", "a member without clients' certificates", on("node-2", "/etc/etcd.env", "ETCD_CLIENT_CERT_AUTH=true", "ETCD_CLIENT_CERT_AUTH=false"), "etcd-tls", xray.Fail, "node-2", nil},
	{"kubespray-haproxy", "a server under a wrong port", on("node-5", haproxyCfg, "10.0.0.13:6443", "10.0.0.13:6444"), "lb-backends", xray.Fail, "node-5", nil},
	{"kops", "two controller-managers", func(c *distributiontest.Cluster) {
		const file = "/etc/kubernetes/manifests/kube-controller-manager.manifest"
		c.Node("control-plane-2").Copy(file, file+".bak")
	}, "duplicate-programs", xray.Fail, "control-plane-2", nil},
	{"kops", "one API server under another prefix", on("control-plane-3", "/etc/kubernetes/manifests/*", "--storage-backend=etcd3", "--etcd-prefix=/other"), "one-store", xray.Fail, "", nil},
	{"kops", "one API server asks the etcd of events", on("control-plane-3", "/etc/kubernetes/manifests/*", "--etcd-servers=https://127.0.0.1:4001", "--etcd-servers=https://127.0.0.1:4002"), "one-store", xray.Warn, "", nil},
	{"kops", "a certificate of another CA", reissue("control-plane-1", "/srv/kubernetes/kube-apiserver/server.crt", ofAnother), "chain-valid", xray.Fail, "control-plane-1", nil},
	{"k0s", "one controller is missing in HAProxy", on("lb", haproxyCfg, "    server k0s-controller3 10.0.0.13:6443 check check-ssl verify none\n", ""), "lb-backends", xray.Fail, "lb", onMachines},
	{"k0s", "a controller with a CA of its own", reissue("controller-2", evidencetest.K0sPKI+"ca.crt", func(r *evidencetest.Row) { r.Key = "another" }), "ca-equal", xray.Fail, "", onMachines},
	{"rke", "one node is missing in a worker's nginx", func(c *distributiontest.Cluster) {
		for _, p := range c.Node("node-4").Processes {
			for file, text := range p.Image {
				p.Image[file] = strings.Replace(text, "server 10.0.0.13:6443;", "", 1)
			}
		}
	}, "lb-backends", xray.Fail, "node-4", onMachines},
	{"openshift", "VRRP in two groups", on("master-2", keepalivedConf, "virtual_router_id 76", "virtual_router_id 77"), "lb-address-moves", xray.Fail, "", nil},
	{"openshift", "one master is missing in a balancer", on("master-1", haproxyCfg, "   server master-3 10.0.0.13:6443 weight 1 verify none check check-ssl inter 5s fall 3 rise 1\n", ""), "lb-backends", xray.Fail, "master-1", nil},
	{"openshift", "an API server without the balancer's certificate", on("master-2", "/etc/kubernetes/static-pod-resources/kube-apiserver-pod-7/configmaps/config/config.yaml", "internal-loadbalancer-serving", "localhost-serving-cert"), "serving-cert-names", xray.Fail, "master-2", nil},
	{"rhel", "one API server is missing in one balancer", on("lb-1", haproxyCfg, "    server cp-1 10.0.0.11:6443 check verify none\n", ""), "lb-backends", xray.Fail, "lb-1", nil},
	{"rhel", "a member without clients' certificates", on("etcd-3", "/etc/etcd/etcd.conf", "ETCD_CLIENT_CERT_AUTH=\"true\"", "ETCD_CLIENT_CERT_AUTH=\"false\""), "etcd-tls", xray.Fail, "etcd-3", nil},
	{"rhel", "keepalived for another address", on("lb-2", keepalivedConf, "10.0.0.10", "10.0.0.99"), "lb-address-moves", xray.Fail, "", nil},
}

func TestFaultsInDistributionsAreFound(t *testing.T) {
	for _, f := range faults {
		t.Run(f.of+"/"+f.name, func(t *testing.T) {
			t.Parallel()
			c := distributions[f.of].lay()
			f.put(c)
			for way, look := range map[evidence.Way]func(*testing.T, *distributiontest.Cluster) *evidence.Evidence{evidence.Folder: copiedFrom, evidence.Machines: visitedAll} {
				if f.ways != nil && !slices.Contains(f.ways, way) {
					continue
				}
				r := xray.Evaluate(look(t, c), xray.Options{Only: []string{f.check}})
				found := slices.ContainsFunc(r.Findings, func(x xray.Finding) bool {
					return x.Status == f.status && (f.node == "" || strings.Contains(x.Node, f.node))
				})
				if !found {
					t.Errorf("%s: %s does not find it: %+v", way, f.check, r.Findings)
				}
			}
		})
	}
}
