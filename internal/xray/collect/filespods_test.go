package collect

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/haplane/haplane/internal/xray/evidence"
)

// podText is the manifest of a pod with one container.
func podText(name string, command ...string) string {
	return fmt.Sprintf("apiVersion: v1\nkind: Pod\nmetadata: {name: %s, namespace: kube-system}\nspec:\n  containers:\n  - {name: %s, image: 'registry.example/%s:v1.34.1', command: [%s]}\n",
		name, name, name, strings.Join(command, ", "))
}

// manifestCases are what lies in the folder of manifests, and what is seen of it.
var manifestCases = []struct {
	name     string
	files    map[string]string
	programs []string // NAME of the last part of where it is from
	doubles  []evidence.Double
	missing  []string // parts of what is said
	unknown  []string // NAME of what runs something that is not known here
}{
	{name: "kops' manifests", files: map[string]string{"kube-apiserver.manifest": podText("kube-apiserver", "/go-runner", "--log-file=/var/log/kube-apiserver.log", "/usr/local/bin/kube-apiserver", "--v=2")},
		programs: []string{"kube-apiserver of kube-apiserver.manifest"}},
	{name: "no extension, a hidden file, a note, a folder", files: map[string]string{"etcd": podText("etcd", "etcd"), ".etcd.yaml": podText("etcd", "etcd"), "README": "Do not touch.\n", "old/etcd.yaml": podText("etcd", "etcd")},
		programs: []string{"etcd of etcd"}},
	{name: "a backup of one", files: map[string]string{"kube-scheduler.yaml": podText("kube-scheduler", "kube-scheduler", "--v=1"), "kube-scheduler.yaml.bak": podText("kube-scheduler", "kube-scheduler", "--v=2")},
		programs: []string{"kube-scheduler of kube-scheduler.yaml.bak"},
		doubles:  []evidence.Double{{Program: "kube-scheduler", Pod: "kube-system/kube-scheduler", Sources: []string{"/etc/kubernetes/manifests/kube-scheduler.yaml", "/etc/kubernetes/manifests/kube-scheduler.yaml.bak"}}}},
	{name: "another pod with the same program", files: map[string]string{"a.yaml": podText("a", "kube-apiserver"), "b.json": podText("b", "kube-apiserver", "--secure-port=7443")},
		programs: []string{"kube-apiserver of a.yaml"},
		doubles:  []evidence.Double{{Program: "kube-apiserver", Sources: []string{"/etc/kubernetes/manifests/a.yaml", "/etc/kubernetes/manifests/b.json"}}}},
	{name: "an etcd for events", files: map[string]string{"etcd.manifest": podText("etcd", "etcd", "--data-dir=/var/etcd/data", "--listen-client-urls=http://0.0.0.0:4001"), "etcd-events.manifest": podText("etcd-events", "etcd", "--data-dir=/var/etcd/data-events", "--listen-client-urls=http://0.0.0.0:4002")},
		programs: []string{"etcd of etcd.manifest"}},
	{name: "two members at one port", files: map[string]string{"etcd.yaml": podText("etcd", "etcd", "'--listen-client-urls=https://10.0.0.1:2379,https://127.0.0.1:2379'"), "etcd2.yaml": podText("etcd2", "etcd", "--data-dir=/var/etcd/b")},
		programs: []string{"etcd of etcd.yaml"},
		doubles:  []evidence.Double{{Program: "etcd", Sources: []string{"/etc/kubernetes/manifests/etcd.yaml", "/etc/kubernetes/manifests/etcd2.yaml"}}}},
	{name: "two members with one folder of data", files: map[string]string{"etcd.yaml": podText("etcd", "etcd", "--data-dir=/var/etcd/data"), "etcd2.yaml": podText("etcd2", "etcd", "--data-dir", "/var/etcd/data")},
		programs: []string{"etcd of etcd.yaml"},
		doubles:  []evidence.Double{{Program: "etcd", Sources: []string{"/etc/kubernetes/manifests/etcd.yaml", "/etc/kubernetes/manifests/etcd2.yaml"}}}},
	{name: "a wrapper", files: map[string]string{"x.yaml": podText("kube-apiserver", "/opt/start.sh")}, missing: []string{"x.yaml: by its name it runs kube-apiserver"}},
	{name: "a wrapper by its file's name", files: map[string]string{"kube-scheduler.yaml": podText("sched", "/opt/start.sh")}, missing: []string{"kube-scheduler.yaml: by its name it runs kube-scheduler"}},
	{name: "a wrapper of a similar name", files: map[string]string{"x.yaml": podText("kube-apiserver-ha", "/opt/start.sh")}, missing: []string{"x.yaml: by its name it runs kube-apiserver"}},
	{name: "secrets in commands", files: map[string]string{"a.yaml": strings.Replace(podText("a", "S3CRET"), "command:", "args:", 1), "b.yaml": podText("b", "'/opt/b --token=S3CRET'"), "c.yaml": podText("c", "sh", "-c", `"/opt/c\t--token=S3CRET"`), "d.yaml": podText("d", "sh", "-c", "'/opt/d&&echo>S3CRET'"), "e.yaml": podText("e", "env", "TOKEN=S3CRET", "/opt/e"), "f.yaml": podText("f", "sh", "f.sh", "/S3CRET")},
		unknown: []string{"a.yaml: image a", "b.yaml: /opt/b", "c.yaml: sh", "d.yaml: sh", "e.yaml: /opt/e", "f.yaml: sh"}},
	{name: "another program of etcd's image", files: map[string]string{"etcd.yaml": podText("etcd", "etcd"), "backup.yaml": strings.ReplaceAll(podText("etcd", "etcdctl", "snapshot", "save"), "name: etcd", "name: backup")},
		programs: []string{"etcd of etcd.yaml"}, unknown: []string{"backup.yaml: etcdctl"}},
	{name: "a wrapper in an image of a program", files: map[string]string{"m.yaml": strings.ReplaceAll(podText("kube-apiserver", "/opt/start.sh"), "name: kube-apiserver", "name: m")}, missing: []string{"m.yaml: by its name it runs kube-apiserver"}},
	{name: "Pods that no kubelet knows", files: map[string]string{"a.yaml": strings.Replace(podText("etcd", "etcd"), "apiVersion: v1\n", "", 1), "b.yaml": strings.Replace(podText("etcd", "etcd"), "v1", "v2", 1)},
		missing: []string{`a.yaml: a manifest of apiVersion ""`, `b.yaml: a manifest of apiVersion "v2"`}},
	{name: "an API server of something else", files: map[string]string{"a.yaml": podText("kube-apiserver", "kube-apiserver"), "apiserver.yaml": podText("shop", "/opt/shop")},
		programs: []string{"kube-apiserver of a.yaml"}, unknown: []string{"apiserver.yaml: /opt/shop"}},
	{name: "a container called like a short name", files: map[string]string{"x.yaml": podText("controller-manager", "/opt/app")}, unknown: []string{"x.yaml: /opt/app"}},
	{name: "a helper of a similar name", files: map[string]string{"a.yaml": podText("kube-apiserver", "kube-apiserver"), "b.yaml": podText("kube-apiserver-healthcheck", "/healthcheck")},
		programs: []string{"kube-apiserver of a.yaml"}, unknown: []string{"b.yaml: /healthcheck"}},
	{name: "two pods in one file", files: map[string]string{"x.yaml": "---\n# both\n" + podText("etcd", "etcd") + "---\n" + podText("kube-scheduler", "kube-scheduler")},
		programs: []string{"etcd of x.yaml"}, missing: []string{"x.yaml: several documents in one manifest"}},
	{name: "one pod between lines", files: map[string]string{"x.yaml": "---\n# one\n" + podText("etcd", "etcd") + "---\n# that is all\n"}, programs: []string{"etcd of x.yaml"}},
	{name: "a note on kinds", files: map[string]string{"README": "All kinds of pods lie here.\n"}},
	{name: "another's pod", files: map[string]string{"x.yaml": podText("node-exporter", "/opt/start.sh")}, unknown: []string{"x.yaml: /opt/start.sh"}},
	{name: "a wrapper by its file's short name", files: map[string]string{"apiserver.yaml": podText("master", "/opt/start.sh")}, missing: []string{"apiserver.yaml: by its name it runs kube-apiserver"}},
	{name: "wrappers of any name", files: map[string]string{"m.yaml": podText("master", "/bin/sh", "-c", "exec /opt/master --token=secret"), "n.yaml": podText("n", "bash", "/opt/n.sh", "--token=secret"), "o.yaml": podText("o", "--flag=secret")},
		unknown: []string{"m.yaml: /bin/sh", "n.yaml: /opt/n.sh", "o.yaml: image o"}},
	{name: "no YAML", files: map[string]string{"x.manifest": "a: [b\n", "y.orig": "kind: Pod\n  a: b\n"}, missing: []string{"x.manifest: not a manifest: not YAML", "y.orig: not a manifest: not YAML"}},
}

