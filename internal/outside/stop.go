package outside

import (
	"context"
	"errors"
	"slices"
	"time"
)

// margin is what a load balancer must be earlier than the moment in which a server that stops closes its port.
const margin = time.Second

// probeEvery is how often a new connection is made while a server stops.
const probeEvery = 100 * time.Millisecond

// A Departure is how a load balancer treated an API server that stopped in order, and started again.
type Departure struct {
	Node   string
	Tries  int
	Failed map[string]int
	// Reached is how long after it was told to stop a new connection led to it; 0 where it cannot be told from another one
	// that was started in the same hundredth of a second.
	Reached time.Duration
}

func (d Departure) failed() int { v := View{Failed: d.Failed}; return v.failed() }

// Depart makes new connections while stop has an API server stop in order, and return when it has. What stop returns is the error.
func (b *Balancer) Depart(ctx context.Context, node string, stop func(context.Context) error) (Departure, error) {
	d := Departure{Node: node, Failed: map[string]int{}}
	nodes, err := b.processes(ctx)
	if err != nil {
		return d, err
	}
	began, stopped := time.Now(), make(chan error, 1)
	go func() { stopped <- stop(ctx) }()
	ticker := time.NewTicker(probeEvery)
	defer ticker.Stop()
	place := b.Places[0]
	for {
		c, err := b.ask(ctx, place.String(), place.Addr().String())
		if ctx.Err() != nil {
			return d, errors.Join(<-stopped, ctx.Err())
		}
		d.Tries++
		switch {
		case err != nil:
			d.Failed[err.Error()]++
		default:
			if slices.Equal(nodes[c.process], []string{node}) {
				d.Reached = time.Since(began)
			}
			c.Close()
		}
		select {
		case err := <-stopped:
			return d, err
		case <-ticker.C:
		}
	}
}
