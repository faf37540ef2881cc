package cluster

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/haplane/haplane/internal/change"
	"github.com/haplane/haplane/internal/store"
	"github.com/haplane/haplane/internal/topology"
)

// What a command is about that makes one kind of change. One that was cut off is gone on with by a command that is about the same, and by those that
// are about none of these because they go on with whatever it was: up, apply, plan.
const (
	aboutNodes        = "nodes" // and files
	aboutCertificates = "certificates"
	aboutEtcd         = "etcd"
	aboutRotation     = "rotation"
	aboutUpgrade      = "upgrade"
)

// aboutOf is what the change of a record is about that was cut off.
func aboutOf(r *store.Record) string {
	switch c := r.Change; {
	case c.Upgrade != nil:
		return aboutUpgrade
	case c.Task != nil:
		return aboutEtcd
	case r.Rotation != nil && !r.Rotation.Proved:
		return aboutRotation
	case len(c.Renew) > 0:
		return aboutCertificates
	}
	return aboutNodes
}

// mayGoOn is an error where a change was cut off that nobody has asked to go on with: the command is about something else, or asks for more. Nodes
// that are to be made anew are looked at first, see mends.
func (q Request) mayGoOn(r *store.Record) error {
	c := r.Change
	if c == nil || q.Abort || q.About == "" || q.About == aboutNodes && len(q.Replace) > 0 {
		return nil
	}
	sameTask := q.Task == nil || c.Task != nil && q.Task.Kind == c.Task.Kind && q.Task.To == c.Task.To
	more := q.Text != nil || len(minus(slices.Collect(maps.Keys(q.Renew)), slices.Collect(maps.Keys(c.Renew)))) > 0
	if q.About == aboutOf(r) && sameTask && !more {
		return nil
	}
	return refuseBeside(r, cmp.Or(q.Command, "this"))
}

// mends is an error where a change was cut off, and a node is to be made anew that is well: of one that is not, the change may wait for just that.
func (l *live) mends(replace []string) error {
	if l.record.Change == nil || l.Abort || l.About != aboutNodes {
		return nil
	}
	for _, name := range replace {
		if n, ok := l.topology.Node(name); ok && l.well(n) {
			return refuseBeside(l.record, cmp.Or(l.Command, "this"))
		}
	}
	return nil
}

// well reports whether a node does its part, as far as was seen.
func (l *live) well(n topology.Node) bool {
	m := l.seen.Machines[n.Name]
	if !m.Made || !m.Running || !m.Reachable || m.Error != "" {
		return false
	}
	if a, ok := l.seen.APIServers[n.Name]; ok && !a.Ready {
		return false
	}
	if b, ok := l.seen.Balancers[n.Name]; ok && !b.Seen {
		return false
	}
	if l.seen.APISeen && l.topology.RunsKubelet(n) && !l.seen.Nodes[n.Name].Ready {
		return false
	}
	member, ok := l.seen.Etcd.Member(n.Name, n.EtcdPeerURL())
	return !l.seen.Etcd.Seen || !l.topology.HasEtcdMember(n) || ok && member.Healthy
}

// refuseBeside refuses a command because a change was cut off that is another one, and names what goes on with that and what goes back.
func refuseBeside(r *store.Record, command string) error {
	c := r.Change
	text := fmt.Sprintf("another change was cut off, and has to end first: %s, begun %s by %s", c.Command, c.Started.Format("2006-01-02 15:04:05 MST"), c.Holder)
	if c.Error != "" {
		text += "; it stopped: " + c.Error
	}
	return withHint(&change.Refused{Step: command, Err: errors.New(text)}, wayForward(r))
}

// wayForward names what goes on with the change of a record that was cut off, and what goes back.
func wayForward(r *store.Record) string {
	c, name := r.Change, r.Applied.Metadata.Name
	switch aboutOf(r) {
	case aboutUpgrade:
		return (&Upgrade{From: c.Upgrade.From, Down: c.Upgrade.Down}).wayOn(r.Applied)
	case aboutRotation:
		on := fmt.Sprintf("haplane certs rotate %s --cluster %s goes on from there", r.Rotation.Name, name)
		if abortable(r.Rotation) != nil {
			return on
		}
		return on + fmt.Sprintf(", haplane apply --abort --cluster %s goes back", name)
	case aboutCertificates:
		return fmt.Sprintf("haplane apply --cluster %s goes on from there", name)
	}
	return fmt.Sprintf("haplane apply --cluster %s goes on from there, and with --abort it goes back", name)
}
