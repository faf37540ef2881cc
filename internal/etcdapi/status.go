package etcdapi

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"strings"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// A Status is how one member is, by its own account.
type Status struct {
	Member Member `json:"member"`
	// Healthy means that a linearizable read through this member came back, so it
	// sees a quorum and a leader. A learner serves none; it is healthy when it knows a leader
	// and serves what it has.
	Healthy     bool     `json:"healthy"`
	Leader      bool     `json:"leader"`
	LeaderID    uint64   `json:"leaderID,omitempty"` // 0: it knows none
	Version     string   `json:"version,omitempty"`
	DBSize      int64    `json:"dbSize"`      // bytes, allocated in the file
	DBInUse     int64    `json:"dbInUse"`     // bytes of it that hold data
	DBQuota     int64    `json:"dbQuota"`     // bytes, where NOSPACE is raised; 0 before etcd 3.6, which does not tell
	RaftIndex   uint64   `json:"raftIndex"`   // committed
	RaftApplied uint64   `json:"raftApplied"` // applied
	Alarms      []Alarm  `json:"alarms,omitempty"`
	Problems    []string `json:"problems,omitempty"` // what the member complains of, such as an alarm
	Error       string   `json:"error,omitempty"`    // why it is not healthy
}

var errNotStarted = errors.New("it has not started yet")

// healthKey is read and need not exist; etcdctl's health check reads the same.
const healthKey = "health"

func (c *Client) status(ctx context.Context, member Member) Status {
	status := Status{Member: member}
	ctx, cancel := context.WithTimeout(ctx, statusTimeout)
	defer cancel()
	if err := c.ask(ctx, &status); err != nil {
		status.Error = unanswered(member, err)
		return status
	}
	status.Healthy = true
	return status
}

func unanswered(member Member, err error) string {
	return fmt.Sprintf("ask etcd member %s at %s: %s", member.Name, strings.Join(member.ClientURLs, ","), err)
}

func (c *Client) ask(ctx context.Context, status *Status) error {
	if len(status.Member.ClientURLs) == 0 {
		return errNotStarted
	}
	etcd, err := c.dialMember(status.Member)
	if err != nil {
		return err
	}
	defer etcd.Close()
	response, err := etcd.Status(ctx, status.Member.ClientURLs[0])
	if err != nil {
		return err
	}
	if err := isMember(response.Header, status.Member); err != nil {
		return err
	}
	status.fill(response)
	return serves(ctx, etcd, response)
}

func isMember(header *pb.ResponseHeader, member Member) error {
	if id := header.GetMemberId(); id != member.ID {
		return fmt.Errorf("member %x answers, %x expected", id, member.ID)
	}
	return nil
}

func (s *Status) fill(response *clientv3.StatusResponse) {
	s.Leader, s.LeaderID = response.Leader == response.Header.GetMemberId(), response.Leader
	s.Version, s.Alarms, s.Problems = response.Version, alarmsIn(response.Errors), response.Errors
	s.DBSize, s.DBInUse, s.DBQuota = response.DbSize, response.DbSizeInUse, response.DbSizeQuota
	s.RaftIndex, s.RaftApplied = response.RaftIndex, response.RaftAppliedIndex
}

// serves returns nil when the member that gave the status answers requests.
func serves(ctx context.Context, etcd *clientv3.Client, status *clientv3.StatusResponse) error {
	if !status.IsLearner {
		return read(ctx, etcd)
	}
	if status.Leader == 0 {
		return errors.New("it is a learner that hears of no leader")
	}
	return read(ctx, etcd, clientv3.WithSerializable())
}

// dialMember returns a client of one member: the cluster's would ask another instead.
func (c *Client) dialMember(member Member) (*clientv3.Client, error) {
	// clientv3 waits and retries until the deadline, and then that is all it says.
	// One attempt that fails fast says why: refused, a bad certificate, no leader.
	failFast := func(ctx context.Context, method string, req, reply any, conn *grpc.ClientConn, invoke grpc.UnaryInvoker, options ...grpc.CallOption) error {
		return invoke(ctx, method, req, reply, conn, append(options, grpc.WaitForReady(false))...)
	}
	streamFailFast := func(ctx context.Context, desc *grpc.StreamDesc, conn *grpc.ClientConn, method string, stream grpc.Streamer, options ...grpc.CallOption) (grpc.ClientStream, error) {
		return stream(ctx, desc, conn, method, append(options, grpc.WaitForReady(false))...)
	}
	return dial(member.ClientURLs, clientv3.Config{
		TLS:             c.tls,
		MaxUnaryRetries: 1, // upstream's name; the first attempt counts
		DialOptions:     []grpc.DialOption{grpc.WithChainUnaryInterceptor(failFast), grpc.WithChainStreamInterceptor(streamFailFast), grpc.WithContextDialer(connect)},
	})
}

func connect(ctx context.Context, address string) (net.Conn, error) {
	return (&net.Dialer{Timeout: connectTimeout}).DialContext(ctx, "tcp", address)
}

// read succeeds when the member answers, having confirmed with a quorum unless the read is
// serializable; one that is refused for lack of permission got that far too.
func read(ctx context.Context, etcd *clientv3.Client, options ...clientv3.OpOption) error {
	_, err := etcd.Get(ctx, healthKey, options...)
	if errors.Is(err, rpctypes.ErrPermissionDenied) {
		return nil
	}
	// gRPC knows the deadline before ctx does when the member keeps to it.
	if ctx.Err() != nil || status.Code(err) == codes.DeadlineExceeded {
		// It answered Status and hangs now, which is how a missing quorum looks.
		return fmt.Errorf("no answer to a %s read: %w", kindOf(options), cmp.Or(ctx.Err(), context.DeadlineExceeded))
	}
	return err
}

func kindOf(options []clientv3.OpOption) string {
	if len(options) > 0 {
		return "serializable"
	}
	return "linearizable"
}
