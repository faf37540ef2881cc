package apply

import (
	"os"
	"path/filepath"
	"testing"
)

// Somebody else's certificates are kept beside, with their keys as secret as they were, and not overwritten by ours.
func TestKeepAside(t *testing.T) {
	dir := t.TempDir()
	cert, key := filepath.Join(dir, "apiserver.crt"), filepath.Join(dir, "apiserver.key")
	for path, mode := range map[string]os.FileMode{cert: 0o644, key: 0o600} {
		if err := os.WriteFile(path, []byte("theirs"), mode); err != nil {
			t.Fatal(err)
		}
	}
	for range 2 {
		if err := shellScript(t, "", keepAside, cert, key, filepath.Join(dir, "none")); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(cert, []byte("ours"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for path, mode := range map[string]os.FileMode{cert: 0o644, key: 0o600} {
		data, err := os.ReadFile(path + ".foreign")
		if info, _ := os.Stat(path + ".foreign"); err != nil || string(data) != "theirs" || info.Mode().Perm() != mode {
			t.Errorf("%s: %q, %v, %v", path, data, info.Mode(), err)
		}
	}
	if others, err := filepath.Glob(cert + ".foreign.*"); err != nil || len(others) != 1 {
		t.Errorf("another one that is put there is kept as %v, %v", others, err)
	}
}
