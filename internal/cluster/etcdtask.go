package cluster

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/haplane/haplane/internal/change"
	"github.com/haplane/haplane/internal/pki"
	"github.com/haplane/haplane/internal/store"
	"github.com/haplane/haplane/internal/topology"
)

// A Restored is what a restore of etcd's data came to.
type Restored struct {
	Revision      int64 `json:"revision"`      // of the snapshot
	LostRevisions int64 `json:"lostRevisions"` // that the cluster had beyond it, as far as its members could tell
	// LostKnown says that these are all: whoever is gone for good may have had more.
	LostKnown bool `json:"lostKnown"`
	// SecondsToFirstWrite is from when the first API server was stopped until a write through the API was acknowledged.
	SecondsToFirstWrite float64 `json:"secondsToFirstWrite"`
	// Made are the nodes whose machines were made anew for it; the seconds are from the first of these steps then.
	Made []string `json:"made,omitempty"`
}

func newTask(kind string) *change.Task {
	return &change.Task{ID: strings.ToLower(rand.Text()[:12]), Kind: kind}
}

// restores reports whether etcd's data is what the change is about.
func (l *live) restores() bool { return l.Task != nil && l.Task.Kind == change.RestoreData }

// takeTask goes on with the task of a change that was cut off. A restore goes before all else:
// half of the members may have the one data, and half the other.
func (l *live) takeTask() error {
	c := l.record.Change
	if c == nil || c.Task == nil {
		return nil
	}
	cut, restores := (*change.Task)(c.Task), c.Task.Kind == change.RestoreData
	var loss restoreLoss
	if restores {
		var err error
		if loss, err = l.lossOf(c); err != nil {
			return err
		}
	}
	same := l.Task != nil && l.Task.Kind == cut.Kind && l.Task.To == cut.To && l.Task.Sum == cut.Sum
	plain := l.Task == nil && len(l.Replace) == 0 && (l.Text == nil || bytes.Equal(l.Text, c.TextAfter))
	goesOn := func() string { return "haplane apply --cluster " + l.topology.Name + " goes on" }
	switch {
	case restores && !l.Abort && l.Task != nil && l.Task.ID == cut.ID: // with what is left, see Recover
		return nil
	case loss.written && (l.Abort || plain):
		return loss.refused(l.topology.Name, cut.Note == "")
	case l.Abort && restores && !wentBack(c.Steps) && stepDone(c.Steps, change.WriteObject, ""):
		return withHint(errors.New("the cluster has the restored data already, and was written to: going back would lose these writes"), goesOn())
	case l.Abort && restores && c.Task.Interrupts != "":
		return withHint(errors.New("before it etcd had no quorum: there is nothing to go back to"), goesOn())
	case l.Abort && restores && (len(c.Replace) > 0 || len(c.Task.Made) > 0):
		return withHint(errors.New("machines were gone before it, and are made anew by it: they have nothing to go back to"), goesOn())
	case l.Abort && restores && loss.few && loss.any() && begun(c.Steps, change.Halt, change.SwapData):
		hint := goesOn() + ", with the snapshot for those that are left, and makes the others anew"
		if loss.own {
			hint += "; haplane etcd recover --cluster " + l.topology.Name + " goes on with the data of before that they have"
		}
		return withHint(fmt.Errorf("the machines of %s are gone since, and with them the quorum of the data of before", strings.Join(loss.gone, ", ")), hint)
	case l.Abort && restores && len(loss.way) > 0 && begun(c.Steps, change.Halt, change.SwapData):
		return withHint(fmt.Errorf("the machines of %s are gone since, and with them the way to the API", strings.Join(loss.way, ", ")), goesOn()+", and makes them anew")
	case l.Abort && !restores:
	case l.Abort, same, plain:
		l.Task = cut
		if restores && !l.Abort {
			l.Replace = minus(c.Replace, cut.Made)
			if err := l.beginAnew(c, loss); err != nil {
				return err
			}
			l.makeWay(loss.way)
		}
	case restores:
		return withHint(fmt.Errorf("etcd's data is being restored, by a change that was cut off (%s): that comes first", c.Command),
			fmt.Sprintf("haplane apply --cluster %s goes on with it, and with --abort it goes back", l.topology.Name))
	}
	return nil
}

