package quorum

import "slices"

// Remove returns the members without one.
func (m Members) Remove(id uint64) Members {
	return slices.DeleteFunc(slices.Clone(m), func(x Member) bool { return x.ID == id })
}

// AddLearner returns the members with a learner more. It has not caught up, and
// an ID that no other member has: etcd gives the true one when it is added.
func (m Members) AddLearner(name string) Members {
	id := uint64(1)
	for {
		if _, taken := m.find(id); !taken {
			return append(slices.Clone(m), Member{ID: id, Name: name, Learner: true})
		}
		id++
	}
}

// Promote returns the members after a learner has become a voter.
func (m Members) Promote(id uint64) Members {
	return m.with(id, func(x *Member) { x.Learner = false })
}

// Stop returns the members while one is stopped or restarts.
func (m Members) Stop(id uint64) Members {
	return m.with(id, func(x *Member) { x.Healthy = false })
}

func (m Members) with(id uint64, change func(*Member)) Members {
	out := slices.Clone(m)
	for i := range out {
		if out[i].ID == id {
			change(&out[i])
		}
	}
	return out
}
