package collect

import (
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/haplane/haplane/internal/xray/evidence"
	"github.com/haplane/haplane/internal/xray/evidence/evidencetest"
	"github.com/haplane/haplane/internal/xray/parse"
	"github.com/haplane/haplane/spec"
)

func TestWhatOfAFileMayBeLookedAt(t *testing.T) {
	for flag, want := range map[string]kind{
		"tls-cert-file": asPEM, "etcd-cafile": asPEM, "etcd-certfile": asPEM, "kubelet-certificate-authority": asPEM, "kubelet-client-certificate": asPEM,
		"trusted-ca-file": asPEM, "requestheader-client-ca-file": asPEM,
		"tls-private-key-file": asStat, "etcd-keyfile": asStat, "peer-key-file": asStat, "service-account-signing-key-file": asStat,
		"cluster-signing-key-file": asStat, "kubelet-client-key": asStat, "token-auth-file": asStat, "data-dir": asStat,
		"kubeconfig": asText, "authentication-kubeconfig": asText,
		"encryption-provider-config": asDigest, "audit-policy-file": asDigest, "authentication-config": asDigest,
		"audit-log-path": "", "cert-dir": "", "config": "", "secure-port": "",
	} {
		if got := howOf(flag, "/x/file"); got != want {
			t.Errorf("--%s: %q, want %q", flag, got, want)
		}
	}
}

// folderOf interprets a tree.
func folderOf(t *testing.T, f tree) (*evidence.Machine, []evidence.Missing) {
	t.Helper()
	got, missing := Folder(f.dir)
	if len(got) != 1 {
		t.Fatalf("%+v, %+v", got, missing)
	}
	return got[0], missing
}

func TestNginxWithIncludes(t *testing.T) {
	f := newTree(t)
	f.write("/etc/systemd/system/nginx.service", 0o644, "[Service]\nExecStart=/usr/sbin/nginx -c /etc/nginx/lb.conf\n")
	f.write("/etc/nginx/lb.conf", 0o644, "events {}\nstream {\n  include stream.d/*.conf;\n}\ninclude lb.conf;\n") // and itself
	f.write("/etc/nginx/stream.d/a.conf", 0o644, "upstream api { include /etc/nginx/servers; }\n")
	f.write("/etc/nginx/stream.d/b.conf", 0o644, "server { listen 6443; proxy_pass api; }\n")
	f.write("/etc/nginx/servers", 0o644, "server 10.0.0.1:6443;\nserver 10.0.0.2:6443;\n")
	m, missing := folderOf(t, f)
	if m.LoadBalancer == nil || len(m.LoadBalancer.Backends) != 2 || m.LoadBalancer.Path != "/etc/nginx/lb.conf" || len(missing) > 0 {
		t.Errorf("%+v, %+v", m.LoadBalancer, missing)
	}
}

func TestHAProxyOfSeveralFiles(t *testing.T) {
	f := newTree(t)
	lb := evidencetest.Machine(evidencetest.Healthy(spec.Shared), "lb-1").LoadBalancer
	front, back, _ := strings.Cut(haproxyText(lb), "\nbackend kube-apiserver\n")
	f.write("/etc/systemd/system/haproxy.service", 0o644, "[Service]\nExecStart=/usr/sbin/haproxy -Ws -f /etc/haproxy/a.cfg -f /etc/haproxy/conf.d\n")
	f.write("/etc/haproxy/a.cfg", 0o644, front+"\n")
	f.write("/etc/haproxy/conf.d/b.cfg", 0o644, "backend kube-apiserver\n"+back)
	m, missing := folderOf(t, f)
	if m.LoadBalancer == nil || len(m.LoadBalancer.Backends) != len(lb.Backends) || len(m.LoadBalancer.Frontends) != 1 {
		t.Errorf("%+v", m.LoadBalancer)
	}
	if want := []evidence.Unjudged{{Source: "/etc/haproxy/kubernetes-ca.crt", Why: evidence.NotInCopy}}; len(missing) > 0 || !slices.Equal(m.Unjudged, want) {
		t.Errorf("missing %+v, not judged %+v", missing, m.Unjudged)
	}
	if err := os.Remove(filepath.Join(f.dir, "etc/haproxy/a.cfg")); err != nil {
		t.Fatal(err)
	}
	if m, _ = folderOf(t, f); m.LoadBalancer == nil || m.LoadBalancer.Err != "no such file" {
		t.Errorf("%+v", m.LoadBalancer)
	}
}

