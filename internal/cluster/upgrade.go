package cluster

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"golang.org/x/mod/semver"

	"github.com/haplane/haplane/internal/change"
	"github.com/haplane/haplane/internal/image"
	"github.com/haplane/haplane/internal/kubeprobe"
	"github.com/haplane/haplane/internal/phase"
	"github.com/haplane/haplane/internal/probe"
	"github.com/haplane/haplane/internal/render"
	"github.com/haplane/haplane/internal/store"
	"github.com/haplane/haplane/spec"
)

// An Upgrade is the part of a request that leads to other versions.
type Upgrade struct {
	From, To string         // versions of Kubernetes
	Versions store.Versions // what the cluster runs then; without an image until that is built
	Down     bool           // back to older ones
	AtOnce   int            // workers that are made anew together
	InPlace  bool           // machines stay, and get other programs
	Pause    time.Duration  // after each turn, once the cluster is whole
	// ConfirmEach asks before each turn but the first, see Request.ConfirmTurn.
	ConfirmEach bool
	// goesOn says that an earlier run has begun with it.
	goesOn bool
	// etcdStays says why etcd cannot go back to the version that it had before; "" where it can.
	etcdStays string
}

// goOnUpgrading has a change that was cut off in an upgrade go on with that.
func (q *Request) goOnUpgrading(r *store.Record) {
	if r.Change == nil || r.Change.Upgrade == nil || q.Upgrade != nil || q.Abort {
		return
	}
	u := r.Change.Upgrade
	q.Upgrade = &Upgrade{From: u.From, To: u.To, Down: u.Down, AtOnce: u.AtOnce, InPlace: u.InPlace, Versions: r.Versions, goesOn: true,
		Pause: time.Duration(u.PauseSeconds * float64(time.Second)), ConfirmEach: u.ConfirmEach}
}

// upgraded is a cluster with the version that is asked for by an upgrade, which alone may change it.
func (q *Request) upgraded(c *spec.Cluster) *spec.Cluster {
	if q.Upgrade == nil {
		return c
	}
	out := *c
	out.Spec.KubernetesVersion = q.Wanted.Spec.KubernetesVersion
	return &out
}

// prepareUpgrade builds the programs and the image, before anything of the cluster is touched.
func (q *Request) prepareUpgrade(ctx context.Context, o Options) error {
	if q.Upgrade == nil {
		return nil
	}
	if err := q.Upgrade.checkAlone(q.Wanted); err != nil || q.Upgrade.Versions.Image != "" {
		return err
	}
	e := newEnv(q.Wanted, o)
	e.kubernetes = q.Upgrade.To
	if err := phase.Run(ctx, e, buildOnly, e.report); err != nil {
		return err
	}
	q.Upgrade.Versions = e.versions()
	if q.Upgrade.InPlace {
		return q.Upgrade.keepMachines(q.Wanted, o)
	}
	return nil
}

// takeTurns names the nodes whose machines are not made of the image that is wanted.
func (l *live) takeTurns() {
	if l.Upgrade == nil || l.Upgrade.InPlace {
		return
	}
	for _, n := range l.record.Nodes {
		if n.Role != spec.RoleLoadBalancer && n.Image != l.image.Root {
			l.Replace = append(l.Replace, n.Name)
		}
	}
}

// upgrade is what the planner is told of it.
func (l *live) upgrade() *change.Upgrade {
	if l.Upgrade == nil {
		return nil
	}
	var left []string
	for _, n := range l.record.Nodes {
		if l.Upgrade.InPlace && n.Role != spec.RoleLoadBalancer && n.Image != l.image.Root {
			left = append(left, n.Name)
		}
	}
	return &change.Upgrade{Left: left, From: l.Upgrade.From, To: l.Upgrade.To, AtOnce: l.Upgrade.AtOnce, Down: l.Upgrade.Down, InPlace: l.Upgrade.InPlace, Interim: l.interim(),
		Programs: l.bringsPrograms(), Images: l.podImages()}
}

// interim is what control-plane nodes have while API servers of two versions serve.
func (l *live) interim() map[string]render.Machine {
	if l.Upgrade == nil || !l.topology.KubeletOnCP {
		return nil
	}
	beside := map[string]bool{}
	for _, n := range l.topology.ControlPlane() {
		beside[n.Name] = true
	}
	all := l.renderWith(l.topology, l.keys, beside)
	for name := range all {
		if !beside[name] {
			delete(all, name)
		}
	}
	return all
}

