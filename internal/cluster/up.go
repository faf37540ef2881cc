package cluster

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"

	"sigs.k8s.io/yaml"

	"github.com/haplane/haplane/internal/component"
	"github.com/haplane/haplane/internal/image"
	"github.com/haplane/haplane/internal/phase"
	"github.com/haplane/haplane/internal/store"
	"github.com/haplane/haplane/spec"
)

// bringUp is the whole of `haplane up`. Each step observes the machines first,
// so the list run again changes nothing, and one that was cut off is finished.
var bringUp = []phase.Phase[*env]{
	{ID: "check-host", Done: hostChecked, Run: checkHost},
	{ID: "build-components", Run: buildComponents},
	{ID: "build-image", Run: buildImage},
	{ID: "make-keys", Run: makeKeys},
	{ID: "create-machines", Done: machinesRunning, Run: createMachines},
	{ID: "write-files", Done: filesCurrent, Run: writeFiles},
	{ID: "start-control-plane", Done: controlPlaneStarted, Run: startControlPlane},
	{ID: "wait-for-api-servers", Done: apiServersReady, Run: waitForAPIServers},
	{ID: "apply-manifests", Run: applyManifests, With: []phase.Phase[*env]{
		{ID: "start-nodes", Done: nodesStarted, Run: startNodes}}},
	{ID: "wait-for-nodes", Run: waitForNodes},
	{ID: "wait-for-dns", Run: waitForDNS},
}

// buildOnly is the part of bringUp that `haplane image build` does.
var buildOnly = []phase.Phase[*env]{
	{ID: "check-host", Run: checkBuildHost},
	{ID: "build-components", Run: buildComponents},
	{ID: "build-image", Run: buildImage},
}

// Up brings the cluster to what its file says. One that was up once is changed as
// Apply does it.
func Up(ctx context.Context, q Request, o Options) (*Outcome, error) {
	exists, err := isLive(o.Store)
	if err != nil {
		return nil, err
	}
	if exists {
		return Apply(ctx, q, o)
	}
	changes, err := bringUpNew(ctx, q, o)
	return &Outcome{fresh: len(changes) > 0}, err
}

// bringUpNew runs all phases and returns what it changed, a line each.
func bringUpNew(ctx context.Context, q Request, o Options) ([]string, error) {
	c := q.Wanted
	unlock, err := o.Store.Lock()
	if err != nil {
		return nil, err
	}
	defer unlock()
	if err := sameCluster(o.Store, c); err != nil {
		return nil, err
	}
	release, err := component.Hold(ctx, o.Cache) // nothing of the cache goes while this runs
	if err != nil {
		return nil, err
	}
	defer release()
	e := newEnv(c, o)
	e.text = q.Text
	defer e.close()
	if err = phase.Run(ctx, e, bringUp, e.report); err == nil {
		err = e.recordApplied()
	}
	return e.changes.all(), e.explain(ctx, err)
}

// BuildImage builds the components and the golden image, as far as they are not there.
func BuildImage(ctx context.Context, o Options) (image.Image, error) {
	release, err := component.Hold(ctx, o.Cache)
	if err != nil {
		return image.Image{}, err
	}
	defer release()
	e := &env{Options: o}
	err = phase.Run(ctx, e, buildOnly, e.report)
	return e.image, err
}

func (e *env) report(ev phase.Event) { e.Report(Progress{Event: ev}) }

// sameCluster refuses a file that differs from the one that the cluster was made
// from in more than the flags of its programs: nothing here changes the shape of
// a live cluster.
func sameCluster(s store.Store, c *spec.Cluster) error {
	have, err := s.Cluster()
	if errors.Is(err, store.ErrNoCluster) {
		return nil
	}
	if err != nil {
		return err
	}
	wanted := *c
	have.Spec.ExtraArgs, wanted.Spec.ExtraArgs = nil, nil
	a, errA := yaml.Marshal(have)
	b, errB := yaml.Marshal(&wanted)
	if err := errors.Join(errA, errB); err != nil || bytes.Equal(a, b) {
		return err
	}
	diff, err := unified("the cluster", "the file", string(a), string(b), 1)
	if err != nil {
		return err
	}
	return withHint(fmt.Errorf("cluster %s exists and was made from another cluster file:\n%s", c.Metadata.Name, strings.TrimSpace(diff)),
		"only extraArgs can be changed; haplane down --cluster "+c.Metadata.Name+" first, or give the new one another name")
}
