package nspawn

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/haplane/haplane/internal/durable"
	"github.com/haplane/haplane/internal/image"
)

// stopGrace is how long a machine may take to shut down by itself, beside what its programs linger.
const stopGrace = 45 * time.Second

// Start starts created machines that do not run; without names, all of them. From then
// on the cluster starts again at each boot of the host. It makes anew whatever of them
// was in the kernel and is there no more. Those that are damaged are named in the
// error, which wraps ErrDamaged; without names, the others run all the same.
func (p *Provider) Start(ctx context.Context, names ...string) error {
	if err := p.owned(); err != nil {
		return err
	}
	records, damaged := p.records(names)
	if damaged != nil && !errors.Is(damaged, ErrDamaged) {
		return damaged
	}
	if err := p.makeShared(ctx); err != nil {
		return err
	}
	err := each(records, func(_ int, r record) error {
		if err := p.start(ctx, r, func() error { return nil }); err != nil {
			return fmt.Errorf("start machine %s: %w", r.Name, err)
		}
		return nil
	})
	return errors.Join(err, damaged)
}

// start starts a machine that does not run, or runs without a link. Nothing of
// its last run is left but its files, as on a real host; files writes into its root
// before it boots.
func (p *Provider) start(ctx context.Context, r record, files func() error) error {
	if err := p.validateMachines([]Machine{{Name: r.Name, Addresses: r.Addresses}}); err != nil {
		return err
	}
	// One that an older haplane made is not noted yet.
	if err := image.Use(r.Image, p.dir(r.Name, recordFile)); err != nil {
		return err
	}
	if proc, err := p.readProcess(r.Name); err == nil && proc.alive() {
		if attached, err := p.attached(r.Name); attached || err != nil {
			return err
		}
	}
	if _, err := p.endProcesses(ctx, r.Name); err != nil {
		return err
	}
	if err := p.mountRoot(r); err != nil {
		return err
	}
	if err := files(); err != nil {
		return err
	}
	if err := p.makeNetns(r); err != nil {
		return fmt.Errorf("make network namespace: %w", err)
	}
	proc, err := p.launch(ctx, r.Name)
	if err != nil {
		return fmt.Errorf("%w: %s", err, p.lastLines(r.Name))
	}
	return durable.WriteJSON(p.dir(r.Name, processFile), proc, 0o600)
}

// Stop shuts machines down in order, all of those named at once, or every one;
// these then stay off when the host boots, until Create or Start. One that does
// not end within 45 seconds and what Lingers says, or when ctx does, is killed. Their files and the
// network stay.
func (p *Provider) Stop(ctx context.Context, names ...string) error {
	if len(names) == 0 {
		if err := p.owned(); err != nil {
			return err
		}
		if err := p.disableService(ctx); err != nil {
			return fmt.Errorf("disable service: %w", err)
		}
	}
	return p.end(ctx, names, func(proc process) {
		_ = proc.powerOff(ctx, stopGrace+p.Lingers) // what is left is killed
	})
}

// Kill cuts the power of machines: of those named, or of every one.
func (p *Provider) Kill(ctx context.Context, names ...string) error {
	return p.end(ctx, names, func(process) {})
}

func (p *Provider) end(ctx context.Context, names []string, ask func(process)) error {
	if err := p.owned(); err != nil {
		return err
	}
	var err error
	if len(names) == 0 {
		names, err = p.remains() // what has lost its record may run all the same
	} else {
		err = p.exist(names)
	}
	if err != nil {
		return err
	}
	return each(names, func(_ int, name string) error {
		if proc, err := p.readProcess(name); err == nil {
			ask(proc)
		}
		if _, err := p.release(context.WithoutCancel(ctx), name); err != nil {
			return fmt.Errorf("stop machine %s: %w", name, err)
		}
		return nil
	})
}

// exist is an error when one of the names is that of no machine.
func (p *Provider) exist(names []string) error {
	for _, name := range names {
		if _, err := p.look(name); err != nil && !errors.Is(err, ErrDamaged) {
			return err
		}
	}
	return nil
}