// A container has its files elsewhere; the evidence has them by the names that flags use.
func TestFilesOfAContainer(t *testing.T) {
	f := newTree(t)
	f.write("/opt/pki/ca.crt", 0o644, certificateText())
	f.write("/etc/kubernetes/manifests/a.yaml", 0o600, `{apiVersion: v1, kind: Pod, spec: {volumes: [{name: p, hostPath: {path: /opt/pki}}],
containers: [{name: a, image: "x:v1.37.2", command: [kube-apiserver, --client-ca-file=/certs/ca.crt], volumeMounts: [{name: p, mountPath: /certs}]}]}}`)
	m, missing := folderOf(t, f)
	if diff := cmp.Diff(map[string]string{"/certs/ca.crt": "/opt/pki/ca.crt"}, m.OnHost); diff != "" {
		t.Error(diff)
	}
	if c := m.Certificate("/certs/ca.crt"); c == nil || c.Err != "" || len(missing) > 0 || m.Program(evidence.APIServer).Version != "v1.37.2" {
		t.Errorf("%+v, %+v, %+v", c, m.Programs, missing)
	}
}

// What a container lacks is to be put where the machine has it.
func TestMissingFilesOfAContainer(t *testing.T) {
	f := newTree(t)
	f.write("/opt/pki/other.crt", 0o644, certificateText())
	f.write("/etc/kubernetes/manifests/a.yaml", 0o600, `{apiVersion: v1, kind: Pod, spec: {volumes: [{name: p, hostPath: {path: /opt/pki}}, {name: q, hostPath: {path: /srv/none}}],
containers: [{name: a, command: [kube-apiserver, --client-ca-file=/certs/ca.crt, --tls-cert-file=/none/a.crt], volumeMounts: [{name: p, mountPath: /certs}, {name: q, mountPath: /none}]}]}}`)
	m, missing := folderOf(t, f)
	if len(missing) != 1 || missing[0].Source != "/opt/pki/ca.crt (in its container /certs/ca.crt)" {
		t.Errorf("%+v", missing)
	}
	if want := (evidence.Unjudged{Source: "/srv/none/a.crt (in its container /none/a.crt)", Why: evidence.NotInCopy}); !slices.Contains(m.Unjudged, want) {
		t.Errorf("%+v", m.Unjudged)
	}
}

func certificateText() string {
	return parse.PEM([]evidence.Certificate{evidencetest.Issue(evidencetest.Row{CommonName: evidencetest.CA})})
}

func TestDropInsChangeUnits(t *testing.T) {
	f := newTree(t)
	f.write("/usr/lib/systemd/system/kubelet.service", 0o644, "[Service]\nExecStart=/usr/bin/kubelet\n")
	f.write("/usr/lib/systemd/system/kubelet.service.d/10-kubeadm.conf", 0o644, "[Service]\nEnvironmentFile=-/var/lib/kubelet/kubeadm-flags.env\nExecStart=\nExecStart=/usr/bin/kubelet --kubeconfig=/etc/kubernetes/kubelet.conf $KUBELET_KUBEADM_ARGS\n")
	f.write("/usr/lib/systemd/system/haproxy.service", 0o644, "[Service]\nExecStart=/usr/sbin/haproxy -f /etc/haproxy/haproxy.cfg\n") // not enabled
	f.write("/var/lib/kubelet/kubeadm-flags.env", 0o644, `KUBELET_KUBEADM_ARGS="--node-ip=10.0.0.1"`+"\n")
	f.write("/etc/kubernetes/kubelet.conf", 0o600, "kind: Config\ncurrent-context: a\n")
	m, missing := folderOf(t, f)
	var names []string
	for _, p := range m.Programs {
		names = append(names, p.Name)
	}
	if diff := cmp.Diff([]string{evidence.Kubelet}, names); diff != "" {
		t.Fatal(diff)
	}
	if ip, _ := m.Programs[0].Flag("node-ip"); ip != "10.0.0.1" {
		t.Errorf("%+v", m.Programs[0])
	}
	if k := m.Kubeconfigs["/etc/kubernetes/kubelet.conf"]; k.Err == "" || slices.ContainsFunc(missing, func(x evidence.Missing) bool { return x.Source == k.Path }) {
		t.Errorf("a kubeconfig without its context: %+v, %+v", k, missing)
	}
}

