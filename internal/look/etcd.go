package look

import (
	"context"
	"errors"

	"github.com/haplane/haplane/internal/access"
	"github.com/haplane/haplane/internal/etcdapi"
	"github.com/haplane/haplane/internal/observed"
	"github.com/haplane/haplane/internal/topology"
)

func (c *collector) etcd(ctx context.Context) {
	c.state.Etcd = Etcd(ctx, c.Cluster, c.Members)
	if c.state.Etcd.Error != "" {
		c.unseen("etcd", errors.New(c.state.Etcd.Error))
	}
}

// Etcd asks the members on the nodes, each for itself. Where there is no quorum,
// it is what they remember.
func Etcd(ctx context.Context, c *access.Cluster, nodes []topology.Node) observed.Etcd {
	client, err := c.Etcd(nodes)
	if err != nil {
		return observed.Etcd{Error: err.Error()}
	}
	defer client.Close()
	endpoints := map[string]string{}
	for _, n := range nodes {
		endpoints[n.Name] = n.EtcdClientURL()
	}
	survey := client.Survey(ctx, endpoints)
	out := observed.Etcd{ClusterID: survey.ClusterID, Quorum: survey.HasQuorum, Seen: len(survey.Members) > 0}
	for _, s := range survey.Members {
		out.Members = append(out.Members, member(s))
	}
	for _, a := range survey.Alarms {
		out.Alarms = append(out.Alarms, observed.Alarm{Member: a.Member, Kind: a.Kind})
	}
	if !out.Seen {
		out.Error = "no member answers"
	}
	return out
}

func member(s etcdapi.Status) observed.Member {
	return observed.Member{ID: s.Member.ID, Name: s.Member.Name, PeerURLs: s.Member.PeerURLs, Learner: s.Member.Learner,
		Healthy: s.Healthy, Leader: s.Leader, Version: s.Version, Problems: s.Problems, Error: s.Error, DBInUse: s.DBInUse}
}
