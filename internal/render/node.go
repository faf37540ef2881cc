package render

import (
	"fmt"
	"slices"
	"strings"

	"github.com/haplane/haplane/internal/fileset"
	"github.com/haplane/haplane/internal/pki"
	"github.com/haplane/haplane/internal/topology"
	"github.com/haplane/haplane/spec"
)

// ControlPlaneTaint keeps workloads off control-plane nodes, as kubeadm does.
const ControlPlaneTaint = "node-role.kubernetes.io/control-plane"

const containerdConfig = `version = 3
root = "/var/lib/containerd"
state = "/run/containerd"

[plugins."io.containerd.cri.v1.images".pinned_images]
sandbox = "%s"

[plugins."io.containerd.cri.v1.runtime"]
restrict_oom_score_adj = %t

[plugins."io.containerd.cri.v1.runtime".cni]
bin_dirs = ["%s"]
conf_dir = "%s"

[plugins."io.containerd.cri.v1.runtime".containerd.runtimes.runc]
runtime_type = "io.containerd.runc.v2"

[plugins."io.containerd.cri.v1.runtime".containerd.runtimes.runc.options]
BinaryName = "%s/runc"
SystemdCgroup = %t
`

func (b *builder) containerd() {
	const conf = "/etc/containerd/config.toml"
	b.add(conf, fmt.Sprintf(containerdConfig, b.Images.Pause, b.platform.Container,
		topology.CNIBinDir, topology.CNIConfigDir, topology.BinDir, !b.platform.CgroupV1))
	b.files.Add(fileset.File{Path: importer, Mode: 0o755, Data: []byte(importScript)})
	b.addService(service{
		name: "containerd", description: "containerd, the container runtime",
		argv: []string{topology.BinDir + "/containerd", "--config", conf},
		service: []string{"Type=notify", "Delegate=yes", "KillMode=process", "LimitNPROC=infinity", "TasksMax=infinity",
			"TimeoutStartSec=120",
			// The images that every cluster needs come with the machine; kubelet starts after this.
			"ExecStartPost=" + importer},
	})
}

// importer makes known to containerd what images it does not have yet.
const importer = "/usr/local/lib/haplane/import-images"

const importScript = `#!/bin/sh -e
have=$(` + topology.BinDir + `/ctr --namespace k8s.io images list --quiet)
for image in $(cd ` + topology.ImageDir + ` && echo *.tar); do
  case "$have" in
  */"${image%.tar}":*) ;;
  *) ` + topology.ImportImage + ` "` + topology.ImageDir + `/$image" >/dev/null ;;
  esac
done
`

func (b *builder) kubelet() {
	const (
		conf       = "/var/lib/kubelet/config.yaml"
		kubeconfig = "/etc/kubernetes/kubelet.conf"
		pair       = topology.KubeletPair
	)
	b.addPair(pair, pki.Kubelet(b.node.Name))
	b.addKubeconfig("kubelet.conf", pki.KubeletClient(b.node.Name), "system:node:"+b.node.Name, b.nodeServer())
	b.addClosed(conf, b.kubeletConfig(pair))
	b.addService(service{
		name: "kubelet", description: "kubelet, the node agent of Kubernetes", after: []string{"containerd.service"}, closed: true,
		unit: []string{"Wants=containerd.service"},
		argv: b.flags("kubelet",
			[2]string{"config", conf},
			[2]string{"hostname-override", b.node.Name},
			[2]string{"kubeconfig", kubeconfig},
			[2]string{"node-ip", topology.Join(b.node.Addresses)},
		),
		service: append([]string{"Type=exec", "KillMode=process", "TimeoutStopSec=30"}, b.adopts(pair)...),
	})
}

// adopts are what kubelet does before it starts with the certificates that it got by itself. Where nobody signs its next
// ones it takes haplane's alone.
func (b *builder) adopts(pair string) []string {
	client, server := adopt("/etc/kubernetes/kubelet.conf", topology.KubeletClients, "kubelet-client.from"), adopt(pair+".crt", topology.KubeletServers, "kubelet-server.from")
	if !b.signs() {
		client, server = "rm -f "+topology.KubeletClients, "rm -f "+topology.KubeletServers
	}
	return []string{"ExecStartPre=/bin/sh -c '" + client + "'", "ExecStartPre=/bin/sh -c '" + server + "'"}
}

// adopt drops the certificates that kubelet got by itself where haplane has written others since: of the two, kubelet
// (v1.37.2, client-go's getCurrentCertificateOrBootstrap) takes its own, whoever signed it, and what it serves even when
// that has ended. It begins with haplane's then, and asks for its next one.
func adopt(ours, own, from string) string {
	from = topology.KubeletPKIDir + "/" + from
	return "sha256sum " + ours + " | cmp -s - " + from + " || { rm -f " + own + " && sha256sum " + ours + " >" + from + "; }"
}

// nodeServer is what a kubelet and a kube-proxy ask, neither of which may be newer than that.
func (b *builder) nodeServer() apiServer {
	if b.Beside[b.node.Name] {
		return b.ownAPIServer()
	}
	return b.throughBalancer()
}

