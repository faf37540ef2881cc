package component

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

func TestEntriesAndRemove(t *testing.T) {
	o := hello(t)
	programs, _ := states(t, o)
	dead := filepath.Join(o.Cache, cacheFolder, tempPrefix+"dead-1")
	put(t, filepath.Join(dead, "p"), []byte("x"))
	list, err := Entries(o.Cache)
	if err != nil || len(list) != 2 || !list[0].Unfinished() || !slices.Equal(list[1].Sums, []string{programs[0].SHA256}) {
		t.Fatalf("entries %+v, %v", list, err)
	}
	for _, e := range list {
		if err := e.Remove(); err != nil {
			t.Error(err)
		}
	}
	if left, err := os.ReadDir(filepath.Join(o.Cache, cacheFolder)); err != nil || len(left) > 0 {
		t.Errorf("left %v, %v", left, err)
	}
	if list, err := Entries(t.TempDir()); err != nil || list != nil {
		t.Errorf("an empty cache: %v, %v", list, err)
	}
}

func TestHold(t *testing.T) {
	dir := t.TempDir()
	one, err := Hold(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	two, err := Hold(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	one()
	if _, err := HoldAlone(dir); !errors.Is(err, ErrHeld) {
		t.Errorf("held by one, and alone: %v", err)
	}
	two()
	alone, err := HoldAlone(dir)
	if err != nil {
		t.Fatal(err)
	}
	alone()
}

func TestCurrentAndVersions(t *testing.T) {
	const source = "../../components"
	versions, err := Versions(source)
	if err != nil || len(versions) != len(table()) || versions[0].Name != "cni" {
		t.Errorf("versions %v, %v", versions, err)
	}
	if _, err := Versions(t.TempDir()); err == nil {
		t.Error("an empty folder has versions")
	}
	if checkTools(t.Context(), table()) != nil {
		t.Skip("this host cannot build")
	}
	current, err := Current(t.Context(), source)
	if older := len(kubeRow().older); err != nil || len(current) != len(table())+older {
		t.Errorf("current %v, %v", current, err)
	}
}
