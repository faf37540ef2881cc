package cluster

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/pmezard/go-difflib/difflib"

	"github.com/haplane/haplane/internal/change"
	"github.com/haplane/haplane/internal/component"
	"github.com/haplane/haplane/internal/fileset"
	"github.com/haplane/haplane/internal/kubeapi"
	"github.com/haplane/haplane/internal/machine"
	"github.com/haplane/haplane/internal/pki"
	"github.com/haplane/haplane/internal/render"
	"github.com/haplane/haplane/internal/topology"
	"github.com/haplane/haplane/spec"
)

// A Plan is the steps of what Up or Apply would do. Nothing was touched to make it.
type Plan struct {
	Steps    []change.Step     `json:"steps"`          // in their order; empty where nothing is to be done
	Etcd     *change.Tolerance `json:"etcd,omitempty"` // as it is now; absent where it was not seen
	Warnings []string          `json:"warnings"`
	Files    []FileChange      `json:"files"`
	Keys     []string          `json:"keys"`    // names of keys and certificates to make
	Reissue  []pki.Reissue     `json:"reissue"` // the same, and why
	Objects  []kubeapi.Applied `json:"objects"` // of Kubernetes, to make or change; empty while its API does not answer

	// LastCopies says that machines lose a key of which nobody here knows another copy: that is for a person to answer, who may know of one.
	LastCopies bool `json:"-"`

	removes  bool
	upgrades bool
}

// newPlan has no list that is nil: scripts that read them need not know of null.
func newPlan() *Plan {
	return &Plan{Steps: []change.Step{}, Warnings: []string{}, Files: []FileChange{},
		Keys: []string{}, Reissue: []pki.Reissue{}, Objects: []kubeapi.Applied{}}
}

// Nothing reports whether a run would find that all is right already.
func (p *Plan) Nothing() bool { return len(p.Steps) == 0 }

// Removes reports whether nodes that were there to stay go, or are made anew. What a change that
// was cut off has begun with was agreed to then.
func (p *Plan) Removes() bool { return p.removes }

// Upgrades reports whether it leads to other versions, which a command that does not say so goes on with where it was cut off.
func (p *Plan) Upgrades() bool { return p.upgrades }

// A FileChange is a file that would be written.
type FileChange struct {
	Node string `json:"node"`
	Path string `json:"path"`
	New  bool   `json:"new"` // it is not there yet
	// Removed is set for a file that is no longer wanted.
	Removed bool `json:"removed,omitempty"`
	// Diff is in the unified format; empty for new files, secrets and programs.
	Diff string `json:"diff,omitempty"`
}

// pinImages names the container images by the versions that are built today.
func (e *env) pinImages() error {
	source, err := component.SourceDir()
	if err != nil {
		return err
	}
	pinned, err := component.Versions(source)
	if err != nil {
		return err
	}
	for _, c := range pinned { // the container images are named by these
		switch c.Name {
		case "workload":
			e.programs = append(e.programs, component.Program{Name: "pause", Version: c.Version})
		case "coredns":
			e.programs = append(e.programs, component.Program{Name: "coredns", Version: c.Version})
		}
	}
	e.images = e.builtImages()
	return nil
}

func (e *env) fileChange(ctx context.Context, n topology.Node, f fileset.File) (FileChange, error) {
	change := FileChange{Node: n.Name, Path: f.Path}
	seen, err := e.machine(n).Stat(ctx, []string{f.Path})
	if err != nil {
		return change, err
	}
	_, there := seen[f.Path]
	change.New = !there
	if change.New || f.Secret() || f.Path == render.AgentBinary {
		return change, nil
	}
	have, err := e.machine(n).Run(ctx, machine.Cmd("cat", "--", f.Path))
	if err != nil {
		return change, err
	}
	change.Diff, err = unified(n.Name+":"+f.Path, "cluster file", have.Stdout, string(f.Data), 3)
	return change, err
}

func unified(fromName, toName, from, to string, context int) (string, error) {
	return difflib.GetUnifiedDiffString(difflib.UnifiedDiff{A: difflib.SplitLines(from), B: difflib.SplitLines(to),
		FromFile: fromName, ToFile: toName, Context: context})
}

// Render writes every file of every machine below dir, which must be empty or
// missing: DIR/NODE/PATH, with the modes that they have on machines. Keys are
// those of the cluster where there is one, else new ones. It returns how many
// files it wrote.
func Render(c *spec.Cluster, o Options, dir string) (int, error) {
	if entries, err := os.ReadDir(dir); err == nil && len(entries) > 0 {
		return 0, withHint(fmt.Errorf("folder %s is not empty", dir), "give one that does not exist yet")
	}
	e := newEnv(c, o)
	if err := e.pinImages(); err != nil {
		return 0, err
	}
	if _, err := e.completeKeys(time.Now()); err != nil {
		return 0, wayToSign(err)
	}
	if err := e.addAgent(); err != nil {
		return 0, err
	}
	e.rendered = render.Render(e.input())
	count := 0
	for _, n := range e.topology.Nodes {
		for path, f := range e.rendered[n.Name].Files {
			if err := writeLocal(filepath.Join(dir, n.Name, path), f); err != nil {
				return count, fmt.Errorf("write files of %s: %w", n.Name, err)
			}
			count++
		}
	}
	for _, m := range e.namedManifests() {
		if err := writeLocal(filepath.Join(dir, "manifests", m.name), fileset.File{Mode: 0o644, Data: m.data}); err != nil {
			return count, err
		}
		count++
	}
	return count, nil
}

func writeLocal(path string, f fileset.File) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	// Created with its mode: a key is never readable by others.
	if err := os.WriteFile(path, f.Data, f.Mode); err != nil {
		return err
	}
	return os.Chmod(path, f.Mode)
}
