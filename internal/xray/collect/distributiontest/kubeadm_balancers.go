package distributiontest

import (
	"fmt"
	"strings"

	"github.com/haplane/haplane/internal/xray/evidence/evidencetest"
)

// kubeadm's guide, docs/ha-considerations.md of kubernetes/kubeadm: at 1ee9603 (2026) HAProxy
// checks /healthz over TLS, at 0afcc43 (2020) it checked with ssl-hello-chk; the external
// etcd is content/en/docs/setup/production-environment/tools/kubeadm/setup-ha-etcd-with-kubeadm.md
// of kubernetes/website at 0189ae0; kube-vip's manifest pkg/kubevip/config_generator.go of
// kube-vip/kube-vip at v1.2.3.

const vip = "10.0.0.10"

// Kubeadm is the guide's first way, with balancers on machines of their own.
func Kubeadm() *Cluster {
	nodes, workers, balancers := machines("cp", 3, 11), machines("worker", 2, 21), machines("lb", 2, 31)
	newKubeadm(nodes, workers, vip+":6443").lay()
	for i, n := range balancers {
		n.packagedHAProxy(guideHAProxy(6443, nodes, 6443), "/etc/haproxy/haproxy.cfg")
		n.packagedKeepalived(i)
	}
	return cluster("kubeadm", "10.96.0.1", append(append(nodes, workers...), balancers...)...)
}

// KubeadmStaticPods is the second way, with them on the control-plane nodes, as the
// guide had it in 2020.
func KubeadmStaticPods() *Cluster {
	nodes, workers := machines("cp", 3, 11), machines("worker", 2, 21)
	newKubeadm(nodes, workers, vip+":8443").lay()
	for i, n := range nodes {
		config := strings.Replace(guideHAProxy(8443, nodes, 6443), "option httpchk\n    http-check connect ssl\n    http-check send meth GET uri /healthz\n",
			"option httpchk GET /healthz\n", 1)
		config = strings.Replace(config, "    balance", "    option ssl-hello-chk\n    balance", 1)
		n.file("/etc/haproxy/haproxy.cfg", 0o644, strings.ReplaceAll(config, " check verify none", " check"))
		n.static(staticPod{name: "haproxy", image: "haproxy:2.1.4", mounts: map[string]string{"/usr/local/etc/haproxy/haproxy.cfg": "/etc/haproxy/haproxy.cfg"},
			process: []string{"haproxy", "-W", "-db", "-f", "/usr/local/etc/haproxy/haproxy.cfg"}})
		n.keepalivedFiles(i, 8443)
		n.static(staticPod{name: "keepalived", image: "osixia/keepalived:2.0.17", process: []string{"/usr/local/sbin/keepalived", "-f", "/usr/local/etc/keepalived/keepalived.conf",
			"--dont-fork", "--log-console", "--log-detail", "--dump-conf"}, mounts: map[string]string{"/usr/local/etc/keepalived/keepalived.conf": "/etc/keepalived/keepalived.conf",
			"/etc/keepalived/check_apiserver.sh": "/etc/keepalived/check_apiserver.sh"}})
		n.Listening = append(n.Listening, ":8443")
	}
	return cluster("kubeadm-static-pods", "10.96.0.1", append(nodes, workers...)...)
}

// KubeadmExternalEtcd has three machines of etcd, each in a static pod of a kubelet that
// knows no API server.
func KubeadmExternalEtcd() *Cluster {
	nodes, workers, balancers, members := machines("cp", 3, 11), machines("worker", 2, 21), machines("lb", 2, 31), machines("etcd", 3, 41)
	k := newKubeadm(nodes, workers, vip+":6443")
	k.etcd = []string{"--etcd-cafile=" + pki + "etcd/ca.crt", "--etcd-certfile=" + pki + "apiserver-etcd-client.crt",
		"--etcd-keyfile=" + pki + "apiserver-etcd-client.key", "--etcd-servers=" + urls(members, "https", 2379)}
	k.lay()
	for _, n := range nodes {
		n.file(pki+"etcd/ca.crt", 0o644, authority(evidencetest.EtcdCA))
		n.pair(pki+"apiserver-etcd-client", client(evidencetest.EtcdCA, "kube-apiserver-etcd-client"))
	}
	for i, n := range members {
		n.ownEtcd(k, i, members)
	}
	for i, n := range balancers {
		n.packagedHAProxy(guideHAProxy(6443, nodes, 6443), "/etc/haproxy/haproxy.cfg")
		n.packagedKeepalived(i)
	}
	return cluster("kubeadm-external-etcd", "10.96.0.1", append(append(append(nodes, workers...), balancers...), members...)...)
}

func (n *Node) ownEtcd(k *kubeadm, i int, members []*Node) {
	n.file(pki+"etcd/ca.crt", 0o644, authority(evidencetest.EtcdCA))
	if i == 0 {
		n.file(pki+"etcd/ca.key", 0o600, keyText)
	}
	k.etcdCertificates(n)
	n.pair(pki+"apiserver-etcd-client", client(evidencetest.EtcdCA, "kube-apiserver-etcd-client"))
	name := fmt.Sprintf("infra%d", i)
	initial := fmt.Sprintf("infra0=https://%s:2380,infra1=https://%s:2380,infra2=https://%s:2380", members[0].Address, members[1].Address, members[2].Address)
	flags := append(without(etcdFlags(n, members, pki), "name", "initial-cluster", "initial-cluster-state", "listen-client-urls"), "--name="+name,
		"--initial-cluster="+initial, "--initial-cluster-state=new", "--listen-client-urls=https://"+n.Address+":2379")
	k.pod(n, "etcd", flags)
	n.member(name, "https", 2379, 2380)
	n.file("/etc/systemd/system/kubelet.service.d/kubelet.conf", 0o644, "apiVersion: kubelet.config.k8s.io/v1beta1\nkind: KubeletConfiguration\n"+
		"authentication:\n  anonymous: {enabled: false}\n  webhook: {enabled: false}\nauthorization: {mode: AlwaysAllow}\naddress: 127.0.0.1\nstaticPodPath: /etc/kubernetes/manifests\n")
	n.service(service{name: "kubelet", folder: usrUnits, exec: "/usr/bin/kubelet", process: []string{"/usr/bin/kubelet", "--config=/etc/systemd/system/kubelet.service.d/kubelet.conf"}})
	dropIn := etcUnits + "/kubelet.service.d/20-etcd-service-manager.conf"
	n.file(dropIn, 0o644, "[Service]\nExecStart=\nExecStart=/usr/bin/kubelet --config=/etc/systemd/system/kubelet.service.d/kubelet.conf\nRestart=always\n")
	n.Units[len(n.Units)-1].DropIns = []string{dropIn}
}

