package parse

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"

	"github.com/haplane/haplane/internal/xray/evidence"
)

func TestManifestOfKubeadm(t *testing.T) {
	pod, err := Manifest(testdata(t, "kube-apiserver.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	programs := Pod(pod, evidence.FromManifest, "/etc/kubernetes/manifests/kube-apiserver.yaml")
	if len(programs) != 1 {
		t.Fatalf("%d programs", len(programs))
	}
	p := programs[0]
	p.Argv = nil
	want := evidence.Program{Name: evidence.APIServer, From: evidence.FromManifest, Where: "/etc/kubernetes/manifests/kube-apiserver.yaml",
		Version: "v1.34.1", StopTimeout: 30 * time.Second}
	if diff := cmp.Diff(want, p); diff != "" {
		t.Error(diff)
	}
	for flag, want := range map[string]string{"advertise-address": "10.0.0.11", "enable-bootstrap-token-auth": "true",
		"tls-private-key-file": "/etc/kubernetes/pki/apiserver.key", "service-account-issuer": "https://kubernetes.default.svc.cluster.local"} {
		if got, _ := programs[0].Flag(flag); got != want {
			t.Errorf("--%s=%s, want %s", flag, got, want)
		}
	}
}

func TestManifestErrors(t *testing.T) {
	for _, tt := range []struct{ name, text, want string }{
		{"nothing", "", "not a manifest: neither kind nor apiVersion"},
		{"text", "hello", "not a manifest: it is of type string"},
		{"broken", "kind: Pod\n  x: [\n", "not a manifest: not YAML in line 2"},
		{"another kind", "apiVersion: v1\nkind: ConfigMap\n", `a manifest of kind "ConfigMap", which is not a Pod`},
		{"wrong types", "apiVersion: v1\nkind: Pod\nspec: {containers: [{command: pl4nted}]}\n", "not a manifest: spec.containers.command is of type string"},
		{"no kind", "apiVersion: v1\nspec: {}\n", `a manifest of kind "", which is not a Pod`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if _, err := Manifest(tt.text); err == nil || err.Error() != tt.want {
				t.Errorf("%v, want %s", err, tt.want)
			}
		})
	}
	for name, text := range map[string]string{"JSON": `{"apiVersion":"v1","kind":"Pod"}`, "a document": "# x\n---\napiVersion: v1\nkind: Pod\n---\nkind: x\n"} {
		if pod, err := Manifest(text); err != nil || pod.Kind != "Pod" {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestVariablesOfAScript(t *testing.T) {
	pod, err := Manifest(`apiVersion: v1
kind: Pod
spec:
  containers:
  - image: x
    command: [/bin/sh, -c, "OWN=1; exec nice -n -19 etcd --name=${NODE_1_NAME} --a=${OWN} --b=${HOST_IP} --c=${UNKNOWN}"]
    env:
    - {name: NODE_1_NAME, value: node-1}
    - {name: OWN, value: "2"}
    - {name: HOST_IP, valueFrom: {fieldRef: {fieldPath: status.hostIP}}}
  - image: x
    command: [kube-scheduler, "--name=${NODE_1_NAME}"]
    env:
    - {name: NODE_1_NAME, value: node-1}
`)
	if err != nil {
		t.Fatal(err)
	}
	var got [][]string
	for _, p := range Pod(pod, evidence.FromManifest, "x") {
		got = append(got, p.Argv)
	}
	want := [][]string{{"etcd", "--name=node-1", "--a=${OWN}", "--b=${HOST_IP}", "--c=${UNKNOWN}"}, {"kube-scheduler", "--name=${NODE_1_NAME}"}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestPod(t *testing.T) {
	seconds := func(n int64) *int64 { return &n }
	container := func(image string, command ...string) corev1.Container {
		return corev1.Container{Image: image, Command: command}
	}
	for _, tt := range []struct {
		name string
		spec corev1.PodSpec
		want []evidence.Program
	}{
		{"nothing of interest", corev1.PodSpec{Containers: []corev1.Container{container("x/pause:3.10", "/pause")}}, nil},
		{"two programs", corev1.PodSpec{TerminationGracePeriodSeconds: seconds(5), Containers: []corev1.Container{
			container("x/etcd:3.6.4-0", "etcd", "--name=a"), container("localhost:5000/kube-proxy", "kube-proxy")}},
			[]evidence.Program{{Name: "etcd", Argv: []string{"etcd", "--name=a"}, Version: "3.6.4-0", StopTimeout: 5 * time.Second},
				{Name: "kube-proxy", Argv: []string{"kube-proxy"}, StopTimeout: 5 * time.Second}}},
		{"no time to end", corev1.PodSpec{TerminationGracePeriodSeconds: seconds(-1), Containers: []corev1.Container{container("x@sha256:00", "etcd")}},
			[]evidence.Program{{Name: "etcd", Argv: []string{"etcd"}}}},
		{"all the time", corev1.PodSpec{TerminationGracePeriodSeconds: seconds(1 << 62), Containers: []corev1.Container{container("x:latest", "etcd")}},
			[]evidence.Program{{Name: "etcd", Argv: []string{"etcd"}, StopTimeout: Forever / time.Second * time.Second}}},
		{"the image has the command", corev1.PodSpec{Containers: []corev1.Container{{Image: "images.example.com/haproxy:3.2-alpine", Args: []string{"-f", "/x"}}}},
			[]evidence.Program{{Name: "haproxy", Argv: []string{"haproxy", "-f", "/x"}, Version: "3.2-alpine", StopTimeout: 30 * time.Second}}},
		{"the arguments are the command", corev1.PodSpec{Containers: []corev1.Container{{Image: "x/y:sha-1", Args: []string{"/usr/bin/kubelet", "--v=2"}}}},
			[]evidence.Program{{Name: "kubelet", Argv: []string{"/usr/bin/kubelet", "--v=2"}, StopTimeout: 30 * time.Second}}},
		{"variables", corev1.PodSpec{Containers: []corev1.Container{{Command: []string{"etcd", "--name=$(NAME)", "--ip=$(POD_IP)", "$$(NAME)"},
			Env: []corev1.EnvVar{{Name: "NAME", Value: "a"}, {Name: "NAME", Value: "b"}, {Name: "POD_IP", ValueFrom: &corev1.EnvVarSource{}}}}}},
			[]evidence.Program{{Name: "etcd", Argv: []string{"etcd", "--name=b", "--ip=$(POD_IP)", "$(NAME)"}, StopTimeout: 30 * time.Second}}},
		{"settings of etcd", corev1.PodSpec{Containers: []corev1.Container{{Command: []string{"etcd"},
			Env: []corev1.EnvVar{{Name: "ETCD_DATA_DIR", Value: "/x"}, {Name: "HOME", Value: "/"}, {Name: "ETCD_NAME", ValueFrom: &corev1.EnvVarSource{}}}}}},
			[]evidence.Program{{Name: "etcd", Argv: []string{"etcd"}, Variables: map[string]string{"data-dir": "/x"}, StopTimeout: 30 * time.Second}}},
		{"secrets", corev1.PodSpec{Containers: []corev1.Container{container("", "etcd", "--password", "x")}},
			[]evidence.Program{{Name: "etcd", Argv: []string{"etcd", "--password", Redacted}, StopTimeout: 30 * time.Second}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, Pod(&corev1.Pod{Spec: tt.spec}, "", "")); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestHostPaths(t *testing.T) {
	volume := func(name, path string) corev1.Volume {
		return corev1.Volume{Name: name, VolumeSource: corev1.VolumeSource{HostPath: &corev1.HostPathVolumeSource{Path: path}}}
	}
	on := HostPaths(&corev1.Pod{Spec: corev1.PodSpec{
		Volumes: []corev1.Volume{volume("pki", "/etc/kubernetes/pki/"), volume("etcd", "/srv/etcd"), volume("file", "/etc/k.conf"), {Name: "empty"}},
		Containers: []corev1.Container{{VolumeMounts: []corev1.VolumeMount{
			{Name: "pki", MountPath: "/certs/"}, {Name: "etcd", MountPath: "/certs/etcd"}, {Name: "file", MountPath: "/k.conf"},
			{Name: "empty", MountPath: "/tmp"}, {Name: "pki", MountPath: "/sub", SubPath: "x"}}}},
	}})
	for path, want := range map[string]string{
		"/certs/ca.crt": "/etc/kubernetes/pki/ca.crt", "/certs/etcd/ca.crt": "/srv/etcd/ca.crt", "/certs/etcdx": "/etc/kubernetes/pki/etcdx",
		"/certsx/a": "/certsx/a", "/k.conf": "/etc/k.conf", "/tmp/a": "/tmp/a", "/sub/a": "/etc/kubernetes/pki/x/a", "": "",
	} {
		if got := on(path); got != want {
			t.Errorf("%s is %s, want %s", path, got, want)
		}
	}
}

func FuzzManifest(f *testing.F) {
	f.Add(testdata(f, "kube-apiserver.yaml"), "/etc/kubernetes/pki/ca.crt")
	f.Add("kind: Pod\nspec: {terminationGracePeriodSeconds: 9223372036854775807, containers: [{image: 'a:1.2@b', args: [$(A)], env: [{name: A}]}]}", "")
	f.Add("kind: Pod\nspec: &a {volumes: [{hostPath: {path: /}}], containers: [{command: [etcd], volumeMounts: [{mountPath: /}]}]}", "\x00/..")
	f.Add(strings.Repeat("{a: ", 200), "")
	f.Fuzz(func(t *testing.T, text, path string) {
		pod, err := Manifest(text)
		if err != nil {
			if strings.Contains(text, "pl4nted") && !strings.Contains(text, "kind") && strings.Contains(err.Error(), "pl4nted") {
				t.Error(err)
			}
			return
		}
		HostPaths(pod)(path)
		for _, p := range Pod(pod, "", "") {
			if p.Name == "" || len(p.Argv) == 0 || p.StopTimeout < 0 {
				t.Error(fmt.Sprintf("%+v", p))
			}
		}
	})
}