// keepPrevious writes down to what an upgrade that begins can go back.
func (l *live) keepPrevious(r *store.Record) {
	switch {
	case l.Upgrade == nil || l.Upgrade.goesOn:
	case l.Upgrade.Down:
		r.Previous = nil
	case r.Versions.Image != l.image.Digest:
		before := r.Versions
		before.Kubernetes = l.Upgrade.From
		r.Previous = &before
	}
}

// record is what the record has of it.
func (u *Upgrade) record() *store.Upgrade {
	if u == nil {
		return nil
	}
	return &store.Upgrade{From: u.From, To: u.To, Down: u.Down, AtOnce: u.AtOnce, InPlace: u.InPlace, PauseSeconds: u.Pause.Seconds(), ConfirmEach: u.ConfirmEach}
}

// wayOn names what can be done about an upgrade of a cluster that stopped in the middle.
func (u *Upgrade) wayOn(c *spec.Cluster) string {
	name := c.Metadata.Name
	on := fmt.Sprintf("haplane upgrade --resume --cluster %s goes on from there", name)
	if u.Down || u.noWayBack(c) != "" {
		return on
	}
	return on + fmt.Sprintf(", haplane upgrade --back --cluster %s returns to %s", name, u.From)
}

// kubernetesOf is the version that a cluster runs. Before haplane wrote that down, the image tells.
func kubernetesOf(cache string, v store.Versions) string {
	return cmp.Or(v.Kubernetes, programOf(cache, v, "kubelet"))
}

// programOf is the version of a program that a cluster runs, by its image; "" where that is not known.
func programOf(cache string, v store.Versions, name string) string {
	if v.Image == "" {
		return ""
	}
	img, err := image.Open(cache, v.Image)
	if err != nil {
		return ""
	}
	for _, p := range img.Manifest.Programs {
		if p.Name == name || slices.Contains(p.Links, name) {
			return p.Version
		}
	}
	return ""
}

// between stops an upgrade where clients have noticed the turn that ended, and else waits and asks
// whether the next one may begin, where it is to.
func (l *live) between(ctx context.Context, s change.Step) error {
	if err := l.measured.noticed(ctx); err != nil {
		return err
	}
	last := slices.IndexFunc(l.change.Steps, func(o change.Step) bool { return o.ID == s.ID })
	more := slices.ContainsFunc(l.change.Steps[last+1:], func(o change.Step) bool { return o.Verb == change.CheckCluster })
	if l.Upgrade == nil || !more {
		return nil
	}
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(l.Upgrade.Pause):
	}
	if !l.Upgrade.ConfirmEach {
		return nil
	}
	if l.ConfirmTurn == nil {
		return errors.New("it asks before each turn (--confirm-each), and there is nobody to ask")
	}
	return l.ConfirmTurn(s.Node)
}

const (
	// mostSilent is how long a lane may be without an answer in a turn: longer than a client waits on a busy machine for an API server that a
	// load balancer has to find out about, or for a leader of etcd.
	mostSilent = 5 * time.Second
	// lookTimeout bounds the look for what was written.
	lookTimeout = 30 * time.Second
	// lookBack is how long ago a write may have been acknowledged that is looked for: what is older another run may have removed.
	lookBack = kubeprobe.LeftOver - time.Hour
	mostLost = 5 // of how many lost writes an error has the names
)