// unknownOf is what a machine is to run that is not known here, and where that is told: manifests by their names.
func unknownOf(m *evidence.Machine) []string {
	var out []string
	for _, u := range m.Unrecognised {
		if u.Like == "" {
			out = append(out, strings.TrimPrefix(u.Source, "/etc/kubernetes/manifests/")+": "+u.Runs)
		}
	}
	return out
}

func TestManifests(t *testing.T) {
	for _, tt := range manifestCases {
		tree := func(t *testing.T) tree {
			f := newTree(t)
			f.write("/etc/systemd/system/kubelet.service", 0o644, "[Service]\nExecStart=/usr/bin/kubelet --pod-manifest-path=/etc/kubernetes/manifests\n")
			for name, text := range tt.files {
				f.write("/etc/kubernetes/manifests/"+name, 0o600, text)
			}
			return f
		}
		judge := func(t *testing.T, m *evidence.Machine, missing []evidence.Missing) {
			t.Helper()
			var programs []string
			for _, p := range m.Programs {
				if p.Name != evidence.Kubelet {
					programs = append(programs, p.Name+" of "+p.Where[strings.LastIndex(p.Where, "/")+1:])
				}
			}
			if diff := cmp.Diff(tt.programs, programs) + cmp.Diff(tt.doubles, m.Doubles) + cmp.Diff(tt.unknown, unknownOf(m)); diff != "" {
				t.Error(diff)
			}
			if len(missing) != len(tt.missing) {
				t.Fatalf("missing: %+v", missing)
			}
			for i, x := range missing {
				if said := strings.TrimPrefix(x.Source, "/etc/kubernetes/manifests/") + ": " + x.Err; !strings.HasPrefix(said, tt.missing[i]) || x.Fix == "" {
					t.Errorf("missing: %+v", x)
				}
			}
		}
		t.Run(tt.name+", in a folder", func(t *testing.T) {
			m, missing := folderOf(t, tree(t))
			judge(t, m, missing)
		})
		t.Run(tt.name+", on a machine", func(t *testing.T) {
			f := tree(t)
			kubelet := evidence.Program{Name: evidence.Kubelet, Where: "pid 9", Argv: []string{"/usr/bin/kubelet", "--pod-manifest-path=/etc/kubernetes/manifests"}}
			m, missing, _ := visited(t, f, &evidence.Machine{Name: "cp-1", Hostname: "cp-1", Addresses: []netip.Addr{netip.MustParseAddr("10.0.0.11")}, Programs: []evidence.Program{kubelet}})
			judge(t, m, slices.DeleteFunc(missing, func(x evidence.Missing) bool { return x.Source == "curl" }))
		})
	}
}

