// Package quorum says what a change of etcd's members, or a stop of one, would
// leave: it projects the step, and refuses the one after which the voters that
// are healthy are fewer than a quorum. It is pure; who is healthy is seen elsewhere.
package quorum

import (
	"fmt"
	"slices"
)

// A Member is an etcd member as the others list it.
type Member struct {
	ID uint64
	// Name is empty until the member has started for the first time. It counts all
	// the same: a voter that never started raises the quorum like one that died.
	Name    string
	Learner bool
	// Healthy means of a voter that it serves, of a learner that it has caught up.
	Healthy bool
}

// String is the member's name or, where it has none, its ID as etcdctl prints it.
func (m Member) String() string {
	if m.Name == "" {
		return fmt.Sprintf("member %x", m.ID)
	}
	return m.Name
}

// Members are those of one etcd cluster. No method changes them; steps return others.
type Members []Member

// Voters is how many members have a vote, started or not.
func (m Members) Voters() int { return m.count(func(x Member) bool { return !x.Learner }) }

// Healthy is how many voters are healthy.
func (m Members) Healthy() int {
	return m.count(func(x Member) bool { return !x.Learner && x.Healthy })
}

// Quorum is how many healthy voters it takes to write.
func (m Members) Quorum() int { return m.Voters()/2 + 1 }

// HasQuorum reports whether writes are possible.
func (m Members) HasQuorum() bool { return m.Healthy() >= m.Quorum() }

// Tolerates is how many further voters may fail now.
func (m Members) Tolerates() int { return max(m.Healthy()-m.Quorum(), 0) }

// String is the projection in words, as refusals have it.
func (m Members) String() string {
	is, voters := "are", "voters"
	if m.Healthy() == 1 {
		is = "is"
	}
	if m.Voters() == 1 {
		voters = "voter"
	}
	return fmt.Sprintf("%d %s of which %d %s healthy, quorum %d", m.Voters(), voters, m.Healthy(), is, m.Quorum())
}

func (m Members) count(is func(Member) bool) int {
	n := 0
	for _, x := range m {
		if is(x) {
			n++
		}
	}
	return n
}

func (m Members) find(id uint64) (Member, bool) {
	i := slices.IndexFunc(m, func(x Member) bool { return x.ID == id })
	if i < 0 {
		return Member{}, false
	}
	return m[i], true
}
