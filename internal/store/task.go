package store

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
}

// A Leap are revisions that etcd never had, because a restore leapt over them.
type Leap struct {
	After int64 `json:"after"` // the last revision before it
	By    int64 `json:"by"`
}

// Leapt is how many of the revisions after the one, up to the other, never were.
func (r *Record) Leapt(after, to int64) int64 {
	var n int64
	for _, l := range r.Leaps {
		n += max(min(l.After+l.By, to)-max(l.After, after), 0)
	}
	return n
}
