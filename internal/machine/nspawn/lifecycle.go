package nspawn

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// stopGrace is how long a machine may take to shut down by itself.
const stopGrace = 45 * time.Second

// start starts a machine that does not run. Nothing of its last run is left
// but its files, as on a real host.
func (p *Provider) start(ctx context.Context, r record) error {
	if proc, err := p.readProcess(r.Name); err == nil && proc.alive() {
		return nil
	}
	if _, err := p.endProcesses(ctx, r.Name); err != nil {
		return err
	}
	if err := p.mountRoot(r); err != nil {
		return err
	}
	if err := p.makeNetns(r); err != nil {
		return fmt.Errorf("make network namespace: %w", err)
	}
	proc, err := p.launch(ctx, r.Name)
	if err != nil {
		return fmt.Errorf("%w: %s", err, p.lastLines(r.Name))
	}
	return writeJSON(p.dir(r.Name, processFile), proc)
}

// Stop shuts machines down in order, all of those named at once, or every one.
// One that does not end within 45 seconds, or when ctx does, is killed. Their
// files and the network stay.
func (p *Provider) Stop(ctx context.Context, names ...string) error {
	return p.end(ctx, names, func(proc process) {
		_ = proc.powerOff(ctx, stopGrace) // what is left is killed
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
	records, err := p.records(names)
	if err != nil {
		return err
	}
	return each(records, func(_ int, r record) error {
		if proc, err := p.readProcess(r.Name); err == nil {
			ask(proc)
		}
		if _, err := p.release(context.WithoutCancel(ctx), r.Name); err != nil {
			return fmt.Errorf("stop machine %s: %w", r.Name, err)
		}
		return nil
	})
}

// endProcesses kills what runs of a machine, whatever its record says.
func (p *Provider) endProcesses(ctx context.Context, machine string) ([]int, error) {
	if proc, err := p.readProcess(machine); err == nil {
		_ = proc.signal(unix.SIGKILL)
	}
	pids, err := killCgroup(ctx, p.cgroup(machine))
	if err != nil {
		return pids, err
	}
	err = os.Remove(p.dir(machine, processFile))
	if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	return pids, err
}

// release takes away all of a machine that is not a file, and says what it was.
func (p *Provider) release(ctx context.Context, machine string) (removed []string, err error) {
	note := func(found bool, what string) {
		if found {
			removed = append(removed, what)
		}
	}
	pids, err := p.endProcesses(ctx, machine)
	note(len(pids) > 0, fmt.Sprintf("machine %s (%d processes)", machine, len(pids)))
	if err != nil {
		return removed, err // the rest is in use
	}
	found, err1 := p.removeNetns(machine)
	note(found, "network namespace "+p.netns(machine))
	found, err2 := removeCgroup(ctx, p.cgroup(machine))
	note(found, "cgroup "+p.cgroup(machine))
	mounts, err3 := unmountUnder(p.dir(machine))
	note(len(mounts) > 0, "mount "+strings.Join(mounts, ", "))
	// nspawn removes its folder when it ends in order, not when it is killed.
	err4 := os.Remove(filepath.Join("/run/systemd/nspawn/propagate", p.container(machine)))
	if errors.Is(err4, fs.ErrNotExist) {
		err4 = nil
	}
	return removed, errors.Join(err1, err2, err3, err4)
}
