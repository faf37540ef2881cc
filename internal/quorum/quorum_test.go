package quorum

import (
	"errors"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func voter(id uint64, healthy bool) Member {
	return Member{ID: id, Name: fmt.Sprintf("cp-%d", id), Healthy: healthy}
}

func learner(id uint64, healthy bool) Member {
	return Member{ID: id, Name: fmt.Sprintf("cp-%d", id), Learner: true, Healthy: healthy}
}

func TestNumbers(t *testing.T) {
	tests := map[string]struct {
		members                            Members
		voters, healthy, quorum, tolerates int
		has                                bool
	}{
		"none":                   {nil, 0, 0, 1, 0, false},
		"one":                    {Members{voter(1, true)}, 1, 1, 1, 0, true},
		"two":                    {Members{voter(1, true), voter(2, true)}, 2, 2, 2, 0, true},
		"three":                  {Members{voter(1, true), voter(2, true), voter(3, true)}, 3, 3, 2, 1, true},
		"three, one dead":        {Members{voter(1, true), voter(2, false), voter(3, true)}, 3, 2, 2, 0, true},
		"three, two dead":        {Members{voter(1, true), voter(2, false), voter(3, false)}, 3, 1, 2, 0, false},
		"learners have no vote":  {Members{voter(1, true), learner(2, true), learner(3, false)}, 1, 1, 1, 0, true},
		"nameless voters do":     {Members{voter(1, true), {ID: 2}}, 2, 1, 2, 0, false},
		"nameless learners dont": {Members{voter(1, true), {ID: 2, Learner: true}}, 1, 1, 1, 0, true},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			m := test.members
			got := []any{m.Voters(), m.Healthy(), m.Quorum(), m.Tolerates(), m.HasQuorum()}
			want := []any{test.voters, test.healthy, test.quorum, test.tolerates, test.has}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestStepsLeaveTheirReceiver(t *testing.T) {
	m := Members{voter(1, true), learner(3, true)}
	before := fmt.Sprint([]Member(m))
	if diff := cmp.Diff(Members{voter(1, true), learner(3, true), {ID: 2, Name: "cp-4", Learner: true}}, m.AddLearner("cp-4")); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(Members{voter(1, true), voter(3, true)}, m.Promote(3)); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(Members{voter(1, false), learner(3, true)}, m.Stop(1)); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(Members{learner(3, true)}, m.Remove(1)); diff != "" {
		t.Error(diff)
	}
	if after := fmt.Sprint([]Member(m)); after != before {
		t.Errorf("the members were %s and are %s", before, after)
	}
}

func TestGuards(t *testing.T) {
	one := Members{voter(1, true)}
	three := Members{voter(1, true), voter(2, true), voter(3, true)}
	degraded := Members{voter(1, true), voter(2, true), voter(3, false)}
	lost := Members{voter(1, true), voter(2, false), voter(3, false)}
	learning := append(three[:3:3], learner(4, false))
	caughtUp := append(degraded[:3:3], learner(4, true))
	unstarted := Members{voter(1, true), voter(2, true), {ID: 0xbeef}}
	tests := map[string]struct {
		err  error
		want string // "" allowed
	}{
		"remove one of three":         {three.CanRemove(1), ""},
		"remove the dead of three":    {degraded.CanRemove(3), ""},
		"remove a healthy one beside": {degraded.CanRemove(2), "remove cp-2: after it 2 voters of which 1 is healthy, quorum 2"},
		"remove the last":             {one.CanRemove(1), "remove cp-1: after it 0 voters of which 0 are healthy, quorum 1"},
		"remove without quorum": {lost.CanRemove(3),
			"remove cp-3: without quorum no membership changes: now 3 voters of which 1 is healthy, quorum 2; after it 2 voters of which 1 is healthy, quorum 2"},
		"remove a learner":        {learning.CanRemove(4), ""},
		"remove one unstarted":    {unstarted.CanRemove(0xbeef), ""},
		"remove who is not there": {one.CanRemove(0xbeef), "remove member beef: there is no such etcd member"},
		"remove beside unstarted": {unstarted.CanRemove(1), "remove cp-1: after it 2 voters of which 1 is healthy, quorum 2"},
		"add":                     {one.CanAdd(), ""},
		"add to degraded":         {degraded.CanAdd(), ""},
		"add a second learner": {learning.CanAdd(),
			"add a learner: cp-4 is a learner still, and etcd has one at a time; after it 3 voters of which 3 are healthy, quorum 2"},
		"add without quorum": {lost.CanAdd(),
			"add a learner: without quorum no membership changes: now 3 voters of which 1 is healthy, quorum 2; after it 3 voters of which 1 is healthy, quorum 2"},
		"promote":             {caughtUp.CanPromote(4), ""},
		"promote too early":   {learning.CanPromote(4), "promote cp-4: it has not caught up; after it 4 voters of which 3 are healthy, quorum 3"},
		"promote a voter":     {three.CanPromote(1), "promote cp-1: it is a voter already; after it 3 voters of which 3 are healthy, quorum 2"},
		"promote nobody":      {three.CanPromote(9), "promote member 9: there is no such etcd member"},
		"stop one of three":   {three.CanStop(1), ""},
		"stop a second":       {degraded.CanStop(1), "stop cp-1: after it 3 voters of which 1 is healthy, quorum 2"},
		"stop the dead":       {degraded.CanStop(3), ""},
		"stop the only":       {one.CanStop(1), "stop cp-1: after it 1 voter of which 0 are healthy, quorum 1"},
		"stop a learner":      {caughtUp.CanStop(4), ""},
		"restart to mend":     {lost.CanStop(2), ""},
		"stop beside the lot": {lost.CanStop(1), "stop cp-1: after it 3 voters of which 0 are healthy, quorum 2"},
		"stop nobody":         {three.CanStop(9), "stop member 9: there is no such etcd member"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			got := ""
			if test.err != nil {
				got = test.err.Error()
			}
			if got != test.want {
				t.Errorf("got  %s\nwant %s", got, test.want)
			}
		})
	}
}

func TestRefusalHasWhatItWouldLeave(t *testing.T) {
	err := Members{voter(1, true), voter(2, true), voter(3, false)}.CanRemove(2)
	var refused *RefusedError
	if !errors.As(err, &refused) {
		t.Fatalf("%T is no RefusedError", err)
	}
	want := &RefusedError{Op: OpRemove, Name: "cp-2", After: Members{voter(1, true), voter(3, false)}}
	if diff := cmp.Diff(want, refused); diff != "" {
		t.Error(diff)
	}
	if errors.As((Members{}).CanRemove(1), &refused) {
		t.Error("that there is no such member is no refusal")
	}
}
