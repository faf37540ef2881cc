package cluster

import (
	"reflect"

	"github.com/haplane/haplane/internal/store"
	"github.com/haplane/haplane/spec"
)

// recordWanted records what the run leads to, before it makes any machine.
func (e *env) recordWanted() error {
	return e.Store.Update(func(r *store.Record) error {
		if r.Wanted == nil && reflect.DeepEqual(r.Applied, e.cluster) {
			return nil // it only looks, or mends
		}
		r.Wanted = e.cluster
		for _, n := range e.cluster.Spec.Nodes {
			if r.Node(n.Name) == nil {
				r.Nodes = append(r.Nodes, recordOf(n, store.Joining))
			}
		}
		return nil
	})
}

// recordApplied records that the cluster is what its file says.
func (e *env) recordApplied() error {
	return e.Store.Update(func(r *store.Record) error {
		r.Applied, r.Wanted, r.Versions = e.cluster, nil, e.versions()
		for _, n := range e.cluster.Spec.Nodes {
			if known := r.Node(n.Name); known != nil {
				known.State = store.Active
				continue
			}
			r.Nodes = append(r.Nodes, recordOf(n, store.Active))
		}
		return nil
	})
}

// versions are what the cluster runs from now on, until it is upgraded.
func (e *env) versions() store.Versions {
	return store.Versions{Image: e.image.Digest, ImageRoot: e.image.Root, Pause: e.images.Pause, CoreDNS: e.images.CoreDNS}
}

func recordOf(n spec.Node, state store.NodeState) store.Node {
	return store.Node{Name: n.Name, Role: n.Role, Address: n.Address, State: state}
}