// Distributions and installers give etcd its settings as variables.
func TestEtcdOfVariables(t *testing.T) {
	f := newTree(t)
	f.write("/etc/systemd/system/etcd.service", 0o644, "[Service]\nEnvironment=ETCD_NAME=cp-1 ETCD_DATA_DIR=/srv/etcd HOME=/root\nEnvironmentFile=-/etc/etcd.env\nExecStart=/usr/bin/etcd --name=cp-2\n")
	f.write("/etc/etcd.env", 0o600, "# settings\nETCD_LISTEN_CLIENT_URLS=https://10.0.0.11:2379,https://127.0.0.1:2379\nETCD_CERT_FILE=\"/etc/ssl/etcd/member.crt\"\nETCD_INITIAL_CLUSTER_TOKEN=k8s\n")
	f.write("/etc/ssl/etcd/member.crt", 0o644, certificateText())
	m, missing := folderOf(t, f)
	p := m.Program(evidence.EtcdServer)
	if p == nil || len(missing) > 0 {
		t.Fatalf("%+v, %+v", m.Programs, missing)
	}
	want := map[string]string{"name": "cp-1", "data-dir": "/srv/etcd", "cert-file": "/etc/ssl/etcd/member.crt", "initial-cluster-token": parse.Redacted,
		"listen-client-urls": "https://10.0.0.11:2379,https://127.0.0.1:2379"}
	if diff := cmp.Diff(want, p.Variables); diff != "" {
		t.Error(diff)
	}
	if name, dir := p.EtcdSetting("name", ""), p.EtcdSetting("data-dir", ""); name != "cp-2" || dir != "/srv/etcd" {
		t.Errorf("name %q, data-dir %q", name, dir)
	}
	if c := m.Certificate("/etc/ssl/etcd/member.crt"); c == nil || c.Err != "" {
		t.Errorf("the certificate is %+v", c)
	}
}

func TestKubeletOfSeveralFiles(t *testing.T) {
	f := newTree(t)
	f.write("/etc/systemd/system/kubelet.service", 0o644, "[Service]\nExecStart=/usr/bin/kubelet --config=/etc/kubernetes/kubelet.yaml --config-dir=/etc/kubernetes/kubelet.conf.d\n")
	f.write("/etc/kubernetes/kubelet.yaml", 0o644, "{kind: KubeletConfiguration, staticPodPath: /one, clusterDNS: [10.0.0.1, 10.0.0.2], authentication: {anonymous: {enabled: true}, webhook: {enabled: true}}}")
	f.write("/etc/kubernetes/kubelet.conf.d/20-second.conf", 0o644, "{kind: KubeletConfiguration, staticPodPath: /three}")
	f.write("/etc/kubernetes/kubelet.conf.d/10-first.conf", 0o644, "{kind: KubeletConfiguration, staticPodPath: /two, clusterDNS: [10.0.0.3], authentication: {anonymous: {enabled: false}}}")
	f.write("/etc/kubernetes/kubelet.conf.d/README", 0o644, "not one")
	f.write("/three/etcd.yaml", 0o600, "{apiVersion: v1, kind: Pod, spec: {containers: [{name: a, command: [etcd]}]}}")
	m, missing := folderOf(t, f)
	want := map[string]any{"kind": "KubeletConfiguration", "staticPodPath": "/three", "clusterDNS": []any{"10.0.0.3"},
		"authentication": map[string]any{"anonymous": map[string]any{"enabled": false}, "webhook": map[string]any{"enabled": true}}}
	if p := m.Program(evidence.Kubelet); p == nil || len(missing) > 0 {
		t.Errorf("%+v, %+v", m.Programs, missing)
	} else if diff := cmp.Diff(want, p.Config); diff != "" {
		t.Error(diff)
	}
	if m.Program(evidence.EtcdServer) == nil {
		t.Error("no etcd: its manifest is where the last file says")
	}
}

