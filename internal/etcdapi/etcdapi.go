// Package etcdapi is a thin client of etcd: its members and how each of them is.
// Nothing goes through the load balancer; every member is asked at its own address.
package etcdapi

import (
	"cmp"
	"context"
	"crypto/tls"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"
)

// statusTimeout bounds the questions to one member. An election takes 1 to 2 s at etcd's defaults.
const statusTimeout = 3 * time.Second

// connectTimeout is how long a connect to one member may take: long enough for one packet to
// be lost. A machine that is off would cost all of statusTimeout otherwise.
const connectTimeout = 1500 * time.Millisecond

// A Client asks an etcd cluster. It is safe for concurrent use; Close it after use.
type Client struct {
	etcd      *clientv3.Client
	tls       *tls.Config
	endpoints []string
}

// Dial returns a client of the cluster at the endpoints, URLs or host:port; one of them
// that works is enough. It does not connect: a cluster that is down shows in the first request.
func Dial(endpoints []string, config *tls.Config) (*Client, error) {
	etcd, err := dial(endpoints, clientv3.Config{TLS: config})
	if err != nil {
		return nil, err
	}
	return &Client{etcd: etcd, tls: config, endpoints: endpoints}, nil
}

func dial(endpoints []string, config clientv3.Config) (*clientv3.Client, error) {
	config.Endpoints = endpoints
	config.DialTimeout = statusTimeout
	config.DialKeepAliveTime, config.DialKeepAliveTimeout = 5*time.Second, 3*time.Second
	// clientv3 logs every failed attempt to stderr; our errors say it once.
	config.Logger = zap.NewNop()
	etcd, err := clientv3.New(config)
	if err != nil {
		return nil, fmt.Errorf("make a client of etcd at %s: %w", strings.Join(endpoints, ","), err)
	}
	return etcd, nil
}

// Close ends all connections.
func (c *Client) Close() error { return c.etcd.Close() }

// Etcd is the upstream client, for what this package has no word for: changes of membership, snapshots.
func (c *Client) Etcd() *clientv3.Client { return c.etcd }

// A Member is a member as the cluster's membership has it.
type Member struct {
	ID         uint64   `json:"id"`
	Name       string   `json:"name"` // empty until it has started for the first time
	PeerURLs   []string `json:"peerURLs"`
	ClientURLs []string `json:"clientURLs"` // empty until it has started for the first time
	Learner    bool     `json:"learner"`
}

// Members returns the members by name. The answer is linearizable: without quorum it is an error.
func (c *Client) Members(ctx context.Context) ([]Member, error) { return c.members(ctx) }

// RememberedMembers returns the members as the one that answers has them. It may
// be behind, and it works without quorum.
func (c *Client) RememberedMembers(ctx context.Context) ([]Member, error) {
	return c.members(ctx, clientv3.WithSerializable())
}

func (c *Client) members(ctx context.Context, options ...clientv3.OpOption) ([]Member, error) {
	response, err := c.etcd.MemberList(ctx, options...)
	if err != nil {
		return nil, fmt.Errorf("list etcd members at %s: %w", strings.Join(c.endpoints, ","), err)
	}
	return membersOf(response), nil
}

// remembered returns the members as the one that etcd is a client of has them.
func remembered(ctx context.Context, etcd *clientv3.Client) ([]Member, error) {
	response, err := etcd.MemberList(ctx, clientv3.WithSerializable())
	if err != nil {
		return nil, err
	}
	return membersOf(response), nil
}

func membersOf(response *clientv3.MemberListResponse) []Member {
	members := make([]Member, 0, len(response.Members))
	for _, m := range response.Members {
		members = append(members, Member{
			ID: m.ID, Name: m.Name, PeerURLs: m.PeerURLs, ClientURLs: m.ClientURLs, Learner: m.IsLearner,
		})
	}
	slices.SortFunc(members, func(a, b Member) int {
		return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.ID, b.ID))
	})
	return members
}

// Statuses asks the members, all at the same time and each for at most 3 s, and
// returns their states in the same order. A member that does not answer is a
// Status that is not healthy, with the error in it.
func (c *Client) Statuses(ctx context.Context, members []Member) []Status {
	statuses := make([]Status, len(members))
	var all sync.WaitGroup
	for i, member := range members {
		all.Go(func() { statuses[i] = c.status(ctx, member) })
	}
	all.Wait()
	return statuses
}
