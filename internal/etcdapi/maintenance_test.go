package etcdapi

import (
	"bytes"
	"context"
	"errors"
	"io"
	"strings"
	"sync"
	"testing"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
)

// A kept is a member with data, history and alarms.
type kept struct {
	fakeMember

	mu        sync.Mutex
	size      int64
	compacted int64
	alarms    []*pb.AlarmMember
	cut       bool // a snapshot ends early
}

func (k *kept) Status(ctx context.Context, r *pb.StatusRequest) (*pb.StatusResponse, error) {
	s, err := k.fakeMember.Status(ctx, r)
	k.mu.Lock()
	defer k.mu.Unlock()
	s.DbSize = k.size
	return s, err
}

func (k *kept) Range(ctx context.Context, r *pb.RangeRequest) (*pb.RangeResponse, error) {
	_, err := k.fakeMember.Range(ctx, r)
	return &pb.RangeResponse{Header: &pb.ResponseHeader{Revision: 9}}, err
}

func (k *kept) Defragment(context.Context, *pb.DefragmentRequest) (*pb.DefragmentResponse, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.size = 1024
	return &pb.DefragmentResponse{}, nil
}

func (k *kept) Compact(_ context.Context, r *pb.CompactionRequest) (*pb.CompactionResponse, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if r.Revision <= k.compacted {
		return nil, rpctypes.ErrGRPCCompacted
	}
	k.compacted = r.Revision
	return &pb.CompactionResponse{}, nil
}

func (k *kept) Alarm(_ context.Context, r *pb.AlarmRequest) (*pb.AlarmResponse, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if r.Action == pb.AlarmRequest_DEACTIVATE {
		var left []*pb.AlarmMember
		for _, a := range k.alarms {
			if a.MemberID != r.MemberID || a.Alarm != r.Alarm {
				left = append(left, a)
			}
		}
		k.alarms = left
	}
	return &pb.AlarmResponse{Alarms: k.alarms}, nil
}

func (k *kept) Snapshot(_ *pb.SnapshotRequest, to pb.Maintenance_SnapshotServer) error {
	if err := to.Send(&pb.SnapshotResponse{RemainingBytes: 4, Blob: []byte("data")}); err != nil {
		return err
	}
	if k.cut {
		return errors.New("the disk is gone")
	}
	return to.Send(&pb.SnapshotResponse{Blob: []byte("hash")})
}

func TestMaintenance(t *testing.T) {
	k := &kept{fakeMember: fakeMember{id: 7, leader: 7, quorum: true}, size: 4096, alarms: []*pb.AlarmMember{{MemberID: 7, Alarm: pb.AlarmType_NOSPACE}}}
	url := serve(t, k)
	c, member := client(t, url), Member{ID: 7, Name: "cp-1", ClientURLs: []string{url}}
	for range 2 { // whoever was cut off does it again
		if before, after, err := c.Defragment(t.Context(), member); err != nil || before < after || after != 1024 {
			t.Errorf("defragmented from %d to %d, %v", before, after, err)
		}
		if revision, err := c.Compact(t.Context()); err != nil || revision != 9 {
			t.Errorf("compacted at %d, %v", revision, err)
		}
		if err := c.Disarm(t.Context(), Alarm{Member: 7, Kind: "NOSPACE"}); err != nil {
			t.Error(err)
		}
	}
	if alarms, err := c.Alarms(t.Context()); err != nil || len(alarms) != 0 {
		t.Errorf("alarms %v, %v", alarms, err)
	}
	if revision, err := c.Revision(t.Context(), member); err != nil || revision != 9 {
		t.Errorf("revision %d, %v", revision, err)
	}
	if _, _, err := c.Defragment(t.Context(), Member{ID: 8, Name: "cp-2", ClientURLs: []string{url}}); err == nil || !strings.Contains(err.Error(), "member 7 answers, 8 expected") {
		t.Errorf("another member: %v", err)
	}
	if _, _, err := c.Defragment(t.Context(), Member{ID: 9, Name: "cp-3"}); !errors.Is(err, errNotStarted) {
		t.Errorf("one that has not started: %v", err)
	}
}

// A snapshot takes no quorum, and one that ends early is an error.
func TestSnapshot(t *testing.T) {
	for _, cut := range []bool{false, true} {
		k := &kept{fakeMember: fakeMember{id: 7}, cut: cut}
		url := serve(t, k)
		var got bytes.Buffer
		err := client(t, url).Snapshot(t.Context(), Member{ID: 7, Name: "cp-1", ClientURLs: []string{url}}, &got)
		if cut != (err != nil) || !cut && got.String() != "datahash" {
			t.Errorf("cut %v: %q, %v", cut, got.String(), err)
		}
	}
}

// A member that does not run, as in the midst of a restore, is not waited for.
func TestSnapshotOfOneThatDoesNotAnswer(t *testing.T) {
	url := refusing(t)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	err := client(t, url).Snapshot(ctx, Member{ID: 7, Name: "cp-1", ClientURLs: []string{url}}, io.Discard)
	if err == nil || !strings.Contains(err.Error(), "connection refused") {
		t.Errorf("error %v", err)
	}
}
