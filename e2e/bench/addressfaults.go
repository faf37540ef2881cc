package main

import (
	"context"
	"errors"
	"time"

	"golang.org/x/sys/unix"

	"github.com/haplane/haplane/e2e/rig/address"
)

// An injection has a fault happen to a machine, and returns how it is put right, also beside an error.
type injection func(ctx context.Context, a *addressing, m address.Machine) (heal func(context.Context) error, err error)

// An addressFault happens to the machine that has the address, in every set-up the same.
type addressFault struct {
	name    string
	inject  injection
	lasts   time.Duration // 0: until new connections are served again
	planned bool          // each set-up has its own way to move the address
	stays   bool          // it is no fault of the machine: the address must not move, and what clients miss is the API
	load    bool          // no fault: what the programs take
}

// hangTime is longer than kubeadm's checks take to count as failed: ten of them, every three seconds.
const hangTime = 40 * time.Second

var addressFaults = []addressFault{
	// systemd starts it again: haplane's after a second, Debian's after 0.1 s.
	{name: "HAProxy killed", inject: one(address.HAProxyKilled)},
	{name: "HAProxy killed, and does not come again", inject: onMachine("systemctl kill --signal KILL haproxy; systemctl stop haproxy", "systemctl start haproxy")},
	{name: "HAProxy hangs", inject: one(address.HAProxyHangs)},
	// haplane's comes again after a second, Debian's not.
	{name: "keepalived killed", inject: healedBy("systemctl start keepalived", one(address.KeepalivedKilled))},
	{name: "machine off the network", inject: one(address.Unplugged)},
	{name: "machine frozen", inject: one(address.Frozen)},
	{name: "machine powered off", inject: one(address.PoweredOff)},
	{name: "planned move", planned: true},
	{name: "all API servers hang", inject: apiServersHang, lasts: hangTime, stays: true},
	{name: "100 requests a second", load: true},
}

// one is a fault of package address.
func one(name string) injection {
	return func(ctx context.Context, _ *addressing, m address.Machine) (func(context.Context) error, error) {
		return address.Named(name).Inject(ctx, m, nil)
	}
}

// onMachine is a fault by one line of shell, put right by another.
func onMachine(inject, heal string) injection {
	return func(ctx context.Context, a *addressing, m address.Machine) (func(context.Context) error, error) {
		return func(ctx context.Context) error { return ok(a.SSH(ctx, m.Name, heal)) }, ok(a.SSH(ctx, m.Name, inject))
	}
}

// healedBy adds a line of shell to what puts a fault right.
func healedBy(line string, inject injection) injection {
	return func(ctx context.Context, a *addressing, m address.Machine) (func(context.Context) error, error) {
		heal, err := inject(ctx, a, m)
		return func(ctx context.Context) error { return errors.Join(heal(ctx), ok(a.SSH(ctx, m.Name, line))) }, err
	}
}

// apiServersHang is what the worst overload looks like from a load balancer: every API server takes connections and says nothing.
func apiServersHang(_ context.Context, a *addressing, _ address.Machine) (func(context.Context) error, error) {
	all := func(s unix.Signal) error {
		var errs []error
		for _, n := range a.topology.ControlPlane() {
			errs = append(errs, address.Machine{Cluster: a.Cluster, Name: n.Name, Address: n.Address}.Signal(address.APIServer, s))
		}
		return errors.Join(errs...)
	}
	return func(context.Context) error { return all(unix.SIGCONT) }, all(unix.SIGSTOP)
}
