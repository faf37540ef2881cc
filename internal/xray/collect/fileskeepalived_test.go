package collect

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/haplane/haplane/internal/xray/evidence"
	"github.com/haplane/haplane/internal/xray/evidence/evidencetest"
	"github.com/haplane/haplane/spec"
)

const vrrpText = "vrrp_instance VI_1 {\n  interface host0\n  virtual_router_id 51\n  authentication {\n    auth_type PASS\n    auth_pass " + plantedKey + "\n  }\n  virtual_ipaddress {\n    10.0.0.100\n  }\n}\n"

func TestKeepalivedOfAFolder(t *testing.T) {
	const unit, haproxy = "/etc/systemd/system/keepalived.service", "/etc/haproxy/haproxy.cfg"
	tests := map[string]struct {
		files    map[string]string
		path     string
		err      string
		instance string
	}{
		"the file alone":            {map[string]string{"/etc/keepalived/keepalived.conf": vrrpText}, "/etc/keepalived/keepalived.conf", "", "VI_1"},
		"the usual file":            {map[string]string{unit: "[Service]\nExecStart=/usr/sbin/keepalived --dont-fork\n", "/etc/keepalived/keepalived.conf": vrrpText}, "/etc/keepalived/keepalived.conf", "", "VI_1"},
		"a file that options name":  {map[string]string{unit: "[Service]\nEnvironmentFile=-/etc/sysconfig/keepalived\nExecStart=/usr/sbin/keepalived $KEEPALIVED_OPTIONS\n", "/etc/sysconfig/keepalived": "KEEPALIVED_OPTIONS=\"-D -f /etc/lb.conf\"\n", "/etc/lb.conf": vrrpText}, "/etc/lb.conf", "", "VI_1"},
		"included files":            {map[string]string{"/etc/keepalived/keepalived.conf": "include conf.d/*.conf\ninclude keepalived.conf\n", "/etc/keepalived/conf.d/a.conf": vrrpText}, "/etc/keepalived/keepalived.conf", "", "VI_1"},
		"no file":                   {map[string]string{unit: "[Service]\nExecStart=/usr/sbin/keepalived\n", "/etc/keepalived/x": ""}, "/etc/keepalived/keepalived.conf", evidence.NoSuchFile, ""},
		"its folder was not copied": {map[string]string{unit: "[Service]\nExecStart=/usr/sbin/keepalived\n"}, "/etc/keepalived/keepalived.conf", "not copied", ""},
		"a static pod": {map[string]string{"/etc/kubernetes/manifests/k.yaml": `{apiVersion: v1, kind: Pod, spec: {containers: [{name: k, image: "osixia/keepalived:2.0.17",
volumeMounts: [{name: c, mountPath: /usr/local/etc/keepalived/keepalived.conf}]}], volumes: [{name: c, hostPath: {path: /opt/k.conf}}]}}`, "/opt/k.conf": vrrpText, "/etc/keepalived/x": ""},
			"/usr/local/etc/keepalived/keepalived.conf", "", "VI_1"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			f := newTree(t)
			f.write(haproxy, 0o644, "")
			for file, text := range test.files {
				f.write(file, 0o644, text)
			}
			m, missing := folderOf(t, f)
			got := m.Keepalived
			if got == nil || len(missing) > 0 {
				t.Fatalf("%+v, missing %+v", got, missing)
			}
			instance := ""
			for _, v := range got.Instances {
				instance += v.Name
			}
			if diff := cmp.Diff([]string{test.path, test.err, test.instance}, []string{got.Path, got.Err, instance}); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// On a machine the password of VRRP is cut out before anything leaves it.
func TestKeepalivedOfAMachine(t *testing.T) {
	m := evidencetest.Machine(evidencetest.Healthy(spec.Shared), "lb-1")
	keepalived := evidence.Program{Name: evidence.KeepalivedProgram, Where: "pid 300", Running: true, Argv: []string{"/usr/sbin/keepalived", "-f", "/etc/keepalived/lb.conf"}}
	keepalived.Unit = &evidence.Unit{Name: "keepalived.service", Path: "/etc/systemd/system/keepalived.service"}
	m.Programs = append(m.Programs, keepalived)
	f := newTree(t)
	f.machine(m)
	f.write("/etc/keepalived/lb.conf", 0o600, vrrpText)
	got, missing, s := visited(t, f, m)
	if got.Keepalived == nil || len(got.Keepalived.Instances) != 1 || got.Keepalived.Instances[0].Auth != "PASS" || len(missing) > 0 {
		t.Errorf("%+v, missing %+v", got.Keepalived, missing)
	}
	if diff := cmp.Diff([]string{"host0"}, got.Interfaces); diff != "" {
		t.Error(diff)
	}
	if strings.Contains(s.printed.String(), plantedKey) {
		t.Error("a secret left the machine")
	}
	if err := os.Remove(filepath.Join(f.dir, "etc/keepalived/lb.conf")); err != nil {
		t.Fatal(err)
	}
	if got, _, _ = visited(t, f, m); got.Keepalived == nil || got.Keepalived.Err != evidence.NoSuchFile {
		t.Errorf("%+v", got.Keepalived)
	}
}

// The settings of kube-vip in a DaemonSet are in its pods alone.
func TestKubeVIPOfADaemonSet(t *testing.T) {
	pod := corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "kube-vip-x", Namespace: "kube-system"}, Spec: corev1.PodSpec{NodeName: "cp-1", Containers: []corev1.Container{{Name: "kube-vip",
		Image: "ghcr.io/kube-vip/kube-vip:v0.8.0", Args: []string{"manager"}, Env: []corev1.EnvVar{{Name: "address", Value: "10.0.0.100"}}}}}}
	node := corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "cp-1"}}
	nodes := PodMachines(&evidence.Cluster{Nodes: []corev1.Node{node}, Pods: []corev1.Pod{pod}})
	seen := &evidence.Machine{Name: "cp-1", Clock: &evidence.Clock{}, Programs: []evidence.Program{{Name: evidence.KubeVIP, Running: true, Argv: []string{"/kube-vip", "manager"}}}}
	for name, machines := range map[string][]*evidence.Machine{"by the API alone": nil, "with a process": {seen}, "without one": {{Name: "cp-1", Clock: &evidence.Clock{}}}} {
		t.Run(name, func(t *testing.T) {
			out := Merge(machines, nodes)
			if p := out[0].Program(evidence.KubeVIP); len(out) != 1 || p == nil || p.Variables["address"] != "10.0.0.100" || len(out[0].Programs) != 1 {
				t.Errorf("%+v", out)
			}
		})
	}
}
