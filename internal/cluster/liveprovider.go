package cluster

import (
	"context"
	"errors"
	"slices"
	"sync"

	"github.com/haplane/haplane/internal/provider/nspawn"
	"github.com/haplane/haplane/internal/topology"
)

// machines is the provider of a change: it acts on one machine at a time.
type machines struct {
	live *live
	mu   sync.Mutex // the provider does one thing at a time
}

func (m *machines) Status(n topology.Node) (made, running bool, err error) {
	list, err := m.live.provider().List()
	i := slices.IndexFunc(list, func(s nspawn.Status) bool { return s.Name == n.Name })
	return i >= 0, i >= 0 && list[i].Running, err
}

func (m *machines) Create(ctx context.Context, n topology.Node) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.live.provider().Create(ctx, []nspawn.Machine{m.live.nspawnMachine(n)})
}

func (m *machines) Start(ctx context.Context, n topology.Node) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	err := m.live.provider().Start(ctx, n.Name)
	if errors.Is(err, nspawn.ErrDamaged) { // where its record alone is lost, that is given back
		return m.live.provider().Create(ctx, []nspawn.Machine{m.live.nspawnMachine(n)})
	}
	return err
}

// Remove takes the machine away, and with it its record that it is to be made anew.
func (m *machines) Remove(ctx context.Context, n topology.Node) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	_, err := m.live.provider().Remove(ctx, n.Name)
	return err
}
