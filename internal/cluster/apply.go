package cluster

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/haplane/haplane/internal/apply"
	"github.com/haplane/haplane/internal/change"
	"github.com/haplane/haplane/internal/component"
	"github.com/haplane/haplane/internal/fileset"
	"github.com/haplane/haplane/internal/kubeapi"
	"github.com/haplane/haplane/internal/kubeprobe"
	"github.com/haplane/haplane/internal/look"
	"github.com/haplane/haplane/internal/oplock"
	"github.com/haplane/haplane/internal/phase"
	"github.com/haplane/haplane/internal/poll"
	"github.com/haplane/haplane/internal/probe"
	"github.com/haplane/haplane/internal/render"
	"github.com/haplane/haplane/internal/store"
	"github.com/haplane/haplane/internal/topology"
	"github.com/haplane/haplane/spec"
)

// ErrDeclined means that the user did not want what the plan says.
var ErrDeclined = errors.New("declined; nothing was changed")

// An Outcome is what a change did.
type Outcome struct {
	Plan *Plan `json:"plan"`
	// Compared says that the certificates of before and after were. Certificates are those
	// that are others than before, of nodes that were there before and after;
	// CertificatesKept is how many are the same.
	Compared         bool                     `json:"certificatesCompared"`
	Certificates     []look.CertificateChange `json:"certificates"`
	CertificatesKept int                      `json:"certificatesKept"`
	// CertificatesUnread are the nodes whose certificates could not be read before or after, because
	// their machine was off or did not answer: nothing is proved of these.
	CertificatesUnread []string      `json:"certificatesUnread,omitempty"`
	Report             *probe.Report `json:"report,omitempty"` // what was measured; absent where nothing was
	// NewFailures are what an x-ray finds wrong that it did not find before.
	NewFailures []string `json:"newFailures"`
	// XRayed says that it was x-rayed before and after: a cluster that did not answer before is not.
	XRayed bool `json:"xrayed"`
	// Arrived says that the cluster is what was wanted, whatever was found afterwards.
	Arrived bool          `json:"arrived"`
	Elapsed time.Duration `json:"-"`
	Seconds float64       `json:"seconds"` // from the look at the cluster to the end, the time for an answer included
	// Restored is what a restore of etcd's data came to.
	Restored *Restored `json:"restored,omitempty"`
	fresh    bool      // brought up, not changed
}

// Nothing reports whether there was nothing to do.
func (o *Outcome) Nothing() bool { return !o.fresh && (o.Plan == nil || o.Plan.Nothing()) }

// compare holds the certificates of all nodes after the change against those before. Those
// of a node that could not be read are nil.
func (o *Outcome) compare(before, after map[string][]look.Certificate) {
	for _, seen := range []map[string][]look.Certificate{before, after} {
		for node, list := range seen {
			passing := o.Plan != nil && slices.ContainsFunc(o.Plan.Steps, func(s change.Step) bool {
				return s.Node == node && (s.Verb == change.CreateMachine || s.Verb == change.RemoveMachine)
			})
			if list == nil && !passing && !slices.Contains(o.CertificatesUnread, node) {
				o.CertificatesUnread = append(o.CertificatesUnread, node)
			}
		}
	}
	slices.Sort(o.CertificatesUnread)
	var leaving, joining []string
	for node, list := range before {
		if len(after[node]) == 0 && len(list) > 0 {
			leaving = append(leaving, node)
		}
		o.CertificatesKept += len(list)
	}
	for node, list := range after {
		if len(before[node]) == 0 && len(list) > 0 {
			joining = append(joining, node)
		}
	}
	for _, node := range leaving {
		o.CertificatesKept -= len(before[node])
	}
	changed, added, removed := look.CompareCertificates(before, after, leaving, joining)
	o.CertificatesKept -= len(changed) + len(removed)
	o.Compared = true
	o.Certificates = append([]look.CertificateChange{}, slices.Concat(changed, added, removed)...)
}

