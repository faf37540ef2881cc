package cluster

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/haplane/haplane/internal/change"
	"github.com/haplane/haplane/internal/fileset"
	"github.com/haplane/haplane/internal/kubeapi"
	"github.com/haplane/haplane/internal/render"
	"github.com/haplane/haplane/spec"
)

// PlanFor returns what Apply would do with a cluster that exists, or what Up would
// do where it was never brought up to its end. It changes nothing.
func PlanFor(ctx context.Context, q Request, o Options) (*Plan, error) {
	l, err := planned(q, o)
	if err != nil {
		return nil, wayToSign(err)
	}
	defer l.close()
	if err := l.look(ctx); err != nil {
		return nil, err
	}
	if err := l.plan(ctx); err != nil {
		return nil, err
	}
	if !l.fresh() { // up looks at the host first
		if err := l.room(ctx); err != nil {
			return nil, err
		}
	}
	return l.show(ctx)
}

// planned is a cluster with what would become of it.
func planned(q Request, o Options) (*live, error) {
	exists, err := isLive(o.Store)
	if err != nil {
		return nil, err
	}
	if exists {
		return newLive(q, o)
	}
	l, err := newBringUp(q, o)
	if err != nil {
		return nil, err
	}
	if err := errors.Join(l.pinImages(), l.addSnapshots()); err != nil {
		return nil, err
	}
	l.rendered = l.of(l.topology)
	return l, l.connect()
}

// show writes the plan out for the user.
func (l *live) show(ctx context.Context) (*Plan, error) {
	p := newPlan()
	p.Steps, p.Reissue, p.Warnings = append(p.Steps, l.change.Steps...), append(p.Reissue, l.issues...), append(p.Warnings, l.warnings()...)
	p.Warnings = append(append(p.Warnings, l.dataWarnings(ctx)...), l.snapshotWarnings(ctx)...)
	p.removes = slices.ContainsFunc(p.Steps, func(s change.Step) bool {
		stays := func(n change.Node) bool { return n.Name == s.Node && n.State == change.Active }
		return s.Verb == change.RemoveMachine && slices.ContainsFunc(l.nodes, stays)
	})
	p.upgrades = l.Upgrade != nil
	warning, last, err := l.lastCopies()
	if err != nil {
		return nil, err
	}
	if p.LastCopies = last; warning != "" {
		p.Warnings = append(p.Warnings, warning)
	}
	for _, r := range l.issues {
		p.Keys = append(p.Keys, r.Name)
	}
	for _, o := range l.objects {
		if o.Change != kubeapi.Unchanged {
			p.Objects = append(p.Objects, o)
		}
	}
	if e := l.seen.Etcd; e.Seen {
		v := e.Voting()
		p.Etcd = &change.Tolerance{Voters: v.Voters(), Healthy: v.Healthy(), Tolerates: v.Tolerates()}
	}
	return p, l.showFiles(ctx, p)
}

// showFiles adds the files that are written on each machine, with their differences.
func (l *live) showFiles(ctx context.Context, p *Plan) error {
	for _, n := range l.topology.Nodes {
		seen := l.seen.Machines[n.Name]
		written, all := writes(p.Steps, n.Name)
		if !all && len(written) == 0 || !seen.Reachable && seen.Made {
			continue
		}
		want := l.rendered[n.Name].Files
		if !all {
			want = want.Under(written...)
		}
		stale := want.Stale(seen.Files)
		for _, path := range stale.Paths() {
			one := FileChange{Node: n.Name, Path: path, New: true}
			if _, there := seen.Files[path]; there {
				var err error
				if one, err = l.fileChange(ctx, n, stale[path]); err != nil {
					return err
				}
			}
			p.Files = append(p.Files, one)
		}
		if !all { // nothing else is looked at
			continue
		}
		for _, path := range fileset.Unwanted(seen.Manifest, l.rendered[n.Name].Files) {
			p.Files = append(p.Files, FileChange{Node: n.Name, Path: path, Removed: true})
		}
	}
	return l.showLast(p)
}

// showLast adds the files that are written once more in the end.
func (l *live) showLast(p *Plan) error {
	last := l.lasts()
	for _, n := range l.topology.Nodes {
		before, after := l.rendered[n.Name].Files, last[n.Name].Files
		for _, path := range after.Paths() {
			if path == render.ManifestPath || after[path].Sum() == before[path].Sum() {
				continue
			}
			one := FileChange{Node: n.Name, Path: path}
			var err error
			if !after[path].Secret() {
				one.Diff, err = unified(n.Name+":"+path, "in the end", string(before[path].Data), string(after[path].Data), 3)
			}
			if err != nil {
				return err
			}
			p.Files = append(p.Files, one)
		}
	}
	return nil
}

// writes tells which files of a node are written: some, or all that differ.
func writes(steps []change.Step, node string) (some []string, all bool) {
	for _, s := range steps {
		if s.Node != node || s.Verb != change.WriteFiles && s.Verb != change.SetBackends {
			continue
		}
		some, all = append(some, s.Files...), all || len(s.Files) == 0
	}
	return some, all
}

func (l *live) warnings() []string {
	out := []string{}
	if c := l.record.Change; c != nil {
		text := fmt.Sprintf("a change was cut off: %s, begun %s by %s; this plan has what is left of it",
			c.Command, c.Started.Format("2006-01-02 15:04:05 MST"), c.Holder)
		if c.Error != "" {
			text += "; it stopped: " + c.Error
		}
		out = append(out, text)
	}
	if r := rotationStatus(l.record.Rotation); r != nil && l.Rotate == "" {
		out = append(out, r.String())
	}
	out = append(out, l.rotationWarnings()...)
	out = append(out, l.taskWarnings()...)
	if l.Upgrade != nil {
		out = append(out, l.Upgrade.warnings(l.Wanted)...)
	} else if there := newer(l.Wanted, l.Cache, l.record.Versions); there != "" {
		out = append(out, there)
	}
	out = append(out, spec.Warnings(l.Wanted)...)
	out = slices.Concat(out, l.keysLeft(), l.namesBeyond(), l.notSealed())
	out = append(out, certificateWarnings(l.rows, l.keys, time.Now())...)
	out = append(out, l.foreignWarnings()...)
	if l.Task == nil || l.Task.Kind != change.MakeRoom {
		out = append(out, alarmWarnings(l.seen.Etcd, l.topology.Name)...)
	}
	out = append(out, l.seen.Unseen...)
	out = append(out, l.change.Warnings()...)
	if least := l.leastTolerance(); least >= 0 && l.seen.Etcd.Seen {
		if now := l.seen.Etcd.Voting().Tolerates(); least < now {
			out = append(out, fmt.Sprintf("while it is carried out, etcd tolerates the failure of %d members for a time; now it is %d", least, now))
		}
	}
	return out
}

// leastTolerance is the least that etcd tolerates between the steps; -1 where none is about it.
func (l *live) leastTolerance() int {
	least := -1
	for _, s := range l.change.Steps {
		if s.Etcd != nil && (least < 0 || s.Etcd.After.Tolerates < least) {
			least = s.Etcd.After.Tolerates
		}
	}
	return least
}
