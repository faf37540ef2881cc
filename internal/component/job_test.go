package component

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestKeyFollowsWhatIsBuilt(t *testing.T) {
	o := hello(t)
	key := func(r row) string {
		t.Helper()
		j, err := newJob(t.Context(), r, filepath.Join(o.Source, "hello"))
		if err != nil {
			t.Fatal(err)
		}
		return j.key
	}
	base := key(helloRow())
	if again := key(helloRow()); again != base {
		t.Fatalf("key %s, then %s for the same module", base, again)
	}
	for _, name := range []string{"main_test.go", "README.md"} {
		write(t, o, name, "package main\n")
		if got := key(helloRow()); got != base {
			t.Errorf("%s changed the key", name)
		}
	}
	changes := map[string]func(*row){
		"tags":    func(r *row) { r.tags = []string{"x"} },
		"cgo":     func(r *row) { r.cgo = true },
		"ldflags": func(r *row) { r.ldflags = nil },
		"links":   func(r *row) { r.programs[0].links = nil },
	}
	for name, change := range changes {
		r := helloRow()
		change(&r)
		if key(r) == base {
			t.Errorf("%s did not change the key", name)
		}
	}
	files := map[string]string{
		"main.go": helloMain + "// changed\n", "sub/x.go": "package sub\n",
		"go.sum": "\n", "go.mod": helloMod + "// changed\n", "VERSION": "v1.2.4\n",
	}
	for name, content := range files {
		before := key(helloRow())
		write(t, o, name, content)
		if key(helloRow()) == before {
			t.Errorf("%s did not change the key", name)
		}
	}
}

func TestPinnedVersion(t *testing.T) {
	const mod = "module m\n\ngo 1.26.0\n\nrequire (\n\texample.com/up v1.9.1 // indirect\n\texample.com/up/v2 v2.0.0\n)\n\nreplace example.com/up => example.com/up v1.0.0\n"
	tests := []struct{ name, file, text, module, want, err string }{
		{"from go.mod", "go.mod", mod, "example.com/up", "v1.9.1", ""},
		{"longer path", "go.mod", mod, "example.com/up/v2", "v2.0.0", ""},
		{"not required", "go.mod", mod, "example.com/other", "", "does not require example.com/other"},
		{"from VERSION", "VERSION", "v0.1.0\n", "", "v0.1.0", ""},
		{"bad VERSION", "VERSION", "latest\n", "", "", "no semantic version"},
		{"no file", "README", "", "example.com/up", "", "no such file"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			dir := t.TempDir()
			if err := os.WriteFile(filepath.Join(dir, test.file), []byte(test.text), 0o644); err != nil {
				t.Fatal(err)
			}
			got, err := pinnedVersion(dir, test.module)
			if got != test.want || (err == nil) != (test.err == "") {
				t.Fatalf("got %q, %v; want %q, error %q", got, err, test.want, test.err)
			}
			if err != nil && !strings.Contains(err.Error(), test.err) {
				t.Errorf("error %v, want %q", err, test.err)
			}
		})
	}
}

func TestKubeFlags(t *testing.T) {
	got := strings.Join(job{row: kubeRow(), version: "v1.37.2"}.flags(), " ")
	for _, want := range []string{
		"-trimpath -ldflags -s -w ",
		"-X k8s.io/client-go/pkg/version.gitVersion=v1.37.2",
		"-X k8s.io/component-base/version.gitVersion=v1.37.2",
		"-X k8s.io/component-base/version.gitMajor=1 -X k8s.io/component-base/version.gitMinor=37",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("flags %q lack %q", got, want)
		}
	}
}

// The modules of the checkout have every row's version and no row is forgotten.
func TestTableFitsModules(t *testing.T) {
	const source = "../../components"
	if !isSource(source) {
		t.Fatalf("%s lacks a module", source)
	}
	rows := map[string]bool{}
	for _, r := range table() {
		for _, folder := range r.folders() {
			rows[folder] = true
			if _, err := pinnedVersion(filepath.Join(source, folder), r.module); err != nil {
				t.Errorf("component %s: %v", folder, err)
			}
		}
	}
	modules, err := filepath.Glob(source + "/*/go.mod")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range modules {
		if name := filepath.Base(filepath.Dir(path)); !rows[name] {
			t.Errorf("module %s has no row", name)
		}
	}
}
