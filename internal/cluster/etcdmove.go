package cluster

import (
	"slices"

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

// dataFrom are the nodes on which data of etcd's may be left.
func (l *live) dataFrom() []topology.Node {
	if !l.etcdMoves() {
		return nil
	}
	return l.topology.ControlPlane()
}

// forgetMembers drops the keys of members that control-plane nodes had before etcd moved.
func (l *live) forgetMembers() error {
	if !l.topology.ExternalEtcd() {
		return nil
	}
	for _, n := range l.topology.ControlPlane() {
		if err := l.Store.ForgetMember(n.Name); err != nil {
			return err
		}
	}
	return nil
}
