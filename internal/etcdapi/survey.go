package etcdapi

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
)

// A Survey is what can be learned of a cluster from each of its members alone, with
// and without quorum.
type Survey struct {
	// ClusterID is that of most who answer, or of those that have quorum; 0 when nobody answers.
	ClusterID uint64 `json:"clusterID,omitempty"`
	// HasQuorum means that a voter of the cluster served a linearizable read.
	HasQuorum bool `json:"hasQuorum"`
	// Members are those that the most recent of all memories has, by name, and
	// how each of them is. Empty when nobody answers.
	Members []Status `json:"members"`
	Alarms  []Alarm  `json:"alarms,omitempty"`
	// Disagreements says who is of another cluster, answers and is no member, or remembers other members.
	Disagreements []string `json:"disagreements,omitempty"`
	// Unanswered has what is in the way of every endpoint that could not be asked, by its name.
	Unanswered map[string]string `json:"unanswered,omitempty"`
}

// Survey asks the endpoints, client URLs by the name of their nodes, all at the
// same time and each for at most 3 s, and then likewise those members that others remember
// at addresses that nobody named. It takes 6 s at the most.
func (c *Client) Survey(ctx context.Context, endpoints map[string]string) Survey {
	answers := c.answers(ctx, endpoints)
	survey := Survey{ClusterID: clusterOf(answers), Unanswered: map[string]string{}}
	ours, others := survey.sort(answers)
	survey.judge(ours)
	c.complete(ctx, &survey, ours, others)
	return survey
}

// sort tells those who answer for the cluster from the others, and what is the matter
// with each of these by its name.
func (s *Survey) sort(answers []answer) (ours []answer, others map[string]string) {
	others = map[string]string{}
	for _, a := range answers {
		switch {
		case !a.answered():
			s.Unanswered[a.name], others[a.name] = a.status.Error, a.status.Error
		case a.cluster != s.ClusterID:
			others[a.name] = fmt.Sprintf("%s is of cluster %x, not %x", a.name, a.cluster, s.ClusterID)
			s.disagree("%s", others[a.name])
		default:
			ours = append(ours, a)
		}
	}
	return ours, others
}

// answers asks every endpoint; they are in the order of their names.
func (c *Client) answers(ctx context.Context, endpoints map[string]string) []answer {
	names := slices.Sorted(maps.Keys(endpoints))
	answers := make([]answer, len(names))
	var all sync.WaitGroup
	for i, name := range names {
		all.Go(func() { answers[i] = c.answer(ctx, name, endpoints[name]) })
	}
	all.Wait()
	return answers
}

// clusterOf prefers those with quorum, then those that are many.
func clusterOf(answers []answer) uint64 {
	weight := map[uint64]int{}
	for _, a := range answers {
		if a.answered() {
			weight[a.cluster]++
		}
		if a.confirms() {
			weight[a.cluster] += len(answers)
		}
	}
	var best uint64
	for _, id := range slices.Sorted(maps.Keys(weight)) {
		if weight[id] > weight[best] {
			best = id
		}
	}
	return best
}

// judge fills in what the answers of one cluster say together.
func (s *Survey) judge(answers []answer) {
	latest := mostRecent(answers)
	for _, m := range latest.members {
		s.Members = append(s.Members, Status{Member: m})
	}
	for _, a := range answers {
		s.HasQuorum = s.HasQuorum || a.confirms()
		for _, alarm := range a.status.Alarms {
			if !slices.Contains(s.Alarms, alarm) {
				s.Alarms = append(s.Alarms, alarm)
			}
		}
		s.compare(a, latest)
	}
}

// mostRecent is the answer of the member that knows best: changes of membership are
// entries of the log, so it is the one that has applied most of it.
func mostRecent(answers []answer) answer {
	var latest answer
	for _, a := range answers {
		if a.members != nil && (latest.members == nil || a.status.RaftApplied > latest.status.RaftApplied) {
			latest = a
		}
	}
	return latest
}

func (s *Survey) compare(a, latest answer) {
	known := func(m Status) bool { return m.Member.ID == a.status.Member.ID }
	if len(s.Members) > 0 && !slices.ContainsFunc(s.Members, known) {
		s.disagree("%s answers as member %x, which is none by %s's memory", a.name, a.status.Member.ID, latest.name)
	}
	if a.members == nil { // a learner does not tell
		return
	}
	for _, m := range a.members {
		if !slices.ContainsFunc(latest.members, func(other Member) bool { return other.ID == m.ID }) {
			s.disagree("%s remembers member %x (%s), %s does not", a.name, m.ID, m.Name, latest.name)
		}
	}
	for _, m := range latest.members {
		if !slices.ContainsFunc(a.members, func(other Member) bool { return other.ID == m.ID }) {
			s.disagree("%s does not know member %x (%s), %s does", a.name, m.ID, m.Name, latest.name)
		}
	}
}

func (s *Survey) disagree(format string, args ...any) {
	s.Disagreements = append(s.Disagreements, fmt.Sprintf(format, args...))
}

// complete gives every member its status: from its answer, from what is the matter
// with the endpoint of its name, or else by asking where it says that it is.
func (c *Client) complete(ctx context.Context, survey *Survey, ours []answer, others map[string]string) {
	var all sync.WaitGroup
	for i := range survey.Members {
		member := survey.Members[i].Member
		if at := slices.IndexFunc(ours, func(a answer) bool { return a.status.Member.ID == member.ID }); at >= 0 {
			survey.Members[i] = ours[at].status
			survey.Members[i].Member = member
		} else if why := others[member.Name]; why != "" && member.Name != "" {
			survey.Members[i].Error = why
		} else {
			all.Go(func() { survey.Members[i] = c.status(ctx, member) })
		}
	}
	all.Wait()
}

// SnapshotSource is the member that is asked for a snapshot: the healthy follower of the given name, or else another one that
// follows; the leader where there is no other. "" is nobody's name.
func (s Survey) SnapshotSource(own string) (Status, error) {
	rank := func(m Status) int {
		switch {
		case !m.Healthy || m.Member.Learner:
			return 0
		case m.Leader:
			return 1
		case m.Member.Name != own:
			return 2
		}
		return 3
	}
	var best Status
	for _, m := range s.Members {
		if rank(m) > rank(best) {
			best = m
		}
	}
	if rank(best) == 0 {
		return best, errors.New("no etcd member is healthy: what it has may be old")
	}
	return best, nil
}