// noticed is an error where clients notice the turn that has ended: more of the requests since it was asked last have failed than a busy
// machine explains, a lane had no answer for long, or a write that was acknowledged is not there.
func (m *measurement) noticed(ctx context.Context) error {
	if m == nil || m.session == nil {
		return nil
	}
	requests, failed := m.session.Seen()
	newly, of := failed-m.failed, requests-m.requests
	from := m.counted
	m.requests, m.failed, m.counted = requests, failed, time.Now()
	var what []string
	if newly > 1+of/200 {
		what = append(what, fmt.Sprintf("%d of %d requests failed in this turn", newly, of))
	}
	if silent := m.session.LongestSilence(from); silent.Time > mostSilent {
		what = append(what, fmt.Sprintf("lane %s had no answer for %.1f s", silent.Lane, silent.Time.Seconds()))
	}
	ctx, cancel := context.WithTimeout(ctx, lookTimeout)
	defer cancel()
	lost, err := m.session.Lost(ctx, time.Now().Add(-lookBack))
	switch names := strings.Join(lost[:min(len(lost), mostLost)], ", "); {
	case err != nil:
		what = append(what, fmt.Sprintf("whether all writes that were acknowledged are there is not known: %v", err))
	case len(lost) > mostLost:
		what = append(what, fmt.Sprintf("%d writes that were acknowledged are lost: %s, ...", len(lost), names))
	case len(lost) > 0:
		what = append(what, fmt.Sprintf("%d writes that were acknowledged are lost: %s", len(lost), names))
	}
	if len(what) == 0 {
		return nil
	}
	return noticed(what, m.session.Late(from, time.Time{}))
}

// noticed tells of what clients notice, and where haplane was late itself meanwhile: it stops all the same.
func noticed(what []string, late []probe.Lateness) error {
	text := "clients notice: " + strings.Join(what, "; ")
	if longest, _ := (probe.Report{Late: late}).WorstLate(); longest > 0 {
		text += fmt.Sprintf("; haplane itself was late by up to %.1f s meanwhile, and what failed for that alone no other client has noticed", longest.Seconds())
	}
	return errors.New(text)
}

// lastWorker is the worker whose turn comes last, or one that had it already where none comes.
func (l *live) lastWorker() string {
	for _, s := range slices.Backward(l.change.Steps) {
		if n, ok := l.topology.Node(s.Node); ok && s.Verb == change.DrainNode && n.Role == spec.RoleWorker && l.seen.Nodes[n.Name].Ready {
			return n.Name
		}
	}
	for _, n := range l.nodes {
		if n.Role == spec.RoleWorker && n.State == change.Active && l.seen.Nodes[n.Name].Ready {
			return n.Name
		}
	}
	return ""
}

// checkVersions says why a cluster cannot go from one version to another, by Kubernetes' rules.
func checkVersions(from, to string, down bool) error {
	if !semver.IsValid(from) {
		return errors.New("it is not known which version of Kubernetes the cluster has")
	}
	switch {
	case !semver.IsValid(to):
		return fmt.Errorf("%q is no version of Kubernetes: write v1.37.2, say, or v1.37 for the patch that is built", to)
	case semver.Major(from) != semver.Major(to):
		return fmt.Errorf("%s is another major version than %s", to, from)
	case down && minor(to) < minor(from)-1:
		return fmt.Errorf("%s is more than one minor version before %s", to, from)
	case !down && minor(to) > minor(from)+1:
		return fmt.Errorf("from %s to %s skips a minor version: Kubernetes is upgraded by one at a time, so next is %s", from, to, nextMinor(from))
	case !down && semver.Compare(full(to), from) < 0 && to != semver.MajorMinor(from):
		return fmt.Errorf("%s is older than %s, which the cluster has; haplane upgrade --back returns to what it had before its last upgrade", to, from)
	}
	return nil
}

// full is a version with a patch, so that a minor alone compares as its first.
func full(version string) string { return cmp.Or(semver.Canonical(version), version) }

// nextMinor is the minor version after that of a version.
func nextMinor(version string) string {
	var major, minor int
	_, _ = fmt.Sscanf(semver.MajorMinor(version), "v%d.%d", &major, &minor)
	return fmt.Sprintf("v%d.%d", major, minor+1)
}

func minor(version string) int {
	var n int
	_, _ = fmt.Sscanf(semver.MajorMinor(version), "v1.%d", &n)
	return n
}

// snapshotFirst saves what there is before the first turn, verified, in the cluster's folder.
func (l *live) snapshotFirst(ctx context.Context) (string, error) {
	survey, err := l.askMembers(ctx)
	if err != nil {
		return "", err
	}
	s, err := l.saveSnapshot(ctx, survey, l.snapshotPath(false), nil)
	if err != nil {
		return "", fmt.Errorf("take a snapshot of etcd: %w", err)
	}
	return fmt.Sprintf("%s: revision %d, %.1f MiB, verified", s.File, s.Revision, float64(s.Bytes)/(1<<20)), nil
}
