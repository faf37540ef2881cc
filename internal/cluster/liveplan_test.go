package cluster

import (
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/haplane/haplane/internal/change"
	"github.com/haplane/haplane/internal/fileset"
	"github.com/haplane/haplane/internal/machine"
	"github.com/haplane/haplane/internal/observed"
	"github.com/haplane/haplane/internal/render"
	"github.com/haplane/haplane/internal/runtime/systemd/systemdtest"
	"github.com/haplane/haplane/internal/store"
)

// A plan has the differences of files, but never what is secret; of a machine that is off
// nobody knows what it has.
func TestPlanShowsDifferencesAndNoSecrets(t *testing.T) {
	s := applied(t, commented)
	l := asked(t, s, opened(t).Request())
	file := func(path, text string, secret bool) fileset.File {
		f := fileset.File{Path: path, Mode: 0o644, Data: []byte(text)}
		if secret {
			f.Mode = 0o600
		}
		return f
	}
	h := systemdtest.New("cp-1")
	if err := h.Upload(t.Context(), fileset.New(file("/etc/plain", "old\n", false), file("/etc/key", "very secret, old\n", true), file("/etc/same", "same", false))); err != nil {
		t.Fatal(err)
	}
	h.Answer = func(argv []string) (string, error) { return string(h.Files()[argv[len(argv)-1]].Data), nil }
	l.reach = func(string) machine.Machine { return h }
	want := fileset.New(file("/etc/plain", "new\n", false), file("/etc/key", "very secret, new\n", true), file("/etc/same", "same", false), file("/etc/first", "x", false))
	l.rendered = map[string]render.Machine{"cp-1": {Files: want}, "cp-2": {Files: want}}
	seen, err := h.Stat(t.Context(), want.Paths())
	if err != nil {
		t.Fatal(err)
	}
	l.seen.Machines = map[string]observed.Machine{"cp-1": {Made: true, Running: true, Reachable: true, Files: seen, Manifest: "/etc/plain\n/etc/gone\n"}, "cp-2": {Made: true}}
	p := &Plan{Steps: []change.Step{{Verb: change.WriteFiles, Node: "cp-1"}, {Verb: change.WriteFiles, Node: "cp-2"}}}
	if err := l.showFiles(t.Context(), p); err != nil {
		t.Fatal(err)
	}
	for i := range p.Files {
		if p.Files[i].Path == "/etc/plain" {
			if d := p.Files[i].Diff; !strings.Contains(d, "\n-old\n+new\n") {
				t.Errorf("difference %q", d)
			}
			p.Files[i].Diff = ""
		}
	}
	files := []FileChange{{Node: "cp-1", Path: "/etc/first", New: true}, {Node: "cp-1", Path: "/etc/key"}, {Node: "cp-1", Path: "/etc/plain"}, {Node: "cp-1", Path: "/etc/gone", Removed: true}}
	if diff := cmp.Diff(files, p.Files); diff != "" {
		t.Error(diff)
	}
	p = &Plan{Steps: []change.Step{{Verb: change.WriteFiles, Node: "cp-1", Files: []string{"/etc/first"}}}}
	if err := l.showFiles(t.Context(), p); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]FileChange{{Node: "cp-1", Path: "/etc/first", New: true}}, p.Files); diff != "" {
		t.Errorf("of a step that writes one file:\n%s", diff)
	}
	if asked := h.Commands(); slices.ContainsFunc(asked, func(c string) bool { return strings.Contains(c, "/etc/key") }) {
		t.Errorf("a secret was read: %q", asked)
	}
}

// A cluster keeps its versions, whatever this haplane would build today.
func TestVersionsStay(t *testing.T) {
	s := applied(t, commented)
	l := asked(t, s, opened(t).Request())
	l.record.Versions = store.Versions{Pause: "pause:old", CoreDNS: "coredns:old", Image: "digest", ImageRoot: "/image"}
	if err := l.takeVersions(); err != nil {
		t.Fatal(err)
	}
	if want := (render.Images{Pause: "pause:old", CoreDNS: "coredns:old"}); l.images != want || l.image.Root != "/image" {
		t.Errorf("%+v, %+v", l.images, l.image)
	}
	if !strings.Contains(string(l.manifests()[1]), "coredns:old") {
		t.Error("the manifest of CoreDNS has another version")
	}
	if v := l.versions(); !reflect.DeepEqual(v, l.record.Versions) {
		t.Errorf("written down: %+v", v)
	}
}
