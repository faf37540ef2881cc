package etcdapi

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/grpc"
)

// A Status is how one member is, by its own account.
type Status struct {
	Member Member `json:"member"`
	// Healthy means that a linearizable read through this member came back, so it
	// sees a quorum and a leader. A learner serves none; it is healthy when it answers.
	Healthy   bool     `json:"healthy"`
	Leader    bool     `json:"leader"`
	Version   string   `json:"version,omitempty"`
	DBSize    int64    `json:"dbSize"`             // bytes, allocated in the file
	RaftIndex uint64   `json:"raftIndex"`          // committed
	Problems  []string `json:"problems,omitempty"` // what the member complains of, such as an alarm
	Error     string   `json:"error,omitempty"`    // why it is not healthy
}

// healthKey is read and need not exist; etcdctl's health check reads the same.
const healthKey = "health"

func (c *Client) status(ctx context.Context, member Member) Status {
	status := Status{Member: member}
	ctx, cancel := context.WithTimeout(ctx, statusTimeout)
	defer cancel()
	if err := c.ask(ctx, &status); err != nil {
		status.Error = fmt.Sprintf("ask etcd member %s at %s: %s", member.Name, strings.Join(member.ClientURLs, ","), err)
		return status
	}
	status.Healthy = true
	return status
}

func (c *Client) ask(ctx context.Context, status *Status) error {
	if len(status.Member.ClientURLs) == 0 {
		return errors.New("it has not started yet")
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
	if id := response.Header.GetMemberId(); id != status.Member.ID {
		return fmt.Errorf("member %x answers, %x expected", id, status.Member.ID)
	}
	status.Leader = response.Leader == response.Header.GetMemberId()
	status.Version, status.DBSize = response.Version, response.DbSize
	status.RaftIndex, status.Problems = response.RaftIndex, response.Errors
	if response.IsLearner {
		return nil
	}
	return linearizableRead(ctx, etcd)
}

// dialMember returns a client of one member: the cluster's would ask another instead.
func (c *Client) dialMember(member Member) (*clientv3.Client, error) {
	// clientv3 waits and retries until the deadline, and then that is all it says.
	// One attempt that fails fast says why: refused, a bad certificate, no leader.
	failFast := func(ctx context.Context, method string, req, reply any, conn *grpc.ClientConn, invoke grpc.UnaryInvoker, options ...grpc.CallOption) error {
		return invoke(ctx, method, req, reply, conn, append(options, grpc.WaitForReady(false))...)
	}
	return dial(member.ClientURLs, clientv3.Config{
		TLS:             c.tls,
		MaxUnaryRetries: 1, // upstream's name; the first attempt counts
		DialOptions:     []grpc.DialOption{grpc.WithChainUnaryInterceptor(failFast)},
	})
}

// linearizableRead succeeds when the member confirms with a quorum; a read that
// is refused for lack of permission got that far too.
func linearizableRead(ctx context.Context, etcd *clientv3.Client) error {
	_, err := etcd.Get(ctx, healthKey)
	if errors.Is(err, rpctypes.ErrPermissionDenied) {
		return nil
	}
	if ctx.Err() != nil {
		// It answered Status and hangs now, which is how a missing quorum looks.
		return fmt.Errorf("no answer to a linearizable read: %w", ctx.Err())
	}
	return err
}