// unplanned are the certificates that changed although the plan has no such file.
func (o *Outcome) unplanned() []string {
	var out []string
	for _, c := range o.Certificates {
		planned := slices.ContainsFunc(o.Plan.Files, func(f FileChange) bool { return f.Node == c.Node && f.Path == c.Path })
		made := slices.ContainsFunc(o.Plan.Steps, func(s change.Step) bool { return s.Verb == change.CreateMachine && s.Node == c.Node })
		if !planned && !made {
			out = append(out, c.Node+":"+c.Path)
		}
	}
	return out
}

// drainTimeout is how long the pods of a node that leaves may take to go.
const drainTimeout = 5 * time.Minute

// Apply changes a cluster that exists to what is wanted, step by step as the plan
// has it. The error wraps a *change.Refused where that would take quorum, and a
// *change.LostError where a machine is gone; nothing was touched then.
func Apply(ctx context.Context, q Request, o Options) (*Outcome, error) {
	out, err := applyOnce(ctx, q, o)
	if err != nil || out.Restored == nil {
		return out, err
	}
	return afterRestore(ctx, q, o, out)
}

func applyOnce(ctx context.Context, q Request, o Options) (*Outcome, error) {
	unlock, err := o.Store.Lock()
	if err != nil {
		return nil, err
	}
	defer unlock()
	release, err := component.Hold(ctx, o.Cache) // nothing of the cache goes while this runs
	if err != nil {
		return nil, err
	}
	defer release()
	began := time.Now()
	if err := q.prepareUpgrade(ctx, o); err != nil {
		return nil, err
	}
	var l *live
	err = shown(ctx, o.Report, "look", func(ctx context.Context) error {
		if l, err = newLive(q, o); err != nil {
			return writeRequests(err)
		}
		return l.look(ctx)
	})
	if l != nil {
		defer l.close()
	}
	if err != nil {
		return nil, err
	}
	if err := errors.Join(l.mends(q.Replace), l.checkUpgrade(ctx)); err != nil {
		return nil, err
	}
	if err := l.plan(ctx); err != nil {
		return nil, err
	}
	if err := l.room(ctx); err != nil {
		return nil, err
	}
	out := &Outcome{Certificates: []look.CertificateChange{}, NewFailures: []string{}}
	if out.Plan, err = l.show(ctx); err != nil {
		return nil, err
	}
	if out.Plan.Nothing() && l.record.Change == nil {
		out.Arrived = true
		return out, l.settle()
	}
	if q.Confirm != nil && !out.Plan.Nothing() {
		asked := time.Now()
		if yes, err := q.Confirm(out.Plan); err != nil {
			return nil, err
		} else if !yes {
			return nil, ErrDeclined
		}
		if err := l.stillTrue(ctx, asked); err != nil {
			return nil, err
		}
	}
	err = l.carryOut(ctx, out)
	out.Restored = l.restored()
	out.Elapsed = time.Since(began)
	out.Seconds = out.Elapsed.Seconds()
	return out, l.wayOn(l.explain(ctx, err))
}

// wayOn names what can be done about a change that stopped in the middle.
func (l *live) wayOn(err error) error {
	if err == nil || !l.touched.Load() || l.settled {
		return err
	}
	name := l.topology.Name
	hint := fmt.Sprintf("haplane apply --cluster %s goes on from there, and with --abort it goes back", name)
	switch {
	case l.restores() && l.Abort:
		hint = fmt.Sprintf("haplane apply --abort --cluster %s goes on with the way back; without --abort the restore %s", name, l.forward())
	case l.restores() && (len(l.Task.Made) > 0 || l.Task.Interrupts != ""):
		hint = fmt.Sprintf("haplane apply --cluster %s goes on from there", name)
	case l.Upgrade != nil:
		hint = l.Upgrade.wayOn(l.Wanted)
	case l.rotation != nil && !l.rotation.Proved:
		hint = fmt.Sprintf("haplane certs rotate %s --cluster %s goes on from there", l.rotation.Name, name)
	case len(l.renew) > 0:
		hint = fmt.Sprintf("haplane apply --cluster %s goes on from there", name)
	}
	var drain *kubeapi.DrainError
	if errors.As(err, &drain) {
		hint = "--drain-timeout gives the pods longer; " + hint
	}
	var loose *kubeapi.UnmanagedError
	if errors.As(err, &loose) {
		hint = "--force lets pods go that nothing makes anew; " + hint
	}
	var known *HintedError
	if errors.As(err, &known) {
		return &HintedError{Err: err, Hint: known.Hint + "; " + hint, Log: known.Log}
	}
	return withHint(err, hint)
}