// RHEL 9 starts HAProxy with a folder that is empty at first.
func TestHAProxyWithFolders(t *testing.T) {
	unit := "[Service]\nEnvironmentFile=-/etc/sysconfig/haproxy\nEnvironment=\"CONFIG=/etc/haproxy/haproxy.cfg\" \"PIDFILE=/run/haproxy.pid\" \"CFGDIR=/etc/haproxy/conf.d\"\n" +
		"ExecStart=/usr/sbin/haproxy -Ws -f $CONFIG -f $CFGDIR -p $PIDFILE $OPTIONS\n"
	front := "defaults\n  mode tcp\nfrontend api\n  bind :6443\n  default_backend api\n"
	back := func(ip string) string { return "backend api\n  server a " + ip + ":6443 check\n" }
	for _, tt := range []struct {
		name  string
		files map[string]string
		want  string
	}{
		{"not in the copy", map[string]string{"haproxy.cfg": front + back("10.0.0.1")}, "10.0.0.1:6443"},
		{"empty", map[string]string{"haproxy.cfg": front + back("10.0.0.1"), "conf.d/": ""}, "10.0.0.1:6443"},
		{"only other files", map[string]string{"haproxy.cfg": front + back("10.0.0.1"), "conf.d/.hidden.cfg": back("10.0.0.8"), "conf.d/a.cfg.rpmsave": back("10.0.0.9")}, "10.0.0.1:6443"},
		{"the backend is in it", map[string]string{"haproxy.cfg": front, "conf.d/a.cfg": back("10.0.0.2")}, "10.0.0.2:6443"},
	} {
		files := func(t *testing.T) tree {
			f := newTree(t)
			f.write("/usr/lib/systemd/system/haproxy.service", 0o644, unit)
			f.link("/etc/systemd/system/multi-user.target.wants/haproxy.service", "/usr/lib/systemd/system/haproxy.service")
			for name, text := range tt.files {
				if strings.HasSuffix(name, "/") {
					name += "README"
				}
				f.write("/etc/haproxy/"+name, 0o644, text)
			}
			return f
		}
		judge := func(t *testing.T, m *evidence.Machine, missing []evidence.Missing) {
			if lb := m.LoadBalancer; lb == nil || lb.Err != "" || len(lb.Backends) != 1 || lb.Backends[0].Address != tt.want || len(missing)+len(m.Unjudged) > 0 {
				t.Errorf("%+v, %+v, %+v", m.LoadBalancer, missing, m.Unjudged)
			}
		}
		t.Run(tt.name+", in a folder", func(t *testing.T) {
			m, missing := folderOf(t, files(t))
			judge(t, m, missing)
		})
		t.Run(tt.name+", on a machine", func(t *testing.T) {
			f := files(t)
			m := &evidence.Machine{Name: "lb-1", Hostname: "lb-1", Addresses: []netip.Addr{netip.MustParseAddr("10.0.0.3")},
				Programs: []evidence.Program{{Name: evidence.HAProxy, Where: "pid 99", Argv: strings.Fields("/usr/sbin/haproxy -Ws -f /etc/haproxy/haproxy.cfg -f /etc/haproxy/conf.d -p /run/haproxy.pid")}}}
			got, missing, _ := visited(t, f, m)
			judge(t, got, missing)
		})
	}
}

// A load balancer that systemd does not run is seen by its process: its files are those
// of its container, or the machine's where somebody started it by hand.
func TestBalancersWithoutUnits(t *testing.T) {
	const haproxy = "frontend a\n  bind :6443\n  default_backend kube-apiserver\nbackend kube-apiserver\n  server a 10.0.0.1:6443 check\n"
	const nginx = "stream { upstream kube_apiserver { server 10.0.0.1:6443; } server { listen 127.0.0.1:6443; proxy_pass kube_apiserver; } }"
	for _, tt := range []struct{ name, program, command, group, file, text string }{
		{"HAProxy by hand", evidence.HAProxy, "haproxy -f /opt/lb.cfg", "/user.slice/user-0.slice/session-1.scope", "/opt/lb.cfg", haproxy},
		{"HAProxy of docker", evidence.HAProxy, "haproxy -W -db -f /usr/local/etc/haproxy/haproxy.cfg", "/system.slice/docker-0123.scope", "proc/99/root/usr/local/etc/haproxy/haproxy.cfg", haproxy},
		{"nginx of docker", evidence.Nginx, "nginx: master process nginx -g daemon off;", "/docker/0123", "proc/99/root/etc/nginx/nginx.conf", nginx},
		{"HAProxy of podman in a unit", evidence.HAProxy, "haproxy -W -db -f /usr/local/etc/haproxy/haproxy.cfg", "/system.slice/lb.service/libpod-payload-0123", "proc/99/root/usr/local/etc/haproxy/haproxy.cfg", haproxy},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := newTree(t)
			f.write(tt.file, 0o644, tt.text)
			m := &evidence.Machine{Name: "lb-1", Hostname: "lb-1", Addresses: []netip.Addr{netip.MustParseAddr("10.0.0.3")}}
			bin := f.running(m)
			f.write("proc/99/comm", 0o644, tt.program+"\n")
			f.write("proc/99/cmdline", 0o644, tt.command+"\x00\x00")
			if tt.program == evidence.HAProxy {
				f.write("proc/99/cmdline", 0o644, strings.ReplaceAll(tt.command, " ", "\x00")+"\x00")
			}
			f.write("proc/99/cgroup", 0o644, "0::"+tt.group+"\n")
			v := &visit{machine: &shell{name: m.Name, bin: bin}, root: f.dir, proc: filepath.Join(f.dir, "proc"), files: newRemote(), network: newServiceNetwork(1)}
			got, missing := v.look(t.Context(), 10*time.Second)
			if lb := got.LoadBalancer; lb == nil || lb.Err != "" || len(lb.Backends) != 1 || len(missing) > 0 {
				t.Errorf("%+v, %+v, %+v", lb, got.Programs, missing)
			}
		})
	}
}
