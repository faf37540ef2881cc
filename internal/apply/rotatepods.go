package apply

import (
	"context"
	"fmt"
	"time"

	"github.com/haplane/haplane/internal/pki"
)

// Reread is how long a program in a pod may go on verifying by the bundle that it has read: client-go reads it again
// with a request five minutes after it last did (transport/ca_rotation.go, since v1.36). Older ones read it when they start.
const Reread = 5 * time.Minute

// readEvery is how often it is looked whether there are such pods still.
const readEvery = 2 * time.Second

// Unread names the pods whose programs may have read the old authority alone: those that verify the API servers by a mounted bundle and
// began before every pod had the next one in it, at the given time. CoreDNS, which is haplane's, is none of them: its client-go reads it again, see untilRead.
func (r *Runner) Unread(ctx context.Context, trusted time.Time) error {
	client, err := r.Cluster.API()
	if err != nil {
		return err
	}
	pods, _, err := client.PodsWithTokens(ctx, trusted)
	if err != nil {
		return err
	}
	var what []string
	for _, p := range pods {
		what = append(what, fmt.Sprintf("pod %s began before %s, when the next authority was in the files of all pods", p, trusted.UTC().Format("15:04:05 MST")))
	}
	return blocked(what)
}

// untilRead waits, before the old authority goes, until the programs in pods that read the next one by themselves have done so: CoreDNS is one of these.
func (r *Runner) untilRead(ctx context.Context) error {
	until := r.Rotation.Trusted.Add(Reread)
	if r.Rotation.Name != pki.RotateCA {
		return nil
	}
	return r.untilEvery(ctx, "", readEvery, Reread+proofTimeout, func(ctx context.Context) error {
		if !time.Now().Before(until) {
			return nil
		}
		client, err := r.Cluster.API()
		if err != nil {
			return err
		}
		pods, dns, err := client.PodsWithTokens(ctx, r.Rotation.Trusted)
		if err == nil && len(pods)+len(dns) > 0 {
			err = fmt.Errorf("%s reads the next authority by %s", append(dns, pods...)[0], until.UTC().Format("15:04:05 MST"))
		}
		return err
	})
}
