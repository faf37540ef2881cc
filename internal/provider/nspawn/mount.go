package nspawn

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/haplane/haplane/internal/child"
	"github.com/haplane/haplane/internal/durable"
)

// mountRoot lays the machine's own files over its image. A root that is mounted
// already stays.
func (p *Provider) mountRoot(r record) error {
	for _, d := range persistent {
		if err := os.MkdirAll(p.dir(r.Name, "data", d.name), 0o700); err != nil {
			return err
		}
	}
	for _, d := range []string{"upper", "work", "root"} {
		if err := os.MkdirAll(p.dir(r.Name, d), 0o755); err != nil {
			return err
		}
	}
	root := p.dir(r.Name, "root")
	if mounts, err := mountsUnder(root); err != nil || len(mounts) > 0 {
		return err
	}
	if err := unix.Mount(p.netns(r.Name), root, "overlay", 0, p.overlayOptions(r)); err != nil {
		return fmt.Errorf("mount overlay on %s: %w", root, err)
	}
	return nil
}

// fillFolders gives the folders that are not in the overlay what the image has at
// their places, as a copy. One that is there stays as it is.
func (p *Provider) fillFolders(ctx context.Context, r record) error {
	for _, d := range persistent {
		from, to := filepath.Join(r.Image, d.path), p.dir(r.Name, "data", d.name)
		if _, err := os.Stat(from); errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if _, err := os.Stat(to); err == nil {
			continue
		}
		if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
			return err
		}
		unfinished := to + ".new"
		if err := os.RemoveAll(unfinished); err != nil {
			return err
		}
		if err := copyTree(ctx, from, unfinished); err != nil {
			return fmt.Errorf("copy %s of the image: %w", d.path, err)
		}
		if err := durable.Rename(unfinished, to); err != nil {
			return err
		}
	}
	return nil
}

// copyTree copies a folder. It ends with this process, so that the next one finds nobody at it.
func copyTree(ctx context.Context, from, to string) error {
	cmd := exec.CommandContext(ctx, "cp", "--archive", "--reflink=auto", from, to)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	err := child.Start(cmd, syscall.SIGKILL)
	if err == nil {
		err = cmd.Wait()
	}
	if err != nil {
		return fmt.Errorf("%w: %s", err, bytes.TrimSpace(out.Bytes()))
	}
	return nil
}

func (p *Provider) overlayOptions(r record) string {
	escape := strings.NewReplacer(`\`, `\\`, `:`, `\:`, `,`, `\,`).Replace
	return fmt.Sprintf("lowerdir=%s,upperdir=%s,workdir=%s",
		escape(r.Image), escape(p.dir(r.Name, "upper")), escape(p.dir(r.Name, "work")))
}

// unmountUnder takes away every mount at or below dir and says which.
func unmountUnder(dir string) ([]string, error) {
	mounts, err := mountsUnder(dir)
	if err != nil {
		return nil, err
	}
	var errs []error
	for _, m := range slices.Backward(mounts) { // the last mounted goes first
		if err := unix.Unmount(m, unix.MNT_DETACH); err != nil && !errors.Is(err, unix.EINVAL) {
			errs = append(errs, fmt.Errorf("unmount %s: %w", m, err))
		}
	}
	return mounts, errors.Join(errs...)
}

func mountsUnder(dir string) ([]string, error) {
	data, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return nil, err
	}
	var out []string
	for _, m := range parseMountinfo(string(data)) {
		if m.point == dir || strings.HasPrefix(m.point, dir+"/") {
			out = append(out, m.point)
		}
	}
	return out, nil
}

// A mountpoint is a line of proc_pid_mountinfo(5).
type mountpoint struct{ point, fstype, super string }

func parseMountinfo(text string) []mountpoint {
	var out []mountpoint
	unescape := strings.NewReplacer(`\040`, " ", `\011`, "\t", `\012`, "\n", `\134`, `\`)
	for line := range strings.Lines(text) {
		before, after, ok := strings.Cut(line, " - ")
		left, right := strings.Fields(before), strings.Fields(after)
		if !ok || len(left) < 5 || len(right) < 3 {
			continue
		}
		out = append(out, mountpoint{point: unescape.Replace(left[4]), fstype: right[0], super: right[2]})
	}
	return out
}

// escapeColons is for nspawn's --bind, which splits at colons.
func escapeColons(path string) string {
	return strings.NewReplacer(`\`, `\\`, `:`, `\:`).Replace(path)
}
