package cluster

import (
	"github.com/haplane/haplane/internal/store"
	"github.com/haplane/haplane/internal/topology"
)

// versions are what the cluster runs from now on, until it is upgraded.
func (e *env) versions() store.Versions {
	return store.Versions{Kubernetes: e.kubernetes, Image: e.image.Digest, ImageRoot: e.image.Root, Pause: e.images.Pause, CoreDNS: e.images.CoreDNS, Programs: e.inPlace}
}

// recordOf is a node as the record begins with it.
func (e *env) recordOf(n topology.Node, state store.NodeState) store.Node {
	return store.Node{Name: n.Name, Role: n.Role, Address: topology.Join(n.Addresses), State: state, Image: e.image.Root}
}
