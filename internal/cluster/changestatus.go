package cluster

import (
	"context"
	"errors"
	"time"

	"github.com/haplane/haplane/internal/machine"
	"github.com/haplane/haplane/internal/oplock"
	"github.com/haplane/haplane/internal/store"
)

// Change is one that is under way or was cut off; nil where there is none, or it cannot be read.
func (h *Handle) Change() *ChangeStatus {
	c, err := h.env.changeStatus()
	if err != nil {
		return nil
	}
	return c
}

// changeStatus tells of a change in the record that has not ended.
func (e *env) changeStatus() (*ChangeStatus, error) {
	r, err := e.Store.Record()
	if errors.Is(err, store.ErrNoCluster) {
		return nil, nil
	}
	if err != nil || r.Change == nil {
		return nil, err
	}
	out := &ChangeStatus{Command: r.Change.Command, Started: r.Change.Started, Holder: r.Change.Holder, Error: r.Change.Error, BringUp: r.Applied == nil}
	if u := r.Change.Upgrade; u != nil {
		out.Upgrade = u.From + " to " + u.To
	}
	for _, s := range r.Change.Steps {
		if s.State == store.Done {
			out.Steps++
		}
		out.Last = s.ID
	}
	out.Running, err = e.Store.Locked()
	return out, err
}

// LockStatus is the lock that an operator has on the machines while he changes the cluster,
// from whichever host and folder.
type LockStatus struct {
	Holder           string    `json:"holder"` // user@host pid N
	Command          string    `json:"command"`
	Since            time.Time `json:"since"`            // by the holder's clock
	HeartbeatSeconds int       `json:"heartbeatSeconds"` // since the holder was last heard of
	Expired          bool      `json:"expired"`          // the holder is dead, or cut off: others may take it
	On               []string  `json:"on"`               // the machines that have it
	Own              bool      `json:"own"`              // it is that of this folder's own change
}

// lock asks all machines: which of them have it depends on who leaves, which only the record
// of the holder tells.
func (c *collector) lock(ctx context.Context) error {
	var machines []machine.Machine
	for _, n := range c.env.topology.Nodes {
		machines = append(machines, c.env.machine(n))
	}
	seen, err := oplock.Read(ctx, machines)
	if err != nil || seen == nil {
		return err
	}
	last, err := c.env.Store.LastOperation()
	c.status.Lock = &LockStatus{Holder: seen.Who, Command: seen.Command, Since: seen.Since,
		HeartbeatSeconds: int(seen.Heartbeat.Seconds()), Expired: seen.Expired, On: seen.On, Own: seen.Token == last.Token}
	return err
}
