package cluster

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"sigs.k8s.io/yaml"

	"github.com/haplane/haplane/internal/component"
	"github.com/haplane/haplane/internal/image"
	"github.com/haplane/haplane/internal/look"
	"github.com/haplane/haplane/internal/machine/ssh"
	"github.com/haplane/haplane/internal/phase"
	"github.com/haplane/haplane/internal/store"
	"github.com/haplane/haplane/internal/topology"
	"github.com/haplane/haplane/spec"
)

// prepare is what a bring-up does on this host, before it makes anything of the cluster.
var prepare = append([]phase.Phase[*env]{{ID: "check-host", Done: hostChecked, Run: checkHost}}, build...)

// buildOnly is the part of prepare that `haplane image build` does.
var buildOnly = append([]phase.Phase[*env]{{ID: "check-host", Run: checkBuildHost}}, build...)

var build = []phase.Phase[*env]{
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
	return bringUp(ctx, q, o)
}

// bringUp makes a cluster, or what is missing of one that an earlier run did not finish.
// Nobody relies on it yet: there is nothing to measure, and nobody to be kept away from its machines.
func bringUp(ctx context.Context, q Request, o Options) (*Outcome, error) {
	unlock, err := o.Store.Lock()
	if err != nil {
		return nil, err
	}
	if exists, err := isLive(o.Store); err != nil || exists { // by another one, just now
		unlock()
		if err != nil {
			return nil, err
		}
		return Apply(ctx, q, o)
	}
	defer unlock()
	release, err := component.Hold(ctx, o.Cache) // nothing of the cache goes while this runs
	if err != nil {
		return nil, err
	}
	defer release()
	l, err := newBringUp(q, o)
	if err != nil {
		return nil, writeRequests(err)
	}
	defer l.close()
	if err := phase.Run(ctx, l.env, prepare, l.report); err != nil {
		return nil, l.explain(ctx, err)
	}
	out := &Outcome{Plan: newPlan(), Certificates: []look.CertificateChange{}, NewFailures: []string{}, fresh: true}
	began := time.Now()
	err = l.make(ctx)
	if l.change != nil {
		out.Plan.Steps = l.change.Steps
	}
	out.Arrived = l.settled
	out.Elapsed = time.Since(began)
	out.Seconds = out.Elapsed.Seconds()
	return out, l.explain(ctx, err)
}

// make walks through the steps of a bring-up.
func (l *live) make(ctx context.Context) error {
	renders := func() error {
		err := l.addSnapshots()
		l.rendered = l.of(l.topology)
		return err
	}
	looks := func() error {
		if running, err := l.running(); err != nil || len(running) == 0 {
			return err
		}
		return shown(ctx, l.Report, "look", l.look)
	}
	plans := func() error { return l.plan(ctx) }
	tells := func() error { return l.announce(ctx) }
	for _, step := range []func() error{l.prepareSSH, renders, l.connect, tells, looks, plans, l.begin} {
		if err := step(); err != nil {
			return err
		}
	}
	if err := l.runner().Run(ctx, l.change); err != nil {
		return errors.Join(err, l.failed(err))
	}
	return l.settle()
}

// newBringUp prepares a bring-up without touching anything.
func newBringUp(q Request, o Options) (*live, error) {
	if err := sameCluster(o.Store, q.Wanted); err != nil {
		return nil, err
	}
	record, err := o.Store.Record()
	if errors.Is(err, store.ErrNoCluster) {
		record, err = &store.Record{}, nil
	}
	if err != nil {
		return nil, err
	}
	if c := record.Change; c != nil && q.Text == nil {
		q.Text = c.TextAfter // it may have been cut off before that was in the file
	}
	l := &live{env: newEnv(q.Wanted, o), Request: q, record: record}
	if err := l.planKeys(); err != nil {
		return nil, err
	}
	return l, l.addAgent()
}

// BuildImage builds the components and the golden image, as far as they are not there, with a version of
// Kubernetes; "" is the newest.
func BuildImage(ctx context.Context, kubernetes string, o Options) (image.Image, error) {
	release, err := component.Hold(ctx, o.Cache)
	if err != nil {
		return image.Image{}, err
	}
	defer release()
	e := &env{Options: o, kubernetes: kubernetes}
	err = phase.Run(ctx, e, buildOnly, e.report)
	return e.image, err
}

func (e *env) report(ev phase.Event) { e.Report(Progress{Event: ev}) }

func hostChecked(_ context.Context, e *env) (bool, error) {
	running, err := e.running()
	return len(running) == len(e.topology.Nodes), err
}

// checkHost tells everything that this host lacks, at once.
func checkHost(ctx context.Context, e *env) error {
	if os.Geteuid() != 0 {
		return withHint(errors.New("local machines need root"), "run it again with sudo")
	}
	var names []string
	for _, n := range e.topology.Nodes {
		names = append(names, n.Name)
	}
	running, err := e.running()
	if err != nil {
		return err
	}
	off := slices.DeleteFunc(slices.Clone(e.topology.Nodes), func(n topology.Node) bool {
		return slices.ContainsFunc(running, func(r topology.Node) bool { return r.Name == n.Name })
	})
	return errors.Join(checkBuildHost(ctx, e), ssh.Check(), e.provider().Check(ctx, names), e.addressesFree(ctx, off))
}

func checkBuildHost(ctx context.Context, e *env) error {
	o, err := e.componentOptions()
	if err != nil {
		return err
	}
	return errors.Join(o.Check(ctx), image.Check())
}

// sameCluster refuses a file that differs from the one that an unfinished cluster was begun
// with in more than the flags of its programs: what there is of it is finished first.
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
		fmt.Sprintf("bringing it up was cut off: haplane up --cluster %[1]s finishes it, and then it can be changed; haplane down --cluster %[1]s removes it", c.Metadata.Name))
}