func (b *builder) kubeletConfig(pair string) string {
	var w strings.Builder
	driver := "systemd"
	if b.platform.CgroupV1 {
		driver = "cgroupfs"
	}
	fmt.Fprintf(&w, `apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
authentication:
  anonymous: {enabled: false}
  webhook: {enabled: true}
  x509: {clientCAFile: %s}
authorization: {mode: Webhook}
tlsCertFile: %s.crt
tlsPrivateKeyFile: %s.key
tlsMinVersion: VersionTLS12
clusterDNS: [%s]
clusterDomain: %s
containerRuntimeEndpoint: unix:///run/containerd/containerd.sock
cgroupDriver: %s
failCgroupV1: false
resolvConf: /etc/resolv.conf
makeIPTablesUtilChains: true
podPidsLimit: 4096
rotateCertificates: %[7]t # with which it asks
serverTLSBootstrap: %[7]t # what it serves, beginning with the pair above
readOnlyPort: 0
seccompDefault: true
`, pkiPath("ca.crt"), pair, pair, b.Topology.DNSServiceIP(), b.Topology.DNSDomain, driver, b.signs())
	if b.platform.Container {
		// The disk and the swap are the host's: how full it is says nothing of this node.
		w.WriteString(`failSwapOn: false
imageGCHighThresholdPercent: 100
evictionHard:
  imagefs.available: "0%"
  nodefs.available: "0%"
  nodefs.inodesFree: "0%"
`)
	}
	if b.node.Role == spec.RoleControlPlane {
		fmt.Fprintf(&w, "registerWithTaints:\n- {key: %s, effect: NoSchedule}\n", ControlPlaneTaint)
	}
	return w.String()
}

func (b *builder) kubeProxy() {
	const conf, kubeconfig = "/var/lib/kube-proxy/config.conf", "/etc/kubernetes/kube-proxy.conf"
	b.addKubeconfig("kube-proxy.conf", pki.KubeProxy, "system:kube-proxy", b.nodeServer())
	text := fmt.Sprintf(`apiVersion: kubeproxy.config.k8s.io/v1alpha1
kind: KubeProxyConfiguration
clientConnection: {kubeconfig: %s}
clusterCIDR: "%s"
mode: iptables
metricsBindAddress: 127.0.0.1:10249
healthzBindAddress: 127.0.0.1:10256
`, kubeconfig, topology.Join(b.Topology.Pods))
	if b.platform.Container {
		text += "conntrack: {maxPerCore: 0, min: 0}\n" // the table is the host's to size
	}
	b.addClosed(conf, text)
	b.addService(service{
		name: "kube-proxy", description: "kube-proxy, the Services of Kubernetes",
		argv: b.flags("kube-proxy",
			[2]string{"config", conf},
			[2]string{"hostname-override", b.node.Name},
		),
		service: []string{"Type=exec", "TimeoutStopSec=10"},
		confine: networkOnly,
	})
}

// sysctls is read at each boot too.
const sysctls = "/etc/sysctl.d/90-kubernetes.conf"

func (b *builder) flannel() {
	const conf, kubeconfig = "/etc/kube-flannel/net-conf.json", "/etc/kubernetes/flannel.conf"
	b.addKubeconfig("flannel.conf", pki.Flannel, pki.FlannelUser, b.throughBalancer())
	network, forward, iface := "", "", [][2]string{}
	if b.Topology.Pods[0].Addr().Is6() && len(b.Topology.Pods) == 1 {
		network = `"EnableIPv4": false, ` // it is on when nothing is said
	}
	for i, p := range b.Topology.Pods {
		if p.Addr().Is4() {
			network += fmt.Sprintf("\"EnableIPv4\": true, \"Network\": \"%s\", ", p)
			forward += "net.ipv4.ip_forward = 1\n"
			iface = append(iface, [2]string{"iface-ip", b.node.Addresses[i].String()})
		} else {
			network += fmt.Sprintf("\"EnableIPv6\": true, \"IPv6Network\": \"%s\", ", p)
			forward += "net.ipv6.conf.all.forwarding = 1\n"
			iface = append(iface, [2]string{"iface-ipv6", b.node.Addresses[i].String()})
		}
	}
	b.add(conf, fmt.Sprintf("{%s\"Backend\": {\"Type\": \"vxlan\"}}\n", network))
	b.add(sysctls, forward)
	b.addService(service{
		name: "flanneld", description: "flannel, the pod network",
		argv: b.flags("flanneld", append(iface,
			[2]string{"kubeconfig", kubeconfig},
			[2]string{"node-name", b.node.Name},
			[2]string{"net-config", conf},
			[2]string{"cni-conf", topology.CNIConfigDir + "/10-flannel.conflist"},
		)...),
		service: []string{"Type=exec", "TimeoutStopSec=10", "ExecStartPre=/usr/sbin/sysctl --quiet --load=" + sysctls,
			"ConfigurationDirectory=cni/net.d", "ConfigurationDirectoryMode=0700"},
		confine: append(slices.Clone(networkOnly), "ReadWritePaths="+topology.CNIConfigDir),
	})
}