// forward is what a restore does, in words, where its way back stopped and it goes forward again.
func (l *live) forward() string {
	if r, err := l.Store.Record(); err == nil && r.Change != nil && !wentBack(r.Change.Steps) { // nobody has the data of before again
		return "goes on"
	}
	return "begins anew"
}

// fresh is how long a plan is taken for true without another look.
const fresh = 2 * time.Second

// stillTrue looks again after the user was asked: a plan that somebody else's change
// has made stale is not carried out.
func (l *live) stillTrue(ctx context.Context, since time.Time) error {
	if time.Since(since) < fresh {
		return nil
	}
	shown := l.change
	if err := l.look(ctx); err != nil {
		return err
	}
	if err := l.plan(ctx); err != nil {
		return err
	}
	gone, come := differ(shown.Steps, l.change.Steps), differ(l.change.Steps, shown.Steps)
	if len(gone)+len(come) == 0 {
		return nil
	}
	return withHint(fmt.Errorf("the cluster has changed since the plan was made: steps that are no longer needed: %s; steps that are needed now: %s",
		cmp.Or(strings.Join(gone, ", "), "none"), cmp.Or(strings.Join(come, ", "), "none")), "look at the new plan: haplane plan --cluster "+l.topology.Name)
}

// differ are the IDs of the steps of a that b does not have, or not with the same programs and servers.
func differ(a, b []change.Step) []string {
	var out []string
	for _, s := range a {
		same := func(o change.Step) bool {
			return o.ID == s.ID && slices.Equal(o.Units, s.Units) && slices.Equal(o.Backends, s.Backends) && slices.Equal(o.Balancers, s.Balancers)
		}
		if !slices.ContainsFunc(b, same) {
			out = append(out, s.ID)
		}
	}
	return out
}

// carryOut holds the lock on the machines, measures, and walks through the steps.
func (l *live) carryOut(ctx context.Context, out *Outcome) error {
	ctx, release, err := l.lockMachines(ctx)
	if err != nil {
		return err
	}
	defer release()
	if err := l.needImage(ctx); err != nil {
		return err
	}
	if err := l.prepareSSH(); err != nil {
		return err
	}
	before, err := l.lookBefore(ctx)
	if err == nil {
		err = l.begin() // all that can fail without a trace was before
	}
	if err != nil {
		l.measured.stop(ctx)
		return err
	}
	run := l.runner()
	err = run.Run(ctx, l.change)
	l.lastRevision = run.LastRevision()
	if err != nil {
		out.Report = l.endMeasuring(ctx)
		if cause := context.Cause(ctx); cause != nil && !errors.Is(cause, context.Canceled) {
			err = errors.Join(cause, err)
		}
		if l.record.Change == nil && !l.touched.Load() {
			return errors.Join(err, l.putBack())
		}
		return errors.Join(err, l.failed(err))
	}
	return shown(ctx, l.Report, "look-after", func(ctx context.Context) error { return l.lookAfter(ctx, before, out) })
}

// prepareSSH makes the keys by which the machines are reached, as far as they are missing.
func (l *live) prepareSSH() error {
	hosts, err := l.Store.Hosts(l.union())
	if err != nil {
		return err
	}
	l.ssh, err = l.Store.PrepareSSH(hosts)
	return err
}

