package component

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestMissingToolsAreNamedAtOnce(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	o := hello(t)
	o.Report = func(e Event) { t.Errorf("event %v although tools are missing", e) }
	r := helloRow()
	r.needs = []tool{gcc, libc, pkgConfig, libseccomp}
	_, err := build(t.Context(), []row{r, r}, o)
	var missing *MissingError
	if !errors.As(err, &missing) {
		t.Fatalf("error %v, want a MissingError", err)
	}
	want := []string{"gcc", "libc6-dev", "pkg-config", "libseccomp-dev"}
	if !slices.Equal(missing.Packages, want) {
		t.Errorf("packages %v, want %v", missing.Packages, want)
	}
}

func TestOnlyNeededToolsAreLookedFor(t *testing.T) {
	bin := t.TempDir()
	if err := os.WriteFile(filepath.Join(bin, "go"), []byte("#!/bin/sh\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", bin)
	if err := checkTools(t.Context(), []row{helloRow()}); err != nil {
		t.Errorf("error %v for a row that needs nothing but go", err)
	}
}

func TestEnvironmentIsExplicit(t *testing.T) {
	user := map[string]string{"HOME": "/home/u", "PATH": "/bin", "GOPROXY": "direct",
		"GOFLAGS": "-mod=mod", "GOWORK": "/w/go.work", "CGO_ENABLED": "1", "GOEXPERIMENT": "x", "SECRET": "s"}
	got := environment(func(name string) string { return user[name] }, false)
	want := []string{"GOFLAGS=-mod=readonly -buildvcs=false", "GOWORK=off", "GOOS=linux", "CGO_ENABLED=0",
		"HOME=/home/u", "PATH=/bin", "GOPROXY=direct"}
	if !slices.Equal(got, want) {
		t.Errorf("environment %q, want %q", got, want)
	}
}

func TestTells(t *testing.T) {
	tests := []struct {
		text string
		want bool
	}{
		{"etcd Version: 1.2.3\nGit SHA", true},
		{"CoreDNS-1.2.3", true},
		{"v1.2.3", true},
		{"runc version 1.2.3", true},
		{"11.2.3", false},
		{"1.2.30", false},
		{"0.1.2.3", false},
		{"1.2.3+unknown", false},
		{"1.2.3-rc.1", false},
		{"dev", false},
	}
	for _, test := range tests {
		if got := tells(test.text, "v1.2.3"); got != test.want {
			t.Errorf("tells(%q, v1.2.3) = %v, want %v", test.text, got, test.want)
		}
	}
}

func TestTailKeepsTheLastLines(t *testing.T) {
	var w tailWriter
	for range 3 {
		_, _ = w.Write([]byte(strings.Repeat("old\n", 50)))
	}
	_, _ = w.Write([]byte("last words"))
	lines := strings.Split(w.String(), "\n")
	if len(lines) != tailLines+1 || lines[len(lines)-1] != "last words" {
		t.Errorf("%d lines, the last %q", len(lines), lines[len(lines)-1])
	}
}

func TestSourceDir(t *testing.T) {
	t.Run("variable", func(t *testing.T) {
		t.Setenv(sourceVar, "../../components")
		if dir, err := SourceDir(); err != nil || !filepath.IsAbs(dir) {
			t.Errorf("got %q, %v; want an absolute path", dir, err)
		}
	})
	t.Run("variable that leads nowhere", func(t *testing.T) {
		t.Setenv(sourceVar, t.TempDir())
		if _, err := SourceDir(); err == nil || !strings.Contains(err.Error(), sourceVar) {
			t.Errorf("error %v, want one that names %s", err, sourceVar)
		}
	})
	t.Run("nowhere", func(t *testing.T) {
		t.Setenv(sourceVar, "")
		if _, err := SourceDir(); !errors.Is(err, ErrNoSource) {
			t.Errorf("error %v, want ErrNoSource", err)
		}
	})
}
