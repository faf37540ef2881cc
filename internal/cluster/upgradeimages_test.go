package cluster

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/haplane/haplane/internal/change"
	"github.com/haplane/haplane/internal/image"
	"github.com/haplane/haplane/internal/look"
	"github.com/haplane/haplane/internal/observed"
	"github.com/haplane/haplane/internal/render"
	"github.com/haplane/haplane/internal/store"
	"github.com/haplane/haplane/spec"
)

// cached puts an image into a cache: its manifest, and archives of container images of the sizes.
func cached(t *testing.T, cache string, m image.Manifest, archives map[string]int) store.Versions {
	t.Helper()
	root := filepath.Join(cache, "images", m.Digest, "root")
	for name, size := range archives {
		a := image.Archive{Name: name, Ref: "haplane.local/" + name + ":" + m.Digest, Digest: "sha256:" + m.Digest + name, Path: "/images/" + name + ".tar"}
		m.Images = append(m.Images, a)
		if err := errors.Join(os.MkdirAll(filepath.Join(root, "images"), 0o755), os.WriteFile(filepath.Join(root, a.Path), make([]byte, size), 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	slices.SortFunc(m.Images, func(a, b image.Archive) int { return strings.Compare(a.Name, b.Name) })
	data, err := json.Marshal(m)
	if err := errors.Join(err, os.MkdirAll(root, 0o755), os.WriteFile(filepath.Join(filepath.Dir(root), "manifest.json"), data, 0o600)); err != nil {
		t.Fatal(err)
	}
	return store.Versions{Kubernetes: "v1.37.2", Image: m.Digest, ImageRoot: root, Pause: "haplane.local/pause:" + m.Digest, CoreDNS: "haplane.local/coredns:" + m.Digest}
}

// upgradingTo is the default cluster on its way to what an image has.
func upgradingTo(t *testing.T, cache string, v store.Versions, inPlace bool) *live {
	t.Helper()
	o := testOptions(t, store.Store{})
	o.Cache = cache
	l := &live{env: newEnv(spec.Default("demo"), o), record: &store.Record{},
		Request: Request{Upgrade: &Upgrade{From: "v1.36.3", To: "v1.37.2", InPlace: inPlace, Versions: v}}}
	if err := l.takeVersions(); err != nil {
		t.Fatal(err)
	}
	l.seen = observed.State{Machines: map[string]observed.Machine{}}
	return l
}

// Each node with a kubelet is looked at for the container images of the image that an upgrade leads to, both ways; what it lacks takes room.
func TestContainerImagesOfAnUpgrade(t *testing.T) {
	cache := t.TempDir()
	v := cached(t, cache, image.Manifest{Digest: "bb"}, map[string]int{"pause": 10, "coredns": 1000})
	for _, inPlace := range []bool{false, true} {
		l := upgradingTo(t, cache, v, inPlace)
		want := []observed.Image{{Ref: "haplane.local/coredns:bb", ID: "sha256:bbcoredns"}, {Ref: "haplane.local/pause:bb", ID: "sha256:bbpause"}}
		looks := map[string]look.Want{"cp-1": {Manifest: "/kept"}, "lb-1": {}}
		l.lookForImages(looks)
		for _, node := range []string{"cp-1", "cp-2", "cp-3", "worker-1"} {
			if diff := cmp.Diff(want, looks[node].Images); diff != "" {
				t.Errorf("%s: %s", node, diff)
			}
		}
		if looks["cp-1"].Manifest != "/kept" || looks["lb-1"].Images != nil {
			t.Errorf("%+v", looks)
		}
		if got := l.upgrade(); !slices.Equal(got.Images, []string{"haplane.local/coredns:bb", "haplane.local/pause:bb"}) || got.Programs {
			t.Errorf("%+v", got)
		}
		l.seen.Machines["cp-1"] = observed.Machine{Images: []string{"haplane.local/pause:bb"}}
		for node, need := range map[string]int64{"cp-1": 2000, "worker-1": 2020, "lb-1": 0} {
			n, _ := l.topology.Node(node)
			if got := l.roomForImages(n); got != need {
				t.Errorf("%s needs %d, want %d", node, got, need)
			}
		}
		for _, f := range l.imageFiles() {
			if _, err := os.Stat(f.From); err != nil {
				t.Error(err)
			}
		}
	}
	gone := v
	gone.Image = "cc"
	l := upgradingTo(t, cache, gone, true) // it is built before the first step
	if diff := cmp.Diff([]observed.Image{{Ref: "haplane.local/pause:bb"}, {Ref: "haplane.local/coredns:bb"}}, l.wantedImages()); diff != "" || !l.bringsPrograms() {
		t.Errorf("of an image that is gone: %s", diff)
	}
	l.Upgrade = nil
	looks := map[string]look.Want{}
	if l.lookForImages(looks); len(looks) > 0 || l.wantedImages() != nil || l.upgrade() != nil {
		t.Errorf("without an upgrade: %v", looks)
	}
}

// What is brought from an image that is not in the cache any more has it made before the first step.
func TestImagesToBringAreMade(t *testing.T) {
	cache := t.TempDir()
	l := upgradingTo(t, cache, cached(t, cache, image.Manifest{Digest: "bb"}, nil), true)
	l.image.Root = "/gone"
	t.Setenv("HAPLANE_COMPONENTS", t.TempDir()) // from which nothing can be made
	for verb, needed := range map[string]bool{change.BringImages: true, change.BringPrograms: true, change.CreateMachine: true, change.Restart: false} {
		l.change = &change.Change{Steps: []change.Step{{ID: verb, Verb: verb, Node: "cp-1"}}}
		if err := l.needImage(t.Context()); (err != nil) != needed {
			t.Errorf("%s: %v", verb, err)
		}
	}
}

// An upgrade in place brings CoreDNS and pause too. Where it cannot be in place, the way on is one that there is: with one control-plane
// node, or one etcd member, a second one comes first.
func TestWhatKeepsFromInPlace(t *testing.T) {
	cache := t.TempDir()
	kube := image.Program{Name: "kube", Path: "/usr/local/bin/kube", SHA256: "1"}
	newer := kube
	newer.SHA256 = "2"
	libc := func(version string) []image.Package { return []image.Package{{Name: "libc6", Version: version}} }
	old := cached(t, cache, image.Manifest{Digest: "aa", Packages: libc("1"), Programs: []image.Program{kube}}, map[string]int{"pause": 1, "coredns": 1})
	same := cached(t, cache, image.Manifest{Digest: "bb", Packages: libc("1"), Programs: []image.Program{newer}}, map[string]int{"pause": 1, "coredns": 1})
	other := cached(t, cache, image.Manifest{Digest: "cc", Packages: libc("2"), Programs: []image.Program{newer}}, nil)
	lost := old
	lost.Image = "dd"
	const cp, etcd = "{role: control-plane}", "{role: etcd}"
	many, one, member := strings.Join([]string{cp, cp, cp}, ","), cp, cp+","+cp+","+etcd
	for name, test := range map[string]struct {
		nodes    string
		from, to store.Versions
		says     string // "" where it is possible
		hint     string
	}{
		"another CoreDNS":             {one, old, same, "", ""},
		"a package":                   {many, old, other, "package libc6: 1 -> 2", "leave out --in-place: machines are made anew then"},
		"a package, one node":         {one, old, other, "package libc6: 1 -> 2", "machines have to be made anew, and the cluster has one control-plane node: first haplane node add --role control-plane --cluster demo, then haplane upgrade without --in-place"},
		"a package, one member":       {member, old, other, "package libc6: 1 -> 2", "machines have to be made anew, and the cluster has one etcd member: first haplane node add --role etcd --cluster demo, then haplane upgrade without --in-place"},
		"nobody knows what they have": {many, lost, same, "what the machines have is not known", "leave out --in-place: machines are made anew then"},
	} {
		s := applied(t, "apiVersion: haplane/v1alpha1\nkind: Cluster\nmetadata: {name: demo}\nspec: {nodes: ["+test.nodes+"]}\n")
		if err := s.Update(func(r *store.Record) error { r.Versions = test.from; return nil }); err != nil {
			t.Fatal(err)
		}
		u, o := &Upgrade{InPlace: true, Versions: test.to}, testOptions(t, s)
		o.Cache = cache
		err := u.keepMachines(must[*store.Record](t)(s.Record()).Applied, o)
		var hinted *HintedError
		if test.says == "" {
			if sum := u.Versions.Programs["/usr/local/bin/kube"]; err != nil || sum != "2" {
				t.Errorf("%s: %v, %v", name, err, u.Versions.Programs)
			}
		} else if !errors.As(err, &hinted) || !strings.Contains(err.Error(), test.says) || hinted.Hint != test.hint {
			t.Errorf("%s: %v, %+v", name, err, hinted)
		}
	}
}

// The manifests that are applied before the turns name CoreDNS' image of the version that is led to.
func TestManifestsOfAnUpgrade(t *testing.T) {
	cache := t.TempDir()
	l := upgradingTo(t, cache, cached(t, cache, image.Manifest{Digest: "bb"}, map[string]int{"coredns": 1}), false)
	if l.images != (render.Images{Pause: "haplane.local/pause:bb", CoreDNS: "haplane.local/coredns:bb"}) {
		t.Errorf("%+v", l.images)
	}
	if all := string(slices.Concat(l.manifests()...)); !strings.Contains(all, "image: haplane.local/coredns:bb\n") {
		t.Errorf("other images in %s", all)
	}
}