// What packages install and links enable is a unit, and a configuration says without one what is to run.
func TestUnitsOfFolders(t *testing.T) {
	const haproxy = "frontend a\n  bind :6443\n  default_backend kube-apiserver\nbackend kube-apiserver\n  server a 10.0.0.1:6443 check\n"
	wants := func(unit string) string { return "/etc/systemd/system/multi-user.target.wants/" + unit }
	tests := []struct {
		name     string
		files    map[string]string
		links    map[string]string
		programs []string
		balanced bool
		unjudged []string
		doubles  int
		missing  int
		unknown  []string
	}{
		{name: "HAProxy's configuration alone", files: map[string]string{"/etc/haproxy/haproxy.cfg": haproxy}, programs: []string{"configuration haproxy"}, balanced: true},
		{name: "a packaged unit and its link", files: map[string]string{"/etc/haproxy/haproxy.cfg": haproxy, "/lib/systemd/system/haproxy.service": "[Service]\nExecStart=/usr/sbin/haproxy -f /etc/haproxy/haproxy.cfg\n"},
			links: map[string]string{wants("haproxy.service"): "/lib/systemd/system/haproxy.service"}, programs: []string{"unit haproxy"}, balanced: true},
		{name: "a merged /usr", files: map[string]string{"/etc/haproxy/haproxy.cfg": haproxy, "/usr/lib/systemd/system/haproxy.service": "[Service]\nExecStart=/usr/sbin/haproxy -f /etc/haproxy/haproxy.cfg\n"},
			links: map[string]string{wants("haproxy.service"): "/lib/systemd/system/haproxy.service"}, programs: []string{"unit haproxy"}, balanced: true},
		{name: "the link of another target", files: map[string]string{"/etc/haproxy/haproxy.cfg": haproxy, "/usr/lib/systemd/system/haproxy.service": "[Service]\nExecStart=/usr/sbin/haproxy -f /etc/haproxy/haproxy.cfg\n"},
			links: map[string]string{"/etc/systemd/system/network-online.target.requires/haproxy.service": "/lib/systemd/system/haproxy.service"}, programs: []string{"unit haproxy"}, balanced: true},
		{name: "the link alone", files: map[string]string{"/etc/haproxy/haproxy.cfg": haproxy}, links: map[string]string{wants("haproxy.service"): "/lib/systemd/system/haproxy.service"},
			programs: []string{"unit haproxy"}, balanced: true, unjudged: []string{"/lib/systemd/system/haproxy.service: not in the copy"}},
		{name: "an installed unit, and no links in the copy", files: map[string]string{"/etc/haproxy/haproxy.cfg": haproxy, "/lib/systemd/system/haproxy.service": "[Service]\nExecStart=/usr/sbin/haproxy -f /etc/haproxy/haproxy.cfg\n"},
			programs: []string{"configuration haproxy"}, balanced: true},
		{name: "a disabled unit", files: map[string]string{"/etc/haproxy/haproxy.cfg": haproxy, "/lib/systemd/system/haproxy.service": "[Service]\nExecStart=/usr/sbin/haproxy -f /etc/haproxy/haproxy.cfg\n",
			"/lib/systemd/system/keepalived.service": "[Service]\nExecStart=/usr/sbin/keepalived\n"},
			links: map[string]string{wants("keepalived.service"): "/lib/systemd/system/keepalived.service"}, programs: []string{"unit keepalived"}, unjudged: []string{"/etc/haproxy/haproxy.cfg: haproxy.service is not enabled"}},
		{name: "a masked unit", files: map[string]string{"/lib/systemd/system/etcd.service": "[Service]\nExecStart=/usr/bin/etcd\n", "/etc/systemd/system/kubelet.service": "[Service]\nExecStart=/usr/bin/kubelet\n"},
			links: map[string]string{"/etc/systemd/system/etcd.service": "/dev/null"}, programs: []string{"unit kubelet"}},
		{name: "etcd under another name", files: map[string]string{"/lib/systemd/system/etcd.service": "[Service]\nEnvironmentFile=-/etc/default/%p\nExecStart=/usr/bin/etcd $DAEMON_ARGS\n", "/etc/default/etcd": "ETCD_NAME=a\n"},
			links: map[string]string{"/etc/systemd/system/etcd2.service": "/lib/systemd/system/etcd.service"}, programs: []string{"unit etcd a"}},
		{name: "etcd of RHEL", files: map[string]string{"/usr/lib/systemd/system/etcd.service": "[Service]\nEnvironmentFile=-/etc/etcd/etcd.conf\nExecStart=/bin/bash -c \"GOMAXPROCS=$(nproc) /usr/bin/etcd --name=\\\"${ETCD_NAME}\\\"\"\n", "/etc/etcd/etcd.conf": "ETCD_NAME=\"b\"\n"},
			links: map[string]string{wants("etcd.service"): "/usr/lib/systemd/system/etcd.service"}, programs: []string{"unit etcd b"}},
		{name: "etcd's variables alone", files: map[string]string{"/etc/etcd.env": "# Kubespray\nETCD_NAME=c\n"}, programs: []string{"configuration etcd c"}},
		{name: "etcd's YAML alone", files: map[string]string{"/etc/etcd/etcd.conf.yml": "name: d\ndata-dir: /var/lib/etcd\n"}, programs: []string{"configuration etcd d"}},
		{name: "etcd's settings all comments", files: map[string]string{"/etc/default/etcd": "# ETCD_NAME=x\n"}, missing: 1},
		{name: "nginx that docker runs", files: map[string]string{"/etc/nginx/nginx.conf": "stream { upstream kube_apiserver { server 10.0.0.1:6443; } server { listen 127.0.0.1:6443; proxy_pass kube_apiserver; } }"},
			programs: []string{"configuration nginx"}, balanced: true},
		{name: "HAProxy's folder without a unit", files: map[string]string{"/etc/haproxy/haproxy.cfg": "defaults\n  mode tcp\n", "/etc/haproxy/conf.d/api.cfg": haproxy}, programs: []string{"configuration haproxy"}, balanced: true},
		{name: "HAProxy's folder alone", files: map[string]string{"/etc/haproxy/conf.d/api.cfg": haproxy}, programs: []string{"configuration haproxy"}, balanced: true},
		{name: "HAProxy under another name", files: map[string]string{"/etc/haproxy/kubernetes.cfg": haproxy}, programs: []string{"configuration haproxy"}, balanced: true},
		{name: "HAProxy of an image", files: map[string]string{"/usr/local/etc/haproxy/haproxy.cfg": haproxy}, programs: []string{"configuration haproxy"}, balanced: true},
		{name: "HAProxy of a compose file", files: map[string]string{"/opt/lb/haproxy.cfg": haproxy}, programs: []string{"configuration haproxy"}, balanced: true},
		{name: "HAProxy of something else", files: map[string]string{"/etc/haproxy/haproxy.cfg": "listen web\n bind :80\n server a 10.0.0.1:80\n"}, missing: 1},
		{name: "HAProxy's configuration without its CA", files: map[string]string{"/etc/haproxy/haproxy.cfg": haproxy + " server b 10.0.0.2:6443 check ssl ca-file /etc/haproxy/ca.crt\n"}, programs: []string{"configuration haproxy"}, balanced: true,
			unjudged: []string{"/etc/haproxy/ca.crt: not in the copy"}},
		{name: "nginx of a web site", files: map[string]string{"/etc/nginx/nginx.conf": "http { server { listen 80; } }", "/etc/hostname": "a\n"}, missing: 1},
		{name: "two units that are enabled", files: map[string]string{"/etc/systemd/system/kubelet.service": "[Service]\nExecStart=/usr/bin/kubelet\n", "/etc/systemd/system/kubelet-old.service": "[Service]\nExecStart=/opt/kubelet\n"},
			programs: []string{"unit kubelet"}, doubles: 1},
		{name: "two units, one of them enabled by a link", files: map[string]string{"/etc/systemd/system/kubelet.service": "[Service]\nExecStart=/usr/bin/kubelet\n", "/etc/systemd/system/kubelet-old.service": "[Service]\nExecStart=/opt/kubelet\n"},
			links: map[string]string{wants("kubelet.service"): "/etc/systemd/system/kubelet.service"}, programs: []string{"unit kubelet"}},
		{name: "an instance of a template", files: map[string]string{"/etc/systemd/system/etcd@.service": "[Service]\nExecStart=/usr/bin/etcd --name=%i\n"},
			links: map[string]string{wants("etcd@e.service"): "/etc/systemd/system/etcd@.service"}, programs: []string{"unit etcd e"}},
		{name: "RKE2", files: map[string]string{"/var/lib/rancher/rke2/agent/pod-manifests/etcd.yaml": podText("etcd", "etcd", "--name=f")}, programs: []string{"manifest etcd f"},
			unjudged: []string{"kubelet.service with its drop-ins: not in the copy", "/var/lib/kubelet/config.yaml: not in the copy"}},
		{name: "a masked kubelet", files: map[string]string{"/etc/kubernetes/manifests/etcd.yaml": podText("etcd", "etcd", "--name=g"), "/lib/systemd/system/kubelet.service": "[Service]\nExecStart=/usr/bin/kubelet\n", "/var/lib/kubelet/config.yaml": "{}"},
			links: map[string]string{"/etc/systemd/system/kubelet.service": "/dev/null"}, programs: []string{"manifest etcd g"}, unjudged: []string{"kubelet.service with its drop-ins: kubelet.service is masked"}},
		{name: "a wrapper", files: map[string]string{"/etc/systemd/system/kube-apiserver.service": "[Service]\nExecStart=/opt/start-apiserver.sh\n"}, missing: 1},
		{name: "a wrapper under the name of a member, and one under any", files: map[string]string{"/usr/lib/systemd/system/etcd-member.service": "[Service]\nExecStart=/usr/lib/coreos/etcd-wrapper\n", "/etc/systemd/system/x.service": "[Service]\nExecStart=/bin/sh /opt/x.sh token=secret\n", "/etc/hostname": "a\n"},
			links: map[string]string{wants("etcd-member.service"): "/usr/lib/systemd/system/etcd-member.service"}, missing: 1,
			unknown: []string{"/etc/systemd/system/x.service: /opt/x.sh", "/usr/lib/systemd/system/etcd-member.service: /usr/lib/coreos/etcd-wrapper"}},
		{name: "scripts in units, and a container", files: map[string]string{"/etc/systemd/system/a.service": "[Service]\nExecStart=/bin/sh -c \"exec /usr/local/bin/a --token=S3CRET\"\n", "/etc/systemd/system/b.service": "[Service]\nExecStart=/usr/bin/docker run -e TOKEN=S3CRET reg.example/kube-apiserver:v1\n", "/etc/systemd/system/docker-apiserver.service": "[Service]\nExecStart=/usr/bin/docker start x\n", "/etc/hostname": "a\n"}, missing: 1,
			unknown: []string{"/etc/systemd/system/a.service: /bin/sh", "/etc/systemd/system/b.service: /usr/bin/docker", "/etc/systemd/system/docker-apiserver.service: /usr/bin/docker"}},
		{name: "a program in a variable that was not copied", files: map[string]string{"/etc/systemd/system/x.service": "[Service]\nEnvironmentFile=/etc/x.env\nEnvironmentFile=-/etc/default/x\nExecStart=${BIN} $ARGS\n", "/etc/hostname": "a\n"}, missing: 1,
			unknown: []string{"/etc/systemd/system/x.service: ${BIN}"}, unjudged: []string{"/etc/x.env: not in the copy"}},
		{name: "a script's argument", files: map[string]string{"/etc/systemd/system/a.service": "[Service]\nExecStart=/bin/sh -c \"etcd-backup --token=S3CRET\" /S3CRET\n", "/etc/hostname": "a\n"}, missing: 1,
			unknown: []string{"/etc/systemd/system/a.service: /bin/sh"}},
		{name: "what every node has beside", files: map[string]string{"/etc/systemd/system/kubelet.service": "[Service]\nExecStart=/usr/bin/kubelet\n", "/etc/systemd/system/containerd.service": "[Service]\nExecStart=/usr/local/bin/containerd\n", "/etc/systemd/system/haplane-fence.service": "[Service]\nExecStart=/opt/fence\n",
			"/etc/systemd/system/chrony.service": "[Service]\nExecStart=/usr/sbin/chronyd\n"}, programs: []string{"unit kubelet"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f := newTree(t)
			for name, text := range tt.files {
				f.within("lb-1").write(name, 0o644, text)
			}
			for name, target := range tt.links {
				f.within("lb-1").link(name, target)
			}
			m, missing := folderOf(t, f)
			var programs, unjudged []string
			for _, p := range m.Programs {
				programs = append(programs, strings.TrimSpace(p.From+" "+p.Name+" "+p.EtcdSetting("name", "")))
			}
			for _, u := range m.Unjudged {
				unjudged = append(unjudged, u.Source+": "+u.Why)
			}
			if diff := cmp.Diff(tt.programs, programs) + cmp.Diff(tt.unjudged, unjudged); diff != "" {
				t.Error(diff)
			}
			if diff := cmp.Diff(tt.unknown, unknownOf(m)); diff != "" {
				t.Error(diff)
			}
			if balanced := m.LoadBalancer != nil && m.LoadBalancer.Err == ""; balanced != tt.balanced || len(m.Doubles) != tt.doubles || len(missing) != tt.missing {
				t.Errorf("%+v, %+v, %+v", m.LoadBalancer, m.Doubles, missing)
			}
		})
	}
}

