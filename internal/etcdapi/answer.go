package etcdapi

import (
	"context"
	"errors"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
)

// errLearner is what a learner says to whoever asks for its members.
var errLearner = rpctypes.Error(rpctypes.ErrGRPCNotSupportedForLearner)

// An answer is what one endpoint says of itself, and whom it remembers.
type answer struct {
	name    string
	cluster uint64
	status  Status // its member's ID is 0 when there was no answer
	learner bool
	members []Member // nil when it does not tell, as a learner
}

func (a answer) answered() bool { return a.status.Member.ID != 0 }

// confirms tells a voter that served a linearizable read.
func (a answer) confirms() bool { return a.status.Healthy && !a.learner }

func (c *Client) answer(ctx context.Context, name, url string) answer {
	ctx, cancel := context.WithTimeout(ctx, statusTimeout)
	defer cancel()
	a := answer{name: name, status: Status{Member: Member{Name: name, ClientURLs: []string{url}}}}
	if err := c.askAnyone(ctx, &a, url); err != nil {
		a.status.Error = unanswered(a.status.Member, err)
		return a
	}
	a.status.Healthy = true
	return a
}

// askAnyone asks whoever is at the URL. What needs no quorum comes first: the read
// may take all the time that is left.
func (c *Client) askAnyone(ctx context.Context, a *answer, url string) error {
	etcd, err := c.dialMember(a.status.Member)
	if err != nil {
		return err
	}
	defer etcd.Close()
	response, err := etcd.Status(ctx, url)
	if err != nil {
		return err
	}
	a.status.fill(response)
	a.status.Member.ID, a.cluster, a.learner = response.Header.GetMemberId(), response.Header.GetClusterId(), response.IsLearner
	return errors.Join(a.recall(ctx, etcd), serves(ctx, etcd, response))
}

func (a *answer) recall(ctx context.Context, etcd *clientv3.Client) (err error) {
	a.members, err = remembered(ctx, etcd)
	if errors.Is(err, errLearner) {
		return nil
	}
	return err
}
