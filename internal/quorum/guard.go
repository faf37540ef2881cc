package quorum

import "fmt"

// The steps that guards judge, as refusals name them.
const (
	OpRemove  = "remove"
	OpAdd     = "add"
	OpPromote = "promote"
	OpStop    = "stop"
)

// A RefusedError is a step that would take etcd's quorum, or that etcd in this
// state must not be asked for. Nothing has been touched.
type RefusedError struct {
	Op   string
	Name string // of the member; "a learner" where one was to be added
	// Why is what stands in the way when it is not the projection alone.
	Why string
	// After are the members that the step would leave.
	After Members
}

// Error has the step, the reason and the projection.
func (e *RefusedError) Error() string {
	why := ""
	if e.Why != "" {
		why = e.Why + "; "
	}
	return fmt.Sprintf("%s %s: %safter it %s", e.Op, e.Name, why, e.After)
}

// A MissingError is a step on a member that is not there.
type MissingError struct {
	Op string
	ID uint64
}

func (e *MissingError) Error() string {
	return fmt.Sprintf("%s member %x: there is no such etcd member", e.Op, e.ID)
}

// CanRemove allows to remove a member where quorum stands before and after. A dead
// voter may go as a healthy one may: what counts is what is left.
func (m Members) CanRemove(id uint64) error {
	x, ok := m.find(id)
	if !ok {
		return &MissingError{OpRemove, id}
	}
	return m.guard(OpRemove, x.String(), m.Remove(id), m.noQuorum())
}

// CanAdd allows one learner more where there is none yet. Voters are never added:
// one that is slow to start would raise the quorum meanwhile.
func (m Members) CanAdd() error {
	why := m.noQuorum()
	for _, x := range m {
		if x.Learner && why == "" {
			why = fmt.Sprintf("%s is a learner still, and etcd has one at a time", x)
		}
	}
	return m.guard(OpAdd, "a learner", m.AddLearner(""), why)
}

// CanPromote allows to make a voter of a learner that has caught up.
func (m Members) CanPromote(id uint64) error {
	x, ok := m.find(id)
	if !ok {
		return &MissingError{OpPromote, id}
	}
	why := m.noQuorum()
	switch {
	case why != "":
	case !x.Learner:
		why = "it is a voter already"
	case !x.Healthy:
		why = "it has not caught up"
	}
	return m.guard(OpPromote, x.String(), m.Promote(id), why)
}

// CanStop allows to stop or restart a member that the quorum can spare. One that is
// not healthy can be spared always, also without quorum: a restart may mend it.
func (m Members) CanStop(id uint64) error {
	x, ok := m.find(id)
	if !ok {
		return &MissingError{OpStop, id}
	}
	if !x.Healthy || x.Learner {
		return nil
	}
	return m.guard(OpStop, x.String(), m.Stop(id), "")
}

// noQuorum is why etcd would take no change of its members now, or "".
func (m Members) noQuorum() string {
	if m.HasQuorum() {
		return ""
	}
	return "without quorum no membership changes: now " + m.String()
}

func (m Members) guard(op, name string, after Members, why string) error {
	if why == "" && after.HasQuorum() {
		return nil
	}
	return &RefusedError{Op: op, Name: name, Why: why, After: after}
}
