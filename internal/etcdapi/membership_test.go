package etcdapi

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
)

// changes are what a fakeMember makes of the requests that change something: it
// carries them out, and then may lose its answer or refuse.
type changes struct {
	refuses error // instead of doing it
	loses   error // after it was done
	asked   []string
}

func (f *fakeMember) change(what string, do func()) error {
	f.changes.asked = append(f.changes.asked, what)
	if f.changes.refuses != nil {
		return f.changes.refuses
	}
	do()
	return f.changes.loses
}

func (f *fakeMember) at(id uint64) int {
	return slices.IndexFunc(f.members, func(m *pb.Member) bool { return m.ID == id })
}

func (f *fakeMember) MemberAdd(_ context.Context, r *pb.MemberAddRequest) (*pb.MemberAddResponse, error) {
	added := &pb.Member{ID: 9, PeerURLs: r.PeerURLs, IsLearner: r.IsLearner}
	err := f.change("add", func() { f.members = append(f.members, added) })
	return &pb.MemberAddResponse{Member: added}, err
}

func (f *fakeMember) MemberPromote(_ context.Context, r *pb.MemberPromoteRequest) (*pb.MemberPromoteResponse, error) {
	i := f.at(r.ID)
	if i < 0 {
		return nil, rpctypes.ErrGRPCMemberNotFound
	}
	err := f.change("promote", func() { f.members[i].IsLearner = false })
	return &pb.MemberPromoteResponse{}, err
}

func (f *fakeMember) MemberRemove(_ context.Context, r *pb.MemberRemoveRequest) (*pb.MemberRemoveResponse, error) {
	i := f.at(r.ID)
	if i < 0 {
		return nil, rpctypes.ErrGRPCMemberNotFound
	}
	err := f.change("remove", func() { f.members = slices.Delete(f.members, i, i+1) })
	return &pb.MemberRemoveResponse{}, err
}

func (f *fakeMember) MoveLeader(_ context.Context, r *pb.MoveLeaderRequest) (*pb.MoveLeaderResponse, error) {
	if f.leader != f.id {
		return nil, rpctypes.ErrGRPCNotLeader
	}
	err := f.change("move", func() { f.leader = r.TargetID })
	return &pb.MoveLeaderResponse{}, err
}

const newPeer = "https://10.10.10.14:2380"

func TestAddLearner(t *testing.T) {
	there := func(m *pb.Member) *pb.Member { m.PeerURLs = []string{newPeer}; return m }
	tests := map[string]struct {
		member  *pb.Member // with the same peer URL
		changes changes
		want    Member
		asked   []string
		err     string
	}{
		"new":                 {nil, changes{}, Member{ID: 9, PeerURLs: []string{newPeer}, Learner: true}, []string{"add"}, ""},
		"there, not started":  {there(&pb.Member{ID: 4, IsLearner: true}), changes{}, Member{ID: 4, PeerURLs: []string{newPeer}, Learner: true}, nil, ""},
		"there, votes by now": {there(&pb.Member{ID: 4, Name: "cp-4"}), changes{}, Member{ID: 4, Name: "cp-4", PeerURLs: []string{newPeer}}, nil, ""},
		"somebody was quicker": {
			nil, changes{loses: rpctypes.ErrGRPCPeerURLExist}, Member{ID: 9, PeerURLs: []string{newPeer}, Learner: true}, []string{"add"}, "",
		},
		"another learner": {nil, changes{refuses: rpctypes.ErrGRPCTooManyLearners}, Member{}, []string{"add"}, "too many learner members in cluster (one learner at a time: "},
		"unhealthy":       {nil, changes{refuses: rpctypes.ErrGRPCUnhealthy}, Member{}, []string{"add"}, "unhealthy cluster (some voter has been in touch with the others for less than 5 s"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			fake := &fakeMember{quorum: true, changes: &tt.changes, members: []*pb.Member{{ID: 1, Name: "cp-1", PeerURLs: []string{"https://10.10.10.11:2380"}}}}
			if tt.member != nil {
				fake.members = append(fake.members, tt.member)
			}
			got, err := client(t, fake.serve(t)).AddLearner(t.Context(), newPeer)
			if (err == nil) != (tt.err == "") || err != nil && !strings.Contains(err.Error(), tt.err) {
				t.Errorf("error %v, want one with %q", err, tt.err)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Error("-want +got\n" + diff)
			}
			if diff := cmp.Diff(tt.asked, tt.changes.asked); diff != "" {
				t.Error("-want +got\n" + diff)
			}
		})
	}
}

