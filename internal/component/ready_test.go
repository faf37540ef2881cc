package component

import (
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// release is a folder as one gets it by unpacking the official archives into it.
func release(t *testing.T) (dir string) {
	dir = t.TempDir()
	for place, programs := range map[string][]string{
		"v1.37.2 kubernetes/server/bin":  {"kube-apiserver", "kube-controller-manager", "kube-proxy", "kube-scheduler", "kubeadm", "kubectl", "kubelet"},
		"3.7.3 etcd-v3.7.3-linux-amd64":  {"etcd", "etcdctl", "etcdutl"},
		"v2.4.2 bin":                     {"containerd", "containerd-shim-runc-v2", "ctr"},
		"1.5.2 .":                        {"runc." + runtime.GOARCH},
		"v1.9.1 cni/bin":                 {"bridge", "host-local", "loopback", "portmap"},
		"6.1.0 (iproute2) usr/local/bin": {"bridge"},
		"v0.28.10 .":                     {"flanneld"},
		"CoreDNS-1.15.0 .":               {"coredns"},
		"v0.1.0 usr/local/bin":           {"pause", "web"},
	} {
		at := strings.LastIndex(place, " ")
		for _, p := range programs {
			put(t, filepath.Join(dir, place[at+1:], p), says(t, place[:at]))
		}
	}
	return dir
}

// readyStates builds the whole table and counts the states it went through.
func readyStates(t *testing.T, o Options) ([]Program, map[State]int) {
	t.Helper()
	count := map[State]int{}
	o.Report = func(e Event) { count[e.State]++ }
	programs, err := build(t.Context(), table(), o.withDefaults())
	if err != nil {
		t.Fatal(err)
	}
	return programs, count
}

func TestFolderOfReleases(t *testing.T) {
	says(t, "")          // while there is a compiler
	t.Setenv("PATH", "") // nothing is built: no tool is needed, nor the modules
	o := Options{Cache: t.TempDir(), Ready: Ready{Dir: release(t), KubernetesVersion: "v1.37.2"}}
	first, count := readyStates(t, o)
	var got []string
	for _, p := range first {
		got = append(got, p.Component+"/"+p.Name+" "+p.Version)
		if len(p.SHA256) != 64 || len(p.Links) != 0 || filepath.Base(p.Path) != p.Name {
			t.Errorf("program %+v", p)
		}
	}
	want := []string{"workload/pause v0.1.0", "workload/web v0.1.0",
		"cni/bridge v1.9.1", "cni/host-local v1.9.1", "cni/loopback v1.9.1", "cni/portmap v1.9.1", "runc/runc v1.5.2",
		"etcd/etcd v3.7.3", "etcd/etcdctl v3.7.3", "etcd/etcdutl v3.7.3", "flannel/flanneld v0.28.10",
		"containerd/containerd v2.4.2", "containerd/containerd-shim-runc-v2 v2.4.2", "containerd/ctr v2.4.2", "coredns/coredns v1.15.0",
		"kube/kube-apiserver v1.37.2", "kube/kube-controller-manager v1.37.2", "kube/kube-proxy v1.37.2", "kube/kube-scheduler v1.37.2",
		"kube/kubeadm v1.37.2", "kube/kubectl v1.37.2", "kube/kubelet v1.37.2"}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff(map[State]int{Found: len(want)}, count); d != "" {
		t.Errorf("first run: %s", d)
	}
	again, count := readyStates(t, o)
	if d := cmp.Diff(first, again); d != "" || count[Cached] != len(want) {
		t.Errorf("second run: states %v\n%s", count, d)
	}
	put(t, filepath.Join(o.Ready.Dir, "flanneld"), says(t, "v0.28.11"))
	if again, count = readyStates(t, o); count[Found] != 1 || again[10].Version != "v0.28.11" {
		t.Errorf("a program was replaced: states %v, %+v", count, again[10])
	}
}

func TestFolderWithOneKube(t *testing.T) {
	dir := release(t)
	if err := os.RemoveAll(filepath.Join(dir, "kubernetes")); err != nil {
		t.Fatal(err)
	}
	o := Options{Cache: t.TempDir(), Names: []string{"kube"}, Ready: Ready{Dir: dir}}
	kubelet := func(t *testing.T) (Program, int) {
		programs, _ := readyStates(t, o)
		out, err := exec.Command(Path(programs, "kubelet")).CombinedOutput()
		if err != nil || !strings.Contains(string(out), "v1.37.2") {
			t.Errorf("kubelet says %q, %v", out, err)
		}
		return programs[0], len(programs)
	}
	t.Run("names that lead to one elsewhere", func(t *testing.T) {
		put(t, filepath.Join(dir, "lib/multi"), says(t, "v1.37.2"))
		for _, p := range kubeRow().separate() {
			if err := os.Symlink("../lib/multi", filepath.Join(dir, "bin", p.name)); err != nil {
				t.Fatal(err)
			}
		}
		if p, n := kubelet(t); n != 7 || p.Name != "kube-apiserver" || p.Links != nil {
			t.Errorf("%d programs, the first %+v", n, p)
		}
	})
	t.Run("kube", func(t *testing.T) {
		put(t, filepath.Join(dir, "bin/kube"), says(t, "v1.37.2"))
		if p, n := kubelet(t); n != 1 || p.Name != "kube" || len(p.Links) != 7 {
			t.Errorf("%d programs, the first %+v", n, p)
		}
	})
}

func TestReadyFormsOfTheTable(t *testing.T) {
	for _, r := range table() {
		for _, p := range r.separate() {
			if len(p.ask) == 0 || len(p.links) > 0 {
				t.Errorf("component %s: program %+v", r.name, p)
			}
		}
	}
	for name, want := range map[string][][]string{"kubelet": {{"--version"}}, "kubectl": {{"version", "--client"}}, "kubeadm": {{"version", "--output=short"}}} {
		if d := cmp.Diff(want, kubeRow().programs[0].askAs(name)); d != "" {
			t.Errorf("%s: %s", name, d)
		}
	}
}