// shown does what is no step of the change, and shows it like one; the error is that
// of do, without the name.
func shown(ctx context.Context, report func(Progress), id string, do func(context.Context) error) error {
	phases := []phase.Phase[*env]{{ID: id, Run: func(ctx context.Context, _ *env) error { return do(ctx) }}}
	err := phase.Run(ctx, nil, phases, func(ev phase.Event) { report(Progress{Event: ev}) })
	if inner := errors.Unwrap(err); inner != nil {
		return inner
	}
	return err
}

// A baseline is what a change is compared with.
type baseline struct {
	certificates map[string][]look.Certificate
	failing      []string // of an x-ray
}

// lookBefore begins to measure, and sees what a change must leave as it is.
func (l *live) lookBefore(ctx context.Context) (b baseline, err error) {
	err = shown(ctx, l.Report, "look-before", func(looking context.Context) error {
		var group errgroup.Group
		group.Go(func() (err error) { b.certificates, err = l.certificates(looking); return err })
		group.Go(func() (err error) {
			if b.failing, err = l.judge(looking); err != nil && looking.Err() == nil { // no reason to leave the cluster as it is
				l.notice("look-before", "warning: there is nothing to compare with afterwards: %v", err)
				l.Judge, err = nil, nil
			}
			return err
		})
		if err := l.removeLeft(looking); err != nil {
			l.notice("look-before", "warning: lanes that measured a change that was killed may go on: %v", err)
		}
		if l.Measure {
			l.measured = l.measure(ctx) // goes on
		}
		return group.Wait()
	})
	return b, err
}

// lookAfter sees what a change that was carried out has done. The change has ended before the
// x-ray has: it is not for that to be done again.
func (l *live) lookAfter(ctx context.Context, before baseline, out *Outcome) error {
	var xray errgroup.Group
	xray.Go(func() (err error) { out.NewFailures, err = l.newFailures(ctx, before.failing); return err })
	out.Report = l.endMeasuring(ctx)
	after, err := l.certificates(ctx)
	if err == nil {
		out.compare(before.certificates, after)
		err = l.settle()
	}
	out.Arrived = l.settled
	xrayErr := xray.Wait()
	out.XRayed = l.Judge != nil && l.seen.APISeen && xrayErr == nil
	if wrong := out.unplanned(); len(wrong) > 0 {
		err = errors.Join(err, fmt.Errorf("the cluster is as its file says, and certificates changed that the plan does not have: %s", strings.Join(wrong, ", ")))
	}
	if err := errors.Join(err, xrayErr); err != nil {
		return err
	}
	if len(out.NewFailures) > 0 {
		return fmt.Errorf("the cluster is as its file says, and an x-ray finds what it did not find before:\n%s", strings.Join(out.NewFailures, "\n"))
	}
	return nil
}

// judge x-rays the cluster. One that does not answer has nothing to compare with.
func (l *live) judge(ctx context.Context) ([]string, error) {
	if l.Judge == nil || !l.seen.APISeen {
		return nil, nil
	}
	return l.Judge(ctx)
}

// judgeTimeout is how long a new failure of an x-ray may take to go by itself.
const judgeTimeout = 15 * time.Second

// newFailures are what an x-ray finds that it did not find before the change, and
// goes on finding: what has just been started may still be busy.
func (l *live) newFailures(ctx context.Context, before []string) ([]string, error) {
	ctx, cancel := context.WithTimeout(ctx, judgeTimeout)
	defer cancel()
	failures := []string{}
	err := poll.Until(ctx, time.Second, func(ctx context.Context) error {
		now, err := l.judge(ctx)
		if err != nil {
			return err
		}
		failures = append([]string{}, slices.DeleteFunc(now, func(f string) bool {
			return slices.ContainsFunc(before, func(b string) bool { return place(b) == place(f) })
		})...)
		if len(failures) > 0 {
			return errors.New(failures[0])
		}
		return nil
	})
	if len(failures) > 0 {
		return failures, nil
	}
	return failures, err
}

// place is the check and the node of a failure: what it saw may read otherwise later.
func place(failure string) string {
	at, _, _ := strings.Cut(failure, ": ")
	return at
}

