package view

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/haplane/haplane/internal/component"
	"github.com/haplane/haplane/internal/image"
)

func TestBytes(t *testing.T) {
	for n, want := range map[int64]string{0: "0 B", 999: "999 B", 1000: "1.0 kB", 999_949: "999.9 kB", 999_950: "1.0 MB",
		616_038_400: "616.0 MB", 2_004_000_000: "2.0 GB", 5_000_000_000_000_000: "5000.0 TB"} {
		if got := Bytes(n); got != want {
			t.Errorf("%d is %s, want %s", n, got, want)
		}
	}
}

func TestImages(t *testing.T) {
	var w bytes.Buffer
	err := Images(&w, []image.Summary{
		{Digest: strings.Repeat("ab", 32), Created: time.Unix(0, 0), Size: 2e6, Kubernetes: "v1.37.2", InUseBy: []string{"blue", "demo"}},
		{Digest: strings.Repeat("c", 64), Created: time.Unix(60, 0).In(time.FixedZone("", 3600))},
	})
	want := `DIGEST         CREATED                SIZE     KUBERNETES   IN USE BY
abababababab   1970-01-01T00:00:00Z   2.0 MB   v1.37.2      blue, demo
cccccccccccc   1970-01-01T00:01:00Z   0 B      -            -
`
	if d := cmp.Diff(want, w.String()); d != "" || err != nil {
		t.Error(err, d)
	}
}

func TestImageGroupsModules(t *testing.T) {
	m := image.Module{Path: "example.com/m", Version: "v1.0.0", Sum: "h1:x="}
	var w bytes.Buffer
	err := Image(&w, image.Details{Manifest: image.Manifest{Digest: "d", Distribution: "bookworm", Architecture: "amd64",
		Programs: []image.Program{
			{Component: "etcd", Name: "etcd", Version: "v3", SHA256: "e", Path: "/usr/local/bin/etcd", Modules: []image.Module{m, {Path: "main"}}},
			{Component: "etcd", Name: "etcdctl", Version: "v3", SHA256: "c", Path: "/usr/local/bin/etcdctl", Modules: []image.Module{m}},
			{Component: "workload", Name: "pause", Version: "v1", SHA256: "p", Modules: []image.Module{m}},
		}}})
	for _, want := range []string{"\nGO MODULE       VERSION   SUM     IN\nexample.com/m   v1.0.0    h1:x=   etcd, workload\nmain            -         -       etcd\n\n",
		"pause     workload    v1        p         in a container image\n"} {
		if !strings.Contains(w.String(), want) || err != nil {
			t.Errorf("no %q in, %v:\n%s", want, err, w.String())
		}
	}
}

func TestRemoved(t *testing.T) {
	list := []image.Removal{{Kind: "image", Name: strings.Repeat("ab", 32), Bytes: 1500}, {Kind: "component", Name: "etcd-05ef0d37cb940112", Bytes: 500}}
	for name, c := range map[string]struct {
		r    Removed
		want string
	}{
		"done":    {NewRemoved(list, false), "removed image abababababab (1.5 kB)\nremoved component etcd-05ef0d37cb940112 (500 B)\nfreed 2.0 kB\n"},
		"dry run": {NewRemoved(list[1:], true), "would remove component etcd-05ef0d37cb940112 (500 B)\nwould free 500 B\n"},
		"nothing": {NewRemoved(nil, false), "nothing to remove\n"},
	} {
		var w bytes.Buffer
		if err := c.r.Text(&w); err != nil || w.String() != c.want {
			t.Errorf("%s: %v, got\n%s", name, err, w.String())
		}
	}
}

func TestVersionWithAndWithoutComponents(t *testing.T) {
	var w bytes.Buffer
	v := Version{Version: "v1", Go: "go1"}
	if err := v.Text(&w); err != nil || strings.Count(w.String(), "\n") != 1 {
		t.Errorf("%q, %v", w.String(), err)
	}
	v.Components = []component.Pinned{{Name: "etcd", Version: "v3.7.3"}}
	w.Reset()
	if err := v.Text(&w); err != nil || !strings.HasSuffix(w.String(), "\n\nCOMPONENT   VERSION\netcd        v3.7.3\n") {
		t.Errorf("%q, %v", w.String(), err)
	}
}
