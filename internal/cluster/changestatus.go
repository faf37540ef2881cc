package cluster

import (
	"errors"

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
	for _, s := range r.Change.Steps {
		if s.State == store.Done {
			out.Steps++
		}
		out.Last = s.ID
	}
	out.Running, err = e.Store.Locked()
	return out, err
}
