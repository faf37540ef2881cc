package look

import (
	"context"
	"fmt"
	"time"

	"github.com/haplane/haplane/internal/machine"
	"github.com/haplane/haplane/internal/observed"
	"github.com/haplane/haplane/internal/runtime/systemd"
	"github.com/haplane/haplane/internal/topology"
)

// machineTimeout bounds a look at one machine, files and programs included.
const machineTimeout = 15 * time.Second

func (c *collector) machine(ctx context.Context, n topology.Node, made, running bool) {
	seen := observed.Machine{Made: made, Running: running}
	if running {
		ctx, cancel := context.WithTimeout(ctx, machineTimeout)
		defer cancel()
		if err := Machine(ctx, c.Cluster.Machine(n.Name), c.Wanted[n.Name], &seen); err != nil {
			seen.Error = err.Error()
		}
	}
	put(c, c.state.Machines, n.Name, seen)
}

// Machine looks at files and programs of one machine, or where no file is wanted at the programs alone.
func Machine(ctx context.Context, m machine.Machine, want Want, seen *observed.Machine) error {
	var err error
	if len(want.Files) == 0 {
		if _, err = m.Run(ctx, machine.Cmd("true")); err != nil {
			return err
		}
		seen.Reachable = true
		seen.Units, err = Programs(ctx, m, want.Programs)
		return err
	}
	if seen.Files, err = m.Stat(ctx, want.Files); err != nil {
		return err
	}
	seen.Reachable = true
	if seen.Manifest, err = Manifest(ctx, m, want.Manifest); err != nil {
		return err
	}
	if seen.Units, err = Programs(ctx, m, want.Programs); err != nil {
		return err
	}
	if len(want.Images) > 0 {
		seen.Images, _ = Images(ctx, m, want.Images) // where containerd does not answer, it is not known to have any
	}
	if !want.EtcdData {
		return nil
	}
	seen.EtcdData, err = EtcdData(ctx, m)
	return err
}

// EtcdData reports whether a machine has data of an etcd member.
func EtcdData(ctx context.Context, m machine.Machine) (bool, error) {
	result, err := m.Run(ctx, machine.Cmd("sh", "-c", `[ ! -e "$1" ] || exec ls -A -- "$1"`, "sh", topology.EtcdDataDir))
	if err != nil {
		return false, fmt.Errorf("look for etcd's data: %w", err)
	}
	return result.Stdout != "", nil
}

// Manifest reads the list of the files that haplane put there; "" where there is none.
func Manifest(ctx context.Context, m machine.Machine, path string) (string, error) {
	result, err := m.Run(ctx, machine.Cmd("sh", "-c", `[ ! -e "$1" ] || exec cat -- "$1"`, "sh", path))
	if err != nil {
		return "", fmt.Errorf("read the list of files: %w", err)
	}
	return result.Stdout, nil
}

// Programs looks at programs of one machine.
func Programs(ctx context.Context, m machine.Machine, names []string) (map[string]observed.Unit, error) {
	states, err := systemd.Observe(ctx, m, names)
	out := map[string]observed.Unit{}
	for name, s := range states {
		out[name] = observed.Unit{Active: s.Active, Config: s.Config, Loaded: s.Loaded}
	}
	return out, err
}
