package etcdapi

import (
	"context"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
)

func TestMoveLeader(t *testing.T) {
	tests := map[string]struct {
		leader  uint64
		changes changes
		asked   []string
		err     string
	}{
		"it leads":               {1, changes{}, []string{"move"}, ""},
		"another leads":          {2, changes{}, nil, ""},
		"it has stopped leading": {1, changes{refuses: rpctypes.ErrGRPCNotLeader}, []string{"move"}, ""},
		"to a learner":           {1, changes{refuses: rpctypes.ErrGRPCBadLeaderTransferee}, []string{"move"}, "move etcd's leader from cp-1 at http"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			fake := &fakeMember{id: 1, leader: tt.leader, changes: &tt.changes}
			from := Member{ID: 1, Name: "cp-1", ClientURLs: []string{fake.serve(t)}}
			// The cluster's endpoint is another: only the leader itself may be asked.
			err := client(t, refusing(t)).MoveLeader(t.Context(), from, 2, nil, func(context.Context) func() { return func() {} })
			if (err == nil) != (tt.err == "") || err != nil && !strings.Contains(err.Error(), tt.err) {
				t.Errorf("error %v, want one with %q", err, tt.err)
			}
			if diff := cmp.Diff(tt.asked, tt.changes.asked); diff != "" {
				t.Error("-want +got\n" + diff)
			}
		})
	}
}

// Who writes is held right before the leader is told, and until all members follow the next one, or as soon as it
// is clear that they will not.
func TestMoveLeaderHoldsWrites(t *testing.T) {
	tests := map[string]struct {
		leader uint64
		others []uint64 // whom members 2, 3, ... follow; 0 one that does not answer
		asked  changes
		held   bool
	}{
		"all follow":             {1, []uint64{2, 2}, changes{}, true},
		"one does not answer":    {1, []uint64{2, 0}, changes{}, true},
		"one is behind":          {1, []uint64{2, 1}, changes{}, true},
		"another leads":          {2, []uint64{2, 2}, changes{}, false},
		"it has stopped leading": {1, []uint64{2, 2}, changes{refuses: rpctypes.ErrGRPCNotLeader}, true},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			fake := &fakeMember{id: 1, leader: tt.leader, applied: 42, changes: &tt.asked}
			all := []Member{{ID: 1, Name: "cp-1", ClientURLs: []string{fake.serve(t)}}}
			for i, leader := range tt.others {
				other := &fakeMember{id: uint64(i + 2), leader: leader}
				m := Member{ID: other.id, Name: "other", ClientURLs: []string{other.serve(t)}}
				if leader == 0 {
					m.ClientURLs = []string{refusing(t)}
				}
				all = append(all, m)
			}
			held, released := 0, 0
			hold := func(context.Context) func() {
				if held++; len(tt.asked.asked) > 0 {
					t.Error("the leader was told before")
				}
				return func() {
					if released++; len(tt.asked.asked) == 0 {
						t.Error("released before the leader was told")
					}
				}
			}
			if err := client(t, refusing(t)).MoveLeader(t.Context(), all[0], 2, all, hold); err != nil {
				t.Error(err)
			}
			if want := map[bool]int{true: 1}[tt.held]; held != want || released != want {
				t.Errorf("held %d times, released %d times, want %d", held, released, want)
			}
		})
	}
}

func TestLeaderIsNot(t *testing.T) {
	tests := map[string]struct {
		named []uint64 // by members 2, 3, ...; 0 is one that is not healthy
		err   string
	}{
		"all name another":  {[]uint64{2, 2}, ""},
		"the dead are none": {[]uint64{2, 0}, ""},
		"one is behind":     {[]uint64{2, 1}, "cp-3 still names member 1"},
		"two leaders":       {[]uint64{2, 3}, "cp-3 names member 3, another 2"},
		"nobody is healthy": {[]uint64{0, 0}, "no other member is healthy"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			// The one that has lost its leadership is the last to hear of it.
			old := &fakeMember{id: 1, leader: 1, quorum: true}
			members := []Member{{ID: 1, Name: "cp-1", ClientURLs: []string{old.serve(t)}}}
			for i, leader := range tt.named {
				fake := &fakeMember{id: uint64(i + 2), leader: leader, quorum: true}
				if leader == 0 {
					fake.readErr = rpctypes.ErrGRPCNoLeader
				}
				members = append(members, Member{ID: fake.id, Name: []string{"cp-2", "cp-3"}[i], ClientURLs: []string{fake.serve(t)}})
			}
			err := client(t, members[0].ClientURLs[0]).LeaderIsNot(t.Context(), 1, members)
			if (err == nil) != (tt.err == "") || err != nil && !strings.Contains(err.Error(), tt.err) {
				t.Errorf("error %v, want one with %q", err, tt.err)
			}
		})
	}
}

func TestCaughtUp(t *testing.T) {
	leader := &fakeMember{id: 1, leader: 1, quorum: true, index: 1000, applied: 990}
	lead := Member{ID: 1, Name: "cp-1", ClientURLs: []string{leader.serve(t)}}
	tests := map[string]struct {
		learner fakeMember
		behind  uint64
		err     string
	}{
		"behind":          {fakeMember{leader: 1, index: 400, applied: 300}, 700, ""},
		"level":           {fakeMember{leader: 1, index: 1000, applied: 1000}, 0, ""},
		"ahead":           {fakeMember{leader: 1, index: 1003, applied: 1003}, 0, ""},
		"hears of nobody": {fakeMember{index: 1000, applied: 1000}, 0, "hears of no leader"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			tt.learner.id, tt.learner.learner = 4, true
			learner := Member{ID: 4, Name: "cp-4", Learner: true, ClientURLs: []string{tt.learner.serve(t)}}
			behind, err := client(t, lead.ClientURLs[0]).CaughtUp(t.Context(), learner, lead)
			if (err == nil) != (tt.err == "") || err != nil && !strings.Contains(err.Error(), tt.err) {
				t.Errorf("error %v, want one with %q", err, tt.err)
			}
			if behind != tt.behind {
				t.Errorf("%d behind, want %d", behind, tt.behind)
			}
		})
	}
}