// KubeVip has its address moved by kube-vip on the control-plane nodes.
func KubeVip() *Cluster {
	nodes, workers := machines("cp", 3, 11), machines("worker", 2, 21)
	newKubeadm(nodes, workers, vip+":6443").lay()
	for _, n := range nodes {
		n.static(staticPod{name: "kube-vip", image: "ghcr.io/kube-vip/kube-vip:v1.2.3", args: []string{"manager"}, process: []string{"/kube-vip", "manager"},
			mounts: same("/etc/kubernetes/admin.conf"), env: map[string]string{"vip_arp": "true", "port": "6443", "vip_interface": "eth0", "vip_subnet": "32", "cp_enable": "true",
				"cp_namespace": "kube-system", "dns_mode": "first", "vip_leaderelection": "true", "vip_leasename": "plndr-cp-lock", "vip_leaseduration": "5",
				"vip_renewdeadline": "3", "vip_retryperiod": "1", "address": vip}})
	}
	nodes[0].Also = []string{vip}
	return cluster("kube-vip", "10.96.0.1", append(nodes, workers...)...)
}

// guideHAProxy is the guide's HAProxy.
func guideHAProxy(port int, nodes []*Node, serverPort int) string {
	text := fmt.Sprintf(`global
    log stdout format raw local0
    daemon
defaults
    mode                    http
    log                     global
    option                  httplog
    option                  dontlognull
    option http-server-close
    option forwardfor       except 127.0.0.0/8
    option                  redispatch
    retries                 1
    timeout http-request    10s
    timeout queue           20s
    timeout connect         5s
    timeout client          35s
    timeout server          35s
    timeout http-keep-alive 10s
    timeout check           10s
frontend apiserver
    bind *:%d
    mode tcp
    option tcplog
    default_backend apiserverbackend
backend apiserverbackend
    option httpchk
    http-check connect ssl
    http-check send meth GET uri /healthz
    http-check expect status 200
    mode tcp
    balance     roundrobin
`, port)
	for _, n := range nodes {
		text += fmt.Sprintf("    server %s %s:%d check verify none\n", n.Name, n.Address, serverPort)
	}
	return text
}

// packagedHAProxy is Debian's: its unit in the folder of packages.
func (n *Node) packagedHAProxy(config, file string) {
	n.file(file, 0o644, config)
	n.file("/etc/default/haproxy", 0o644, "#EXTRAOPTS=\"-de -m 16\"\n")
	n.service(service{name: "haproxy", folder: usrUnits, exec: "/usr/sbin/haproxy -Ws -f $CONFIG -p $PIDFILE $EXTRAOPTS",
		process:  []string{"/usr/sbin/haproxy", "-Ws", "-f", file, "-p", "/run/haproxy.pid", "-S", "/run/haproxy-master.sock"},
		settings: "EnvironmentFile=-/etc/default/haproxy\nEnvironmentFile=-/etc/sysconfig/haproxy\nEnvironment=\"CONFIG=" + file + "\" \"PIDFILE=/run/haproxy.pid\" \"EXTRAOPTS=-S /run/haproxy-master.sock\"\n"})
	n.Listening = append(n.Listening, ":6443")
}

func (n *Node) packagedKeepalived(i int) {
	n.keepalivedFiles(i, 6443)
	n.service(service{name: "keepalived", folder: usrUnits, exec: "/usr/sbin/keepalived --dont-fork $DAEMON_ARGS", settings: "EnvironmentFile=-/etc/default/keepalived\n",
		process: []string{"/usr/sbin/keepalived", "--dont-fork"}})
}

// keepalivedFiles are the guide's: the first machine is the master.
func (n *Node) keepalivedFiles(i, port int) {
	state, priority := "BACKUP", 100
	if i == 0 {
		state, priority = "MASTER", 101
		n.Also = []string{vip}
	}
	n.file("/etc/keepalived/keepalived.conf", 0o644, fmt.Sprintf(`global_defs {
    router_id LVS_DEVEL
}
vrrp_script check_apiserver {
    script "/etc/keepalived/check_apiserver.sh"
    interval 3
    weight -2
    fall 10
    rise 2
}
vrrp_instance VI_1 {
    state %s
    interface eth0
    virtual_router_id 51
    priority %d
    authentication {
        auth_type PASS
        auth_pass %s
    }
    virtual_ipaddress {
        %s
    }
    track_script {
        check_apiserver
    }
}
`, state, priority, Planted, vip))
	n.file("/etc/keepalived/check_apiserver.sh", 0o755, fmt.Sprintf("#!/bin/sh\ncurl -sfk --max-time 2 https://localhost:%d/healthz -o /dev/null\n", port))
}
