package store

import (
	"cmp"
	"slices"
)

// A Task is what a change does to etcd, beside making the cluster what its file says. Its fields
// are those of change.Task.
type Task struct {
	ID       string   `json:"id"`
	Attempt  int      `json:"attempt,omitempty"`
	Kind     string   `json:"kind"`
	To       string   `json:"to,omitempty"`
	Members  []string `json:"members,omitempty"`
	Snapshot string   `json:"snapshot,omitempty"`
	Sum      string   `json:"sum,omitempty"`
	Bump     uint64   `json:"bump,omitempty"`
	Revision int64    `json:"revision,omitempty"`
	Newest   int64    `json:"newest,omitempty"`
	Leapt    int64    `json:"leapt,omitempty"`
	Note     string   `json:"note,omitempty"`

	Made       []string `json:"made,omitempty"`
	Stale      []string `json:"stale,omitempty"`
	Interrupts string   `json:"interrupts,omitempty"`
	Encryption string   `json:"encryption,omitempty"`
}

// A Leap are revisions that etcd never had, because a restore leapt over them.
type Leap struct {
	After int64 `json:"after"` // the last revision before it
	By    int64 `json:"by"`
}

// Leapt is how many of the revisions after the one, up to the other, never were. Each restore leaps beyond all that there was, so a revision
// tells which of them the data comes from, and the one before it is that of the snapshot.
func (r *Record) Leapt(after, to int64) int64 {
	var n int64
	for _, l := range slices.SortedFunc(slices.Values(r.Leaps), func(a, b Leap) int { return cmp.Compare(b.end(), a.end()) }) {
		if l.end() > after && l.end() <= to {
			n += l.end() - max(l.After, after)
			to = l.After
		}
	}
	return n
}

func (l Leap) end() int64 { return l.After + l.By }

// KeepLeap keeps the leap of the restore under way, which another one takes over that goes on with data of a revision, where
// that data is the restored one: no older data is at so high a revision.
func (r *Record) KeepLeap(revision int64) {
	t := r.Change.Task
	if l := (Leap{After: t.Revision, By: int64(t.Bump)}); l.end() <= revision {
		r.Leaps = append(r.Leaps, l)
	}
}
