package nspawn

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// The folders of machines have more than the share of one process; a machine has its share of these.
func TestMakeCgroup(t *testing.T) {
	root := t.TempDir()
	files := map[string]string{
		"cpu/haplane/cpu.shares":               "1024\n",
		"cpu/haplane/demo/cpu.shares":          "1024\n",
		"cpu/haplane/demo/cp-1/cpu.shares":     "1024\n",
		"unified/haplane/cpu.weight":           "100\n",
		"unified/haplane/demo/cpu.weight":      "100\n",
		"unified/haplane/demo/cp-1/cpu.weight": "100\n",
	}
	if err := os.Mkdir(filepath.Join(root, "pids"), 0o755); err != nil { // has no CPUs to share
		t.Fatal(err)
	}
	for name, text := range files { // as the kernel does where it has that controller
		if err := os.MkdirAll(filepath.Dir(filepath.Join(root, name)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(root, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	all := []hierarchy{{path: filepath.Join(root, "cpu")}, {path: filepath.Join(root, "unified"), unified: true}, {path: filepath.Join(root, "pids")}}
	if err := makeCgroup(all, "haplane/demo/cp-1"); err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for name := range files {
		text, err := os.ReadFile(filepath.Join(root, name))
		if err != nil {
			t.Fatal(err)
		}
		got[name] = string(text)
	}
	want := map[string]string{
		"cpu/haplane/cpu.shares":               "4096\n",
		"cpu/haplane/demo/cpu.shares":          "4096\n",
		"cpu/haplane/demo/cp-1/cpu.shares":     "1024\n",
		"unified/haplane/cpu.weight":           "400\n",
		"unified/haplane/demo/cpu.weight":      "400\n",
		"unified/haplane/demo/cp-1/cpu.weight": "100\n",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	if _, err := os.Stat(filepath.Join(root, "pids/haplane/demo/cp-1")); err != nil {
		t.Error(err)
	}
}
