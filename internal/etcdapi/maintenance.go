package etcdapi

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
)

// Defragment has a member copy its database into a new file, without the room that deleted
// data had, and returns its size before and after. It answers nobody meanwhile.
func (c *Client) Defragment(ctx context.Context, member Member) (before, after int64, err error) {
	err = c.with(member, func(etcd *clientv3.Client) error {
		status, err := etcd.Status(ctx, member.ClientURLs[0])
		if err != nil {
			return err
		}
		if err := isMember(status.Header, member); err != nil {
			return err
		}
		before = status.DbSize
		if _, err := etcd.Defragment(ctx, member.ClientURLs[0]); err != nil {
			return err
		}
		if status, err = etcd.Status(ctx, member.ClientURLs[0]); err == nil {
			after = status.DbSize
		}
		return err
	})
	if err != nil {
		return 0, 0, fmt.Errorf("defragment etcd member %s at %s: %w", member.Name, strings.Join(member.ClientURLs, ","), err)
	}
	return before, after, nil
}

// with calls fn with a client of one member.
func (c *Client) with(member Member, fn func(*clientv3.Client) error) error {
	if len(member.ClientURLs) == 0 {
		return errNotStarted
	}
	etcd, err := c.dialMember(member)
	if err != nil {
		return err
	}
	defer etcd.Close()
	return fn(etcd)
}

// Compact drops all revisions but the last one of each key, and returns the last revision. The
// room that they had is used again by members, which give it back when they are defragmented.
func (c *Client) Compact(ctx context.Context) (revision int64, err error) {
	last, err := c.etcd.Get(ctx, healthKey)
	if err == nil {
		revision = last.Header.GetRevision()
		_, err = c.etcd.Compact(ctx, revision, clientv3.WithCompactPhysical())
	}
	if err != nil && !errors.Is(err, rpctypes.ErrCompacted) {
		return 0, fmt.Errorf("compact etcd's history: %w", err)
	}
	return revision, nil
}

// Disarm clears an alarm. One that is not there is cleared.
func (c *Client) Disarm(ctx context.Context, a Alarm) error {
	kind := pb.AlarmType(pb.AlarmType_value[a.Kind])
	if _, err := c.etcd.AlarmDisarm(ctx, &clientv3.AlarmMember{MemberID: a.Member, Alarm: kind}); err != nil {
		return fmt.Errorf("clear alarm %s of member %x: %w", a.Kind, a.Member, err)
	}
	return nil
}

// Alarms lists the alarms; that takes a quorum.
func (c *Client) Alarms(ctx context.Context) ([]Alarm, error) {
	list, err := c.etcd.AlarmList(ctx)
	if err != nil {
		return nil, fmt.Errorf("list etcd's alarms: %w", err)
	}
	out := []Alarm{}
	for _, a := range list.Alarms {
		if a.Alarm != pb.AlarmType_NONE {
			out = append(out, Alarm{Member: a.MemberID, Kind: a.Alarm.String()})
		}
	}
	return out, nil
}

// Revision is the last revision that a member has, with and without quorum.
func (c *Client) Revision(ctx context.Context, member Member) (revision int64, err error) {
	ctx, cancel := context.WithTimeout(ctx, statusTimeout)
	defer cancel()
	err = c.with(member, func(etcd *clientv3.Client) error {
		last, err := etcd.Get(ctx, healthKey, clientv3.WithSerializable())
		if err == nil {
			revision = last.Header.GetRevision()
		}
		return err
	})
	return revision, err
}

// Snapshot writes the database of a member to w as it is now, with its SHA-256 behind it, which etcd
// appends. It takes no quorum.
func (c *Client) Snapshot(ctx context.Context, member Member, w io.Writer) error {
	err := c.with(member, func(etcd *clientv3.Client) error {
		from, err := etcd.Snapshot(ctx)
		if err != nil {
			return err
		}
		defer from.Close()
		_, err = io.Copy(w, from)
		return err
	})
	if err != nil {
		return fmt.Errorf("take a snapshot of etcd member %s at %s: %w", member.Name, strings.Join(member.ClientURLs, ","), err)
	}
	return nil
}
