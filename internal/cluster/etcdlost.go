package cluster

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/haplane/haplane/internal/change"
	"github.com/haplane/haplane/internal/etcdapi"
	"github.com/haplane/haplane/internal/store"
	"github.com/haplane/haplane/internal/topology"
	"github.com/haplane/haplane/spec"
)

// interrupted is the command of a change that was cut off, and can go on only when etcd has its data: the machines of
// most members are gone. Otherwise it goes on first, and this is an error: some nodes may be members that others do not
// know of, and some programs have other keys or other members than the file says.
func (h *Handle) interrupted(ctx context.Context, record *store.Record) (string, error) {
	c, e := record.Change, h.env
	if c == nil || restoring(c) {
		return "", nil
	}
	made, err := e.power()
	if err != nil {
		return "", err
	}
	if here, err := e.hasMachines(); err == nil && !here { // nobody is there to be asked
		return c.Command, nil
	}
	survey, err := e.survey(ctx)
	voters := e.voters(record, survey)
	left := slices.DeleteFunc(slices.Clone(voters), func(n topology.Node) bool { _, there := made[n.Name]; return !there })
	if lost := err != nil || !survey.HasQuorum; lost && len(left) <= len(voters)/2 {
		return c.Command, nil
	}
	return "", withHint(fmt.Errorf("a change was cut off: %s; etcd's data is exchanged where all nodes are as the cluster file says, or where the machines of most members are gone", c.Command),
		"haplane apply --cluster "+e.topology.Name+" goes on with it, and with --abort it goes back")
}

// voters are the nodes whose members vote, as a member remembers, or else by the record: a node that joins and has no
// machine never had a vote, or has lost it with its data.
func (e *env) voters(record *store.Record, survey etcdapi.Survey) []topology.Node {
	made, _ := e.power()
	return slices.DeleteFunc(slices.Clone(e.etcdNodes()), func(n topology.Node) bool {
		if len(survey.Members) > 0 {
			return !slices.ContainsFunc(survey.Members, func(s etcdapi.Status) bool {
				return !s.Member.Learner && (s.Member.Name == n.Name || slices.Contains(s.Member.PeerURLs, n.EtcdPeerURL()))
			})
		}
		_, there := made[n.Name]
		known := record.Node(n.Name)
		return !there && (known == nil || known.State == store.Joining)
	})
}

// survivors are the nodes whose members are left, and the names of those whose machines are gone. It is an error where
// the ones that are left are a quorum, or may become one again.
func (e *env) survivors(ctx context.Context, record *store.Record) (left []topology.Node, gone []string, err error) {
	made, err := e.power()
	if err != nil {
		return nil, nil, err
	}
	survey, surveyErr := e.survey(ctx)
	voters := e.voters(record, survey)
	var off []string
	for _, n := range voters {
		switch running, there := made[n.Name]; {
		case !there:
			gone = append(gone, n.Name)
		case !running:
			off = append(off, n.Name)
		default:
			left = append(left, n)
		}
	}
	all, name := len(voters), e.topology.Name
	refuse := func(hint, format string, args ...any) error {
		return withHint(&change.Refused{Step: "recover", Err: fmt.Errorf(format, args...)}, hint)
	}
	switch {
	case len(off) > 0:
		return nil, nil, refuse("haplane start --cluster "+name, "the machines of %s are off, and their data is not lost", strings.Join(off, ", "))
	case len(left) == 0:
		return nil, nil, withHint(errors.New("no machine with an etcd member is left: there is no data to go on with"), "haplane etcd restore FILE --cluster "+name+" makes the machines anew, with the data of a snapshot")
	case len(left) > all/2:
		return nil, nil, refuse("haplane status --cluster "+name+" shows what is missing", "the machines of %d of %d members are there, and quorum is %d: it is not lost for good", len(left), all, all/2+1)
	}
	if surveyErr == nil && survey.HasQuorum {
		return nil, nil, refuse("haplane node replace "+strings.Join(gone, " ")+" --cluster "+name, "etcd has a quorum: nothing is lost")
	}
	return left, gone, nil
}

// hasMachines reports whether any machine is there that has, or may have, etcd's data.
func (e *env) hasMachines() (bool, error) {
	made, err := e.power()
	return slices.ContainsFunc(e.etcdNodes(), func(n topology.Node) bool { _, there := made[n.Name]; return there }), err
}

// target says who has the data afterwards: the members that are left, and the others are made anew when there is a
// cluster again. Where no member, no API server, or no load balancer is left, those that are gone are made anew at once.
func (q *Request) target(record *store.Record, made map[string]bool) error {
	wanted := topology.New(q.Wanted)
	left := map[spec.Role]int{}
	var gone, off []string
	for _, n := range wanted.Nodes {
		running, there := made[n.Name]
		known := record.Node(n.Name)
		joins := known == nil || known.State == store.Joining
		member := wanted.HasEtcdMember(n)
		switch {
		case there && !running && (member || n.Role == spec.RoleControlPlane):
			off = append(off, n.Name)
		case there && joins && member, !there:
			gone = append(gone, n.Name)
			if there || !joins && known.State != store.Leaving { // else the change that was cut off makes it
				q.Replace = append(q.Replace, n.Name)
			}
		default:
			left[n.Role]++
			if member {
				q.Task.Members = append(q.Task.Members, n.Name)
			}
		}
	}
	if i := slices.IndexFunc(off, func(name string) bool { n, _ := wanted.Node(name); return wanted.HasEtcdMember(n) }); i >= 0 {
		return withHint(fmt.Errorf("the machine of %s is off: its member would keep the old data", off[i]), "haplane start --cluster "+wanted.Name)
	}
	if left[spec.RoleControlPlane] == 0 && len(off) > 0 {
		return withHint(fmt.Errorf("the machines of %s are off, and there is no other API server", strings.Join(off, ", ")), "haplane start --cluster "+wanted.Name)
	}
	lost := func(name string, roles ...spec.Role) bool {
		n, _ := wanted.Node(name)
		return slices.Contains(roles, n.Role)
	}
	switch {
	case len(q.Task.Members) == 0, left[spec.RoleControlPlane] == 0:
		q.Replace, q.Task.Made, q.Task.Members = nil, gone, nil
		for _, n := range wanted.EtcdMembers() {
			q.Task.Members = append(q.Task.Members, n.Name)
		}
	case wanted.LBKind == spec.Dedicated && left[spec.RoleLoadBalancer] == 0:
		q.Task.Made = slices.DeleteFunc(slices.Clone(gone), func(name string) bool { return !lost(name, spec.RoleLoadBalancer) })
		q.Replace = slices.DeleteFunc(q.Replace, func(name string) bool { return lost(name, spec.RoleLoadBalancer) })
	}
	if !slices.ContainsFunc(q.Replace, func(name string) bool { return lost(name, spec.RoleControlPlane, spec.RoleEtcd) }) {
		q.Replace = nil // others are no part of this
	}
	return nil
}
