package distributiontest

import (
	"fmt"
	"strings"

	"github.com/haplane/haplane/internal/xray/evidence/evidencetest"
)

// RHEL's packages: haproxy.service of RHEL 9 with -f conf.d (haproxy-2.4), keepalived.service
// with /etc/sysconfig/keepalived, etcd.service of CentOS 7 and Fedora with /etc/etcd/etcd.conf,
// each as their own units in /usr/lib/systemd/system, under a control plane of kubeadm's.

// RHEL has etcd on three machines of its own, and two balancers.
func RHEL() *Cluster {
	nodes, workers, balancers, members := machines("cp", 3, 11), machines("worker", 2, 21), machines("lb", 2, 31), machines("etcd", 3, 41)
	k := newKubeadm(nodes, workers, vip+":6443")
	k.etcd = []string{"--etcd-cafile=/etc/kubernetes/pki/etcd/ca.crt", "--etcd-certfile=" + pki + "apiserver-etcd-client.crt",
		"--etcd-keyfile=" + pki + "apiserver-etcd-client.key", "--etcd-servers=" + urls(members, "https", 2379)}
	k.lay()
	for _, n := range nodes {
		n.file(pki+"etcd/ca.crt", 0o644, authority(evidencetest.EtcdCA))
		n.pair(pki+"apiserver-etcd-client", client(evidencetest.EtcdCA, "kube-apiserver-etcd-client"))
	}
	for _, n := range members {
		n.rhelEtcd(members)
	}
	for i, n := range balancers {
		n.rhelHAProxy(nodes)
		n.keepalivedFiles(i, 6443)
		n.file("/etc/sysconfig/keepalived", 0o644, "KEEPALIVED_OPTIONS=\"-D\"\n")
		n.service(service{name: "keepalived", folder: usrUnits, exec: "/usr/sbin/keepalived --dont-fork $KEEPALIVED_OPTIONS", settings: "EnvironmentFile=-/etc/sysconfig/keepalived\n",
			process: []string{"/usr/sbin/keepalived", "--dont-fork", "-D"}})
	}
	return cluster("rhel", "10.96.0.1", append(append(append(nodes, workers...), balancers...), members...)...)
}

// rhelHAProxy has its configuration in haproxy.cfg; conf.d is empty but for what keeps it.
func (n *Node) rhelHAProxy(nodes []*Node) {
	const cfg, folder = "/etc/haproxy/haproxy.cfg", "/etc/haproxy/conf.d"
	n.file(cfg, 0o644, guideHAProxy(6443, nodes, 6443))
	n.file(folder+"/.keep", 0o644, "")
	n.file("/etc/sysconfig/haproxy", 0o644, "OPTIONS=\"\"\n")
	n.service(service{name: "haproxy", folder: usrUnits, exec: "/usr/sbin/haproxy -Ws -f $CONFIG -f $CFGDIR -p $PIDFILE $OPTIONS",
		settings: "EnvironmentFile=-/etc/sysconfig/haproxy\nEnvironment=\"CONFIG=" + cfg + "\" \"PIDFILE=/run/haproxy.pid\" \"CFGDIR=" + folder + "\"\n" +
			"KillMode=mixed\nSuccessExitStatus=143\nType=notify\n", process: []string{"/usr/sbin/haproxy", "-Ws", "-f", cfg, "-f", folder, "-p", "/run/haproxy.pid"}})
	n.Listening = append(n.Listening, ":6443")
}

func (n *Node) rhelEtcd(members []*Node) {
	const of = "/etc/etcd/"
	n.file(of+"ca.crt", 0o644, authority(evidencetest.EtcdCA))
	n.pair(of+"server", both(evidencetest.EtcdCA, n.Name, n.Name, n.Address, "localhost", "127.0.0.1"))
	n.pair(of+"peer", both(evidencetest.EtcdCA, n.Name+"-peer", n.Name, n.Address))
	initial := strings.Join(each(members, func(m *Node) string { return m.Name + "=https://" + m.Address + ":2380" }), ",")
	text := "#[Member]\n#ETCD_CORS=\"\"\nETCD_DATA_DIR=\"/var/lib/etcd/default.etcd\"\n"
	for _, s := range [][2]string{{"LISTEN_PEER_URLS", "https://" + n.Address + ":2380"}, {"LISTEN_CLIENT_URLS", "https://" + n.Address + ":2379,https://127.0.0.1:2379"}, {"NAME", n.Name},
		{"INITIAL_ADVERTISE_PEER_URLS", "https://" + n.Address + ":2380"}, {"ADVERTISE_CLIENT_URLS", "https://" + n.Address + ":2379"}, {"INITIAL_CLUSTER", initial},
		{"INITIAL_CLUSTER_TOKEN", "etcd-cluster"}, {"INITIAL_CLUSTER_STATE", "new"}, {"CERT_FILE", of + "server.crt"}, {"KEY_FILE", of + "server.key"}, {"CLIENT_CERT_AUTH", "true"},
		{"TRUSTED_CA_FILE", of + "ca.crt"}, {"PEER_CERT_FILE", of + "peer.crt"}, {"PEER_KEY_FILE", of + "peer.key"}, {"PEER_CLIENT_CERT_AUTH", "true"}, {"PEER_TRUSTED_CA_FILE", of + "ca.crt"}} {
		text += fmt.Sprintf("ETCD_%s=%q\n", s[0], s[1])
	}
	n.file(of+"etcd.conf", 0o644, text)
	flags := func(name, data, clients string) string {
		return "--name=" + name + " --data-dir=" + data + " --listen-client-urls=" + clients
	}
	n.service(service{name: "etcd", folder: usrUnits, settings: "Type=notify\nWorkingDirectory=/var/lib/etcd/\nEnvironmentFile=-/etc/etcd/etcd.conf\nUser=etcd\nRestart=on-failure\nLimitNOFILE=65536\n",
		exec:    `/bin/bash -c "GOMAXPROCS=$(nproc) /usr/bin/etcd ` + flags(`\"${ETCD_NAME}\"`, `\"${ETCD_DATA_DIR}\"`, `\"${ETCD_LISTEN_CLIENT_URLS}\"`) + `"`,
		process: strings.Fields("/usr/bin/etcd " + flags(n.Name, "/var/lib/etcd/default.etcd", "https://"+n.Address+":2379,https://127.0.0.1:2379"))})
	n.member(n.Name, "https", 2379, 2380)
}
