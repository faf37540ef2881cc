package cluster

import (
	"context"
	"fmt"
	"maps"

	"github.com/haplane/haplane/internal/apply"
	"github.com/haplane/haplane/internal/fileset"
	"github.com/haplane/haplane/internal/look"
	"github.com/haplane/haplane/internal/observed"
	"github.com/haplane/haplane/internal/render"
	"github.com/haplane/haplane/internal/topology"
	"github.com/haplane/haplane/spec"
)

// filesCurrent compares every file of every machine with what it should be.
func filesCurrent(ctx context.Context, e *env) (bool, error) {
	var err error
	e.stat, err = gather(ctx, e.topology.Nodes, func(ctx context.Context, n topology.Node) (map[string]fileset.State, error) {
		return e.machine(n).Stat(ctx, e.files(n).Paths())
	})
	if err != nil {
		return false, err
	}
	e.stale = map[string]fileset.Set{}
	current := true
	for _, n := range e.topology.Nodes {
		e.stale[n.Name] = e.files(n).Stale(e.stat[n.Name])
		current = current && len(e.stale[n.Name]) == 0
	}
	return current, nil
}

// files are those of a node, haplane's own program among them where it runs and was
// not copied just now with the machine.
func (e *env) files(n topology.Node) fileset.Set {
	out := maps.Clone(e.rendered[n.Name].Files)
	if n.Role == spec.RoleControlPlane && !e.created[n.Name] {
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
		seen := observed.Machine{Files: e.stat[n.Name]}
		if _, changes := stale[render.ManifestPath]; changes {
			var err error
			if seen.Manifest, err = look.Manifest(ctx, e.machine(n), render.ManifestPath); err != nil {
				return err
			}
		}
		e.changes.add(fmt.Sprintf("wrote %d files on %s", len(stale), n.Name))
		return apply.Write(ctx, e.machine(n), e.files(n), seen)
	})
}
