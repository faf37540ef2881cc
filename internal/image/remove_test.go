package image

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/haplane/haplane/internal/component"
)

func TestRemove(t *testing.T) {
	cache := filledCache(t)
	inUse := func() (map[string][]string, error) { return map[string][]string{newDigest: {"blue", "demo"}}, nil }
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
	if _, err := Prune(PruneOptions{Cache: cache, InUse: inUse, Keep: current}); !errors.Is(err, component.ErrHeld) {
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