// A restoreLoss is what a restore that was cut off has lost of its members since.
type restoreLoss struct {
	left []string // whose machines are there
	// forgot are those that the restore itself made, and that had the data. Before that a member has told nobody anything.
	forgot []string
	gone   []string // the others: the restore does not make them
	few    bool     // those that are left are no majority
	// written says that a write was acknowledged, and that the quorum which did it is gone, but not all who know of it.
	written bool
	own     bool     // the quorum is gone, nobody has other data yet, and somebody is left who has that of before
	way     []string // all load balancers, or all API servers, of which none is left: nobody reaches the API
}

func (r restoreLoss) any() bool { return len(r.forgot)+len(r.gone) > 0 }

// lossOf tells what a restore that was cut off has lost.
func (e *env) lossOf(c *store.Change) (restoreLoss, error) {
	var r restoreLoss
	if len(c.Task.Members) == 0 {
		return r, nil
	}
	made, err := e.power()
	if err != nil {
		return r, err
	}
	for _, name := range c.Task.Members {
		switch _, there := made[name]; {
		case there:
			r.left = append(r.left, name)
		case !slices.Contains(c.Task.Made, name):
			r.gone = append(r.gone, name)
		case stepDone(c.Steps, change.SwapData, name):
			r.forgot = append(r.forgot, name)
		}
	}
	r.few = 2*len(r.left) <= len(c.Task.Members)
	lost := r.few && r.any() && len(r.left) > 0
	r.written = lost && stepDone(c.Steps, change.WriteObject, "")
	r.own = lost && !begun(c.Steps, change.SwapData)
	for _, nodes := range [][]topology.Node{e.topology.LoadBalancers(), e.topology.ControlPlane()} {
		if !slices.ContainsFunc(nodes, func(n topology.Node) bool {
			_, there := made[n.Name]
			return there || slices.Contains(c.Task.Made, n.Name)
		}) {
			for _, n := range nodes {
				if !slices.Contains(r.way, n.Name) { // it balances, too
					r.way = append(r.way, n.Name)
				}
			}
		}
	}
	return r, nil
}

// makeWay has a restore make nodes anew at once.
func (l *live) makeWay(names []string) {
	task := *l.Task
	task.Made = plus(task.Made, names)
	l.Task, l.Replace = &task, minus(l.Replace, task.Made)
}

// refused is the error where nobody has said what is to become of the writes that those who are left have. Where the user has
// the snapshot, the restore can begin again.
func (r restoreLoss) refused(cluster string, again bool) error {
	hint := fmt.Sprintf("haplane etcd recover --cluster %s goes on with the data of %s", cluster, strings.Join(r.left, " or "))
	if again {
		hint += fmt.Sprintf("; haplane etcd restore --cluster %s --discard-newer with the same snapshot begins anew, and what was written since is lost", cluster)
	}
	return withHint(fmt.Errorf("the restore was written to, and then the machines of %s were lost, and with them the quorum", strings.Join(append(slices.Clone(r.forgot), r.gone...), ", ")), hint)
}

// begun reports whether a step of one of the verbs was begun.
func begun(steps []store.StepRecord, verbs ...string) bool {
	return slices.ContainsFunc(steps, func(s store.StepRecord) bool { return slices.Contains(verbs, s.Verb) })
}

// beginAnew has a restore give all members its data again, as those of another cluster of etcd, where some member has it no more
// and got or gets it again: because it was on its way back, or its machine was lost. The others may have run since, and what
// that one told them it would have forgotten: two members of one cluster could come to have different data. The same is done where
// those that are left are no quorum: they are a cluster of their own then, and the others join it.
func (l *live) beginAnew(c *store.Change, loss restoreLoss) error {
	wrote := stepDone(c.Steps, change.WriteObject, "")
	switch lost := slices.Concat(loss.forgot, loss.gone); {
	case wentBack(c.Steps):
	case len(lost) == 0:
		return nil
	case loss.few, !wrote && len(loss.forgot) > 0: // what was written since went with the quorum
	default: // they join those that are left
		l.Replace = plus(l.Replace, lost)
		return nil
	}
	task := *l.Task
	task.Attempt++
	task.Bump += leap // who saw a revision of the attempt before must not go on with it
	l.Task = &task
	if len(loss.gone) == 0 {
		return nil
	}
	return l.toThoseLeft()
}

