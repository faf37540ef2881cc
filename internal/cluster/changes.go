package cluster

import (
	"slices"
	"sync"
)

// changes collects what a run changed, in words for the user.
type changes struct {
	mu   sync.Mutex
	list []string
}

func (c *changes) add(what string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.list = append(c.list, what)
}

func (c *changes) all() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	slices.Sort(c.list)
	return slices.Clone(c.list)
}
