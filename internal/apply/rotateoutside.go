package apply

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/haplane/haplane/internal/look"
	"github.com/haplane/haplane/internal/machine"
	"github.com/haplane/haplane/internal/pki"
	"github.com/haplane/haplane/internal/topology"
)

// outsideWindow is how long a client certificate counts as being in use after it was shown.
const outsideWindow = 10 * time.Minute

// outsideScript prints, of the files of an audit log, when each begins; and, of each client certificate in those that were written to lately, when it
// was shown last, and whose it is.
const outsideScript = `for f in "$1"/audit*.log; do
	[ ! -f "$f" ] || head -n 1 "$f" | sed -n 's/.*"stageTimestamp":"\([^"]*\)".*/begins \1/p'
done
find "$1" -name 'audit*.log' -mmin -15 -exec sed -n 's/.*"username":"\([^"]*\)".*X509SHA256=\([0-9a-f]*\).*"stageTimestamp":"\([^"]*\)".*/\2 \3 \1/p' {} + |
	sort -r | awk '!seen[$1]++'
`

// noOutsiders names who has come with a client certificate that is none of haplane's own: a copy of an old kubeconfig, or what somebody had
// signed by the old authority. Who comes without one, as with a token, is seen by nobody: by what he verifies no log tells.
func (r *Runner) noOutsiders(ctx context.Context) error {
	ours, err := r.ownCertificates(ctx)
	if err != nil {
		return err
	}
	since := time.Now().Add(-outsideWindow)
	var mu sync.Mutex
	var unseen []string
	err = each(r.Cluster.Topology.ControlPlane(), func(n topology.Node) []string {
		cmd := machine.Cmd("sh", "-s", "--", auditDir)
		cmd.Stdin = strings.NewReader(outsideScript)
		result, err := r.Cluster.Machine(n.Name).Run(ctx, cmd)
		if err != nil {
			return []string{fmt.Sprintf("%s: look for client certificates: %v", n.Name, err)}
		}
		if gap := logGap(result.Stdout, since); gap != "" {
			mu.Lock()
			defer mu.Unlock()
			unseen = append(unseen, "the audit log of "+n.Name+" "+gap)
		}
		return outsiders(result.Stdout, ours, since)
	})
	slices.Sort(unseen)
	r.Rotation.Unseen = unseen
	return err
}

// own are the client certificates of haplane's own, by their SHA-256.
type own struct {
	now      map[string]bool
	retired  map[string]time.Time
	kubelets map[string]bool // users
	switched time.Time       // when kubelets had others than before
}

// ownCertificates are those of the record, the earlier ones, and those that kubelets got by themselves.
func (r *Runner) ownCertificates(ctx context.Context) (own, error) {
	out := own{now: map[string]bool{}, retired: r.Rotation.Retired, kubelets: map[string]bool{}, switched: r.Rotation.Switched}
	for _, p := range r.Cluster.Keys.Pairs {
		out.now[pki.SHA256(p.Cert)] = true
	}
	var mu sync.Mutex
	err := each(r.Cluster.Topology.KubeletNodes(), func(n topology.Node) []string {
		list, err := look.Certificates(ctx, r.Cluster.Machine(n.Name))
		mu.Lock()
		defer mu.Unlock()
		out.kubelets["system:node:"+n.Name] = true
		for _, c := range list {
			if look.KubeletsOwn(c.Path) {
				out.now[c.Fingerprint] = true
			}
		}
		if err != nil {
			return []string{err.Error()}
		}
		return nil
	})
	return out, err
}

// has reports whether it was one of haplane's own programs, or haplane, that showed a certificate then. Of what it had made anew, only a copy is
// in use afterwards. Of those that a kubelet got by itself before the switch nobody knows any more.
func (o own) has(certificate, user string, at time.Time) bool {
	if until, is := o.retired[certificate]; is && !o.now[certificate] {
		return until.IsZero() || at.Before(until)
	}
	return o.now[certificate] || o.kubelets[user] && at.Before(o.switched)
}

// logGap says that an audit log, by what the script prints, does not reach back to a time; "" where it does.
func logGap(text string, since time.Time) string {
	var first time.Time
	for line := range strings.Lines(text) {
		word, is := strings.CutPrefix(strings.TrimSpace(line), "begins ")
		if at, err := time.Parse(time.RFC3339Nano, word); is && err == nil && (first.IsZero() || at.Before(first)) {
			first = at
		}
	}
	switch {
	case first.IsZero():
		return "is empty: who came to its API server with which certificate, nobody can tell"
	case first.After(since):
		return fmt.Sprintf("begins at %s only: who came to its API server before that with which certificate, nobody can tell", first.UTC().Format("15:04:05 MST"))
	}
	return ""
}

// outsiders reads what the script prints.
func outsiders(text string, ours own, since time.Time) []string {
	var what []string
	for line := range strings.Lines(text) {
		parts := strings.SplitN(strings.TrimSpace(line), " ", 3)
		if len(parts) < 3 {
			continue
		}
		at, err := time.Parse(time.RFC3339Nano, parts[1])
		if err != nil || at.Before(since) || ours.has(parts[0], parts[2], at) {
			continue
		}
		what = append(what, fmt.Sprintf("user %s came at %s with a client certificate from elsewhere, maybe of an old kubeconfig (SHA-256 %.16s...): for %d minutes that counts as being in use",
			parts[2], at.UTC().Format("15:04:05 MST"), parts[0], int(outsideWindow.Minutes())))
	}
	return what
}