// toThoseLeft has a restore give its data to the members that are there now.
func (l *live) toThoseLeft() error {
	there, err := l.power()
	if err != nil {
		return err
	}
	for name := range there {
		there[name] = true // who is off is told of with all who do not answer
	}
	q := Request{Wanted: l.Wanted, Task: l.Task}
	q.Task.Members, q.Task.Made = nil, nil
	if err := q.retarget(l.record, there); err != nil {
		return err
	}
	l.Replace = q.Replace
	return nil
}

// retarget says who has the data after a restore that takes over one that was cut off. Who was to be made anew by that one is no member,
// whatever machine there is; and what it had made itself has no programs that run yet.
func (q *Request) retarget(record *store.Record, made map[string]bool) error {
	c := record.Change
	for _, name := range c.Replace {
		delete(made, name)
	}
	if err := q.target(record, made); err != nil {
		return err
	}
	gone := func(name string) bool { _, there := made[name]; return !there }
	q.Task.Made = plus(q.Task.Made, without(c.Task.Made, gone))
	q.Replace = minus(plus(c.Replace, q.Replace), q.Task.Made)
	return nil
}

// stepDone reports whether one of a verb on a node is among steps, and was done.
func stepDone(steps []store.StepRecord, verb, node string) bool {
	return slices.ContainsFunc(steps, func(s store.StepRecord) bool { return s.Verb == verb && s.Node == node && s.State == store.Done })
}

// stepsOf are the steps of the same task that earlier runs began. On the way back, and where it begins anew, what is left of them
// is whose programs and data were touched: what was done after that has to be done again.
func (l *live) stepsOf(before *store.Change) []store.StepRecord {
	if before == nil || before.Task == nil || l.Task == nil || before.Task.ID != l.Task.ID {
		return nil
	}
	anew := before.Task.Attempt != l.Task.Attempt
	if !l.Abort && !anew {
		return before.Steps
	}
	var out []store.StepRecord
	for _, s := range before.Steps {
		if anew {
			s.State = store.Doing
		}
		if s.Verb == change.Halt || s.Verb == change.SwapData || s.Verb == change.SwapDataBack && !anew {
			out = append(out, s)
		}
	}
	return out
}

// wentBack reports whether the attempt was on its way back: somebody's data was given back, or may have been, or the API
// took writes again before anybody's data was exchanged. An older haplane kept the steps of a way back that went forward again:
// they are before those.
func wentBack(steps []store.StepRecord) bool {
	has := func(verb string) bool {
		return slices.ContainsFunc(steps, func(s store.StepRecord) bool { return s.Verb == verb })
	}
	back := func(s store.StepRecord) bool {
		return s.Verb == change.SwapDataBack && !slices.ContainsFunc(steps, func(o store.StepRecord) bool {
			return o.Verb == change.SwapData && o.Node == s.Node && o.State == store.Done && o.At.After(s.At)
		})
	}
	return slices.ContainsFunc(steps, back) || has(change.WriteObject) && !has(change.SwapData)
}

// doneBefore are the IDs of stepsOf that need not be done again, begunBefore those of all.
func (l *live) doneBefore() []string {
	var out []string
	if l.Abort {
		return nil
	}
	for _, s := range l.stepsOf(l.record.Change) {
		if s.State == store.Done {
			out = append(out, s.ID)
		}
	}
	return out
}

func (l *live) begunBefore() []string {
	var out []string
	for _, s := range l.stepsOf(l.record.Change) {
		out = append(out, s.ID)
	}
	return out
}

// snapshotFile is where the snapshot of the task is on this host.
func (l *live) snapshotFile() string {
	if !l.restores() {
		return ""
	}
	return l.Store.Restored(l.Task.Snapshot)
}

// stale is what objects in a snapshot have of an authority or a key that was rotated since, and what to do about it.
var stale = map[string]string{
	pki.RotateCA: "the snapshot is of before ca was rotated: webhooks, APIServices and CustomResourceDefinitions in it that trust the cluster's CA (caBundle) have the old one, " +
		"and ConfigMap kube-system/extension-apiserver-authentication trusts it still. Write the CA of now into the former afterwards, and delete the latter, which API servers make anew; " +
		"kube-root-ca.crt and the Secrets with tokens follow by themselves",
	pki.RotateFrontProxyCA: "the snapshot is of before front-proxy-ca was rotated: ConfigMap kube-system/extension-apiserver-authentication in it trusts the old one still. " +
		"Delete it afterwards, and API servers make it anew",
	pki.RotateServiceAccount: "the snapshot is of before service-account was rotated: tokens in Secrets of type kubernetes.io/service-account-token are of the old key, and API servers refuse them. " +
		"Delete such a Secret's data.token afterwards, and it gets another; pods get theirs by themselves",
}

