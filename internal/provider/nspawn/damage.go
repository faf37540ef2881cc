package nspawn

import (
	"errors"
	"fmt"
)

// ErrDamaged means that a machine was complete once and has lost files without which it
// cannot be what it was: its disk, or the record of what lies under it. Remove
// removes it, and Create then makes a new one in its place.
var ErrDamaged = errors.New("damaged")

var errRecordLost = fmt.Errorf("%w: its record is lost", ErrDamaged)

// look returns the record of a machine. The error wraps ErrDamaged, or errNoRecord
// alone where the machine was never complete: nothing of it is worth keeping.
func (p *Provider) look(machine string) (record, error) {
	r, err := p.readRecord(machine)
	ran := exists(p.dir(machine, consoleFile))
	switch {
	case errors.Is(err, errNoRecord) && !ran, err != nil && !errors.Is(err, errNoRecord):
		return r, err
	}
	for _, dir := range p.disk(machine) {
		if !exists(dir) {
			return r, fmt.Errorf("machine %s: %w: %s is gone", machine, ErrDamaged, dir)
		}
	}
	if err != nil {
		return r, fmt.Errorf("machine %s: %w: %w", machine, errRecordLost, err)
	}
	return r, nil
}

// disk is where a machine's own files are.
func (p *Provider) disk(machine string) []string {
	dirs := []string{p.dir(machine, "upper")}
	for _, d := range persistent {
		dirs = append(dirs, p.dir(machine, "data", d.name))
	}
	return dirs
}
