package change

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/haplane/haplane/internal/observed"
	"github.com/haplane/haplane/internal/topology"
	"github.com/haplane/haplane/spec"
)

// A Task is what is done to etcd beside making the cluster what its file says.
type Task struct {
	ID      string // random: names what it leaves on machines
	Attempt int    // of RestoreData: how often it began anew, see Name
	Kind    string
	To      string   // of MoveTheLeader: the node that is to lead; "" for any other
	Members []string // of RestoreData: the nodes that etcd then is of
	// Snapshot is the file that is restored, in haplane's folder, and Sum its SHA-256.
	Snapshot, Sum string
	Bump          uint64 // how much the revision grows when it is restored, the same on all members
	Revision      int64  // of the snapshot
	Newest        int64  // revision that the cluster had; 0 where nobody could tell
	Leapt         int64  // how many revisions between the two never were
	Note          string // what else is lost, in words
	// Made are the nodes whose machines a restore makes anew first: nothing of the control plane is left.
	Made []string
	// Stale names the authorities and keys that were rotated since the snapshot was taken, and that objects in it depend on.
	Stale []string
	// Interrupts is the command of a change that was cut off before the quorum was lost: it goes on afterwards.
	Interrupts string
	// Encryption tells the key that Secrets of the snapshot are encrypted with, where the cluster writes with another one by now: its name and the begin of
	// its SHA-256. API servers read with both until all Secrets are rewritten.
	Encryption string
}

// The kinds of tasks.
const (
	MoveTheLeader = "move-leader"
	DefragmentAll = "defrag"
	MakeRoom      = "make-room" // for NOSPACE
	RestoreData   = "restore"
)

// Name is what the data of a restore is called, and the cluster that etcd makes of it. Each attempt has another: members
// with the data of one never join those with the data of another, whatever they have done since they got it.
func (t Task) Name() string {
	if t.Attempt == 0 {
		return t.ID
	}
	return fmt.Sprintf("%s-%d", t.ID, t.Attempt)
}

// Lost is how many revisions the cluster had that the snapshot does not.
func (t Task) Lost() int64 { return max(t.Newest-t.Revision-t.Leapt, 0) }

// task plans what is done to etcd, when the cluster is what was wanted.
func (p *planner) task() error {
	if p.Task == nil {
		return nil
	}
	switch p.Task.Kind {
	case MoveTheLeader:
		return p.moveLeaderTo(p.Task.To)
	case DefragmentAll:
		p.defragAll([]Reason{{What: "defragmentation was asked for"}})
	case MakeRoom:
		return p.makeRoom()
	}
	return nil
}

// members are the wanted nodes with an etcd member, who leads last.
func (p *planner) members() []topology.Node {
	leads := func(n topology.Node) int {
		if m, _ := p.Observed.Etcd.Member(n.Name, n.EtcdPeerURL()); m.Leader {
			return 1
		}
		return 0
	}
	return slices.SortedStableFunc(slices.Values(p.Wanted.EtcdMembers()), func(a, b topology.Node) int { return leads(a) - leads(b) })
}

func (p *planner) moveLeaderTo(to string) error {
	nodes := p.members()
	from := nodes[len(nodes)-1]
	if from.Name == to || len(nodes) == 1 {
		return nil
	}
	if n, ok := p.Wanted.Node(to); ok {
		if m, ok := p.Observed.Etcd.Member(to, n.EtcdPeerURL()); !ok || m.Learner || !m.Healthy {
			return &Refused{Step: id(MoveLeader, from.Name), Err: fmt.Errorf("%s cannot lead: it is no voter that is healthy", to)}
		}
	}
	p.add(Step{ID: id(MoveLeader, from.Name, "asked"), Verb: MoveLeader, Node: from.Name, To: to, Needs: p.tail,
		Why: []Reason{{What: "etcd's leader", Old: from.Name, New: to}}})
	return nil
}

// largeData is how much data a member may have to be defragmented beside a running API server. While
// it copies, a member answers nobody: 64 MiB take about half a second.
const largeData = 64 << 20

// defragAll takes one member after another, the leader last, after it has handed over.
func (p *planner) defragAll(why []Reason) {
	for _, n := range p.members() {
		if !slices.Contains(p.Done, id(Defragment, n.Name)) {
			p.defrag(n, why)
		}
	}
}

// defrag copies a member's database into a new file. The load balancers send no new connections to the API
// server beside it meanwhile; where the copy takes long, that is stopped in good order before.
func (p *planner) defrag(n topology.Node, why []Reason) {
	m, _ := p.Observed.Etcd.Member(n.Name, n.EtcdPeerURL())
	voters := len(p.Observed.Etcd.Voting())
	api := n.Role == spec.RoleControlPlane && len(p.backends) > 1
	stop := api && m.DBInUse > largeData
	then := func(s Step) {
		s.Node, s.Why, s.Needs = n.Name, why, p.tail
		p.tail = []string{p.add(s)}
	}
	if api {
		then(Step{ID: id(DrainBackend, n.Name, "defrag"), Verb: DrainBackend, Guard: Guard{OtherAPIServers: true}})
	}
	if stop {
		then(Step{ID: id(Stop, n.Name, "defrag"), Verb: Stop, Units: []string{"kube-apiserver"}, Guard: Guard{OtherAPIServers: true, Etcd: OpStop}})
	}
	if m.Leader && voters > 1 {
		then(Step{ID: id(MoveLeader, n.Name, "defrag"), Verb: MoveLeader, Guard: Guard{Etcd: OpStop}})
	}
	then(Step{ID: id(Defragment, n.Name), Verb: Defragment, Guard: Guard{Etcd: OpStop}})
	if stop {
		then(Step{ID: id(Start, n.Name, "defrag"), Verb: Start, Units: []string{"kube-apiserver"}})
	}
	if api {
		then(Step{ID: id(RestoreBackend, n.Name, "defrag"), Verb: RestoreBackend})
	}
}

// makeRoom drops old revisions, gives the room that they had back, and lets writes flow again.
func (p *planner) makeRoom() error {
	alarms := p.Observed.Etcd.Alarms
	if len(alarms) == 0 {
		return nil
	}
	if corrupt := p.corrupt(alarms); len(corrupt) > 0 {
		return &Refused{Step: DisarmAlarms, Err: fmt.Errorf("the data of %s is not that of the others (CORRUPT): no alarm to clear, but members to make anew with haplane node replace",
			strings.Join(corrupt, ", "))}
	}
	why := []Reason{{What: "alarm NOSPACE"}}
	p.tail = []string{p.add(Step{ID: CompactHistory, Verb: CompactHistory, Why: why, Needs: p.tail})}
	p.defragAll(why)
	p.tail = []string{p.add(Step{ID: DisarmAlarms, Verb: DisarmAlarms, Why: why, Needs: p.tail})}
	p.add(Step{ID: WriteObject, Verb: WriteObject, Why: why, Needs: p.tail})
	return nil
}

// corrupt are the members whose data differs from that of the others.
func (p *planner) corrupt(alarms []observed.Alarm) []string {
	var out []string
	for _, a := range alarms {
		if a.Kind != "CORRUPT" {
			continue
		}
		name := fmt.Sprintf("member %x", a.Member)
		for _, m := range p.Observed.Etcd.Members {
			if m.ID == a.Member && m.Name != "" {
				name = m.Name
			}
		}
		out = append(out, name)
	}
	return out
}

var errNoMembers = errors.New("none of the machines that are to have an etcd member answers: start those that are off")