// taskWarnings say what a restore loses, before anybody agrees to it.
func (l *live) taskWarnings() []string {
	if !l.restores() || l.Abort {
		return nil
	}
	t := l.Task
	out := []string{"the API answers nobody from the first halt on until write-object is done"}
	if len(t.Made) > 0 {
		out = []string{fmt.Sprintf("%s are made anew, under their names and with the keys that they had: without them there is no etcd, no API server, or no way to one", strings.Join(t.Made, ", "))}
	}
	switch {
	case t.Note != "":
		out = append(out, t.Note)
	case t.Newest == 0:
		out = append(out, fmt.Sprintf("etcd's data becomes that of revision %d; nobody could tell which revision the cluster had last: what was written after %d is lost", t.Revision, t.Revision))
	case t.Lost() > 0:
		out = append(out, fmt.Sprintf("lost are the revisions %d to %d (%d)", t.Revision+1, t.Newest, t.Lost()))
	}
	for _, name := range t.Stale {
		out = append(out, stale[name])
	}
	if name, _, _ := strings.Cut(t.Encryption, " "); name != "" {
		out = append(out, fmt.Sprintf("Secrets in the snapshot are encrypted with its own key %s: API servers read with that too until all Secrets are rewritten with the key of now, and lose it afterwards, one after another, in a change after this one", name))
	}
	if t.Attempt > 0 && t.Note == "" { // else it says what is lost
		out = append(out, "the restore begins anew for all members: it was on its way back when it was cut off, or machines of members were lost. What was written meanwhile is lost")
	}
	if len(l.Replace) > 0 {
		out = append(out, fmt.Sprintf("afterwards %s are made anew, one change after this one", strings.Join(l.Replace, ", ")))
	}
	if t.Interrupts != "" {
		out = append(out, fmt.Sprintf("the change that was cut off before (%s) goes on afterwards, one change after this one: it cannot go back", t.Interrupts))
	}
	return out
}

// restored is what a restore came to so far, by the journal.
func (l *live) restored() *Restored {
	if !l.restores() || l.Abort || l.wrote.IsZero() { // it did not come to that
		return nil
	}
	now := *l.Task // writes went on after the plan was made
	now.Newest = max(now.Newest, l.lastRevision)
	out := &Restored{Revision: now.Revision, LostRevisions: now.Lost(), LostKnown: l.Task.Newest > 0 && l.Task.Note == "", Made: l.Task.Made}
	if !l.halted.IsZero() {
		out.SecondsToFirstWrite = l.wrote.Sub(l.halted).Seconds()
	}
	return out
}

// timed notes when the API went and when it was back, also of an earlier run.
func (l *live) timed(s change.Step, state string) {
	if !l.restores() {
		return
	}
	l.times.Lock()
	defer l.times.Unlock()
	for _, before := range l.stepsOf(l.record.Change) {
		if l.stops(before.Verb) && (l.halted.IsZero() || before.At.Before(l.halted)) {
			l.halted = before.At
		}
	}
	switch {
	case l.stops(s.Verb) && state == store.Doing && l.halted.IsZero():
		l.halted = time.Now()
	case s.Verb == change.WriteObject && state == store.Done:
		l.wrote = time.Now()
	}
}

// stops reports whether the time without an API begins with a step of a verb; where nothing of it was left, with any.
func (l *live) stops(verb string) bool { return verb == change.Halt || len(l.Task.Made) > 0 }

// unfinished reports whether there are nodes that join or leave still.
func (l *live) unfinished(r *store.Record) bool {
	return slices.ContainsFunc(r.Nodes, func(n store.Node) bool { return n.State != store.Active })
}

// afterRestore goes on, as a change of its own, where nodes are made anew whose machines were gone.
func afterRestore(ctx context.Context, q Request, o Options, restored *Outcome) (*Outcome, error) {
	record, err := o.Store.Record()
	if err != nil || record.Change == nil {
		return restored, err
	}
	q.Task, q.Replace, q.Text, q.Serial = nil, nil, nil, 0
	out, err := applyOnce(ctx, q, o)
	if out == nil {
		return restored, err
	}
	out.Restored = restored.Restored
	return out, err
}
