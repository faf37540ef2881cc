package image

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/haplane/haplane/internal/component"
)

func TestRemove(t *testing.T) {
	cache := filledCache(t)
	inUse := map[string][]string{newDigest: {"blue", "demo"}}
	_, err := Remove(cache, []string{newDigest[:4], "aaa", "a", "c0"}, inUse)
	for _, want := range []string{"remove image abababababab: in use by blue, demo", "open image a: 2 images", "open image c0: no such image"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("no %q in: %v", want, err)
		}
	}
	release, err := component.Hold(t.Context(), cache)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Remove(cache, []string{"aaa"}, inUse); !errors.Is(err, component.ErrHeld) {
		t.Errorf("while a build runs: %v", err)
	}
	if _, err := Prune(PruneOptions{Cache: cache, Keep: current}); !errors.Is(err, component.ErrHeld) {
		t.Errorf("while a build runs: %v", err)
	}
	release()
	list, err := Remove(cache, []string{"aaa", oldDigest}, inUse)
	if got := removals(t, list, err); !slices.Equal(got, []string{"image " + oldDigest}) {
		t.Errorf("removed %v", got)
	}
	if img, err := Newest(cache); err != nil || img.Digest != newDigest {
		t.Errorf("left %s, %v", img.Digest, err)
	}
	if _, err := Newest(t.TempDir()); !errors.Is(err, ErrNone) {
		t.Errorf("an empty cache: %v", err)
	}
}

func TestUsers(t *testing.T) {
	home := t.TempDir()
	if users, err := Users(filepath.Join(home, "none")); err != nil || len(users) > 0 {
		t.Errorf("no home: %v, %v", users, err)
	}
	for machine, digest := range map[string]string{"blue/machines/cp-1": newDigest, "blue/machines/lb-1": newDigest, "demo/machines/cp-1": newDigest, "old/machines/cp-1": oldDigest, "half/machines/cp-1": ""} {
		dir := filepath.Join(home, machine)
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		if digest != "" {
			if err := writeJSON(filepath.Join(dir, "machine.json"), map[string]string{"image": "/cache/images/" + digest + "/root"}); err != nil {
				t.Fatal(err)
			}
		}
	}
	got, err := Users(home)
	if d := cmp.Diff(map[string][]string{newDigest: {"blue", "demo"}, oldDigest: {"old"}}, got); d != "" || err != nil {
		t.Errorf("%v\n%s", err, d)
	}
	if err := os.WriteFile(filepath.Join(home, "demo/machines/cp-1/machine.json"), []byte("{"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := Users(home); err == nil {
		t.Error("a damaged machine.json is no error: its image could be removed")
	}
}
