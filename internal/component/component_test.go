package component

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

const (
	helloMain = `package main

import "fmt"

var version = "dev"

func main() { fmt.Println("hello", version) }
`
	helloMod = "module example.com/hello\n\ngo 1.26.0\n"
)

// helloRow is a component small enough to be built in a test.
func helloRow() row {
	return row{name: "hello", ldflags: []string{"-X main.version={version}"},
		programs: []program{{name: "hello", pkg: ".", links: []string{"hi"}, ask: askVersion}}}
}

// hello writes helloRow's module and returns options to build it.
func hello(t *testing.T) Options {
	t.Helper()
	o := Options{Source: t.TempDir(), Cache: t.TempDir()}
	write(t, o, "go.mod", helloMod)
	write(t, o, "VERSION", "v1.2.3\n")
	write(t, o, "main.go", helloMain)
	return o.withDefaults()
}

func write(t *testing.T, o Options, name, content string) {
	t.Helper()
	path := filepath.Join(o.Source, "hello", name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}

func states(t *testing.T, o Options) ([]Program, []State) {
	t.Helper()
	var seen []State
	o.Report = func(e Event) { seen = append(seen, e.State) }
	programs, err := build(t.Context(), []row{helloRow()}, o)
	if err != nil {
		t.Fatal(err)
	}
	return programs, seen
}

func TestBuildThenCached(t *testing.T) {
	o := hello(t)
	first, seen := states(t, o)
	if want := []State{Building, Built}; !slices.Equal(seen, want) {
		t.Errorf("first build: states %v, want %v", seen, want)
	}
	if len(first) != 1 || first[0].Version != "v1.2.3" || len(first[0].SHA256) != 64 {
		t.Fatalf("first build: programs %+v", first)
	}
	if target, err := os.Readlink(filepath.Join(filepath.Dir(first[0].Path), "hi")); target != "hello" {
		t.Errorf("link hi leads to %q (%v), want hello", target, err)
	}
	second, seen := states(t, o)
	if want := []State{Cached}; !slices.Equal(seen, want) {
		t.Errorf("second build: states %v, want %v", seen, want)
	}
	if second[0].Path != first[0].Path || second[0].SHA256 != first[0].SHA256 {
		t.Errorf("second build: %+v, want %+v", second[0], first[0])
	}
}

func TestTouchedProgramIsBuiltAgain(t *testing.T) {
	o := hello(t)
	programs, _ := states(t, o)
	if err := os.Truncate(programs[0].Path, 10); err != nil {
		t.Fatal(err)
	}
	again, seen := states(t, o)
	if want := []State{Building, Built}; !slices.Equal(seen, want) {
		t.Errorf("states %v, want %v", seen, want)
	}
	if again[0].SHA256 != programs[0].SHA256 {
		t.Errorf("sha256 %s, want %s: builds should be reproducible", again[0].SHA256, programs[0].SHA256)
	}
}

func TestWrongVersionIsAnError(t *testing.T) {
	o := hello(t)
	write(t, o, "main.go", strings.Replace(helloMain, `"hello", version`, `"hello 11.2.3"`, 1))
	_, err := build(t.Context(), []row{helloRow()}, o)
	if err == nil || !strings.Contains(err.Error(), `expected version v1.2.3, got "hello 11.2.3"`) {
		t.Errorf("error %v, want one with the expected and the told version", err)
	}
	checkNoEntry(t, o)
}

func TestCompileErrorHasTheCompilersWords(t *testing.T) {
	o := hello(t)
	var log bytes.Buffer
	o.Log = &log
	write(t, o, "main.go", "package main\n\nfunc main() { undefinedName() }\n")
	_, err := build(t.Context(), []row{helloRow()}, o)
	var compile *CompileError
	if !errors.As(err, &compile) || !strings.Contains(compile.Tail, "undefined: undefinedName") {
		t.Errorf("error %v, want a CompileError with the compiler's words", err)
	}
	if !strings.Contains(log.String(), "undefined: undefinedName") {
		t.Errorf("log %q lacks the compiler's words", log.String())
	}
	checkNoEntry(t, o)
}

func TestInterruptedBuildLeavesNothing(t *testing.T) {
	o := hello(t)
	ctx, cancel := context.WithCancel(t.Context())
	o.Report = func(e Event) {
		if e.State == Building {
			time.AfterFunc(20*time.Millisecond, cancel)
		}
	}
	// The linker takes longer than 20 ms; a machine that is faster only makes the test say less.
	if _, err := build(ctx, []row{helloRow()}, o); err == nil {
		t.Skip("built before it was interrupted")
	} else if !errors.Is(err, context.Canceled) {
		t.Errorf("error %v, want context.Canceled", err)
	}
	checkNoEntry(t, o)
}

func TestUnknownName(t *testing.T) {
	_, err := Build(t.Context(), Options{Names: []string{"etcd", "etdc"}})
	if err == nil || !strings.Contains(err.Error(), `"etdc"`) || !strings.Contains(err.Error(), "containerd") {
		t.Errorf("error %v, want one that names etdc and the components there are", err)
	}
}

func checkNoEntry(t *testing.T, o Options) {
	t.Helper()
	entries, err := filepath.Glob(filepath.Join(o.Cache, "components", "*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range entries {
		if !strings.HasPrefix(filepath.Base(path), lockPrefix) {
			t.Errorf("%s was left behind", path)
		}
	}
}
