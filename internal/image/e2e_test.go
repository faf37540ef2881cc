//go:build e2e

package image

import (
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/haplane/haplane/internal/component"
	"github.com/haplane/haplane/internal/topology"
)

func TestImageOfReadyMadePrograms(t *testing.T) {
	dir, cache := t.TempDir(), ownCache(t)
	built, sums := release(t, dir)
	options := component.Options{Source: source, Cache: cache, Log: t.Output(),
		Ready:  component.Ready{Dir: dir, KubernetesVersion: component.Version(built, "kubelet")},
		Report: func(e component.Event) { t.Log(e) }}
	programs, err := component.Build(t.Context(), options)
	if err != nil {
		t.Fatal(err)
	}
	img, err := Build(t.Context(), Options{Cache: cache, Programs: programs, Log: t.Output()})
	if err != nil {
		t.Fatal(err)
	}
	for name, sum := range sums {
		at := slices.IndexFunc(img.Manifest.Programs, func(p Program) bool { return p.Name == name })
		if at < 0 || img.Manifest.Programs[at].SHA256 != sum || len(img.Manifest.Programs[at].Modules) == 0 {
			t.Errorf("%s is not in the manifest as it was in the folder", name)
		}
	}
	for name, args := range map[string][]string{
		"kubelet": {"--version"}, "kube-proxy": {"--version"}, "kubectl": {"version", "--client"}, "etcd": {"--version"}, "runc": {"--version"},
	} {
		out, err := exec.Command("chroot", append([]string{img.Root, filepath.Join(binDir, name)}, args...)...).CombinedOutput()
		if version := component.Version(built, name); err != nil || !strings.Contains(string(out), strings.TrimPrefix(version, "v")) {
			t.Errorf("in the image, %s says %s, %v; want %s", name, out, err, version)
		}
	}
	if _, err := os.Lstat(filepath.Join(img.Root, binDir, "kube")); err == nil {
		t.Error("the image has a kube, although the folder has none")
	}
	for name, there := range map[string]bool{
		"io.containerd.metadata.v1.bolt/meta.db":           true,
		"io.containerd.snapshotter.v1.overlayfs/snapshots": true,
		"io.containerd.grpc.v1.introspection":              false, // would be every machine's
	} {
		if _, err := os.Lstat(filepath.Join(img.Root, topology.ContainerdDir, name)); (err == nil) != there {
			t.Errorf("%s in containerd's store: %v, want %v", name, err == nil, there)
		}
	}
	if unpacked, err := filepath.Glob(filepath.Join(img.Root, topology.ContainerdDir, "*.overlayfs/snapshots/*/fs/*")); err != nil || len(unpacked) != len(img.Manifest.Images) {
		t.Errorf("unpacked are %v, %v; want %d images", unpacked, err, len(img.Manifest.Images))
	}
	whole, err := Build(t.Context(), Options{Cache: cache, Programs: built, Log: t.Output()})
	if err != nil {
		t.Fatal(err)
	}
	if whole.Digest == img.Digest {
		t.Error("the image of built programs has the same digest")
	}
	list, err := Prune(PruneOptions{Cache: cache, InUse: inUse(map[string][]string{img.Digest: {"demo"}}), Keep: func(component.Entry) bool { return false }})
	if err != nil || len(list) != 1 || list[0].Name != whole.Digest {
		t.Errorf("prune removed %+v, %v; want the image of built programs", list, err)
	}
}

func TestReadyMadeProgramsFromAServer(t *testing.T) {
	dir := t.TempDir()
	built, sums := release(t, dir)
	server := httptest.NewServer(http.StripPrefix("/v1/bin", http.FileServer(http.Dir(filepath.Join(dir, "kubernetes/server/bin")))))
	t.Cleanup(server.Close)
	for name := range sums {
		if !strings.HasPrefix(name, "kube") {
			delete(sums, name)
		}
	}
	o := component.Options{Cache: t.TempDir(), Names: []string{"kube"}, Report: func(e component.Event) { t.Log(e) },
		Ready: component.Ready{URL: server.URL + "/v1/bin", SHA256: sums}}
	programs, err := component.Build(t.Context(), o)
	if err != nil || len(programs) != 7 {
		t.Fatalf("programs %+v, %v", programs, err)
	}
	server.Close() // what is in the cache is not fetched again
	again, err := component.Build(t.Context(), o)
	if err != nil || len(again) != 7 {
		t.Errorf("again %+v, %v", again, err)
	}
	if got, want := component.Version(again, "kubelet"), component.Version(built, "kubelet"); got != want {
		t.Errorf("kubelet is %s, want %s", got, want)
	}
}
