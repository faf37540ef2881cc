// Package guest boots a host as most users have it: Debian with its own kernel, systemd as the first
// process and cgroup v2, in a virtual machine that qemu emulates. It reaches no network; the
// test reaches its sshd.
package guest

import (
	"context"
	"crypto/sha256"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/haplane/haplane/internal/durable"
	"github.com/haplane/haplane/internal/image"
)

const suite = "bookworm"

// packages make of a Debian a host that one logs in to. Those that haplane needs come beside them.
var packages = []string{
	"dbus", "iproute2", "libpam-systemd", "linux-image-cloud-" + runtime.GOARCH, "openssh-server", "procps",
	"systemd", "systemd-sysv", "udev",
}

// files of the root. Timers send and clear up what no test looks at.
var files = map[string]string{
	"etc/fstab":    "/dev/vda / ext4 defaults 0 1\n/dev/vdb " + Folder + " ext4 defaults 0 2\n",
	"etc/hostname": "host\n",
	"etc/hosts":    "127.0.0.1 localhost host\n",
	"etc/systemd/network/eth0.network": "[Match]\nName=eth0\n[Network]\nAddress=10.0.2.15/24\n" +
		"LinkLocalAddressing=no\n", // qemu's own network has this address for its guest
}

var links = map[string]string{
	"etc/systemd/system/multi-user.target.wants/systemd-networkd.service": "/lib/systemd/system/systemd-networkd.service",
	"etc/systemd/system/apt-daily-upgrade.timer":                          "/dev/null",
	"etc/systemd/system/apt-daily.timer":                                  "/dev/null",
	"etc/systemd/system/e2scrub_reap.service":                             "/dev/null",
	"usr/local/bin/go": "../go/bin/go",
}

// A root is a Debian that was made once: its disk, kernel, and the keys that ssh needs.
type root struct{ dir string }

func (r root) path(name string) string { return filepath.Join(r.dir, name) }

// openRoot returns the root of today's list of packages and of this Go, and makes it if it is not in
// the folder. Others in there are removed.
func openRoot(ctx context.Context, folder, module string) (root, error) {
	list, err := exec.CommandContext(ctx, filepath.Join(module, "tools/prerequisites"), "--list", "build").Output()
	if err != nil {
		return root{}, fmt.Errorf("list packages: %w", err)
	}
	names := append(strings.Fields(string(list)), packages...)
	r := root{filepath.Join(folder, fmt.Sprintf("%x", sha256.Sum256(fmt.Append(nil, 1, suite, names, files, links, runtime.Version())))[:16])}
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return r, err
	}
	if _, err := os.Stat(r.dir); err == nil {
		return r, nil
	}
	old, err := filepath.Glob(filepath.Join(folder, "*"))
	if err != nil {
		return r, err
	}
	for _, path := range old {
		if err := os.RemoveAll(path); err != nil {
			return r, err
		}
	}
	building := root{r.dir + ".building"}
	if err := os.Mkdir(building.dir, 0o700); err != nil {
		return r, err
	}
	if err := building.fill(ctx, names); err != nil {
		return r, fmt.Errorf("make root of guest: %w", err)
	}
	return r, durable.Rename(building.dir, r.dir)
}

func (r root) fill(ctx context.Context, names []string) error {
	tree := r.path("tree")
	sources, options, err := image.Debian(ctx)
	if err != nil {
		return err
	}
	if err := os.WriteFile(r.path("debian.sources"), []byte(sources), 0o644); err != nil {
		return err
	}
	args := []string{"mmdebstrap", "--mode=root", "--variant=minbase", "--format=directory", "--include=" + strings.Join(names, ",")}
	for _, path := range []string{"doc", "locale", "man"} {
		args = append(args, "--dpkgopt=path-exclude=/usr/share/"+path+"/*")
	}
	for _, o := range options {
		args = append(args, "--aptopt="+o)
	}
	for _, step := range []func() error{
		func() error { return run(ctx, append(args, suite, tree, r.path("debian.sources"))...) },
		func() error { return r.configure(ctx, tree) },
		func() error { return makeDisk(ctx, r.path("root.ext4"), 8<<30, tree) },
		func() error { return os.RemoveAll(tree) },
	} {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

// configure makes of the packages this guest, with keys that are known.
func (r root) configure(ctx context.Context, tree string) error {
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(tree, name), []byte(text), 0o644); err != nil {
			return err
		}
	}
	for name, target := range links {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(tree, name)), 0o755); err != nil {
			return err
		}
		if err := os.Symlink(target, filepath.Join(tree, name)); err != nil {
			return err
		}
	}
	script := `set -e
mkdir -p "$TREE/root/.ssh" "$TREE` + Folder + `" "$TREE/usr/local/go/bin" "$TREE/usr/local/go/pkg/tool"
cp "$GO/bin/go" "$TREE/usr/local/go/bin/" && cp "$GO/VERSION" "$GO/go.env" "$TREE/usr/local/go/"
ssh-keygen -q -t ed25519 -N "" -C e2e -f id && install -m 600 id.pub "$TREE/root/.ssh/authorized_keys"
echo "host $(cut -d " " -f 1,2 "$TREE/etc/ssh/ssh_host_ed25519_key.pub")" >known_hosts
mv "$TREE"/boot/vmlinuz-* kernel && mv "$TREE"/boot/initrd.img-* initrd
rm -rf "$TREE"/var/cache/apt/* "$TREE"/var/lib/apt/lists/*`
	goroot, err := exec.CommandContext(ctx, "go", "env", "GOROOT").Output()
	if err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, "sh", "-c", script)
	cmd.Dir, cmd.Env = r.dir, append(os.Environ(), "TREE="+tree, "GO="+strings.TrimSpace(string(goroot)))
	return output(cmd)
}

// makeDisk makes a file system with what is in a folder. It has the files' times to the second, as
// many copies have.
func makeDisk(ctx context.Context, path string, size int64, from string) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := unix.Ftruncate(int(f.Fd()), size); err != nil {
		return err
	}
	return run(ctx, "/sbin/mke2fs", "-q", "-t", "ext4", "-d", from, path)
}

func run(ctx context.Context, argv ...string) error {
	return output(exec.CommandContext(ctx, argv[0], argv[1:]...))
}

func output(cmd *exec.Cmd) error {
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w\n%s", cmd.Args[0], err, out[max(0, len(out)-2048):])
	}
	return nil
}
