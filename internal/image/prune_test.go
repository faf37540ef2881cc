package image

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/haplane/haplane/internal/component"
	"github.com/haplane/haplane/internal/durable"
)

var (
	oldDigest = strings.Repeat("a", 64)
	newDigest = strings.Repeat("ab", 32)
)

// filledCache has an old image of an old base and flanneld, a new one of the
// current base and both programs, and what builders left behind that died.
func filledCache(t *testing.T) string {
	t.Helper()
	cache := t.TempDir()
	key, err := baseKey()
	if err != nil {
		t.Fatal(err)
	}
	packages := func(version string) []Package { return []Package{{Name: "bash", Version: version}} }
	flanneld, kube := Program{Component: "flannel", Name: "flanneld", SHA256: "f1"}, Program{Component: "kube", Name: "kube", Version: "v1.37.2", SHA256: "k1"}
	save := func(v any, parts ...string) {
		path := filepath.Join(append([]string{cache}, parts...)...)
		if err := os.MkdirAll(filepath.Join(filepath.Dir(path), "root"), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := durable.WriteJSON(path, v, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	save(base{Packages: packages("1")}, "bases", "0ld", "base.json") // no hexadecimal: not ours
	save(base{Packages: packages("1")}, "bases", "01d", "base.json")
	save(base{Packages: packages("2")}, "bases", key, "base.json")
	save(Manifest{Digest: oldDigest, Created: time.Unix(1, 0), Packages: packages("1"), Programs: []Program{flanneld}}, "images", oldDigest, "manifest.json")
	save(Manifest{Digest: newDigest, Created: time.Unix(2, 0), Packages: packages("2"), Programs: []Program{flanneld, kube}}, "images", newDigest, "manifest.json")
	save(Manifest{}, "images", "building-1", "manifest.json")
	for entry, sum := range map[string]string{"flannel-1": "f1", "flannel-2": "f2", "kube-1": "k1", "kube-2": "k2", "etcd-1": "e1"} {
		save(map[string]any{"programs": []map[string]string{{"sha256": sum}}}, "components", entry, "manifest.json")
	}
	// A file that the old image shares with its base.
	shared := filepath.Join(cache, "bases", "01d", "root", "libc")
	if err := os.WriteFile(shared, make([]byte, 100_000), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Link(shared, filepath.Join(cache, "images", oldDigest, "root", "libc")); err != nil {
		t.Fatal(err)
	}
	return cache
}

func removals(t *testing.T, list []Removal, err error) []string {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, r := range list {
		out = append(out, r.Kind+" "+r.Name)
	}
	return out
}

func current(e component.Entry) bool { return slices.Contains([]string{"flannel-2", "kube-2"}, e.Name) }

func inUse(users map[string][]string) UsersFunc {
	return func() (map[string][]string, error) { return users, nil }
}

func TestPrune(t *testing.T) {
	for name, c := range map[string]struct {
		inUse map[string][]string
		want  []string
	}{
		"old in use": {map[string][]string{oldDigest: {"demo"}},
			[]string{"unfinished building-1", "image " + newDigest, "component etcd-1", "component kube-1"}},
		"new in use": {map[string][]string{newDigest: {"demo"}},
			[]string{"unfinished building-1", "image " + oldDigest, "base 01d", "component etcd-1"}},
		"none in use": {nil,
			[]string{"unfinished building-1", "image " + oldDigest, "image " + newDigest, "base 01d", "component etcd-1", "component flannel-1", "component kube-1"}},
	} {
		t.Run(name, func(t *testing.T) {
			o := PruneOptions{Cache: filledCache(t), InUse: inUse(c.inUse), Keep: current, DryRun: true}
			plan, err := Prune(o)
			if d := cmp.Diff(c.want, removals(t, plan, err)); d != "" {
				t.Errorf("dry run: %s", d)
			}
			o.DryRun = false
			done, err := Prune(o)
			if d := cmp.Diff(c.want, removals(t, done, err)); d != "" {
				t.Error(d)
			}
			again, err := Prune(o)
			if len(again) > 0 || err != nil {
				t.Errorf("again: %v, %v", again, err)
			}
		})
	}
}

func TestSharedFilesAreFreedWithTheLastName(t *testing.T) {
	o := PruneOptions{Cache: filledCache(t), InUse: inUse(nil), Keep: current, DryRun: true}
	size := map[string]int64{}
	list, err := Prune(o)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range list {
		size[r.Name] = r.Bytes
	}
	if size["01d"] < 100_000 || size[oldDigest] >= 100_000 {
		t.Errorf("the base frees %d bytes, the image %d", size["01d"], size[oldDigest])
	}
	if s, err := Summaries(o.Cache, nil); err != nil || len(s) != 2 || s[0].Kubernetes != "v1.37.2" || s[1].Size < 100_000 || s[0].InUseBy == nil {
		t.Errorf("summaries %+v, %v", s, err)
	}
}
