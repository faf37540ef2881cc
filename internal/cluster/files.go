package cluster

import (
	"context"
	"fmt"
	"maps"
	"path"
	"strings"

	"github.com/haplane/haplane/internal/fileset"
	"github.com/haplane/haplane/internal/machine"
	"github.com/haplane/haplane/internal/render"
	"github.com/haplane/haplane/internal/runtime/systemd"
	"github.com/haplane/haplane/internal/topology"
	"github.com/haplane/haplane/spec"
)

// filesCurrent compares every file of every machine with what it should be.
func filesCurrent(ctx context.Context, e *env) (bool, error) {
	var err error
	e.stale, err = gather(ctx, e.topology.Nodes, func(ctx context.Context, n topology.Node) (fileset.Set, error) {
		files := e.files(n)
		seen, err := e.machine(n).Stat(ctx, files.Paths())
		return files.Stale(seen), err
	})
	for _, files := range e.stale {
		if len(files) > 0 {
			return false, err
		}
	}
	return true, err
}

// files are those of a node, haplane's own program among them where it runs.
func (e *env) files(n topology.Node) fileset.Set {
	out := maps.Clone(e.rendered[n.Name].Files)
	if n.Role == spec.RoleControlPlane {
		maps.Copy(out, e.agent)
	}
	return out
}

func writeFiles(ctx context.Context, e *env) error {
	return onNodes(ctx, e.topology.Nodes, func(ctx context.Context, n topology.Node) error {
		stale := e.stale[n.Name]
		if len(stale) == 0 {
			return nil
		}
		if err := e.uploadAgent(ctx, n, stale); err != nil {
			return err
		}
		if err := e.removeUnwanted(ctx, n, stale); err != nil {
			return err
		}
		if len(stale) > 0 {
			e.changes.add(fmt.Sprintf("wrote %d files on %s", len(stale), n.Name))
		}
		return e.machine(n).Upload(ctx, stale)
	})
}

// uploadAgent takes haplane's own program out of the stale files of a node and brings it
// there. It comes before the unit that has its digest: so a unit of the new digest never
// runs the old program, however this ends.
func (e *env) uploadAgent(ctx context.Context, n topology.Node, stale fileset.Set) error {
	agent := stale.Under(render.AgentBinary)
	if len(agent) == 0 {
		return nil
	}
	e.changes.add("installed haplane on " + n.Name)
	delete(stale, render.AgentBinary)
	return e.machine(n).Upload(ctx, agent)
}

// removeUnwanted removes what haplane put on the machine and wants there no more. The
// machine's list of files is written afterwards, so what this leaves behind when it is cut
// off is removed by the next run.
func (e *env) removeUnwanted(ctx context.Context, n topology.Node, stale fileset.Set) error {
	if _, changes := stale[render.ManifestPath]; !changes {
		return nil
	}
	result, err := e.machine(n).Run(ctx, machine.Cmd("sh", "-c", `[ ! -e "$1" ] || exec cat -- "$1"`, "sh", render.ManifestPath))
	if err != nil {
		return err
	}
	unwanted := fileset.Unwanted(result.Stdout, e.files(n))
	if len(unwanted) == 0 {
		return nil
	}
	e.changes.add(fmt.Sprintf("removed %d files on %s", len(unwanted), n.Name))
	units := unitsOf(unwanted)
	if err := systemd.Remove(ctx, e.machine(n), units...); err != nil {
		return err
	}
	if _, err := e.machine(n).Run(ctx, machine.Cmd(append([]string{"rm", "-f", "--"}, unwanted...)...)); err != nil {
		return fmt.Errorf("remove files: %w", err)
	}
	if len(units) == 0 {
		return nil
	}
	_, err = e.machine(n).Run(ctx, machine.Cmd("systemctl", "daemon-reload"))
	return err
}

// unitsOf are the names of the units whose files are among the paths.
func unitsOf(paths []string) []string {
	var out []string
	for _, p := range paths {
		if name, ok := strings.CutSuffix(path.Base(p), ".service"); ok && path.Dir(p) == topology.UnitDir {
			out = append(out, name)
		}
	}
	return out
}
