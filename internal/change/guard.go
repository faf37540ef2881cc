package change

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/haplane/haplane/internal/observed"
	"github.com/haplane/haplane/internal/quorum"
	"github.com/haplane/haplane/internal/topology"
)

// A Refused is a step that would take quorum or the last API server. Nothing of it was done.
type Refused struct {
	Step string
	Err  error
}

func (e *Refused) Error() string { return fmt.Sprintf("%s: refused: %v", e.Step, e.Err) }
func (e *Refused) Unwrap() error { return e.Err }

// Check holds what was seen just now against the guard of a step. The error is a *Refused.
func Check(s Step, n topology.Node, seen observed.State) error {
	if s.Guard.Etcd != "" {
		if err := s.allowed(n, seen.Etcd.Voting(), seen.Etcd); err != nil {
			return &Refused{Step: s.ID, Err: err}
		}
	}
	if !s.Guard.OtherAPIServers {
		return nil
	}
	if err := s.others(seen.APIServers); err != nil {
		return &Refused{Step: s.ID, Err: err}
	}
	return nil
}

// others wants an API server that is ready beside that of the step's node.
func (s Step) others(seen map[string]observed.APIServer) error {
	var why []string
	for name, a := range seen {
		if a.Ready && name != s.Node {
			return nil
		}
		if name != s.Node {
			why = append(why, name+": "+a.Error)
		}
	}
	slices.Sort(why)
	if len(why) == 0 {
		return errors.New("there is no other API server")
	}
	return fmt.Errorf("no other API server would serve meanwhile: %s", strings.Join(why, "; "))
}

// allowed asks package quorum about the operation on the member of a node.
func (s Step) allowed(n topology.Node, members quorum.Members, seen observed.Etcd) error {
	if s.Guard.Etcd == OpAdd {
		if m, ok := seen.Member(n.Name, n.EtcdPeerURL()); ok && (m.Learner || m.Name == "") {
			return nil // the answer to an earlier request was lost
		}
		return members.CanAdd()
	}
	m, ok := seen.Member(n.Name, n.EtcdPeerURL())
	if !ok {
		if !seen.Seen {
			return fmt.Errorf("etcd's members are not known: %s", seen.Error)
		}
		return nil // removed, or never there
	}
	switch s.Guard.Etcd {
	case OpPromote:
		if !m.Learner {
			return nil
		}
		return members.CanPromote(m.ID)
	case OpStop:
		return canStop(members, m.ID)
	case OpRemove:
		return members.CanRemove(m.ID)
	}
	panic("change: no operation " + string(s.Guard.Etcd))
}

// canStop allows a restart where none can be without a moment's loss of quorum: one
// or two members of which all are healthy.
func canStop(members quorum.Members, id uint64) error {
	if members.Voters() <= 2 && members.Healthy() == members.Voters() {
		return nil
	}
	return members.CanStop(id)
}
