package etcdapi

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
)

// ErrNotCaughtUp is a learner whose log is too far behind its leader's to be
// promoted: the same request succeeds later.
var ErrNotCaughtUp = errors.New("the learner has not caught up with the leader yet")

// AddLearner adds a learner with the peer URL and returns it. One that is there
// already is returned as it is, whether or not it has started or votes by now: the
// answer to an earlier request may have been lost.
func (c *Client) AddLearner(ctx context.Context, peerURL string) (Member, error) {
	if member, found, err := c.memberAt(ctx, peerURL); found || err != nil {
		return member, err
	}
	response, err := c.etcd.MemberAddAsLearner(ctx, []string{peerURL})
	if err == nil {
		return Member{ID: response.Member.ID, PeerURLs: response.Member.PeerURLs, Learner: response.Member.IsLearner}, nil
	}
	if errors.Is(err, rpctypes.ErrPeerURLExist) { // somebody was quicker
		if member, found, err := c.memberAt(ctx, peerURL); found || err != nil {
			return member, err
		}
	}
	return Member{}, fmt.Errorf("add etcd learner %s: %w", peerURL, explained(err))
}

func (c *Client) memberAt(ctx context.Context, peerURL string) (Member, bool, error) {
	members, err := c.Members(ctx)
	if err != nil {
		return Member{}, false, fmt.Errorf("add etcd learner %s: %w", peerURL, err)
	}
	i := slices.IndexFunc(members, func(m Member) bool { return slices.Contains(m.PeerURLs, peerURL) })
	if i < 0 {
		return Member{}, false, nil
	}
	return members[i], true, nil
}

// Promote makes a voter of a learner. A voter is left as it is. ErrNotCaughtUp is
// worth another try.
func (c *Client) Promote(ctx context.Context, id uint64) error {
	_, err := c.etcd.MemberPromote(ctx, id)
	// etcd looks at the member's log before it looks whether it is a learner, so
	// of a voter it may say anything; and the answer to what it did may have been lost.
	if err == nil || c.votes(ctx, id) {
		return nil
	}
	if errors.Is(err, rpctypes.ErrMemberLearnerNotReady) {
		err = ErrNotCaughtUp
	}
	return fmt.Errorf("promote etcd member %x: %w", id, explained(err))
}

func (c *Client) votes(ctx context.Context, id uint64) bool {
	members, err := c.Members(ctx)
	return err == nil && slices.ContainsFunc(members, func(m Member) bool { return m.ID == id && !m.Learner })
}

// Remove removes a member. One that is not there is removed. It returns when the
// one that answers has applied the removal; the others may not have: see GoneOnAll.
func (c *Client) Remove(ctx context.Context, id uint64) error {
	_, err := c.etcd.MemberRemove(ctx, id)
	if err == nil || errors.Is(err, rpctypes.ErrMemberNotFound) {
		return nil
	}
	return fmt.Errorf("remove etcd member %x: %w", id, explained(err))
}

// OutOfTouch reports whether a change of members was refused because some voter has been
// connected to the others for less than 5 s, as one that has just joined: that passes by itself.
func OutOfTouch(err error) bool { return errors.Is(err, rpctypes.ErrUnhealthy) }

// explained adds what etcd's words for a refused change leave out.
func explained(err error) error {
	for refusal, why := range map[error]string{
		rpctypes.ErrTooManyLearners:        "one learner at a time: promote or remove the one that is there",
		rpctypes.ErrUnhealthy:              "some voter has been in touch with the others for less than 5 s",
		rpctypes.ErrMemberNotEnoughStarted: "after it, those that have started would have no quorum",
	} {
		if errors.Is(err, refusal) {
			return fmt.Errorf("%w (%s)", err, why)
		}
	}
	return err
}

// GoneOnAll asks each of the members what it remembers, the one with the id left
// out, and returns nil when none has the id any more. Else the error says who still has it
// and who did not answer. A learner cannot be asked, and is not.
func (c *Client) GoneOnAll(ctx context.Context, id uint64, members []Member) error {
	found := make([]error, len(members))
	var all sync.WaitGroup
	for i, member := range members {
		if member.ID != id && !member.Learner {
			all.Go(func() { found[i] = c.forgot(ctx, id, member) })
		}
	}
	all.Wait()
	if err := errors.Join(found...); err != nil {
		return fmt.Errorf("see etcd member %x gone: %w", id, err)
	}
	return nil
}

func (c *Client) forgot(ctx context.Context, id uint64, member Member) error {
	remembered, err := c.rememberedBy(ctx, member)
	if err != nil {
		return fmt.Errorf("%s at %s: %w", member.Name, strings.Join(member.ClientURLs, ","), err)
	}
	if slices.ContainsFunc(remembered, func(m Member) bool { return m.ID == id }) {
		return fmt.Errorf("%s still has it", member.Name)
	}
	return nil
}

func (c *Client) rememberedBy(ctx context.Context, member Member) ([]Member, error) {
	ctx, cancel := context.WithTimeout(ctx, statusTimeout)
	defer cancel()
	if len(member.ClientURLs) == 0 {
		return nil, errNotStarted
	}
	etcd, err := c.dialMember(member)
	if err != nil {
		return nil, err
	}
	defer etcd.Close()
	return remembered(ctx, etcd)
}
