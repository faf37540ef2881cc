package etcdapi

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
)

// MoveLeader makes the member with ID to the leader in place of from, which is
// asked itself: no other member obeys. Where from does not lead, nothing is done. It
// returns when from has seen the new leader; the others may not have: see LeaderIsNot.
func (c *Client) MoveLeader(ctx context.Context, from Member, to uint64) error {
	err := c.moveLeader(ctx, from, to)
	// It stopped leading between the question and the command.
	if err == nil || errors.Is(err, rpctypes.ErrNotLeader) {
		return nil
	}
	return fmt.Errorf("move etcd's leader from %s at %s to member %x: %w", from.Name, strings.Join(from.ClientURLs, ","), to, err)
}

func (c *Client) moveLeader(ctx context.Context, from Member, to uint64) error {
	if len(from.ClientURLs) == 0 {
		return nil // what has not started does not lead
	}
	etcd, err := c.dialMember(from)
	if err != nil {
		return err
	}
	defer etcd.Close()
	status, err := etcd.Status(ctx, from.ClientURLs[0])
	if err != nil {
		return err
	}
	if err := isMember(status.Header, from); err != nil {
		return err
	}
	if status.Leader != from.ID || to == from.ID {
		return nil
	}
	_, err = etcd.MoveLeader(ctx, to)
	return err
}

// LeaderIsNot returns nil when every healthy one of the members names a leader, all
// the same one, and it is not the one with the id. Made for poll.Until. Members
// that are not healthy have no say.
func (c *Client) LeaderIsNot(ctx context.Context, id uint64, members []Member) error {
	var leader uint64
	var wrong []error
	for _, status := range c.Statuses(ctx, members) {
		switch {
		case !status.Healthy || status.Member.ID == id:
		case status.LeaderID == id:
			wrong = append(wrong, fmt.Errorf("%s still names member %x", status.Member.Name, id))
		case leader != 0 && leader != status.LeaderID:
			wrong = append(wrong, fmt.Errorf("%s names member %x, another %x", status.Member.Name, status.LeaderID, leader))
		default:
			leader = status.LeaderID
		}
	}
	if leader == 0 && len(wrong) == 0 {
		wrong = append(wrong, errors.New("no other member is healthy"))
	}
	if err := errors.Join(wrong...); err != nil {
		return fmt.Errorf("see etcd led by another than member %x: %w", id, err)
	}
	return nil
}

// CaughtUp returns how many entries of the log the learner has yet to apply of those that
// the leader has committed. Writes go on meanwhile: some few are always on their way.
func (c *Client) CaughtUp(ctx context.Context, learner, leader Member) (behind uint64, err error) {
	// The learner first: then the number is never too small.
	applied, err := c.reached(ctx, learner)
	if err != nil {
		return 0, err
	}
	committed, err := c.reached(ctx, leader)
	if err != nil {
		return 0, err
	}
	if applied.RaftApplied >= committed.RaftIndex {
		return 0, nil
	}
	return committed.RaftIndex - applied.RaftApplied, nil
}

// reached returns the status of a member that is healthy.
func (c *Client) reached(ctx context.Context, member Member) (Status, error) {
	status := c.status(ctx, member)
	if !status.Healthy {
		return status, errors.New(status.Error)
	}
	return status, nil
}