// What nothing starts moves no address and balances nothing; it is named, once.
func TestWhatNothingStartsIsNotJudged(t *testing.T) {
	const unit, haproxyUnit, wants = "/lib/systemd/system/keepalived.service", "/lib/systemd/system/haproxy.service", "/etc/systemd/system/multi-user.target.wants/"
	files := map[string]string{"/etc/haproxy/haproxy.cfg": "listen api\n bind :6443\n mode tcp\n server a 10.0.0.1:6443\n", "/etc/keepalived/keepalived.conf": vrrpText,
		unit: "[Service]\nExecStart=/usr/sbin/keepalived\n", haproxyUnit: "[Service]\nExecStart=/usr/sbin/haproxy -f /etc/haproxy/haproxy.cfg\n", "/etc/hostname": "lb-1\n"}
	tests := []struct {
		name            string
		links           map[string]string
		moves, balances bool
		unjudged        string
	}{
		{"no links in the copy", nil, true, true, ""},
		{"both are enabled", map[string]string{wants + "haproxy.service": haproxyUnit, wants + "keepalived.service": unit}, true, true, ""},
		{"keepalived is disabled", map[string]string{wants + "haproxy.service": haproxyUnit}, false, true, "/etc/keepalived/keepalived.conf: keepalived.service is not enabled"},
		{"HAProxy is disabled", map[string]string{wants + "keepalived.service": unit}, true, false, "/etc/haproxy/haproxy.cfg: haproxy.service is not enabled"},
		{"keepalived is masked", map[string]string{"/etc/systemd/system/keepalived.service": "/dev/null"}, false, true, "/etc/keepalived/keepalived.conf: keepalived.service is masked"},
		{"HAProxy is masked", map[string]string{"/etc/systemd/system/haproxy.service": "/dev/null"}, true, false, "/etc/haproxy/haproxy.cfg: haproxy.service is masked"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f := newTree(t)
			for name, text := range files {
				f.within("lb-1").write(name, 0o644, text)
			}
			for name, target := range tt.links {
				f.within("lb-1").link(name, target)
			}
			m, _ := folderOf(t, f)
			unjudged := ""
			for _, u := range m.Unjudged {
				unjudged += u.Source + ": " + u.Why
			}
			if m.Keepalived != nil != tt.moves || m.LoadBalancer != nil != tt.balances || len(m.Unbalancing) > 0 || unjudged != tt.unjudged {
				t.Errorf("%+v, %+v, %v, %q", m.Keepalived, m.LoadBalancer, m.Unbalancing, unjudged)
			}
		})
	}
}

// A folder that no kubelet reads is no evidence of what runs.
func TestManifestsThatNoKubeletReads(t *testing.T) {
	f := newTree(t)
	f.write("/etc/systemd/system/kubelet.service", 0o644, "[Service]\nExecStart=/usr/bin/kubelet --pod-manifest-path=/etc/kubelet.d\n")
	f.write("/etc/kubernetes/manifests/kube-apiserver.yaml", 0o600, podText("kube-apiserver", "kube-apiserver"))
	m, _ := folderOf(t, f)
	want := []evidence.Unjudged{
		{Source: "/etc/kubelet.d, the folder of static pods by the kubelet's configuration", Why: evidence.NotInCopy},
		{Source: "/etc/kubernetes/manifests/kube-apiserver.yaml", Why: "no kubelet reads it, for its static pods are in /etc/kubelet.d"},
	}
	if diff := cmp.Diff(want, m.Unjudged); diff != "" || m.Program(evidence.APIServer) != nil {
		t.Errorf("%s%+v", diff, m.Programs)
	}
}
