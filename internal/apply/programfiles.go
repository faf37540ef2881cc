package apply

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path"

	"github.com/haplane/haplane/internal/change"
	"github.com/haplane/haplane/internal/machine"
)

// A ProgramFile is a program that machines are to have in place of another one.
type ProgramFile struct {
	Path   string // on the machine
	SHA256 string
	From   string // here
}

// broughtFolder has the programs of the last upgrade in place.
const broughtFolder = "/usr/local/lib/haplane/programs"

// broughtTo is where a program lies on a machine until it is used, and afterwards.
func (f ProgramFile) broughtTo() string { return path.Join(broughtFolder, f.SHA256) }

const isThere = `printf '%s  %s\n' "$1" "$2" | sha256sum --check --status 2>/dev/null`

// inTurn waits for what a haplane that was killed has begun in the same folder.
const inTurn = `set -e; mkdir -p "${2%/*}"; exec 9<"${2%/*}"; flock --timeout 120 9 || { echo "a haplane that was killed is at it still: fuser -v ${2%/*} on the machine shows its process" >&2; exit 1; }
`

// take writes what comes in beside its place, and gives it its name once it is all there and right.
const take = inTurn + `cat >"$2.part"; printf '%s  %s\n' "$1" "$2.part" | sha256sum --check --status; chmod 755 "$2.part"; sync -d "$2.part"; mv -f "$2.part" "$2"`

// dropOthers removes what is in a folder, the first argument, but the names that follow: of an upgrade before, which nothing uses any more.
const dropOthers = `cd "$1" 2>/dev/null || exit 0; shift; exec 9<.; flock --timeout 120 9 || exit
for there in *; do
	for kept; do [ "$there" != "$kept" ] || continue 2; done
	rm -f -- "$there"
done
`

// bringPrograms copies the programs to a machine, beside those that run there: nothing uses them yet.
func bringPrograms(ctx context.Context, r *Runner, s change.Step) error {
	m := r.Cluster.Machine(s.Node)
	if len(r.Changed) == 0 {
		return errors.New("there are no programs to bring: the image that has them is not in the cache any more")
	}
	drop := []string{"sh", "-c", dropOthers, "sh", broughtFolder}
	for _, f := range r.Changed {
		drop = append(drop, f.SHA256)
	}
	if _, err := m.Run(ctx, machine.Cmd(drop...)); err != nil {
		return fmt.Errorf("remove the programs of an earlier upgrade: %w", err)
	}
	for _, f := range r.Changed {
		if _, err := m.Run(ctx, machine.Cmd("sh", "-c", isThere, "sh", f.SHA256, f.broughtTo())); err == nil {
			continue
		}
		if err := bring(ctx, m, f); err != nil {
			return fmt.Errorf("bring %s: %w", path.Base(f.Path), err)
		}
		r.detail(s, "has %s", path.Base(f.Path))
	}
	return nil
}

func bring(ctx context.Context, m machine.Machine, f ProgramFile) error {
	in, err := os.Open(f.From)
	if err != nil {
		return err
	}
	defer in.Close()
	cmd := machine.Cmd("sh", "-c", take, "sh", f.SHA256, f.broughtTo())
	cmd.Stdin = in
	_, err = m.Run(ctx, cmd)
	return err
}

// use puts a copy in the place of a program; what runs goes on with the old one until it is restarted.
const use = inTurn + `cp "$1" "$2.part"; mv -f "$2.part" "$2"`

func usePrograms(ctx context.Context, r *Runner, s change.Step) error {
	m := r.Cluster.Machine(s.Node)
	for _, f := range r.Changed {
		if _, err := m.Run(ctx, machine.Cmd("sh", "-c", use, "sh", f.broughtTo(), f.Path)); err != nil {
			return fmt.Errorf("use %s: %w", path.Base(f.Path), err)
		}
	}
	return nil
}
