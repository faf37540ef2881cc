package nspawn

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/haplane/haplane/internal/durable"
	"github.com/haplane/haplane/internal/image"
)

// Destroy removes the machines, their files and the network, and says what it
// removed. Nothing of it needs a record, and what is gone already is no error.
// Machines are killed, not shut down.
func (p *Provider) Destroy(ctx context.Context) (removed []string, err error) {
	if err := p.owned(); err != nil {
		return nil, err
	}
	names, err := p.remains()
	if err != nil {
		return nil, err
	}
	// The service goes first: what is half removed must not start again.
	if removed, err = p.removeService(ctx); err != nil {
		return removed, fmt.Errorf("remove service: %w", err)
	}
	machines, err := p.remove(ctx, names)
	removed = append(removed, machines...)
	if err != nil {
		return removed, err
	}
	network, err := p.removeNetwork(ctx)
	removed = append(removed, network...)
	if err != nil {
		return removed, fmt.Errorf("remove network %s: %w", p.Network, err)
	}
	if _, err := removeCgroup(ctx, p.cgroup("")); err != nil {
		return removed, err
	}
	p.removeSharedCgroup()
	return append(removed, p.removeState()...), nil
}

// Remove removes machines and their files, and says what it removed.
func (p *Provider) Remove(ctx context.Context, names ...string) (removed []string, err error) {
	if err := p.owned(); err != nil {
		return nil, err
	}
	return p.remove(ctx, names)
}

func (p *Provider) remove(ctx context.Context, names []string) ([]string, error) {
	parts := make([][]string, len(names))
	err := each(names, func(i int, name string) error {
		var err error
		if parts[i], err = p.removeMachine(ctx, name); err != nil {
			return fmt.Errorf("remove machine %s: %w", name, err)
		}
		return nil
	})
	return slices.Concat(parts...), err
}

func (p *Provider) removeMachine(ctx context.Context, name string) ([]string, error) {
	if !label.MatchString(name) {
		return nil, fmt.Errorf("name %q is not a DNS label", name)
	}
	rec, unknown := p.readRecord(name) // then its image is known to be free when somebody looks
	removed, err := p.release(ctx, name)
	if err != nil {
		return removed, err
	}
	dir := p.dir(name)
	// Without its name it is no machine any more, so that one that is half removed
	// is not taken for a whole one.
	gone := dir + removing
	if err := os.RemoveAll(gone); err != nil {
		return removed, err
	}
	if err := os.Rename(dir, gone); errors.Is(err, fs.ErrNotExist) {
		return removed, nil
	} else if err != nil {
		return removed, err
	}
	if err := durable.SyncDir(p.StateDir); err != nil {
		return removed, err
	}
	if err := os.RemoveAll(gone); err != nil || unknown != nil {
		return append(removed, "folder "+dir), err
	}
	return append(removed, "folder "+dir), image.Unuse(rec.Image, p.dir(name, recordFile))
}

// removing ends the name of a machine's folder that is being removed. No machine has a dot in its name.
const removing = ".removing"

// remains lists the machines that anything is left of.
func (p *Provider) remains() ([]string, error) {
	names, err := p.folders()
	if err != nil {
		return nil, err
	}
	names = slices.DeleteFunc(names, func(n string) bool { return !p.isMachine(n) })
	names = append(names, p.netnsMachines()...)
	all, err := hierarchies()
	if err != nil {
		return nil, err
	}
	for _, h := range all {
		names = append(names, p.cgroupMachines(h)...)
	}
	slices.Sort(names)
	return slices.Compact(names), nil
}

// isMachine keeps Destroy from folders that are not of its making.
func (p *Provider) isMachine(folder string) bool {
	for _, name := range []string{recordFile, processFile, consoleFile, "upper", "data"} {
		if _, err := os.Lstat(p.dir(folder, name)); err == nil {
			return label.MatchString(folder)
		}
	}
	return false
}

func (p *Provider) cgroupMachines(h hierarchy) []string {
	dir, before, after := p.cgroup(""), "", ""
	if runsSystemd() {
		dir, before, after = sliceUnit, p.prefix(), ".scope"
	}
	entries, _ := os.ReadDir(filepath.Join(h.path, dir))
	var names []string
	for _, e := range entries {
		name, ours := strings.CutPrefix(e.Name(), before)
		name, scope := strings.CutSuffix(name, after)
		if e.IsDir() && ours && scope {
			names = append(names, name)
		}
	}
	return names
}

// removeSharedCgroup removes the folder of all clusters when it was the last one's.
func (p *Provider) removeSharedCgroup() {
	all, _ := hierarchies()
	for _, h := range all {
		_ = os.Remove(filepath.Join(h.path, mark))
	}
}

func (p *Provider) removeState() []string {
	left, _ := os.ReadDir(p.StateDir)
	for _, e := range left {
		if strings.HasSuffix(e.Name(), removing) { // by a run that was cut off
			_ = os.RemoveAll(p.dir(e.Name()))
		}
	}
	_ = os.Remove(filepath.Join(p.StateDir, networkFile))
	if os.Remove(p.StateDir) != nil {
		return nil // it holds what is not ours, or is gone
	}
	return []string{"folder " + p.StateDir}
}
