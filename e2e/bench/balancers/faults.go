package balancers

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Acts are what faults need to be able to do.
type Acts struct {
	// Shell runs a line of shell on a server's machine.
	Shell func(ctx context.Context, s Server, line string) error
	// Unplug takes a server's machine from the network, without telling it.
	Unplug func(ctx context.Context, s Server) (plug func(context.Context) error, err error)
	// Ready returns once a server is ready.
	Ready func(ctx context.Context, s Server) error
}

// How long each fault lasts: long enough for any of the load balancers that takes
// notice at all, but for kubeadm's checks, which take half a minute.
const (
	deadTime = 3 * time.Second // of a server that is not there, and of which everybody is told
	hangTime = 5 * time.Second // of one that keeps its clients waiting
)

const unit = "kube-apiserver"

// Faults are those of an API server that systemd runs.
func (a Acts) Faults() []Fault {
	start := "systemctl start " + unit
	return []Fault{
		{"stopped", deadTime, a.shell("systemctl stop "+unit, start)},
		// Stopped while systemd waits a second before it starts it again.
		{"killed", deadTime, a.shell("systemctl kill --signal=KILL "+unit+"; systemctl stop "+unit, start)},
		{"frozen", hangTime, a.shell("systemctl kill --signal=STOP "+unit, "systemctl kill --signal=CONT "+unit)},
		{"gone from the network", hangTime, a.unplugged},
	}
}

// shell is a fault by one line of shell, put right by another.
func (a Acts) shell(inject, heal string) func(context.Context, Server) (func(context.Context) error, error) {
	return func(ctx context.Context, s Server) (func(context.Context) error, error) {
		return a.untilReady(s, func(ctx context.Context) error { return a.Shell(ctx, s, heal) }), a.Shell(ctx, s, inject)
	}
}

func (a Acts) unplugged(ctx context.Context, s Server) (func(context.Context) error, error) {
	plug, err := a.Unplug(ctx, s)
	if err != nil {
		return nil, err
	}
	return a.untilReady(s, plug), nil
}

func (a Acts) untilReady(s Server, heal func(context.Context) error) func(context.Context) error {
	return func(ctx context.Context) error {
		if err := errors.Join(heal(ctx), a.Ready(ctx, s)); err != nil {
			return fmt.Errorf("put right: %w", err)
		}
		return nil
	}
}
