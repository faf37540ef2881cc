package cluster

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/pmezard/go-difflib/difflib"

	"github.com/haplane/haplane/internal/change"
	"github.com/haplane/haplane/internal/component"
	"github.com/haplane/haplane/internal/fileset"
	"github.com/haplane/haplane/internal/kubeapi"
	"github.com/haplane/haplane/internal/machine"
	"github.com/haplane/haplane/internal/phase"
	"github.com/haplane/haplane/internal/pki"
	"github.com/haplane/haplane/internal/render"
	"github.com/haplane/haplane/internal/topology"
	"github.com/haplane/haplane/spec"
)

// A Plan is what Up or Apply would do: the phases of a bring-up, or the steps that
// change a cluster that exists. Nothing was touched to make it.
type Plan struct {
	Phases   []PlannedPhase    `json:"phases"`         // of a bring-up; empty for a cluster that was brought up once
	Steps    []change.Step     `json:"steps"`          // of a change, in their order; empty where nothing is to be done
	Etcd     *change.Tolerance `json:"etcd,omitempty"` // as it is now; absent where it was not seen
	Warnings []string          `json:"warnings"`
	Files    []FileChange      `json:"files"`
	Keys     []string          `json:"keys"`    // names of keys and certificates to make
	Reissue  []pki.Reissue     `json:"reissue"` // the same, and why
	Objects  []kubeapi.Applied `json:"objects"` // of Kubernetes, to make or change; empty while its API does not answer
}

// newPlan has no list that is nil: scripts that read them need not know of null.
func newPlan() *Plan {
	return &Plan{Phases: []PlannedPhase{}, Steps: []change.Step{}, Warnings: []string{}, Files: []FileChange{},
		Keys: []string{}, Reissue: []pki.Reissue{}, Objects: []kubeapi.Applied{}}
}

// Nothing reports whether a run would find that all is right already.
func (p *Plan) Nothing() bool {
	if p.Live() {
		return len(p.Steps) == 0
	}
	toRun := func(one PlannedPhase) bool { return one.Looks && !one.Done }
	return len(p.Files)+len(p.Keys)+len(p.Objects) == 0 && !slices.ContainsFunc(p.Phases, toRun)
}

// Live reports whether it is about a cluster that was brought up once.
func (p *Plan) Live() bool { return len(p.Phases) == 0 }

// A PlannedPhase is a step of Up. Done says that there is nothing to do, of those
// that look whether there is before they begin. The others always run, and
// find that out on their way.
type PlannedPhase struct {
	ID    string `json:"id"`
	Looks bool   `json:"looks"` // it can tell beforehand whether there is something to do
	Done  bool   `json:"done"`
}

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

// DryRun returns what Up would do with the cluster.
func DryRun(ctx context.Context, c *spec.Cluster, o Options) (*Plan, error) {
	if err := sameCluster(o.Store, c); err != nil {
		return nil, err
	}
	e := newEnv(c, o)
	defer e.close()
	plan := newPlan()
	reissue, err := e.renderOnly()
	if err != nil {
		return nil, err
	}
	for _, r := range reissue {
		plan.Keys, plan.Reissue = append(plan.Keys, r.Name), append(plan.Reissue, r)
	}
	running, err := e.allRunning()
	if err != nil {
		return nil, err
	}
	if !running {
		return plan.onNothing(e), nil
	}
	return plan, plan.onMachines(ctx, e)
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

// renderOnly makes keys and files in memory and tells which keys are new, and why.
func (e *env) renderOnly() (issued []pki.Reissue, err error) {
	if err := e.pinImages(); err != nil {
		return nil, err
	}
	if issued, err = e.completeKeys(time.Now()); err != nil {
		return nil, err
	}
	return issued, e.render()
}

func (p *Plan) onNothing(e *env) *Plan {
	for _, one := range flat(bringUp) {
		p.Phases = append(p.Phases, PlannedPhase{ID: one.ID, Looks: one.Done != nil})
	}
	for _, n := range e.topology.Nodes {
		for _, path := range e.rendered[n.Name].Files.Paths() {
			p.Files = append(p.Files, FileChange{Node: n.Name, Path: path, New: true})
		}
	}
	return p
}

func (p *Plan) onMachines(ctx context.Context, e *env) error {
	if err := e.connect(); err != nil {
		return err
	}
	for _, one := range flat(bringUp) {
		planned := PlannedPhase{ID: one.ID, Looks: one.Done != nil}
		if one.Done != nil {
			var err error
			if planned.Done, err = one.Done(ctx, e); err != nil {
				return fmt.Errorf("%s: %w", one.ID, err)
			}
		}
		p.Phases = append(p.Phases, planned)
	}
	if _, err := filesCurrent(ctx, e); err != nil {
		return err
	}
	for _, n := range e.topology.Nodes {
		for _, path := range e.stale[n.Name].Paths() {
			change, err := e.fileChange(ctx, n, e.stale[n.Name][path])
			if err != nil {
				return err
			}
			p.Files = append(p.Files, change)
		}
	}
	return p.addObjects(ctx, e)
}

// addObjects asks the API what applying the manifests would change.
func (p *Plan) addObjects(ctx context.Context, e *env) error {
	if ready, err := apiServersReady(ctx, e); !ready || err != nil {
		return err
	}
	client, err := e.api()
	if err != nil {
		return err
	}
	for _, manifest := range e.manifests() {
		would, err := client.Compare(ctx, manifest)
		if err != nil {
			return err
		}
		for _, o := range would {
			if o.Change != kubeapi.Unchanged {
				p.Objects = append(p.Objects, o)
			}
		}
	}
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

func flat(phases []phase.Phase[*env]) []phase.Phase[*env] {
	var out []phase.Phase[*env]
	for _, p := range phases {
		out = append(append(out, p), p.With...)
	}
	return out
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
	if _, err := e.renderOnly(); err != nil {
		return 0, err
	}
	count := 0
	for _, n := range e.topology.Nodes {
		for path, f := range e.rendered[n.Name].Files {
			if err := writeLocal(filepath.Join(dir, n.Name, path), f); err != nil {
				return count, fmt.Errorf("write files of %s: %w", n.Name, err)
			}
			count++
		}
	}
	for name, data := range map[string][]byte{"rbac.yaml": render.RBAC(), "coredns.yaml": render.CoreDNS(e.input())} {
		if err := writeLocal(filepath.Join(dir, "manifests", name), fileset.File{Mode: 0o644, Data: data}); err != nil {
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
