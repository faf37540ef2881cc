package apply

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"
	"time"

	"github.com/haplane/haplane/internal/machine"
	"github.com/haplane/haplane/internal/pki"
	"github.com/haplane/haplane/internal/topology"
)

// outsideWindow is how long a client certificate counts as being in use after it was shown.
const outsideWindow = 10 * time.Minute

// outsideScript prints, of each client certificate in an audit log that was written to lately, when it was shown last, and whose it is.
const outsideScript = `find "$1" -name 'audit*.log' -mmin -15 -exec sed -n 's/.*"username":"\([^"]*\)".*X509SHA256=\([0-9a-f]*\).*"stageTimestamp":"\([^"]*\)".*/\2 \3 \1/p' {} + |
	sort -r | awk '!seen[$1]++'
`

// noOutsiders names who has come with a client certificate that the record does not have, since all that it has were made
// anew: a copy of an old kubeconfig, or what somebody had signed by the old authority. Programs of Kubernetes
// are none of these: their files have been looked at.
func (r *Runner) noOutsiders(ctx context.Context) error {
	known := map[string]bool{}
	for _, p := range r.Cluster.Keys.Pairs {
		if cert, err := pki.ParseCertificate(p.Cert); err == nil {
			sum := sha256.Sum256(cert.Raw)
			known[hex.EncodeToString(sum[:])] = true
		}
	}
	since := time.Now().Add(-outsideWindow)
	if r.Rotation.Switched.After(since) {
		since = r.Rotation.Switched
	}
	return each(r.Cluster.Topology.ControlPlane(), func(n topology.Node) []string {
		cmd := machine.Cmd("sh", "-s", "--", auditDir)
		cmd.Stdin = strings.NewReader(outsideScript)
		result, err := r.Cluster.Machine(n.Name).Run(ctx, cmd)
		if err != nil {
			return []string{fmt.Sprintf("%s: look for client certificates: %v", n.Name, err)}
		}
		return outsiders(result.Stdout, known, since)
	})
}

// outsiders reads what the script prints.
func outsiders(text string, known map[string]bool, since time.Time) []string {
	var what []string
	for line := range strings.Lines(text) {
		parts := strings.SplitN(strings.TrimSpace(line), " ", 3)
		if len(parts) < 3 {
			continue
		}
		at, err := time.Parse(time.RFC3339Nano, parts[1])
		if err != nil || at.Before(since) || known[parts[0]] || strings.HasPrefix(parts[2], "system:") {
			continue
		}
		what = append(what, fmt.Sprintf("user %s came with a client certificate from elsewhere, maybe of an old kubeconfig (SHA-256 %.16s...), within the last %d minutes",
			parts[2], parts[0], int(outsideWindow.Minutes())))
	}
	return what
}
