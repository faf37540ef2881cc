package apply

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"path"
	"strings"

	"github.com/haplane/haplane/internal/fileset"
	"github.com/haplane/haplane/internal/machine"
	"github.com/haplane/haplane/internal/observed"
	"github.com/haplane/haplane/internal/render"
	"github.com/haplane/haplane/internal/runtime/systemd"
	"github.com/haplane/haplane/internal/topology"
)

// Write makes the files of a machine what is wanted: haplane's own program first, so
// that a unit of its new digest never runs the old one; then what haplane put there
// and wants no more goes; then what differs is written, the list of files among it. So
// whatever it leaves behind when it is cut off, the next run mends.
func Write(ctx context.Context, m machine.Machine, want fileset.Set, seen observed.Machine) error {
	stale := maps.Clone(want.Stale(seen.Files))
	if own := stale.Under(render.AgentBinary); len(own) > 0 {
		if err := m.Upload(ctx, own); err != nil {
			return err
		}
		delete(stale, render.AgentBinary)
	}
	if err := removeFiles(ctx, m, fileset.Unwanted(seen.Manifest, want)); err != nil {
		return err
	}
	return upload(ctx, m, stale)
}

// upload writes files, and first makes the users that one of them tells of: no unit starts
// without its user, and whoever is cut off in between finds the file missing still.
func upload(ctx context.Context, m machine.Machine, files fileset.Set) error {
	if users, ok := files[render.SysusersPath]; ok {
		if _, err := m.Run(ctx, machine.Command{Argv: []string{"systemd-sysusers", "-"}, Stdin: bytes.NewReader(users.Data)}); err != nil {
			return fmt.Errorf("make the users of %s: %w", render.SysusersPath, err)
		}
	}
	return m.Upload(ctx, files)
}

// removeFiles removes files, and stops the units whose files are among them.
func removeFiles(ctx context.Context, m machine.Machine, paths []string) error {
	if len(paths) == 0 {
		return nil
	}
	units := unitsOf(paths)
	if err := systemd.Remove(ctx, m, units...); err != nil {
		return err
	}
	if _, err := m.Run(ctx, machine.Cmd(append([]string{"rm", "-f", "--"}, paths...)...)); err != nil {
		return fmt.Errorf("remove files: %w", err)
	}
	if len(units) == 0 {
		return nil
	}
	_, err := m.Run(ctx, machine.Cmd("systemctl", "daemon-reload"))
	return err
}

// unitsOf are the names of the units whose files are among the paths.
func unitsOf(paths []string) []string {
	var out []string
	for _, p := range paths {
		if name, ok := strings.CutSuffix(path.Base(p), ".service"); ok && path.Dir(p) == topology.UnitDir {
			out = append(out, name)
		}
	}
	return out
}
