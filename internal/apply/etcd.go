package apply

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/haplane/haplane/internal/access"
	"github.com/haplane/haplane/internal/change"
	"github.com/haplane/haplane/internal/etcdapi"
	"github.com/haplane/haplane/internal/look"
	"github.com/haplane/haplane/internal/machine"
	"github.com/haplane/haplane/internal/observed"
	"github.com/haplane/haplane/internal/poll"
	"github.com/haplane/haplane/internal/runtime/systemd"
	"github.com/haplane/haplane/internal/topology"
)

// etcd asks all members what they are now. Of those whose machine this run has removed nobody
// is asked: it would only take time.
func (r *Runner) etcd(ctx context.Context) observed.Etcd {
	members := slices.DeleteFunc(slices.Clone(r.Members), func(n topology.Node) bool { _, gone := r.gone.Load(n.Name); return gone })
	return look.Etcd(ctx, r.Cluster, members)
}

// withEtcd calls fn with a client of the voters that are healthy, but for one node, and
// with what was seen of them: a learner refuses questions of membership.
func (r *Runner) withEtcd(ctx context.Context, except string, fn func(*etcdapi.Client, observed.Etcd) error) error {
	seen := r.etcd(ctx)
	var nodes []topology.Node
	for _, n := range r.Members {
		if m, ok := seen.Member(n.Name, n.EtcdPeerURL()); ok && m.Healthy && !m.Learner && n.Name != except {
			nodes = append(nodes, n)
		}
	}
	if len(nodes) == 0 {
		return errors.New("no other etcd member answers")
	}
	client, err := r.Cluster.Etcd(nodes)
	if err != nil {
		return err
	}
	defer client.Close()
	return fn(client, seen)
}

func member(m observed.Member, n topology.Node) etcdapi.Member {
	return etcdapi.Member{ID: m.ID, Name: m.Name, PeerURLs: m.PeerURLs, Learner: m.Learner, ClientURLs: []string{n.EtcdClientURL()}}
}

// memberAnswers is what a member that was started has to do: a voter sees a quorum,
// a learner answers.
func (r *Runner) memberAnswers(ctx context.Context, n topology.Node) error {
	seen := r.etcd(ctx)
	m, ok := seen.Member(n.Name, n.EtcdPeerURL())
	switch {
	case !seen.Seen:
		return errors.New(seen.Error)
	case !ok:
		return fmt.Errorf("%s is no member of etcd", n.Name)
	case m.Name == "":
		return errors.New("its etcd member has not started yet")
	case !m.Healthy && m.Learner:
		return fmt.Errorf("%w: %s", errLearnerSilent, m.Error)
	case !m.Healthy:
		return errors.New(m.Error)
	}
	return nil
}

// Of a learner that the others know by its name and that does not serve yet.
const (
	learnerLook  = time.Second     // how long a look at it may take
	learnerLooks = 6 * time.Second // how long it is looked at like that
)

// memberServes is memberAnswers, and helps a learner that waits in vain. etcd (3.7.3) serves
// once it has seen its own request that publishes its name. Where the snapshot that it gets
// has that already, it does not see it, and asks again after 7 s. Started again it has the
// snapshot, and asks at once. It is started again once, also where the snapshot is large and
// under way still: that begins anew then.
func (r *Runner) memberServes(n topology.Node) func(context.Context) error {
	began, again := time.Now(), false
	return func(ctx context.Context) error {
		if again || time.Since(began) > learnerLooks {
			return r.memberAnswers(ctx, n)
		}
		look, cancel := context.WithTimeout(ctx, learnerLook)
		defer cancel()
		err := r.memberAnswers(look, n)
		if !errors.Is(err, errLearnerSilent) || time.Since(began) < learnerLook {
			return err
		}
		again = true
		r.Log.Debug("start etcd again: it is known by its name, and does not serve", "node", n.Name)
		return errors.Join(err, systemd.Restart(ctx, r.Cluster.Machine(n.Name), "etcd"))
	}
}

// errLearnerSilent is a learner that has published its name, and does not answer.
var errLearnerSilent = errors.New("the learner does not answer yet")

// inTouch changes the members of etcd, and waits where a voter has joined only just now.
func (r *Runner) inTouch(ctx context.Context, n topology.Node, change func(context.Context) error) error {
	return r.until(ctx, n.Name, memberTimeout, func(ctx context.Context) error {
		err := change(ctx)
		if err != nil && !etcdapi.OutOfTouch(err) {
			return poll.Stop(err)
		}
		return err
	})
}

// addMember adds a learner and tells the new machine whom to join: etcd compares
// that with the members there are, so it is written after the member was added.
func addMember(ctx context.Context, r *Runner, s change.Step) error {
	n := r.node(s)
	return r.withEtcd(ctx, n.Name, func(client *etcdapi.Client, _ observed.Etcd) error {
		err := r.inTouch(ctx, n, func(ctx context.Context) error { _, err := client.AddLearner(ctx, n.EtcdPeerURL()); return err })
		if err != nil {
			return err
		}
		members, err := client.Members(ctx)
		if err != nil {
			return err
		}
		var cluster []string
		for _, m := range members {
			name := m.Name
			if slices.Contains(m.PeerURLs, n.EtcdPeerURL()) {
				name = n.Name
			}
			for _, u := range m.PeerURLs {
				if name != "" {
					cluster = append(cluster, name+"="+u)
				}
			}
		}
		return r.Cluster.Machine(n.Name).Upload(ctx, r.Join(strings.Join(cluster, ",")))
	})
}

