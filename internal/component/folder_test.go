package component

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// broken says how Build fails with the folder.
func broken(t *testing.T, r Ready) string {
	t.Helper()
	cache := t.TempDir()
	_, err := Build(t.Context(), Options{Cache: cache, Source: "/nowhere", Ready: r})
	if err == nil {
		t.Fatal("no error")
	}
	return err.Error()
}

func wants(t *testing.T, text string, parts ...string) {
	t.Helper()
	for _, p := range parts {
		if !strings.Contains(text, p) {
			t.Errorf("no %q in: %s", p, text)
		}
	}
}

func TestMissingProgramsAreNamedAtOnce(t *testing.T) {
	dir := release(t)
	for _, p := range []string{"etcd-v3.7.3-linux-amd64/etcdutl", "kubernetes/server/bin/kubelet", "bin/ctr", "coredns"} {
		if err := os.Remove(filepath.Join(dir, p)); err != nil {
			t.Fatal(err)
		}
	}
	text := broken(t, Ready{Dir: dir})
	wants(t, text, dir+" lacks etcdutl, ctr, kubelet; looked for in the folder itself", "kubernetes/server/bin", "opt/cni/bin")
	if strings.Contains(text, "coredns") {
		t.Errorf("coredns is built, but: %s", text)
	}
	wants(t, broken(t, Ready{Dir: filepath.Join(dir, "none")}), "none: no such file")
	wants(t, broken(t, Ready{Dir: filepath.Join(dir, "flanneld")}), "flanneld is not a folder")
}

func TestProgramsThatCannotRunAreNamedAtOnce(t *testing.T) {
	dir := release(t)
	etcd, ctr, kubelet := filepath.Join(dir, "etcd-v3.7.3-linux-amd64/etcd"), filepath.Join(dir, "bin/ctr"), filepath.Join(dir, "kubernetes/server/bin/kubelet")
	other := says(t, "v1.37.2")
	copy(other[18:], []byte{22, 0}) // the machine of the ELF header: s390x
	put(t, kubelet, other)
	put(t, ctr, []byte("#!/bin/sh\necho v2.4.2\n"))
	put(t, filepath.Join(dir, "flanneld"), says(t, "dev"))
	if err := os.Chmod(etcd, 0o644); err != nil {
		t.Fatal(err)
	}
	wants(t, broken(t, Ready{Dir: dir}),
		"take ready-made etcd: "+etcd+": it is not executable: its mode is -rw-r--r--",
		"take ready-made ctr: "+ctr+": it is not a Linux program",
		"take ready-made kubelet: "+kubelet+": it is a program for s390x, this host is ",
		`take ready-made flanneld: flanneld --version: expected a version, got "it is dev"`)
}

func TestSkew(t *testing.T) {
	dir := release(t)
	text := broken(t, Ready{Dir: dir, KubernetesVersion: "v1.36.9"})
	wants(t, text, "kube-apiserver is v1.37.2, want v1.36.9 (kubernetesVersion)", "kubelet is v1.37.2, want")
	put(t, filepath.Join(dir, "kubernetes/server/bin/kubelet"), says(t, "v1.36.9"))
	text = broken(t, Ready{Dir: dir})
	wants(t, text, "kubelet is v1.36.9, want v1.37.2 (as kube-apiserver)")
	if strings.Contains(text, "kubectl is") {
		t.Errorf("kubectl is right, but: %s", text)
	}
	wants(t, broken(t, Ready{Dir: dir, KubernetesVersion: "v1.36"}), "kubectl is v1.37.2, want v1.36.9")
	text = broken(t, Ready{Dir: dir, KubernetesVersion: "1.37.2"})
	wants(t, text, "kubelet is v1.36.9, want v1.37.2 (kubernetesVersion)")
}

func TestBuiltKubernetesHasItsPinnedVersion(t *testing.T) {
	jobs := []job{{row: row{name: "etcd"}, version: "v3.7.3"}, {row: kubeRow(), version: "v1.37.2"}}
	for version, want := range map[string]string{
		"": "", "v1.37.2": "", "1.37.2": "", "v1.37": "",
		"v1.36.0": "kubernetesVersion is v1.36.0, but this haplane builds v1.37.2 and v1.36.3; components.dir or components.url can bring another",
	} {
		got := ""
		if err := checkPinned(jobs, "../../components", version); err != nil {
			got = err.Error()
		}
		if got != want {
			t.Errorf("%q: got %q, want %q", version, got, want)
		}
	}
}

func TestVersionIn(t *testing.T) {
	for text, want := range map[string]string{
		"Kubernetes v1.37.2":                                                      "v1.37.2",
		"etcd Version: 3.7.3\nGit SHA: 1.2":                                       "v3.7.3",
		"CoreDNS-1.15.0\nlinux/amd64, go1.26.8, ":                                 "v1.15.0",
		"runc version 1.5.2+dev\ncommit: v1.5.2-0-gabc":                           "v1.5.2+dev",
		"CNI bridge plugin v1.9.1\nCNI protocol versions supported: 0.1.0, 0.2.0": "v1.9.1",
		"containerd github.com/containerd/containerd/v2 v2.4.2-rc.1 7a1b2.3":      "v2.4.2-rc.1",
		"listening on 127.0.0.1:80; it is 2.0.1.":                                 "",
		"Client Version: v1.37.2+k3s1\nKustomize Version: v5.8.1":                 "v1.37.2+k3s1",
		"dev": "",
	} {
		if got := versionIn(text); got != want {
			t.Errorf("versionIn(%q) = %q, want %q", text, got, want)
		}
	}
}
