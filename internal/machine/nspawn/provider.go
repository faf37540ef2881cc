// Package nspawn makes local machines: systemd-nspawn containers booted with
// systemd and sshd from a golden image, on a bridge of their own. It creates,
// starts, stops and removes them; what runs on them is nobody's business here.
//
// A machine that powers off or reboots itself is off until Start: nothing
// watches over it. Its files are kept, what was in the kernel is not.
package nspawn

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"slices"
	"sync"
)

// A Network is the bridge that the machines of one cluster share, and their
// IPv4 addresses. With NAT they reach out through the host, else they do not.
// NAT turns the host's net.ipv4.ip_forward on, and it stays on: others may by
// then rely on it. Traffic between the machines does not need it.
type Network struct {
	Prefix netip.Prefix `json:"prefix"` // the host has the first address
	NAT    bool         `json:"nat"`
}

// Gateway is the host's own address on the bridge.
func (n Network) Gateway() netip.Addr { return n.Prefix.Masked().Addr().Next() }

// A Machine is what has to be known to make one.
type Machine struct {
	Name          string // a DNS label; the host name
	Address       netip.Addr
	HostKey       []byte // sshd's ed25519 key, OpenSSH PEM
	AuthorizedKey []byte // one line of authorized_keys; it becomes root
}

// A Status is what is seen of a machine that was created.
type Status struct {
	Name    string     `json:"name"`
	Address netip.Addr `json:"address"`
	Running bool       `json:"running"`
	PID     int        `json:"pid,omitempty"` // of systemd-nspawn, while it runs
}

// A Provider makes the machines of one cluster. Its methods need root. They can
// be called again after any error, but not two at a time for one cluster.
type Provider struct {
	Cluster  string // a DNS label, unique on this host
	StateDir string // absolute; the provider's own: Destroy empties it
	Image    string // root folder of the image that machines are made from
	Network  Network
}

// Create makes the machines that are missing and starts those that do not run,
// all at once. machines is the whole cluster: each knows the names of the
// others. A machine is started when its process is; Ready waits for its sshd.
func (p *Provider) Create(ctx context.Context, machines []Machine) error {
	if err := p.owned(); err != nil {
		return err
	}
	if err := p.validateMachines(machines); err != nil {
		return err
	}
	if err := p.makeNetwork(ctx); err != nil {
		return fmt.Errorf("make network %s: %w", p.Network.Prefix, err)
	}
	return each(machines, func(_ int, m Machine) error {
		if err := p.create(ctx, m, machines); err != nil {
			return fmt.Errorf("create machine %s: %w", m.Name, err)
		}
		return nil
	})
}

func (p *Provider) create(ctx context.Context, m Machine, all []Machine) error {
	rec, err := p.readRecord(m.Name)
	switch {
	case errors.Is(err, os.ErrNotExist):
		rec = record{Name: m.Name, Address: m.Address, Image: p.Image}
	case err != nil:
		return err
	case rec.Address != m.Address:
		return fmt.Errorf("it exists with address %s, want %s", rec.Address, m.Address)
	}
	if err := p.mountRoot(rec); err != nil {
		return err
	}
	if err := p.writeFiles(m, all); err != nil {
		return err
	}
	if err := p.writeRecord(rec); err != nil {
		return err
	}
	return p.start(ctx, rec)
}

// Start starts created machines that do not run; without names, all of them.
func (p *Provider) Start(ctx context.Context, names ...string) error {
	if err := p.owned(); err != nil {
		return err
	}
	records, err := p.records(names)
	if err != nil {
		return err
	}
	if err := p.makeNetwork(ctx); err != nil {
		return fmt.Errorf("make network %s: %w", p.Network.Prefix, err)
	}
	return each(records, func(_ int, r record) error {
		if err := p.start(ctx, r); err != nil {
			return fmt.Errorf("start machine %s: %w", r.Name, err)
		}
		return nil
	})
}

// List tells the state of every machine that was created, by name.
func (p *Provider) List() ([]Status, error) {
	records, err := p.records(nil)
	if err != nil {
		return nil, err
	}
	var out []Status
	for _, r := range records {
		s := Status{Name: r.Name, Address: r.Address}
		if proc, err := p.readProcess(r.Name); err == nil && proc.alive() {
			s.Running, s.PID = true, proc.PID
		}
		out = append(out, s)
	}
	return out, nil
}

// each runs fn for all items at the same time and joins the errors in order.
func each[T any](items []T, fn func(int, T) error) error {
	errs := make([]error, len(items))
	var wg sync.WaitGroup
	for i, item := range items {
		wg.Go(func() { errs[i] = fn(i, item) })
	}
	wg.Wait()
	return errors.Join(slices.DeleteFunc(errs, func(e error) bool { return e == nil })...)
}
