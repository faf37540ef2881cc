package cluster

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/haplane/haplane/internal/change"
	"github.com/haplane/haplane/internal/etcdapi"
	"github.com/haplane/haplane/internal/observed"
	"github.com/haplane/haplane/internal/topology"
)

// An EtcdMember is a member of etcd, as it says itself. Its JSON is stable.
type EtcdMember struct {
	Name       string   `json:"name"` // empty until it has started for the first time
	ID         string   `json:"id"`   // in hexadecimal, as etcdctl has it
	PeerURLs   []string `json:"peerURLs"`
	ClientURLs []string `json:"clientURLs"`
	Role       string   `json:"role"` // voter or learner
	Leader     bool     `json:"leader"`
	Healthy    bool     `json:"healthy"`
	Version    string   `json:"version"`
	DBSize     int64    `json:"dbSize"`  // bytes, of the file
	DBInUse    int64    `json:"dbInUse"` // bytes of it that hold data
	DBQuota    int64    `json:"dbQuota"` // bytes, where NOSPACE is raised
	RaftIndex  uint64   `json:"raftIndex"`
	Alarms     []string `json:"alarms"`
	Error      string   `json:"error,omitempty"` // why it is not healthy
}

// EtcdMembers asks all members, each for itself.
func (h *Handle) EtcdMembers(ctx context.Context) ([]EtcdMember, error) {
	survey, err := h.env.survey(ctx)
	if err != nil {
		return nil, err
	}
	out := []EtcdMember{}
	for _, s := range survey.Members {
		m := EtcdMember{Name: s.Member.Name, ID: fmt.Sprintf("%x", s.Member.ID), PeerURLs: append([]string{}, s.Member.PeerURLs...), ClientURLs: append([]string{}, s.Member.ClientURLs...),
			Role: "voter", Leader: s.Leader, Healthy: s.Healthy, Version: s.Version, DBSize: s.DBSize, DBInUse: s.DBInUse, DBQuota: s.DBQuota, RaftIndex: s.RaftIndex,
			Alarms: []string{}, Error: s.Error}
		if s.Member.Learner {
			m.Role = "learner"
		}
		for _, a := range survey.Alarms {
			if a.Member == s.Member.ID {
				m.Alarms = append(m.Alarms, a.Kind)
			}
		}
		out = append(out, m)
	}
	return out, nil
}

// survey asks the members on all nodes that have one.
func (e *env) survey(ctx context.Context) (etcdapi.Survey, error) {
	if err := e.loadKeys(); err != nil {
		return etcdapi.Survey{}, err
	}
	return e.askMembers(ctx)
}

func (e *env) askMembers(ctx context.Context) (etcdapi.Survey, error) {
	nodes := e.etcdNodes()
	client, err := e.access().Etcd(nodes)
	if err != nil {
		return etcdapi.Survey{}, err
	}
	defer client.Close()
	endpoints := map[string]string{}
	for _, n := range nodes {
		endpoints[n.Name] = n.EtcdClientURL()
	}
	survey := client.Survey(ctx, endpoints)
	if len(survey.Members) == 0 {
		var why []string
		for _, n := range nodes {
			why = append(why, survey.Unanswered[n.Name])
		}
		return survey, withHint(fmt.Errorf("no etcd member answers: %s", strings.Join(why, "; ")), "haplane status --cluster "+e.topology.Name)
	}
	return survey, nil
}

// MoveLeader asks for another leader of etcd: that of a node or, without a name, any.
func (h *Handle) MoveLeader(to string) (Request, error) {
	q := h.Request()
	members := h.env.topology.EtcdMembers()
	if to != "" && !slices.ContainsFunc(members, func(n topology.Node) bool { return n.Name == to }) {
		return q, &NodeNameError{fmt.Errorf("cluster %s has no etcd member on %q; it has them on %s", h.env.topology.Name, to, names(members))}
	}
	q.About, q.Task = aboutEtcd, newTask(change.MoveTheLeader)
	q.Task.To = to
	return q, nil
}

// Defragment asks for the databases of all members to be made as small as what they hold.
func (h *Handle) Defragment() Request {
	q := h.Request()
	q.About, q.Task = aboutEtcd, newTask(change.DefragmentAll)
	return q
}

// MakeRoom asks for room in etcd, and for the alarm NOSPACE to be cleared.
func (h *Handle) MakeRoom() Request {
	q := h.Request()
	q.About, q.Task = aboutEtcd, newTask(change.MakeRoom)
	return q
}

// An EtcdAlarm is one that a member has raised. Its JSON is stable.
type EtcdAlarm struct {
	Member string `json:"member"` // its name, or its ID where it has none
	Kind   string `json:"kind"`   // NOSPACE or CORRUPT
}

// EtcdAlarms asks all members for the alarms that are raised.
func (h *Handle) EtcdAlarms(ctx context.Context) ([]EtcdAlarm, error) {
	survey, err := h.env.survey(ctx)
	if err != nil {
		return nil, err
	}
	out := []EtcdAlarm{}
	for _, a := range survey.Alarms {
		one := EtcdAlarm{Member: fmt.Sprintf("%x", a.Member), Kind: a.Kind}
		for _, m := range survey.Members {
			if m.Member.ID == a.Member && m.Member.Name != "" {
				one.Member = m.Member.Name
			}
		}
		out = append(out, one)
	}
	return out, nil
}

// alarmWarnings say what alarms of etcd mean, and the way on.
func alarmWarnings(e observed.Etcd, cluster string) []string {
	raised := map[string][]string{}
	for _, a := range e.Alarms {
		name := fmt.Sprintf("%x", a.Member)
		for _, m := range e.Members {
			if m.ID == a.Member && m.Name != "" {
				name = m.Name
			}
		}
		raised[a.Kind] = append(raised[a.Kind], name)
	}
	var out []string
	for _, kind := range slices.Sorted(maps.Keys(raised)) {
		nodes := slices.Sorted(slices.Values(raised[kind]))
		text := fmt.Sprintf("etcd has raised the alarm %s on %s: ", kind, strings.Join(nodes, ", "))
		switch kind {
		case "NOSPACE":
			text += fmt.Sprintf("it has reached its quota, and takes deletions alone; haplane etcd alarm disarm --cluster %s makes room and clears it", cluster)
		case "CORRUPT":
			text += fmt.Sprintf("its data is not that of the others; haplane node replace %s --cluster %s makes it anew", strings.Join(nodes, " "), cluster)
		}
		out = append(out, strings.TrimSuffix(text, ": "))
	}
	return out
}
