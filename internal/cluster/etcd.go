package cluster

import (
	"context"
	"errors"
	"fmt"

	"github.com/haplane/haplane/internal/look"
	"github.com/haplane/haplane/internal/topology"
)

// memberHealthy asks the node's member whether it sees a quorum.
func (e *env) memberHealthy(ctx context.Context, n topology.Node) error {
	seen := look.Etcd(ctx, e.access(), e.topology.EtcdMembers())
	m, ok := seen.Member(n.Name, n.EtcdPeerURL())
	switch {
	case !seen.Seen:
		return errors.New(seen.Error)
	case !ok:
		return fmt.Errorf("%s is no member of etcd", n.Name)
	case !m.Healthy:
		return errors.New(m.Error)
	}
	return nil
}
