package cluster

import (
	"context"
	"errors"
	"slices"

	"github.com/haplane/haplane/internal/provider/nspawn"
	"github.com/haplane/haplane/internal/topology"
)

// machines is the provider of a change: it acts on one machine at a time.
type machines struct {
	*nspawn.Provider
	of func(topology.Node) nspawn.Machine
}

func (m *machines) Status(n topology.Node) (made, running bool, err error) {
	list, err := m.List()
	i := slices.IndexFunc(list, func(s nspawn.Status) bool { return s.Name == n.Name })
	return i >= 0, i >= 0 && list[i].Running, err
}

func (m *machines) Create(ctx context.Context, n topology.Node) error {
	return m.Provider.Create(ctx, []nspawn.Machine{m.of(n)})
}

func (m *machines) Start(ctx context.Context, n topology.Node) error {
	err := m.Provider.Start(ctx, n.Name)
	if errors.Is(err, nspawn.ErrDamaged) { // where its record alone is lost, that is given back
		return m.Create(ctx, n)
	}
	return err
}

// Remove takes the machine away, and with it its record that it is to be made anew.
func (m *machines) Remove(ctx context.Context, n topology.Node) error {
	_, err := m.Provider.Remove(ctx, n.Name)
	return err
}

func (m *machines) Readdress(ctx context.Context, n topology.Node) error {
	return m.Provider.Readdress(ctx, m.of(n))
}

func (m *machines) DropAddresses(_ context.Context, n topology.Node, moves bool) error {
	return m.Provider.DropAddresses(m.of(n), moves)
}

func (m *machines) Ready(ctx context.Context, n topology.Node) error {
	return m.Provider.Ready(ctx, n.Name)
}