// begin writes down what is about to happen, before it does.
func (l *live) begin() error {
	before, err := l.Store.ClusterText()
	none := l.fresh() && errors.Is(err, fs.ErrNotExist)
	if err != nil && !none {
		return err
	}
	if c := l.record.Change; c != nil && c.TextBefore != nil {
		before = c.TextBefore // of a change that was cut off, and goes on
	}
	if err := l.saveNext(); err != nil {
		return err
	}
	// The record first: it has both texts, so that whichever is in the file, the change goes on with the right one.
	err = l.Store.Update(func(r *store.Record) error {
		r.Wanted = l.Wanted
		if r.Lineage == "" {
			r.Lineage = l.record.Lineage
		}
		l.keepPrevious(r)
		r.Versions = l.versions()
		l.noteRotation(r)
		r.Retire(l.retired)
		if restoring(r.Change) && l.restores() { // with data that a restore may have put in place which was cut off
			r.KeepLeap(l.Task.Revision)
		}
		r.Change = &store.Change{ID: fmt.Sprintf("%x", time.Now().UnixNano()), Command: l.Command, Started: time.Now().UTC(), Holder: oplock.Me("", "").Who,
			TextBefore: before, TextAfter: l.Text, Replace: l.replaced(), Through: l.through(), Renew: l.renew, Upgrade: l.Upgrade.record(),
			Task: (*store.Task)(l.Task), Steps: l.stepsOf(r.Change)}
		for i := range r.Nodes {
			n := &r.Nodes[i]
			n.Cordoned = slices.Contains(l.cordoned(), n.Name)
			_, wanted := l.topology.Node(n.Name)
			switch {
			case slices.Contains(l.Replace, n.Name):
				n.State, n.Rejoin = store.Leaving, true
			case !wanted:
				n.State = store.Leaving
			case l.Abort, l.Upgrade != nil:
				n.Rejoin = false
			}
		}
		for _, n := range l.topology.Nodes {
			if !slices.ContainsFunc(r.Nodes, func(o store.Node) bool { return o.Name == n.Name }) {
				r.Nodes = append(r.Nodes, l.recordOf(n, store.Joining))
			}
		}
		return nil
	})
	if c := l.record.Change; err == nil && restoring(c) && l.restores() && c.Task.Snapshot != l.Task.Snapshot { // that of before is not restored any more
		err = l.Store.DropRestored(c.Task.Snapshot)
		if c.Task.Encryption != l.Task.Encryption {
			err = errors.Join(err, l.Store.DropRestoredKey(c.Task.Encryption))
		}
	}
	switch {
	case err != nil:
		return err
	case l.Text != nil:
		return l.Store.SaveClusterText(l.Text)
	case none:
		return l.Store.SaveCluster(l.Wanted)
	}
	return nil
}

// putBack undoes begin, of a change that ended before it touched anything.
func (l *live) putBack() error {
	begun, err := l.Store.Record()
	if err != nil {
		return err
	}
	if l.Text != nil && begun.Change != nil {
		if err := l.Store.SaveClusterText(begun.Change.TextBefore); err != nil {
			return err
		}
	}
	err = l.Store.Update(func(r *store.Record) error {
		r.Wanted, r.Change, r.Nodes, r.Versions = l.record.Wanted, nil, slices.Clone(l.record.Nodes), l.record.Versions
		r.Rotation, r.Previous, r.Retired = l.record.Rotation, l.record.Previous, l.record.Retired
		return nil
	})
	if err == nil && l.next != nil && l.record.Rotation == nil {
		err = l.Store.ForgetNext(l.rotation.Name)
	}
	return err
}

// through is what changes that were cut off led to, where this one leads elsewhere.
func (l *live) through() []*spec.Cluster {
	c := l.record.Change
	switch {
	case c == nil:
		return nil
	case l.record.Wanted == nil || len(spec.Diff(l.record.Wanted, l.Wanted)) == 0:
		return c.Through
	}
	return append(slices.Clone(c.Through), l.record.Wanted)
}

