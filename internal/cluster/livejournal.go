package cluster

import (
	"slices"
	"sync"
	"time"

	"github.com/haplane/haplane/internal/change"
	"github.com/haplane/haplane/internal/store"
	"github.com/haplane/haplane/internal/topology"
	"github.com/haplane/haplane/spec"
)

// A journal writes down in the store's record how far a change is.
type journal struct {
	live *live
	mu   sync.Mutex // one write after another: each is checked against the last
}

func (j *journal) update(fn func(*store.Record)) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.live.Store.Update(func(r *store.Record) error { fn(r); return nil })
}

// Note writes down the state of a step, and tells the measurement.
func (j *journal) Note(s change.Step, state string) error {
	j.live.marked(s, state)
	j.live.timed(s, state)
	if state == store.Doing {
		j.live.touched.Store(true)
	}
	return j.update(func(r *store.Record) {
		if n := r.Node(s.Node); n != nil && s.Verb == change.UsePrograms && state == store.Doing {
			n.Image = "" // neither the one nor the other, until its turn has ended
		}
		if n := r.Node(s.Node); n != nil && n.Role == spec.RoleControlPlane && s.Verb == change.RemoveMachine && state == store.Done {
			r.Rotation.Lose(n.Name, time.Now().UTC())
		}
		if r.Change == nil {
			return
		}
		one := store.StepRecord{ID: s.ID, Verb: s.Verb, Node: s.Node, State: state, At: time.Now().UTC()}
		if i := slices.IndexFunc(r.Change.Steps, func(o store.StepRecord) bool { return o.ID == s.ID }); i >= 0 {
			r.Change.Steps[i] = one
			return
		}
		r.Change.Steps = append(r.Change.Steps, one)
	})
}

// SetNode writes down the state of a node; one that is new is added.
func (j *journal) SetNode(n topology.Node, state change.State, rejoin bool) error {
	moved := false
	err := j.update(func(r *store.Record) {
		i := slices.IndexFunc(r.Nodes, func(o store.Node) bool { return o.Name == n.Name })
		if i < 0 {
			i = len(r.Nodes)
			r.Nodes = append(r.Nodes, j.live.recordOf(n, store.Joining))
		}
		r.Nodes[i].State, r.Nodes[i].Rejoin = store.NodeState(state), rejoin
		if state == change.Joining { // its machine is made where it is wanted now
			moved = r.Nodes[i].Address != topology.Join(n.Addresses)
			r.Nodes[i].Address = topology.Join(n.Addresses)
		}
		if state == change.Joining || j.live.Upgrade != nil { // its machine is made of what is wanted now, or has its programs
			r.Nodes[i].Image = j.live.image.Root
		}
	})
	if err != nil || !moved {
		return err
	}
	return j.live.Store.MoveHost(n.Name, n.Address.String())
}

// SetAddress writes down the address of a node; its machine is reached there from then on.
func (j *journal) SetAddress(n topology.Node) error {
	err := j.update(func(r *store.Record) {
		if o := r.Node(n.Name); o != nil {
			o.Address = topology.Join(n.Addresses)
		}
	})
	if err != nil {
		return err
	}
	return j.live.Store.MoveHost(n.Name, n.Address.String())
}

// Forget drops a node that is gone.
func (j *journal) Forget(n topology.Node) error {
	err := j.update(func(r *store.Record) {
		r.Nodes = slices.DeleteFunc(r.Nodes, func(o store.Node) bool { return o.Name == n.Name })
	})
	if err != nil {
		return err
	}
	return j.live.Store.ForgetNode(n.Name)
}

// Issue keeps the certificates of the change.
func (j *journal) Issue() error {
	var names []string
	for _, r := range j.live.issues {
		names = append(names, r.Name)
	}
	if err := j.live.Store.SaveKeys(j.live.keys, names); err != nil {
		return err
	}
	return j.live.Store.DropPending(names)
}
