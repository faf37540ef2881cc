package apply

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/haplane/haplane/internal/fileset"
	"github.com/haplane/haplane/internal/machine"
	"github.com/haplane/haplane/internal/observed"
	"github.com/haplane/haplane/internal/runtime/systemd"
)

// HAProxy and keepalived look at a new configuration before they load it, and go on with the one of before where they refuse it. That one is put
// back as well: a program that is started anew, for whatever reason, would not start with the other.

// keptDir has the files of before, on a machine.
const keptDir = "/run/haplane/before"

const (
	keepScript = `dir=$1; shift; rm -rf -- "$dir"; for file; do mkdir -p -- "$dir${file%/*}" && cp -p -- "$file" "$dir$file" || exit; done`
	backScript = `dir=$1; shift; for file; do cp -p -- "$dir$file" "$file.before" && mv -f -- "$file.before" "$file" || exit; done`
)

// configOf is the folder with what a program of a load balancer loads; those that load nothing have none.
func configOf(unit string) string { return "/etc/" + unit + "/" }

// replaced are the files, of those that programs of a load balancer load, that are on a machine and are to have another content.
func replaced(want fileset.Set, seen observed.Machine) []string {
	var out []string
	for _, path := range want.Stale(seen.Files).Paths() {
		_, there := seen.Files[path]
		if there && (strings.HasPrefix(path, configOf("haproxy")) || strings.HasPrefix(path, configOf("keepalived"))) {
			out = append(out, path)
		}
	}
	return out
}

// keep keeps files as they are now.
func keep(ctx context.Context, m machine.Machine, paths []string) error {
	if len(paths) == 0 {
		return nil
	}
	_, err := m.Run(ctx, machine.Cmd(append([]string{"sh", "-c", keepScript, "sh", keptDir}, paths...)...))
	return err
}

// load has a program load its configuration. Where it refuses that, the files of before are put back.
func load(ctx context.Context, m machine.Machine, unit string, kept []string) error {
	err := systemd.Reload(ctx, m, unit)
	var refused *machine.CommandError
	if !errors.As(err, &refused) { // or nobody knows what became of it
		return err
	}
	var own []string
	for _, path := range kept {
		if strings.HasPrefix(path, configOf(unit)) {
			own = append(own, path)
		}
	}
	err = fmt.Errorf("it does not take its new configuration, and goes on with the one of before: %w", err)
	if len(own) > 0 {
		if _, back := m.Run(ctx, machine.Cmd(append([]string{"sh", "-c", backScript, "sh", keptDir}, own...)...)); back != nil {
			err = fmt.Errorf("%w; and that is not in its place again: %w", err, back)
		}
	}
	return &UnitError{Node: m.Name(), Unit: unit, Err: err}
}