// replaced are the nodes that are made anew by this change, and by one that was cut off and goes on.
func (l *live) replaced() []string {
	out := slices.Clone(l.Replace)
	if c := l.record.Change; c != nil && !l.Abort {
		more := c.Replace
		if l.restores() {
			more = minus(more, l.Task.Made)
		}
		out = plus(out, more)
	}
	return out
}

// settle writes down that the cluster is what was wanted.
func (l *live) settle() error {
	if l.record.Change == nil && l.record.Wanted == nil && l.Text == nil && l.change.Nothing() && !l.rotates() {
		return nil
	}
	if l.Text != nil {
		if err := l.Store.SaveClusterText(l.Text); err != nil {
			return err
		}
	}
	if err := l.forgetGone(); err != nil {
		return err
	}
	if !l.restores() { // which carries out no phase of a rotation
		if err := l.promote(); err != nil {
			return err
		}
	}
	err := l.Store.Update(func(r *store.Record) error {
		if l.restores() && !l.Abort {
			r.Leaps = append(r.Leaps, store.Leap{After: l.Task.Revision, By: int64(l.Task.Bump)})
		}
		if l.restores() && !l.Abort && r.Change != nil && (l.unfinished(r) || l.Task.Interrupts != "" || l.Task.Encryption != "") { // the rest comes next
			r.Change.Task, r.Change.Steps = nil, nil
			r.Change.Command = cmp.Or(l.Task.Interrupts, r.Change.Command)
			l.unprove(r)
			return nil
		}
		r.Applied, r.Wanted, r.Change = l.Wanted, nil, nil
		r.SettleRetired(time.Now().UTC())
		for i := range r.Nodes {
			r.Nodes[i].Cordoned = false
		}
		if l.restores() {
			l.unprove(r)
		} else {
			l.settleRotation(r)
		}
		return nil
	})
	if l.settled = err == nil; !l.settled {
		return err
	}
	if l.restores() {
		return errors.Join(l.Store.DropRestored(l.Task.Snapshot), l.Store.DropRestoredKey(l.Task.Encryption))
	}
	return l.forgetNext()
}

// forgetGone drops the keys of nodes that are gone: a change that was cut off may have left some.
func (l *live) forgetGone() error {
	if l.fresh() {
		return nil
	}
	for _, n := range l.record.Applied.Spec.Nodes {
		if _, wanted := l.topology.Node(n.Name); wanted {
			continue
		}
		if err := l.Store.ForgetNode(n.Name); err != nil {
			return err
		}
	}
	return l.forgetUnused()
}

func (l *live) failed(err error) error {
	return l.Store.Update(func(r *store.Record) error {
		if r.Change != nil {
			r.Change.Error = err.Error()
		}
		return nil
	})
}

func (l *live) runner() *apply.Runner {
	nodes := map[string]topology.Node{}
	for _, n := range l.union().Nodes {
		nodes[n.Name] = n
	}
	r := &apply.Runner{
		Cluster: l.access(), Nodes: nodes, Desired: l.rendered, Render: l.withBackends, Join: l.joinFile, Members: l.members(),
		Last: l.lasts(), RenderLast: l.withLastBackends, IssueLast: l.issueLast, LastKeys: l.last, MoveKubeconfig: l.moveKubeconfig,
		Interim: l.interim(), Upgrades: l.Upgrade != nil, Changed: l.changedPrograms(), Images: l.imageFiles(), SaveSnapshot: l.snapshotFirst, Between: l.between,
		Task: l.Task, Snapshot: l.snapshotFile(), Programs: l.programsOf(), Manifests: l.manifests(), Provider: &machines{Provider: l.provider(), of: l.nspawnMachine}, Journal: &journal{live: l}, Held: l.held,
		Cordoned: l.cordoned(), Foreign: l.foreignPaths(), DrainTimeout: cmp.Or(l.DrainTimeout, drainTimeout), Force: l.Force, Expendable: kubeprobe.Label, Report: l.report, Waiting: l.waiting,
		Detail: func(step, text string) { l.detail(step, "%s", text) }, Notice: func(step, text string) { l.notice(step, "%s", text) }, Log: l.Log, Rotation: l.proofs,
	}
	if l.fresh() { // all nodes do the same
		r.Report = l.grouped()
		r.Detail = func(step, text string) { l.Log.Info(text, "phase", step) }
	}
	return r
}