func memberVotes(ctx context.Context, r *Runner, s change.Step) (bool, error) {
	n := r.node(s)
	m, ok := r.etcd(ctx).Member(n.Name, n.EtcdPeerURL())
	return ok && !m.Learner && m.Healthy, nil
}

func promoteMember(ctx context.Context, r *Runner, s change.Step) error {
	n := r.node(s)
	return r.until(ctx, n.Name, memberTimeout, func(ctx context.Context) error {
		return r.withEtcd(ctx, n.Name, func(client *etcdapi.Client, seen observed.Etcd) error {
			m, ok := seen.Member(n.Name, n.EtcdPeerURL())
			if !ok {
				return poll.Stop(fmt.Errorf("%s is no member of etcd", n.Name))
			}
			return client.Promote(ctx, m.ID)
		})
	})
}

func leadsNot(ctx context.Context, r *Runner, s change.Step) (bool, error) {
	n := r.node(s)
	seen := r.etcd(ctx)
	m, ok := seen.Member(n.Name, n.EtcdPeerURL())
	if to, named := seen.Member(s.To, r.Nodes[s.To].EtcdPeerURL()); s.To != "" {
		return seen.Seen && named && to.Leader, nil
	}
	return seen.Seen && (!ok || !m.Leader), nil
}

// moveLeader hands leadership to the healthy voter that is first by name, and waits
// until all that are healthy follow one other.
func moveLeader(ctx context.Context, r *Runner, s change.Step) error {
	return r.withEtcd(ctx, s.Node, func(client *etcdapi.Client, seen observed.Etcd) error { return r.handOverFrom(ctx, s, client, seen) })
}

func (r *Runner) handOverFrom(ctx context.Context, s change.Step, client *etcdapi.Client, seen observed.Etcd) error {
	n := r.node(s)
	from, _ := seen.Member(n.Name, n.EtcdPeerURL())
	var to uint64
	var all []etcdapi.Member
	for _, other := range r.Members {
		m, ok := seen.Member(other.Name, other.EtcdPeerURL())
		if !ok || !m.Healthy {
			continue
		}
		all = append(all, member(m, other))
		if to == 0 && m.ID != from.ID && !m.Learner && (s.To == "" || s.To == other.Name) {
			to = m.ID
		}
	}
	if to == 0 && s.To != "" {
		return fmt.Errorf("%s is no voter that is healthy", s.To)
	}
	if to == 0 {
		return nil // it is the only one
	}
	if err := client.MoveLeader(ctx, member(from, n), to, all, r.holdWrites); err != nil {
		return err
	}
	return r.until(ctx, n.Name, memberTimeout, func(ctx context.Context) error { return client.LeaderIsNot(ctx, from.ID, all) })
}

func memberGone(ctx context.Context, r *Runner, s change.Step) (bool, error) {
	n := r.node(s)
	seen := r.etcd(ctx)
	_, ok := seen.Member(n.Name, n.EtcdPeerURL())
	return seen.Quorum && !ok, nil
}

// hangUp ends the connections of members to one that is dead. A machine that lost its power has not ended them: the
// leader goes on writing into one until its buffer is full, and where the member is removed then, rafthttp waits for that
// write with the lock that every message to the others needs. etcd answers nobody for up to 7 s.
// Where the kernel cannot (INET_DIAG_DESTROY) that may happen still.
func (r *Runner) hangUp(ctx context.Context, dead topology.Node, on []topology.Node) {
	ctx, cancel := context.WithTimeout(ctx, access.RequestTimeout)
	defer cancel()
	peers := fmt.Sprintf("( sport = :%d or dport = :%[1]d )", topology.EtcdPeerPort)
	var all sync.WaitGroup
	for _, n := range on {
		all.Go(func() {
			cmd := machine.Cmd("ss", "--kill", "--no-header", "--tcp", "--numeric", "dst", dead.Address.String(), peers)
			ended, err := r.Cluster.Machine(n.Name).Run(ctx, cmd)
			r.Log.Debug("ended connections to a dead etcd member", "node", n.Name, "member", dead.Name, "connections", ended.Stdout, "err", err)
		})
	}
	all.Wait()
}

// removeMember removes a member and waits until the others know it.
func removeMember(ctx context.Context, r *Runner, s change.Step) error {
	n := r.node(s)
	return r.withEtcd(ctx, n.Name, func(client *etcdapi.Client, seen observed.Etcd) error {
		m, ok := seen.Member(n.Name, n.EtcdPeerURL())
		if !ok {
			return nil
		}
		var others []etcdapi.Member
		var hosts []topology.Node
		for _, other := range r.Members {
			if o, ok := seen.Member(other.Name, other.EtcdPeerURL()); ok && o.Healthy && o.ID != m.ID {
				others, hosts = append(others, member(o, other)), append(hosts, other)
			}
		}
		if !m.Healthy {
			r.hangUp(ctx, n, hosts)
		}
		if err := r.inTouch(ctx, n, func(ctx context.Context) error { return client.Remove(ctx, m.ID) }); err != nil {
			return err
		}
		return r.until(ctx, n.Name, memberTimeout, func(ctx context.Context) error { return client.GoneOnAll(ctx, m.ID, others) })
	})
}
