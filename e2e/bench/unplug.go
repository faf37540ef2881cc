package main

import (
	"context"

	"github.com/haplane/haplane/e2e/bench/balancers"
	"github.com/haplane/haplane/e2e/rig"
	"github.com/haplane/haplane/e2e/rig/address"
)

// unplug takes the machine of a server from the cluster's bridge. It stays up, and
// neither it nor who talks to it is told.
func unplug(c *rig.Cluster) func(context.Context, balancers.Server) (func(context.Context) error, error) {
	return func(ctx context.Context, s balancers.Server) (func(context.Context) error, error) {
		return address.Machine{Cluster: c, Name: s.Name, Address: s.Address.Addr()}.Unplug(ctx)
	}
}
