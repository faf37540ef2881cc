//go:build e2e

package image

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/haplane/haplane/internal/component"
)

const source = "../../components"

// userCache is where haplane has its programs.
func userCache(t *testing.T) string {
	t.Helper()
	if dir := os.Getenv("HAPLANE_CACHE"); dir != "" {
		return dir
	}
	dir, err := os.UserCacheDir()
	if err != nil {
		t.Fatal(err)
	}
	return filepath.Join(dir, "haplane")
}

// release links the programs that haplane built, one for every name, into
// folders as upstream's archives have them. It returns their sums by name.
func release(t *testing.T, dir string) (built []component.Program, sums map[string]string) {
	t.Helper()
	built, err := component.Build(t.Context(), component.Options{Source: source, Cache: userCache(t), Log: t.Output()})
	if err != nil {
		t.Fatal(err)
	}
	sums = map[string]string{}
	for _, p := range built {
		place := map[string]string{"kube": "kubernetes/server/bin", "etcd": "etcd-v3", "containerd": "bin", "cni": "cni"}[p.Component]
		for _, name := range append([]string{p.Name}, p.Links...) {
			if name == "kube" || p.Component == "workload" || p.Component == "flannel" || p.Component == "coredns" {
				continue
			}
			sums[name] = p.SHA256
			link(t, p.Path, filepath.Join(dir, place, name))
		}
	}
	return built, sums
}

func link(t *testing.T, from, to string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		t.Fatal(err)
	}
	// Links where the file system is the same one, else copies.
	if os.Link(from, to) == nil {
		return
	}
	if out, err := exec.Command("cp", "-a", from, to).CombinedOutput(); err != nil {
		t.Fatalf("copy %s: %v: %s", from, err, out)
	}
}

// ownCache has the base of the user's cache, and what only haplane builds.
func ownCache(t *testing.T) string {
	t.Helper()
	cache := t.TempDir()
	current, err := component.Current(t.Context(), source)
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range current {
		if component, _, _ := strings.Cut(entry, "-"); slices.Contains([]string{"workload", "flannel", "coredns"}, component) {
			tree(t, filepath.Join(userCache(t), "components", entry), filepath.Join(cache, "components", entry))
		}
	}
	key, err := baseKey()
	if err != nil {
		t.Fatal(err)
	}
	if base := filepath.Join(basesDir(userCache(t)), key); exec.Command("test", "-d", base).Run() == nil {
		tree(t, base, filepath.Join(basesDir(cache), key))
	}
	return cache
}

func tree(t *testing.T, from, to string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		t.Fatal(err)
	}
	if exec.Command("cp", "-al", from, to).Run() == nil {
		return
	}
	if out, err := exec.Command("sh", "-c", `rm -rf "$2" && cp -a "$1" "$2"`, "sh", from, to).CombinedOutput(); err != nil {
		t.Fatalf("copy %s: %v: %s", from, err, out)
	}
}
