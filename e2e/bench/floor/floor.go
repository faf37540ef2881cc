// Package floor measures how soon the API servers of a cluster can be ready on
// this host at all: the programs that haplane starts on the machines of the API,
// with the same files and flags over the same image, as bare processes, all
// started at once. Each machine is a few namespaces and no more: no boot, no
// systemd, no SSH. Certificates and files are there before the clock starts.
package floor

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/haplane/haplane/internal/kubeapi"
	"github.com/haplane/haplane/internal/poll"
	"github.com/haplane/haplane/internal/topology"
)

// The bounds are those of `haplane up`: how often it asks, and for how long at most.
const (
	pollEvery      = 100 * time.Millisecond
	requestTimeout = 5 * time.Second
	readyTimeout   = 3 * time.Minute
)

// Options tell what to start.
type Options struct {
	Topology *topology.Topology
	Rendered string // what `haplane render` has written for it
	Image    string // root of the golden image
	Dir      string // for the roots and data of the machines; on the disk where machines have theirs
}

// Times are since the start of the processes.
type Times struct {
	APIServers   time.Duration // /readyz of each answers ok
	LoadBalancer time.Duration // and so it does through HAProxy: what `haplane up` waits for
}

// Measure starts everything, waits until it is ready, and ends it. Nothing of it
// outlives this program, however that ends: the processes die with the threads
// that started them, and the namespaces and mounts with the processes.
func Measure(ctx context.Context, o Options) (times Times, err error) {
	if err := os.RemoveAll(o.Dir); err != nil {
		return Times{}, err
	}
	network, err := newNetwork(o.Topology)
	if err != nil {
		return Times{}, fmt.Errorf("make network: %w", err)
	}
	defer network.close()
	var machines []*machine
	defer func() {
		for _, m := range machines {
			m.close()
		}
		err = errors.Join(err, os.RemoveAll(o.Dir))
	}()
	for _, n := range slices.Concat(o.Topology.ControlPlane(), o.Topology.LoadBalancers()) {
		m, err := newMachine(o, n, network)
		if err != nil {
			return Times{}, fmt.Errorf("prepare %s: %w", n.Name, err)
		}
		machines = append(machines, m)
	}
	return start(ctx, o, network, machines)
}

// start starts the clock and the processes.
func start(ctx context.Context, o Options, network *network, machines []*machine) (Times, error) {
	ready, err := newReadiness(o, network)
	if err != nil {
		return Times{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, readyTimeout)
	defer cancel()
	began := time.Now()
	if err := each(machines, (*machine).start); err != nil {
		return Times{}, err
	}
	var times Times
	wait := func(asked []*kubeapi.Client) error {
		return each(asked, func(c *kubeapi.Client) error {
			return poll.Until(ctx, pollEvery, func(ctx context.Context) error {
				if err := ended(machines); err != nil {
					return poll.Stop(err)
				}
				ctx, cancel := context.WithTimeout(ctx, requestTimeout)
				defer cancel()
				return c.ReadyZ(ctx)
			})
		})
	}
	if err := wait(ready.nodes); err != nil {
		return Times{}, err
	}
	times.APIServers = time.Since(began)
	if err := wait(ready.loadBalancer); err != nil {
		return Times{}, err
	}
	times.LoadBalancer = time.Since(began)
	return times, nil
}

// ended is an error when a process is there no more: nobody starts it again here.
func ended(machines []*machine) error {
	for _, m := range machines {
		if err := m.ended(); err != nil {
			return err
		}
	}
	return nil
}

// each calls fn for all items at the same time.
func each[T any](items []T, fn func(T) error) error {
	errs := make([]error, len(items))
	var wg sync.WaitGroup
	for i, item := range items {
		wg.Go(func() { errs[i] = fn(item) })
	}
	wg.Wait()
	return errors.Join(errs...)
}

func (o Options) rendered(node string, elem ...string) string {
	return filepath.Join(append([]string{o.Rendered, node}, elem...)...)
}
