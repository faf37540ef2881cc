package agent

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"net/netip"

	"github.com/haplane/haplane/internal/lease"
	"github.com/haplane/haplane/internal/uptime"
)

// VoterOptions say what haplane agent voter runs with.
type VoterOptions struct {
	Listen netip.AddrPort // UDP, where load balancers ask
	Key    string         // path of the keys that sign, read again when it is replaced
	Log    *slog.Logger
}

// RunVoter votes on which load balancer may have the address that moves, until ctx ends. It is the vote of the machine: it asks
// nobody, and goes on whatever becomes of etcd and the API server beside it.
func RunVoter(ctx context.Context, o VoterOptions) error {
	socket, err := listenLease(ctx, o.Listen, o.Key, o.Log)
	if err != nil {
		return err
	}
	defer socket.conn.Close()
	o.Log.Info("voter started", "listen", o.Listen)
	voter, holder := lease.NewVoter(o.Listen.Addr(), uptime.Now(), rand.Uint64()), netip.Addr{}
	for {
		from, m, ok := socket.receive()
		if !ok {
			return nil
		}
		if m.Question == nil {
			continue
		}
		now := uptime.Now()
		if answer, ok := voter.Answer(now, *m.Question); ok {
			socket.send(from, lease.Message{Answer: &answer})
		}
		if is, _ := voter.Promise(); is != holder {
			o.Log.Info("votes for", "load balancer", is, "before", holder)
			holder = is
		}
	}
}
