package apply

import (
	"context"
	"fmt"
	"time"
)

// Reread is how long a program in a pod may go on verifying by the bundle that it has read: client-go reads it again
// with a request five minutes after it last did (transport/ca_rotation.go, since v1.36).
const Reread = 5 * time.Minute

// Unread names the pods whose programs may not have read yet what trust in the next authority was proved by, at the given
// time: those that verify the API servers by a mounted bundle and began before. CoreDNS is haplane's own: it has such a client-go, and
// the connections that it has open last through the switch.
func (r *Runner) Unread(ctx context.Context, proved, until time.Time) error {
	client, err := r.Cluster.API()
	if err != nil {
		return err
	}
	pods, err := client.PodsWithTokens(ctx, proved)
	if err != nil {
		return err
	}
	var what []string
	for _, p := range pods {
		what = append(what, fmt.Sprintf("pod %s began before, and may not have read it until %s", p, until.UTC().Format("15:04:05 MST")))
	}
	err = blocked(what)
	if blocked, is := err.(*BlockedError); is {
		blocked.Until = until
	}
	return err
}