func TestPromote(t *testing.T) {
	tests := map[string]struct {
		id      uint64
		changes changes
		err     string
		again   bool // worth another try
	}{
		"a learner":                {4, changes{}, "", false},
		"a voter":                  {1, changes{refuses: rpctypes.ErrGRPCMemberNotLearner}, "", false},
		"a voter that is behind":   {1, changes{refuses: rpctypes.ErrGRPCLearnerNotReady}, "", false},
		"the answer was lost":      {4, changes{loses: rpctypes.ErrGRPCTimeout}, "", false},
		"a learner that is behind": {4, changes{refuses: rpctypes.ErrGRPCLearnerNotReady}, "promote etcd member 4: the learner has not caught up", true},
		"too few have started":     {4, changes{refuses: rpctypes.ErrGRPCMemberNotEnoughStarted}, "those that have started would have no quorum", false},
		"nobody":                   {5, changes{}, "promote etcd member 5: etcdserver: member not found", false},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			fake := &fakeMember{quorum: true, changes: &tt.changes, members: []*pb.Member{{ID: 1, Name: "cp-1"}, {ID: 4, IsLearner: true}}}
			err := client(t, fake.serve(t)).Promote(t.Context(), tt.id)
			if (err == nil) != (tt.err == "") || err != nil && !strings.Contains(err.Error(), tt.err) {
				t.Errorf("error %v, want one with %q", err, tt.err)
			}
			if errors.Is(err, ErrNotCaughtUp) != tt.again {
				t.Errorf("worth another try: %v", !tt.again)
			}
			if err == nil && fake.members[fake.at(tt.id)].IsLearner {
				t.Error("it is a learner still")
			}
		})
	}
}

func TestRemove(t *testing.T) {
	tests := map[string]struct {
		id      uint64
		changes changes
		err     string
		left    int
	}{
		"a member":         {2, changes{}, "", 1},
		"gone already":     {7, changes{}, "", 2},
		"costs the quorum": {2, changes{refuses: rpctypes.ErrGRPCMemberNotEnoughStarted}, "remove etcd member 2: etcdserver: re-configuration failed due to not enough started members (after it,", 2},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			fake := &fakeMember{quorum: true, changes: &tt.changes, members: []*pb.Member{{ID: 1}, {ID: 2}}}
			err := client(t, fake.serve(t)).Remove(t.Context(), tt.id)
			if (err == nil) != (tt.err == "") || err != nil && !strings.Contains(err.Error(), tt.err) {
				t.Errorf("error %v, want one with %q", err, tt.err)
			}
			if len(fake.members) != tt.left {
				t.Errorf("members left: %v", fake.members)
			}
		})
	}
}

func TestGoneOnAll(t *testing.T) {
	knows := &fakeMember{members: []*pb.Member{{ID: 1}, {ID: 4}}}
	forgot := &fakeMember{members: []*pb.Member{{ID: 1}}}
	member := func(name string, id uint64, fake *fakeMember) Member {
		return Member{ID: id, Name: name, ClientURLs: []string{fake.serve(t)}}
	}
	cp1, cp2 := member("cp-1", 1, forgot), member("cp-2", 2, knows)
	removed := Member{ID: 4, Name: "cp-4", ClientURLs: []string{refusing(t)}}
	dead := Member{ID: 3, Name: "cp-3", ClientURLs: []string{refusing(t)}}
	learner := Member{ID: 5, Name: "cp-5", Learner: true, ClientURLs: dead.ClientURLs}
	tests := map[string]struct {
		members []Member
		errs    []string
	}{
		"gone":            {[]Member{cp1, removed, learner}, nil},
		"one has it":      {[]Member{cp1, cp2}, []string{"see etcd member 4 gone: cp-2 still has it"}},
		"one is not here": {[]Member{cp2, dead}, []string{"cp-2 still has it", "cp-3 at " + dead.ClientURLs[0]}},
		"one not started": {[]Member{{ID: 6, Name: "cp-6"}}, []string{"cp-6", "has not started"}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			err := client(t, cp1.ClientURLs[0]).GoneOnAll(t.Context(), 4, tt.members)
			if (err == nil) != (tt.errs == nil) {
				t.Fatalf("error %v", err)
			}
			for _, want := range tt.errs {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("error %v, want one with %q", err, want)
				}
			}
		})
	}
}
