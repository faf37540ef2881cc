package nspawn

import (
	"os"
	"path/filepath"
	"testing"
)

func TestFoldersBeginAsTheImagesAndStay(t *testing.T) {
	image := t.TempDir()
	p := &Provider{StateDir: t.TempDir()}
	r := record{Name: "cp-1", Image: image}
	write := func(path, text string) {
		t.Helper()
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o640); err != nil {
			t.Fatal(err)
		}
	}
	inImage := filepath.Join(image, "var/lib/containerd/content/blob")
	write(inImage, "of the image")
	write(p.dir("cp-1", "data", "containerd.new", "half"), "left by a run that was cut off")
	of := func() string {
		t.Helper()
		if err := p.fillFolders(t.Context(), r); err != nil {
			t.Fatal(err)
		}
		data, err := os.ReadFile(p.dir("cp-1", "data", "containerd", "content", "blob"))
		if err != nil {
			t.Fatal(err)
		}
		return string(data)
	}
	if got := of(); got != "of the image" {
		t.Errorf("at first %q", got)
	}
	write(p.dir("cp-1", "data", "containerd", "content", "blob"), "the machine's own")
	if got := of(); got != "the machine's own" {
		t.Errorf("the second time %q", got)
	}
	if data, err := os.ReadFile(inImage); string(data) != "of the image" {
		t.Errorf("the image has %q, %v", data, err)
	}
	for _, name := range []string{"containerd.new", "containerd/half", "etcd"} {
		if _, err := os.Lstat(p.dir("cp-1", "data", name)); err == nil {
			t.Errorf("there is %s", name)
		}
	}
}
