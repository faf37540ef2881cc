package nspawn

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/haplane/haplane/internal/image"
)

// Create makes the machines that are missing and starts those that do not run,
// all at once. Those that run are left alone, so that a live cluster can grow. A
// machine is started when its process is; Ready waits for its sshd.
//
// A machine whose making was cut off is made anew. One that has lost its record is
// given it back if its Image is told; the error wraps ErrDamaged where it has lost more.
func (p *Provider) Create(ctx context.Context, machines []Machine) error {
	if err := p.owned(); err != nil {
		return err
	}
	if err := errors.Join(p.validateMachines(machines), p.validateOthers(machines)); err != nil {
		return err
	}
	if err := p.makeShared(ctx); err != nil {
		return err
	}
	return each(machines, func(_ int, m Machine) error {
		if err := p.create(ctx, m, machines); err != nil {
			return fmt.Errorf("create machine %s: %w", m.Name, err)
		}
		return nil
	})
}

// makeShared makes what all machines share: the network, and on a host that has it the
// service that starts them when it boots.
func (p *Provider) makeShared(ctx context.Context) error {
	p.shared.Lock()
	defer p.shared.Unlock()
	if err := p.makeNetwork(ctx); err != nil {
		return fmt.Errorf("make network %s: %w", p.Network, err)
	}
	if err := p.enableService(ctx); err != nil {
		return fmt.Errorf("enable service: %w", err)
	}
	return nil
}

// validateOthers is an error when an address is that of a machine that was made
// before and is not among those.
func (p *Provider) validateOthers(machines []Machine) error {
	all, err := p.records(nil)
	if err != nil && !errors.Is(err, ErrDamaged) {
		return err
	}
	for _, r := range all {
		if slices.ContainsFunc(machines, func(m Machine) bool { return m.Name == r.Name }) {
			continue
		}
		for _, m := range machines {
			for _, a := range m.Addresses {
				if slices.Contains(r.Addresses, a) {
					return fmt.Errorf("address %s of machine %s is that of %s", a, m.Name, r.Name)
				}
			}
		}
	}
	return nil
}

func (p *Provider) create(ctx context.Context, m Machine, all []Machine) error {
	files := func() error { return p.writeFiles(m, p.known(all)) }
	rec, err := p.look(m.Name)
	switch {
	case errors.Is(err, errRecordLost) && m.Image != "":
		rec = p.newRecord(m)
		err = p.writeRecord(rec)
	case errors.Is(err, errNoRecord) && !errors.Is(err, ErrDamaged):
		rec, err = p.makeAnew(ctx, m, files)
		files = func() error { return nil }
	}
	if err != nil {
		return err
	}
	if !slices.Equal(rec.Addresses, m.Addresses) {
		return fmt.Errorf("it exists with address %s, want %s", list(rec.Addresses), list(m.Addresses))
	}
	return p.start(ctx, rec, files)
}

// known are machines and, behind them, those that are known beside them.
func (p *Provider) known(machines []Machine) []Machine {
	out := slices.Clone(machines)
	for _, k := range p.Known {
		if !slices.ContainsFunc(machines, func(m Machine) bool { return m.Name == k.Name }) {
			out = append(out, k)
		}
	}
	return out
}

func (p *Provider) newRecord(m Machine) record {
	return record{Name: m.Name, Addresses: m.Addresses, Image: cmp.Or(m.Image, p.Image)}
}

// makeAnew makes a machine from nothing: what a run that was cut off left of it goes
// first, lest files be written under a root that is mounted, or by a process that
// nobody knows of.
func (p *Provider) makeAnew(ctx context.Context, m Machine, files func() error) (record, error) {
	if _, err := p.removeMachine(ctx, m.Name); err != nil {
		return record{}, err
	}
	rec := p.newRecord(m)
	return rec, firstError(
		func() error { return p.fillFolders(ctx, rec) },
		func() error { return p.copyPrograms(m) },
		func() error { return p.mountRoot(rec) },
		files,
		func() error { return image.Use(rec.Image, p.dir(m.Name, recordFile)) }, // before it is relied on
		func() error { return p.writeRecord(rec) },
	)
}
