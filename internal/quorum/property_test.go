package quorum

import (
	"fmt"
	"testing"

	"pgregory.net/rapid"
)

// states calls f with every cluster of up to 5 members, each a voter or a learner,
// alive, dead or never started.
func states(f func(Members)) {
	kinds := []Member{
		{Name: "n", Healthy: true}, {Name: "n"}, {}, // voters
		{Name: "n", Healthy: true, Learner: true}, {Name: "n", Learner: true}, {Learner: true},
	}
	var grow func(Members)
	grow = func(m Members) {
		f(m)
		if len(m) == 5 {
			return
		}
		for _, kind := range kinds {
			kind.ID = uint64(len(m) + 1)
			if kind.Name != "" {
				kind.Name = fmt.Sprintf("cp-%d", kind.ID)
			}
			grow(append(m[:len(m):len(m)], kind))
		}
	}
	grow(nil)
}

// enough is the rule said once more, in numbers only: v voters, h of them healthy.
func enough(h, v int) bool { return v > 0 && 2*h > v }

func TestGuardsInEveryState(t *testing.T) {
	n := 0
	states(func(m Members) {
		n++
		v, h, learners := 0, 0, 0
		for _, x := range m {
			switch {
			case x.Learner:
				learners++
			case x.Healthy:
				v, h = v+1, h+1
			default:
				v++
			}
		}
		check := func(op string, id uint64, err error, want bool) {
			if (err == nil) != want {
				t.Fatalf("%+v: %s %d: allowed should be %v: %v", m, op, id, want, err)
			}
		}
		if m.HasQuorum() != enough(h, v) {
			t.Fatalf("%+v: HasQuorum is %v", m, m.HasQuorum())
		}
		check("add", 0, m.CanAdd(), enough(h, v) && learners == 0)
		for _, x := range m {
			switch {
			case x.Learner:
				check("remove", x.ID, m.CanRemove(x.ID), enough(h, v))
				check("promote", x.ID, m.CanPromote(x.ID), enough(h, v) && x.Healthy && enough(h+1, v+1))
				check("stop", x.ID, m.CanStop(x.ID), true)
			case x.Healthy:
				check("remove", x.ID, m.CanRemove(x.ID), enough(h, v) && enough(h-1, v-1))
				check("promote", x.ID, m.CanPromote(x.ID), false)
				check("stop", x.ID, m.CanStop(x.ID), enough(h-1, v))
			default:
				check("remove", x.ID, m.CanRemove(x.ID), enough(h, v) && enough(h, v-1))
				check("promote", x.ID, m.CanPromote(x.ID), false)
				check("stop", x.ID, m.CanStop(x.ID), true)
			}
		}
	})
	if want := 1 + 6 + 36 + 216 + 1296 + 7776; n != want {
		t.Errorf("%d states, want %d", n, want)
	}
}

// A dead voter can always be removed while there is quorum: else a cluster that
// lost a machine could never be mended.
func TestTheDeadCanAlwaysGo(t *testing.T) {
	states(func(m Members) {
		for _, x := range m {
			if m.HasQuorum() && !x.Healthy {
				if err := m.CanRemove(x.ID); err != nil {
					t.Fatalf("%+v: %v", m, err)
				}
			}
		}
	})
}

// Whatever is tried in whatever order, what the guards allow never takes quorum;
// a failure may, and then no membership changes until members are back.
func TestAllowedStepsKeepQuorum(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := Members{}
		for id := range rapid.IntRange(1, 7).Draw(t, "voters") {
			m = append(m, voter(uint64(id+1), true))
		}
		id := func() uint64 { return rapid.SampledFrom(m).Draw(t, "member").ID }
		step := func(err error, after func() Members) {
			if err != nil {
				return
			}
			before := m
			m = after()
			if before.HasQuorum() && !m.HasQuorum() {
				t.Fatalf("quorum is gone: %+v became %+v", []Member(before), []Member(m))
			}
		}
		membership := func(err error, after func() Members) {
			if err == nil && !m.HasQuorum() {
				t.Fatalf("allowed without quorum: %+v", []Member(m))
			}
			step(err, after)
		}
		t.Repeat(map[string]func(*rapid.T){
			"add": func(*rapid.T) { membership(m.CanAdd(), func() Members { return m.AddLearner("") }) },
			"remove": func(*rapid.T) {
				i := id()
				membership(m.CanRemove(i), func() Members { return m.Remove(i) })
			},
			"promote": func(*rapid.T) {
				i := id()
				membership(m.CanPromote(i), func() Members { return m.Promote(i) })
			},
			"stop": func(*rapid.T) {
				i := id()
				step(m.CanStop(i), func() Members { return m.Stop(i) })
			},
			"comes back": func(*rapid.T) { m = m.with(id(), func(x *Member) { x.Healthy = true }) },
			"fails":      func(*rapid.T) { m = m.Stop(id()) },
			"": func(t *rapid.T) {
				learners := m.count(func(x Member) bool { return x.Learner })
				if m.Voters() == 0 || learners > 1 {
					t.Fatalf("%s, %d learners", m, learners)
				}
			},
		})
	})
}
