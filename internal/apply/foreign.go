package apply

import (
	"context"
	"fmt"
	"strings"

	"github.com/haplane/haplane/internal/change"
	"github.com/haplane/haplane/internal/machine"
)

// keepAside copies files beside themselves: what is there from before stays, and another one gets a name of its own.
const keepAside = `set -e; umask 077; for f; do
[ -f "$f" ] || continue
to=$f.foreign
[ ! -e "$to" ] || cmp -s -- "$f" "$to" || to=$to.$(sha256sum <"$f" | cut -c 1-8)
[ -e "$to" ] || { cp -p -- "$f" "$to.part"; mv -- "$to.part" "$to"; }
done`

// keepForeign keeps certificates that somebody put in places of ours, with their keys, before ours are written there.
func (r *Runner) keepForeign(ctx context.Context, s change.Step) error {
	var files []string
	for _, f := range r.Foreign[s.Node] {
		files = append(files, f)
		if pair, is := strings.CutSuffix(f, ".crt"); is {
			files = append(files, pair+".key")
		}
	}
	if len(files) == 0 {
		return nil
	}
	if _, err := r.Cluster.Machine(s.Node).Run(ctx, machine.Cmd(append([]string{"sh", "-c", keepAside, "sh"}, files...)...)); err != nil {
		return fmt.Errorf("keep somebody else's certificates aside: %w", err)
	}
	return nil
}
