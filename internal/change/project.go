package change

import (
	"errors"
	"maps"
	"slices"

	"github.com/haplane/haplane/internal/observed"
	"github.com/haplane/haplane/internal/quorum"
	"github.com/haplane/haplane/internal/topology"
	"github.com/haplane/haplane/spec"
)

// project walks through the steps with etcd's membership and the API servers in mind,
// writes into each what is expected, and refuses the change at the first that would
// take quorum or the last API server.
func (p *planner) project(c *Change) error {
	// Membership changes count on what is healthy now; a restart may count on what
	// was mended before it, for its guard asks again when it comes to that. So may all, where
	// nothing can be changed before the mending.
	seen, hoped, serving := p.Observed.Etcd, p.Observed.Etcd, map[string]observed.APIServer{}
	maps.Copy(serving, p.Observed.APIServers)
	for i := range c.Steps {
		s := &c.Steps[i]
		n := p.node(s.Node)
		if s.Guard.OtherAPIServers {
			if err := s.others(serving); err != nil {
				return &Refused{Step: s.ID, Err: err}
			}
		}
		if actsOnAPIServer(*s, n) {
			switch s.Verb {
			case Start, Restart: // its guard asks again when it comes to that
				serving[n.Name] = observed.APIServer{Ready: true}
			case Stop:
				serving[n.Name] = observed.APIServer{Error: "stopped"}
			}
		}
		if s.Verb == Start && (all(s.Units) || slices.Contains(s.Units, "etcd")) {
			hoped = started(hoped, n)
			if p.takes(n) || slices.ContainsFunc(p.joins, func(j topology.Node) bool { return j.Name == n.Name }) {
				seen = started(seen, n)
			}
		}
		if s.Guard.Etcd == "" {
			continue
		}
		now := seen
		if s.Guard.Etcd == OpStop || !seen.Voting().HasQuorum() {
			now = hoped
		}
		if !now.Seen || !now.Voting().HasQuorum() {
			return &Refused{Step: s.ID, Err: errors.Join(errors.New("etcd has no quorum, so its members cannot change"), errorOf(now))}
		}
		if err := s.allowed(n, now.Voting(), now); err != nil {
			return &Refused{Step: s.ID, Err: err}
		}
		if slices.Contains([]string{AddMember, PromoteMember, RemoveMember, Restart, Stop}, s.Verb) {
			s.Etcd = &EtcdEffect{Before: tolerance(now.Voting()), After: tolerance(project(now, *s, n).Voting())}
		}
		if s.Guard.Etcd != OpStop {
			seen, hoped = project(seen, *s, n), project(hoped, *s, n)
		}
	}
	return nil
}

// actsOnAPIServer reports whether the API server of a node is among a step's programs.
func actsOnAPIServer(s Step, n topology.Node) bool {
	return n.Role == spec.RoleControlPlane && (all(s.Units) || slices.Contains(s.Units, "kube-apiserver"))
}

func errorOf(e observed.Etcd) error {
	if e.Error == "" {
		return nil
	}
	return errors.New(e.Error)
}

func tolerance(m quorum.Members) Tolerance {
	return Tolerance{Voters: m.Voters(), Healthy: m.Healthy(), Tolerates: m.Tolerates()}
}

// project is etcd after a step.
func project(e observed.Etcd, s Step, n topology.Node) observed.Etcd {
	name, peer := n.Name, n.EtcdPeerURL()
	out := e
	out.Members = nil
	for _, m := range e.Members {
		if mine, ok := e.Member(name, peer); ok && mine.ID == m.ID {
			switch {
			case s.Guard.Etcd == OpRemove && s.Verb == RemoveMember:
				continue
			case s.Guard.Etcd == OpPromote:
				m.Learner, m.Healthy = false, true
			case s.Guard.Etcd == OpStop:
				m.Healthy = false
			}
		}
		out.Members = append(out.Members, m)
	}
	if s.Guard.Etcd == OpAdd {
		if _, ok := out.Member(name, peer); !ok {
			id := uint64(1)
			for _, m := range out.Members {
				id = max(id, m.ID+1)
			}
			out.Members = append(out.Members, observed.Member{ID: id, Name: name, PeerURLs: []string{peer}, Learner: true, Healthy: true})
		}
	}
	return out
}

// started is etcd after the member of a node was started: it may well be healthy then.
func started(e observed.Etcd, n topology.Node) observed.Etcd {
	mine, ok := e.Member(n.Name, n.EtcdPeerURL())
	out := e
	out.Members = nil
	for _, m := range e.Members {
		if ok && m.ID == mine.ID {
			m.Name, m.Healthy = n.Name, true
		}
		out.Members = append(out.Members, m)
	}
	return out
}
