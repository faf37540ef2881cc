package image

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/tarball"

	"github.com/haplane/haplane/internal/component"
)

func testProgram(t *testing.T, comp, file, content string, links ...string) component.Program {
	t.Helper()
	path := filepath.Join(t.TempDir(), file)
	if err := os.WriteFile(path, []byte(content), 0o700); err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256([]byte(content))
	return component.Program{Component: comp, Name: file, Version: "v1.2.3", Path: path, SHA256: hex.EncodeToString(sum[:]), Links: links}
}

func TestDigestCoversWhatGoesIn(t *testing.T) {
	etcd, kube := testProgram(t, "etcd", "etcd", "e"), testProgram(t, "kube", "kube", "k", "kubelet")
	b := base{Packages: []Package{{Name: "bash", Version: "5"}}}
	digest := func(b base, programs ...component.Program) string {
		m, err := newManifest(b, programs)
		if err != nil {
			t.Fatal(err)
		}
		return m.Digest
	}
	want := digest(b, etcd, kube)
	moved, changed, linked := etcd, etcd, kube
	moved.Path, changed.SHA256, linked.Links = "/elsewhere/etcd", "0", nil
	for name, c := range map[string]struct {
		got  string
		same bool
	}{
		"other order":     {digest(b, kube, etcd), true},
		"other place":     {digest(b, moved, kube), true},
		"other program":   {digest(b, changed, kube), false},
		"other links":     {digest(b, etcd, linked), false},
		"fewer programs":  {digest(b, etcd), false},
		"package updated": {digest(base{Packages: []Package{{Name: "bash", Version: "6"}}}, etcd, kube), false},
	} {
		if (c.got == want) != c.same {
			t.Errorf("%s: same digest %t, want %t", name, c.got == want, c.same)
		}
	}
}

func TestInstall(t *testing.T) {
	root := t.TempDir()
	kube := testProgram(t, "kube", "kube", "k", "kubelet")
	programs := []component.Program{kube, testProgram(t, "cni", "bridge", "b"), testProgram(t, "workload", "pause", "p")}
	for range 2 {
		if err := install(root, programs); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := os.ReadFile(filepath.Join(root, "usr/local/bin/kubelet")); string(got) != "k" {
		t.Errorf("kubelet leads to %q, %v", got, err)
	}
	if info, err := os.Stat(filepath.Join(root, "opt/cni/bin/bridge")); err != nil || info.Mode() != 0o755 {
		t.Errorf("CNI plugin: %v, %v", info, err)
	}
	if _, err := os.Stat(filepath.Join(root, "usr/local/bin/pause")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("pause is a program of the machine: %v", err)
	}
	kube.SHA256 = strings.Repeat("0", 64)
	if err := install(root, []component.Program{kube}); err == nil || !strings.Contains(err.Error(), "install kube: ") {
		t.Errorf("wrong sum: %v", err)
	}
}

func TestArchivesAreReproducible(t *testing.T) {
	programs := []component.Program{testProgram(t, "workload", "pause", "p"), testProgram(t, "etcd", "etcd", "e")}
	var files [][]byte
	for range 2 {
		dir := t.TempDir()
		got, err := writeArchives(dir, programs)
		if err != nil {
			t.Fatal(err)
		}
		want := []Archive{{Name: "pause", Ref: "haplane.local/pause:v1.2.3", Path: "/usr/share/haplane/images/pause.tar"}}
		if d := cmp.Diff(want, got, cmp.FilterPath(func(p cmp.Path) bool { return p.Last().String() == ".Digest" }, cmp.Ignore())); d != "" {
			t.Error(d)
		}
		data, err := os.ReadFile(filepath.Join(dir, "pause.tar"))
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, data)
		ref, _ := name.NewTag(got[0].Ref)
		img, err := tarball.ImageFromPath(filepath.Join(dir, "pause.tar"), &ref)
		if err != nil {
			t.Fatal(err)
		}
		if c, err := img.ConfigFile(); err != nil || len(c.Config.Entrypoint) != 1 || c.Config.Entrypoint[0] != "/pause" || len(c.RootFS.DiffIDs) != 1 {
			t.Errorf("config is %+v, %v", c, err)
		}
	}
	if string(files[0]) != string(files[1]) {
		t.Error("two archives of one program differ")
	}
}

func TestImageRef(t *testing.T) {
	if got, want := ImageRef("coredns", "v1.2.3+dirty"), "haplane.local/coredns:v1.2.3_dirty"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// The base's files are shared: configuring an image must leave them as they are.
func TestConfigureLeavesTheBase(t *testing.T) {
	parent := t.TempDir()
	shared, root := filepath.Join(parent, "base"), filepath.Join(parent, "root")
	for _, f := range []string{"etc/ssh/sshd_config", "etc/ssh/ssh_host_rsa_key", "etc/systemd/system/multi-user.target.wants/haproxy.service"} {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(shared, f)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(shared, f), []byte("base"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := run(t.Context(), t.Output(), "cp", "-al", shared, root); errors.Is(err, os.ErrPermission) {
		t.Skip("needs root: a mount namespace")
	} else if err != nil {
		t.Fatal(err)
	}
	if err := configure(root); err != nil {
		t.Fatal(err)
	}
	for file, want := range map[string]bool{
		"base/etc/ssh/ssh_host_rsa_key":                                        true,
		"root/etc/ssh/ssh_host_rsa_key":                                        false,
		"root/etc/systemd/system/multi-user.target.wants/haproxy.service":      false,
		"base/etc/systemd/system/multi-user.target.wants/haproxy.service":      true,
		"root/etc/systemd/system/haplane-cgroups.service":                      true,
		"root/etc/systemd/system/sysinit.target.wants/haplane-cgroups.service": true,
	} {
		if _, err := os.Lstat(filepath.Join(parent, file)); (err == nil) != want {
			t.Errorf("%s: there %t, want %t", file, err == nil, want)
		}
	}
	if data, _ := os.ReadFile(filepath.Join(shared, "etc/ssh/sshd_config")); string(data) != "base" {
		t.Error("the base's sshd_config was written to")
	}
}

func TestEntry(t *testing.T) {
	parent := t.TempDir()
	dir, left := filepath.Join(parent, "entry"), filepath.Join(parent, tempPrefix+"dead")
	if err := os.Mkdir(left, 0o755); err != nil {
		t.Fatal(err)
	}
	boom := errors.New("boom")
	err := makeEntry(t.Context(), dir, func(tmp string) error { return boom })
	found, _ := filepath.Glob(filepath.Join(parent, "*"))
	if !errors.Is(err, boom) || len(found) != 1 { // the lock
		t.Errorf("a build that failed: %v, left %v", err, found)
	}
	calls := 0
	for range 2 {
		if err := makeEntry(t.Context(), dir, func(tmp string) error { calls++; return nil }); err != nil {
			t.Error(err)
		}
	}
	if calls != 1 {
		t.Errorf("filled %d times, want once", calls)
	}
}

func TestEntryWaitsForTheLock(t *testing.T) {
	parent := t.TempDir()
	unlock, err := lock(t.Context(), filepath.Join(parent, "lock"))
	if err != nil {
		t.Fatal(err)
	}
	defer unlock()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	err = makeEntry(ctx, filepath.Join(parent, "entry"), func(string) error { t.Error("built without the lock"); return nil })
	if err == nil || !strings.Contains(err.Error(), "wait for another builder") {
		t.Errorf("got %v", err)
	}
}
