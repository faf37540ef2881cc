package cluster

import (
	"errors"
	"fmt"

	"github.com/haplane/haplane/internal/change"
	"github.com/haplane/haplane/internal/topology"
	"github.com/haplane/haplane/spec"
)

// alone says why the machines of a cluster cannot be made anew one after another; "" where they can.
func alone(c *spec.Cluster) string {
	t := topology.New(c)
	switch {
	case len(t.ControlPlane()) < 2:
		return "the cluster has one control-plane node"
	case len(t.EtcdMembers()) < 2:
		return "the cluster has one etcd member"
	}
	return ""
}

// checkAlone is an error where an upgrade, or the way back, would make the only machine anew that has the API or the data.
func (u *Upgrade) checkAlone(c *spec.Cluster) error {
	why := alone(c)
	switch {
	case why == "" || u.InPlace:
		return nil
	case u.Down:
		return withHint(&change.Refused{Step: "upgrade --back", Err: fmt.Errorf("%s, and the way back to %s makes machines anew: nobody would serve meanwhile", why, u.To)},
			"a second one makes it possible: haplane node add; an upgrade that was cut off goes on with haplane upgrade --resume")
	}
	return withHint(&change.Refused{Step: "upgrade", Err: errors.New(why + ", and nobody would serve while its machine is made anew")}, "--in-place leaves the machines")
}
