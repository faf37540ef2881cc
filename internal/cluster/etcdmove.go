package cluster

import (
	"slices"

	"github.com/haplane/haplane/internal/pki"
	"github.com/haplane/haplane/internal/topology"
	"github.com/haplane/haplane/spec"
)

// etcdMoves reports whether control-plane nodes may have etcd members, or data of these, although etcd
// is to have machines of its own: it had none until now, or a change of either kind was cut off.
func (l *live) etcdMoves() bool {
	if l.fresh() || !l.topology.ExternalEtcd() {
		return false
	}
	return slices.ContainsFunc(l.was, func(t *topology.Topology) bool { return !t.ExternalEtcd() })
}

// members are the nodes that run an etcd member, did, or will.
func (l *live) members() []topology.Node {
	out := slices.Clone(l.topology.EtcdMembers())
	beside := l.etcdMoves()
	if beside {
		out = append(out, l.topology.ControlPlane()...)
	}
	for _, n := range l.leaving {
		if n.Role == spec.RoleEtcd || n.Role == spec.RoleControlPlane && (beside || !l.topology.ExternalEtcd()) {
			out = append(out, n)
		}
	}
	return out
}

// etcdNodes are the nodes that have an etcd member, had one, or will: while etcd moves between machines, those of before
// and those of afterwards.
func (e *env) etcdNodes() []topology.Node {
	record, err := e.Store.Record()
	if err != nil {
		return e.topology.EtcdMembers()
	}
	shapes := []*spec.Cluster{e.cluster, record.Applied, record.Wanted}
	if record.Change != nil {
		shapes = append(shapes, record.Change.Through...)
	}
	stacked := slices.ContainsFunc(shapes, func(c *spec.Cluster) bool { return c != nil && !topology.New(c).ExternalEtcd() })
	return slices.DeleteFunc(slices.Clone(e.topology.Nodes), func(n topology.Node) bool {
		return n.Role != spec.RoleEtcd && (n.Role != spec.RoleControlPlane || !stacked)
	})
}

// dataFrom are the nodes on which data of etcd's may be left.
func (l *live) dataFrom() []topology.Node {
	if !l.etcdMoves() {
		return nil
	}
	return l.topology.ControlPlane()
}

// forgetUnused drops the keys of members and kubelets that control-plane nodes do not have any more: a rotation would leave them
// out, and they would be nobody's when they are wanted again.
func (l *live) forgetUnused() error {
	var rows []string
	for _, n := range l.topology.ControlPlane() {
		if l.topology.ExternalEtcd() {
			rows = append(rows, pki.OfMember(n.Name)...)
		}
		if !l.topology.RunsKubelet(n) {
			rows = append(rows, pki.OfKubelet(n.Name)...)
		}
	}
	return l.Store.ForgetPairs(rows...)
}
