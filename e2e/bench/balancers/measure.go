// Package balancers puts the same faults of API servers before several load
// balancers at once: haplane's, and those of kubeadm's guide, Kubespray and kind, each a process of this host.
// Through each go new connections, and requests on one that is open to each API server;
// watches stay where they came to.
package balancers

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"runtime"
	"strings"
	"time"

	"github.com/haplane/haplane/internal/probe"
)

// What goes through each load balancer.
const (
	newRate  = 50 // connections a second
	openRate = 10 // requests a second, on each open connection
	timeout  = 2 * time.Second
	// before and after are what is measured of the healthy cluster.
	before = time.Second
	after  = 2 * time.Second
	// healTime bounds what may go wrong while the cluster is put right.
	healTime = time.Minute
)

// A Server is an API server. It advertises its own address, which tells them apart.
type Server struct {
	Name    string
	Address netip.AddrPort
}

// A Fault happens to one server. Inject returns how it is put right, also beside an
// error; heal returns once the server is ready.
type Fault struct {
	Name   string
	Lasts  time.Duration // after Inject has returned
	Inject func(ctx context.Context, s Server) (heal func(context.Context) error, err error)
}

// Options tell what to measure.
type Options struct {
	Servers  []Server
	TLS      *tls.Config // of a client that verifies, with ServerName
	Path     string      // what is asked for
	Watch    string      // what is watched on held connections
	Rendered string      // a root with the /etc/haproxy that haplane has written
	Faults   []Fault
	Rounds   int
	Dir      string // for the processes
	Progress io.Writer
}

// Measure starts the load balancers, has each fault happen once a round, and ends
// them. The samples are those of the rounds until an error.
func Measure(ctx context.Context, o Options) (samples []Sample, err error) {
	if err := tellApart(ctx, o); err != nil {
		return nil, err
	}
	all, err := startAll(o)
	if err != nil {
		return nil, err
	}
	defer stopAll(all)
	defer hold(ctx, o, all)()
	for round := range o.Rounds {
		// The same server for all faults of a round: it is the one that came back last.
		s := o.Servers[round%len(o.Servers)]
		for _, f := range o.Faults {
			seen, err := one(ctx, o, all, f, s)
			if err != nil {
				return samples, fmt.Errorf("round %d, %s %s: %w", round+1, s.Name, f.Name, err)
			}
			for i := range seen {
				seen[i].Round = round + 1
				fmt.Fprintln(o.Progress, seen[i])
			}
			samples = append(samples, seen...)
		}
	}
	return samples, nil
}

// one has one fault happen to a server, under traffic.
func one(ctx context.Context, o Options, all []*balancer, f Fault, s Server) (samples []Sample, err error) {
	var lanes []probe.Lane
	defer func() {
		for _, l := range lanes {
			if l.Close != nil && samples == nil {
				l.Close()
			}
		}
	}()
	for _, b := range all {
		for _, to := range o.Servers {
			l, err := openLane(ctx, o, b, to)
			if err != nil {
				return nil, err
			}
			lanes = append(lanes, l)
		}
		lanes = append(lanes, newLane(o, b))
	}
	session, err := probe.Start(ctx, lanes, probe.Options{Timeout: timeout})
	if err != nil {
		return nil, err
	}
	err = errors.Join(sleep(ctx, before), happen(ctx, f, s), sleep(ctx, after))
	report := session.Stop()
	if err != nil {
		return nil, err
	}
	for _, b := range all {
		samples = append(samples, sample(report, b.name, f, s))
	}
	return samples, nil
}

// happen injects the fault and puts it right, whatever becomes of ctx.
func happen(ctx context.Context, f Fault, s Server) error {
	heal, err := f.Inject(ctx, s)
	if err == nil {
		err = sleep(ctx, f.Lasts)
	}
	if heal != nil {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), healTime)
		defer cancel()
		err = errors.Join(err, heal(ctx))
	}
	return err
}

func sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}

// sample takes what goes through one load balancer out of the report.
func sample(r probe.Report, balancer string, f Fault, s Server) Sample {
	out := Sample{Balancer: balancer, Fault: f.Name, Server: s.Name}
	for _, l := range r.Lanes {
		kind, ok := strings.CutPrefix(l.Name, balancer+" ")
		switch {
		case !ok:
		case kind == "new":
			out.New = figures(l)
		case kind == "open "+s.Name:
			out.Open = figures(l)
		default:
			out.Elsewhere += l.Failed
		}
	}
	return out
}

func figures(l probe.LaneReport) Figures {
	f := Figures{Requests: l.Requests, Failed: l.Failed, Gap: l.LongestGap, P99: l.P99}
	if len(l.Outages) > 0 {
		f.FirstError = l.Outages[0].FirstError
	}
	return f
}

// lockThread keeps the thread of the goroutine to itself.
func lockThread() { runtime.LockOSThread() }
