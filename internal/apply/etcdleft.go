package apply

import (
	"context"
	"errors"
	"fmt"

	"github.com/haplane/haplane/internal/change"
	"github.com/haplane/haplane/internal/look"
	"github.com/haplane/haplane/internal/machine"
	"github.com/haplane/haplane/internal/render"
	"github.com/haplane/haplane/internal/runtime/systemd"
	"github.com/haplane/haplane/internal/topology"
)

func dataGone(ctx context.Context, r *Runner, s change.Step) (bool, error) {
	there, err := look.EtcdData(ctx, r.Cluster.Machine(s.Node))
	return err == nil && !there, err
}

// removeData takes away what a member that was removed has left on a machine that stays, once a
// quorum of the others knows that it is none. Whom it joined goes with it, without which the
// unit does not start: with that and no data etcd would begin a cluster of its own.
func removeData(ctx context.Context, r *Runner, s change.Step) error {
	n := r.node(s)
	seen := r.etcd(ctx)
	if _, member := seen.Member(n.Name, n.EtcdPeerURL()); member {
		return fmt.Errorf("%s is a member of etcd: its data stays", n.Name)
	}
	if !seen.Quorum {
		return errors.New("etcd has no quorum: nobody can tell whether this data is still needed")
	}
	m := r.Cluster.Machine(n.Name)
	if err := systemd.Stop(ctx, m, "etcd"); err != nil {
		return err
	}
	if _, err := m.Run(ctx, machine.Cmd("rm", "-f", "--", render.EtcdJoinPath)); err != nil {
		return fmt.Errorf("remove %s: %w", render.EtcdJoinPath, err)
	}
	// The folder itself stays: it may be mounted there.
	if _, err := m.Run(ctx, machine.Cmd("find", topology.EtcdDataDir, "-mindepth", "1", "-delete")); err != nil {
		return fmt.Errorf("remove etcd's data: %w", err)
	}
	return nil
}
