package etcdapi

import (
	"context"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	"google.golang.org/grpc"
)

// A fakeMember serves what a member says of itself. Without quorum its reads
// hang, as those of a real member do.
type fakeMember struct {
	pb.UnimplementedKVServer
	pb.UnimplementedClusterServer
	pb.UnimplementedMaintenanceServer
	id, leader uint64
	learner    bool
	quorum     bool
	readErr    error
	problems   []string
	members    []*pb.Member
	meets      *meeting // reads wait for those of other members
	changes    *changes
	cluster    uint64
	index      uint64 // committed; 42 where nothing is said
	applied    uint64
}

func (f *fakeMember) Range(ctx context.Context, r *pb.RangeRequest) (*pb.RangeResponse, error) {
	if r.Serializable {
		return &pb.RangeResponse{}, nil
	}
	if f.meets != nil && !f.meets.join(ctx) {
		return nil, ctx.Err()
	}
	if !f.quorum {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	return &pb.RangeResponse{}, f.readErr
}

func (f *fakeMember) Status(context.Context, *pb.StatusRequest) (*pb.StatusResponse, error) {
	return &pb.StatusResponse{
		Header: &pb.ResponseHeader{MemberId: f.id, ClusterId: f.cluster}, Leader: f.leader, Version: "3.7.3",
		DbSize: 4096, DbSizeInUse: 1024, DbSizeQuota: 2 << 30, RaftIndex: max(f.index, 42), RaftAppliedIndex: f.applied,
		IsLearner: f.learner, Errors: f.problems,
	}, nil
}

func (f *fakeMember) MemberList(ctx context.Context, r *pb.MemberListRequest) (*pb.MemberListResponse, error) {
	if f.learner {
		return nil, rpctypes.ErrGRPCNotSupportedForLearner
	}
	if r.Linearizable && !f.quorum {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	return &pb.MemberListResponse{Members: f.members}, nil
}

// serve returns the member's client URL.
func (f *fakeMember) serve(t *testing.T) string { t.Helper(); return serve(t, f) }

// A server is what a member answers.
type server interface {
	pb.KVServer
	pb.ClusterServer
	pb.MaintenanceServer
}

func serve(t *testing.T, f server) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := grpc.NewServer()
	pb.RegisterKVServer(server, f)
	pb.RegisterClusterServer(server, f)
	pb.RegisterMaintenanceServer(server, f)
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(server.Stop)
	return "http://" + listener.Addr().String()
}

func client(t *testing.T, endpoint string) *Client {
	t.Helper()
	c, err := Dial([]string{endpoint}, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// refusing is a URL where nobody listens.
func refusing(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	return "http://" + listener.Addr().String()
}

func TestMembers(t *testing.T) {
	fake := &fakeMember{quorum: true, members: []*pb.Member{
		{ID: 3}, // added, not started
		{ID: 2, Name: "cp-2", PeerURLs: []string{"https://10.10.10.12:2380"}, ClientURLs: []string{"https://10.10.10.12:2379"}, IsLearner: true},
		{ID: 1, Name: "cp-1", PeerURLs: []string{"https://10.10.10.11:2380"}, ClientURLs: []string{"https://10.10.10.11:2379"}},
	}}
	got, err := client(t, fake.serve(t)).Members(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	want := []Member{
		{ID: 3},
		{ID: 1, Name: "cp-1", PeerURLs: []string{"https://10.10.10.11:2380"}, ClientURLs: []string{"https://10.10.10.11:2379"}},
		{ID: 2, Name: "cp-2", PeerURLs: []string{"https://10.10.10.12:2380"}, ClientURLs: []string{"https://10.10.10.12:2379"}, Learner: true},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error("-want +got\n" + diff)
	}
}

func TestRememberedMembersNeedNoQuorum(t *testing.T) {
	fake := &fakeMember{members: []*pb.Member{{ID: 1, Name: "cp-1"}}}
	c := client(t, fake.serve(t))
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	if _, err := c.Members(ctx); err == nil {
		t.Error("a linearizable list without quorum")
	}
	got, err := c.RememberedMembers(t.Context())
	if err != nil || len(got) != 1 || got[0].Name != "cp-1" {
		t.Errorf("remembered %v, error %v", got, err)
	}
}

func TestMembersOfADeadCluster(t *testing.T) {
	endpoint := refusing(t)
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	_, err := client(t, endpoint).Members(ctx)
	if err == nil || !strings.Contains(err.Error(), "list etcd members at "+endpoint) {
		t.Errorf("error %v, want one that names the endpoint", err)
	}
}

func TestStatuses(t *testing.T) {
	nospace := (&pb.AlarmMember{MemberID: 7, Alarm: pb.AlarmType_NOSPACE}).String()
	tests := map[string]struct {
		fake *fakeMember // nil: nobody listens
		want Status      // without Member and Error
		err  string
	}{
		"leader":        {&fakeMember{id: 7, leader: 7, quorum: true}, Status{Healthy: true, Leader: true}, ""},
		"follower":      {&fakeMember{id: 7, leader: 8, quorum: true}, Status{Healthy: true}, ""},
		"learner":       {&fakeMember{id: 7, leader: 8, learner: true}, Status{Healthy: true}, ""},
		"lost learner":  {&fakeMember{id: 7, learner: true}, Status{}, "hears of no leader"},
		"not permitted": {&fakeMember{id: 7, leader: 8, quorum: true, readErr: rpctypes.ErrGRPCPermissionDenied}, Status{Healthy: true}, ""},
		"with an alarm": {
			&fakeMember{id: 7, leader: 8, quorum: true, problems: []string{nospace, "etcdserver: no leader"}},
			Status{Healthy: true, Alarms: []Alarm{{Member: 7, Kind: "NOSPACE"}}, Problems: []string{nospace, "etcdserver: no leader"}}, "",
		},
		"without quorum": {&fakeMember{id: 7}, Status{}, "no answer to a linearizable read: context deadline exceeded"},
		"no leader":      {&fakeMember{id: 7, quorum: true, readErr: rpctypes.ErrGRPCNoLeader}, Status{}, "no leader"},
		"someone else":   {&fakeMember{id: 9, leader: 9, quorum: true}, Status{}, "member 9 answers, 7 expected"},
		"dead":           {nil, Status{}, "refused"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			url := refusing(t)
			if tt.fake != nil {
				url = tt.fake.serve(t)
			}
			member := Member{ID: 7, Name: "cp-1", ClientURLs: []string{url}}
			ctx, cancel := context.WithTimeout(t.Context(), 700*time.Millisecond)
			defer cancel()
			got := client(t, url).Statuses(ctx, []Member{member})[0]
			if !strings.Contains(got.Error, tt.err) || (got.Error == "") != (tt.err == "") {
				t.Errorf("error %q, want one with %q", got.Error, tt.err)
			}
			if got.Error != "" && !strings.Contains(got.Error, "cp-1 at "+url) {
				t.Errorf("error %q does not name the member and its address", got.Error)
			}
			want := tt.want
			want.Member, want.Error = member, got.Error
			if tt.fake != nil && tt.fake.id == member.ID {
				want.Version, want.LeaderID, want.RaftIndex = "3.7.3", tt.fake.leader, 42
				want.DBSize, want.DBInUse, want.DBQuota = 4096, 1024, 2<<30
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Error("-want +got\n" + diff)
			}
		})
	}
}

// A meeting lets nobody go on before all have come.
type meeting struct {
	missing atomic.Int32
	all     chan struct{}
}

func newMeeting(size int32) *meeting {
	m := &meeting{all: make(chan struct{})}
	m.missing.Store(size)
	return m
}

// join reports whether all came before ctx ended.
func (m *meeting) join(ctx context.Context) bool {
	if m.missing.Add(-1) == 0 {
		close(m.all)
	}
	select {
	case <-m.all:
		return true
	case <-ctx.Done():
		return false
	}
}

// TestStatusesAreAskedInParallel has members that answer once all have been asked,
// beside one that hangs: each has its own answer.
func TestStatusesAreAskedInParallel(t *testing.T) {
	meets := newMeeting(3)
	healthy := &fakeMember{id: 1, leader: 1, quorum: true, meets: meets}
	hanging := &fakeMember{id: 3}
	members := []Member{{ID: 1, Name: "cp-1", ClientURLs: []string{healthy.serve(t)}}, {ID: 2}, {ID: 3, Name: "hangs", ClientURLs: []string{hanging.serve(t)}}}
	for id := uint64(4); id < 6; id++ {
		other := &fakeMember{id: id, quorum: true, meets: meets}
		members = append(members, Member{ID: id, Name: "waits", ClientURLs: []string{other.serve(t)}})
	}
	got := client(t, members[0].ClientURLs[0]).Statuses(t.Context(), members)
	for _, i := range []int{0, 3, 4} {
		if !got[i].Healthy || got[i].Member.ID != members[i].ID {
			t.Errorf("member %x is %+v", members[i].ID, got[i])
		}
	}
	if got[1].Healthy || !strings.Contains(got[1].Error, "has not started") {
		t.Errorf("the one that never started is %+v", got[1])
	}
	if got[2].Healthy || got[2].RaftIndex != 42 || got[2].Error == "" {
		t.Errorf("the one that hangs is %+v", got[2])
	}
}
