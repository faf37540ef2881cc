//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"sigs.k8s.io/yaml"

	"github.com/haplane/haplane/e2e/rig"
	"github.com/haplane/haplane/internal/component"
	"github.com/haplane/haplane/spec"
)

// TestLongReadyMade brings clusters up with programs that are not built: from a
// server, laid out like Kubernetes' own releases, and from a folder.
func TestLongReadyMade(t *testing.T) {
	r := newRig(t)
	programs := builtPrograms(t, r)
	ownCache(t, r)
	server, requests := serve(t, programs)
	c := newCluster(t, r, "e2e-ready", 8)
	t.Run("wrong-sum", func(t *testing.T) { c.checkWrongSum(t, server, programs) })
	t.Run("url", func(t *testing.T) {
		requests.Store(0)
		c.checkReadyMade(t, spec.Components{URL: server, SHA256: sums(programs)}, programs, func() {
			want(t, "number of programs that were fetched", requests.Load(), int64(len(programs)))
		})
	})
	t.Run("dir", func(t *testing.T) {
		c.checkReadyMade(t, spec.Components{Dir: folder(t, r)}, programs, func() {})
	})
}

// A served program is a file of the cache under the name that a release gives it.
type served struct{ name, path, sum string }

// builtPrograms are Kubernetes' and etcd's. One built kube is all of Kubernetes',
// by its name; releases have a file for each.
func builtPrograms(t *testing.T, r *rig.Rig) []served {
	t.Helper()
	var out []served
	for _, p := range components(t, r) {
		if p.Component != "kube" && p.Component != "etcd" {
			continue
		}
		names := p.Links
		if len(names) == 0 {
			names = []string{p.Name}
		}
		for _, name := range names {
			out = append(out, served{name, p.Path, p.SHA256})
		}
	}
	want(t, "number of programs", len(out), 10)
	return out
}

// components are all programs of the user's cache.
func components(t *testing.T, r *rig.Rig) []component.Program {
	t.Helper()
	programs, err := component.Build(background(t), component.Options{Source: filepath.Join(r.Root, "components"), Cache: userCache(t)})
	if err != nil {
		t.Fatal(err)
	}
	return programs
}

func userCache(t *testing.T) string {
	t.Helper()
	dir, err := os.UserCacheDir()
	if err != nil {
		t.Fatal(err)
	}
	return filepath.Join(dir, "haplane")
}

// ownCache gives the rig a cache that what is fetched can stay out of the user's.
// What was built is there already, by links.
func ownCache(t *testing.T, r *rig.Rig) {
	t.Helper()
	r.Cache = filepath.Join(r.Dir, "cache")
	if err := os.MkdirAll(r.Cache, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, part := range []string{"components", "bases"} {
		if out, err := exec.CommandContext(background(t), "cp", "--archive", "--link", filepath.Join(userCache(t), part), r.Cache).CombinedOutput(); err != nil {
			t.Fatalf("link cache: %v: %s", err, out)
		}
	}
}

// serve returns a server's URL, and how many programs were fetched from it.
func serve(t *testing.T, programs []served) (url string, requests *atomic.Int64) {
	t.Helper()
	requests = new(atomic.Int64)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		i := slices.IndexFunc(programs, func(p served) bool { return r.URL.Path == "/v1/bin/linux/amd64/"+p.name })
		if i < 0 {
			http.NotFound(w, r)
			return
		}
		requests.Add(1)
		http.ServeFile(w, r, programs[i].path)
	}))
	t.Cleanup(server.Close)
	return server.URL + "/v1/bin/linux/amd64", requests
}

func sums(programs []served) map[string]string {
	out := map[string]string{}
	for _, p := range programs {
		out[p.name] = p.sum
	}
	return out
}

// folder has links to all programs of the cache.
func folder(t *testing.T, r *rig.Rig) string {
	t.Helper()
	dir := t.TempDir()
	for _, p := range components(t, r) {
		at := filepath.Join(dir, map[bool]string{true: "cni/bin", false: "bin"}[p.Component == "cni"])
		if err := os.MkdirAll(at, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(p.Path, filepath.Join(at, p.Name)); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// useComponents writes the file of a small cluster whose programs come from somewhere.
func (c *cluster) useComponents(t *testing.T, from spec.Components) {
	t.Helper()
	parsed, err := spec.Parse(c.File(), fmt.Appendf(nil, single, c.Name, c.Network))
	if err != nil {
		t.Fatal(err)
	}
	parsed.Spec.Components, parsed.Spec.Network.NAT = from, new(false)
	data, err := yaml.Marshal(parsed)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(c.File(), data, 0o600); err != nil {
		t.Fatal(err)
	}
}

// checkWrongSum expects another etcd than the server has. Nothing of it stays, and
// no machine is made.
func (c *cluster) checkWrongSum(t *testing.T, server string, programs []served) {
	before, cached := lookAtHost(c.Rig), c.cached()
	expected := sums(programs)
	actual := expected["etcd"]
	expected["etcd"] = strings.Repeat("0", len(actual))
	c.useComponents(t, spec.Components{URL: server, SHA256: expected})
	up := must(t, 1, c.Up(background(t)))
	contains(t, "error", up.Stderr, "error: build-components: take ready-made etcd: "+server+"/etcd has SHA-256 "+actual+", want "+expected["etcd"])
	if after := c.cached(); !same(after, cached) {
		t.Errorf("the cache has %v, before: %v", after, cached)
	}
	must(t, 0, c.Down(background(t)))
	before.left(t, lookAtHost(c.Rig))
}

// cached is every file of the rig's cache but for locks, which stay.
func (c *cluster) cached() []string {
	return find(c.Cache, func(path string) bool { return !strings.Contains(filepath.Base(path), "lock") })
}

// checkReadyMade brings a cluster up and looks at the programs on its machine.
func (c *cluster) checkReadyMade(t *testing.T, from spec.Components, programs []served, fetched func()) {
	before := lookAtHost(c.Rig)
	c.useComponents(t, from)
	up := must(t, 0, c.Up(background(t)))
	t.Logf("up took %s", ms(up.Elapsed))
	fetched()
	for _, p := range programs {
		sum := c.on(t, "cp-1", "sha256sum </usr/local/bin/"+p.name)
		want(t, "sum of "+p.name+" on the machine", strings.Fields(sum)[0], p.sum)
	}
	must(t, 0, c.Kubectl(background(t), "wait", "--for=condition=Ready", "--timeout=60s", "node/cp-1"))
	contains(t, "dry run of a second up", must(t, 0, c.Run(background(t), append(c.UpArgs(), "--dry-run")...)).Stdout, "nothing to do\n")
	contains(t, "what a second up says", must(t, 0, c.Up(background(t))).Stdout, "nothing changed")
	fetched()
	must(t, 0, c.Down(context.WithoutCancel(background(t))))
	before.left(t, lookAtHost(c.Rig))
}