// grouped tells of the steps of one kind as of one.
func (l *live) grouped() func(phase.Event) {
	of, kinds := map[string]int{}, map[string]string{}
	for _, s := range l.change.Steps {
		kinds[s.ID] = s.Kind()
		of[s.Kind()]++
	}
	return func(ev phase.Event) {
		ev.Group, ev.Of = kinds[ev.ID], of[kinds[ev.ID]]
		l.report(ev)
	}
}

// cordoned are the nodes that somebody else than haplane has cordoned, or had when a change began that was cut off.
func (l *live) cordoned() []string {
	var out []string
	for _, n := range l.record.Nodes {
		seen := l.seen.Nodes[n.Name]
		if n.Cordoned || seen.Unschedulable && !seen.Drained {
			out = append(out, n.Name)
		}
	}
	return out
}

// joinFile tells a new etcd member whom to join.
func (l *live) joinFile(initialCluster string) fileset.Set {
	join := render.EtcdJoin(l.topology, render.Join{InitialCluster: initialCluster, Existing: true})
	return fileset.New(fileset.File{Path: render.EtcdJoinPath, Mode: 0o644, Data: join})
}

// programsOf are the programs of each node, in the order in which they start.
func (l *live) programsOf() map[string][]string {
	out := map[string][]string{}
	for name, m := range render.Render(render.Input{Topology: l.union()}) {
		for _, u := range m.Units {
			out[name] = append(out[name], u.Name)
		}
	}
	return out
}

// marked tells the measurement of a step.
func (l *live) marked(s change.Step, state string) {
	n, _ := l.union().Node(s.Node)
	if s.Verb == change.DrainNode && state == store.Doing {
		l.measured.drains(n)
	}
	balances := n.Role == spec.RoleLoadBalancer || l.topology.Balances(n) && s.Verb == change.SetBackends || s.Verb == change.CheckBalancer
	if l.entrance != nil && balances && state != store.Failed {
		l.entrance.at(s, state == store.Done)
	}
	if l.entrance != nil && s.Verb == change.MoveKubeconfig && state == store.Done {
		l.entrance.moved()
		l.measured.moved()
	}
	touches := n.Role == spec.RoleControlPlane && slices.Contains(s.Units, "kube-apiserver")
	switch {
	case touches && state == store.Doing && (s.Verb == change.Stop || s.Verb == change.Restart):
		l.measured.gone(n)
	case touches && state == store.Done && (s.Verb == change.Start || s.Verb == change.Restart):
		l.measured.up(n)
	}
	switch state {
	case store.Doing:
		l.measured.mark(s.ID)
	case store.Failed:
		l.measured.mark(s.ID + " failed")
	}
}

// certificates are those of every node that takes commands.
func (l *live) certificates(ctx context.Context) (map[string][]look.Certificate, error) {
	var nodes []topology.Node
	running, err := l.power()
	if err != nil {
		return nil, err
	}
	for _, n := range l.union().Nodes {
		if _, made := running[n.Name]; made {
			nodes = append(nodes, n)
		}
	}
	return gather(ctx, nodes, func(ctx context.Context, n topology.Node) ([]look.Certificate, error) {
		if !running[n.Name] {
			return nil, nil
		}
		out, err := look.Certificates(ctx, l.reach(n.Name))
		if err != nil { // a machine that does not answer is mended by the change, or leaves
			l.Log.Warn("certificates not seen", "node", n.Name, "err", err)
			return nil, nil
		}
		own := func(c look.Certificate) bool { return look.KubeletsOwn(c.Path) } // it renews these when it likes
		return slices.DeleteFunc(append([]look.Certificate{}, out...), own), nil
	})
}
