// Package change plans how a cluster becomes what is wanted of it: the desired
// state, what was observed and the record in, ordered steps out. It is pure: the
// same input gives the same steps, and package apply walks through just these.
package change

import (
	"fmt"
	"slices"
	"strings"

	"github.com/haplane/haplane/internal/observed"
	"github.com/haplane/haplane/internal/render"
	"github.com/haplane/haplane/internal/topology"
)

// The verbs of steps. Each is a row of apply's table.
const (
	IssueCertificates = "issue-certificates"
	CreateMachine     = "create-machine"
	StartMachine      = "start-machine"
	RemoveMachine     = "remove-machine"
	WriteFiles        = "write-files"
	Start             = "start"   // programs that do not run
	Restart           = "restart" // programs that run with another configuration
	Reload            = "reload"
	Stop              = "stop"
	Serve             = "serve" // programs that start with their machine are waited for
	AddMember         = "member-add"
	PromoteMember     = "member-promote"
	MoveLeader        = "move-leader"
	RemoveMember      = "member-remove"
	RemoveData        = "etcd-data-remove" // of a node that is no member
	DrainBackend      = "lb-drain"
	RestoreBackend    = "lb-restore"
	SetBackends       = "lb-backends"
	CheckBalancer     = "lb-check"   // of one that is somebody else's: does it do what it must
	HoldIdle          = "lb-idle"    // a connection without traffic through it stays open
	WithoutBackend    = "lb-without" // nobody is sent to an API server that has gone
	DrainNode         = "node-drain"
	NodeReady         = "node-ready"
	UncordonNode      = "node-uncordon"
	DNSReady          = "dns-ready"
	DeleteNode        = "node-delete"
	ServeCertificate  = "serve-certificate"
	ApplyManifests    = "apply-manifests"
	Activate          = "activate"
	Forget            = "forget"
	RewriteSecrets    = "rewrite-secrets" // with the encryption key that writes now
	ProveTrust        = "prove-trust"     // of a rotation: everybody trusts the next generation
	ProveSwitch       = "prove-switch"    // it alone signs, or writes
	ProveUnused       = "prove-unused"    // nothing in use comes from the old one
	ProveDrop         = "prove-drop"      // nobody trusts the old one
	Unpublish         = "unpublish"       // of a next generation that is not to come: where API servers told of it

	// Those of etcd's data.
	CompactHistory   = "etcd-compact"
	Defragment       = "etcd-defrag"
	DisarmAlarms     = "etcd-disarm"
	StageData        = "etcd-stage" // restored data beside what is there
	Halt             = "halt"       // programs that nobody is served by any more
	SwapData         = "etcd-swap"  // the restored data in place of what is there, which is kept
	SwapDataBack     = "etcd-swap-back"
	DropData         = "etcd-drop"    // what was kept
	WriteObject      = "write-object" // a write through the API
	RegisterNode     = "node-register"
	ReleaseLeases    = "release-leases" // of controllers that were halted
	Snapshot         = "etcd-snapshot"
	CheckCluster     = "check-cluster"
	BringPrograms    = "bring-programs"
	UsePrograms      = "use-programs"
	BringImages      = "bring-images"    // container images of pods, into containerd's store
	RemoveKubelet    = "kubelet-remove"  // what makes a machine a Kubernetes node is stopped
	ClientsGone      = "clients-gone"    // from a load balancer that leaves, or they have had the time for it
	ClientsMoved     = "clients-moved"   // each Kubernetes node goes through the load balancer's new place
	MoveKubeconfig   = "kubeconfig-move" // the user's leads to where the load balancer is now
	HoldEndpoints    = "endpoints-hold"  // of default/kubernetes: no API server writes them
	SetEndpoints     = "endpoints-set"
	ReleaseEndpoints = "endpoints-release"

	// Those of load balancers that move an address between them.
	Readdress    = "readdress"     // one whose own address they move gets another one for itself
	DropAddress  = "address-drop"  // and keeps the one of before only as long as it is its turn to have it
	MoveAddress  = "address-move"  // another one takes the address that clients use
	AllowAddress = "address-allow" // one that was told to leave it to others may have it again
)

// A Step is one thing that is done. Steps without an order between them run side by side.
type Step struct {
	// ID is stable: the key under which a resumed run finds the step, such as member-add@cp-4.
	ID    string   `json:"id"`
	Verb  string   `json:"verb"`           // what is done, such as member-add, restart, node-drain
	Node  string   `json:"node,omitempty"` // the node it is done to; absent for the whole cluster
	Why   []Reason `json:"why"`
	Needs []string `json:"needs,omitempty"` // IDs of steps before it
	Guard Guard    `json:"guard,omitempty,omitzero"`
	// Units are the programs that it is about; * is all of the node's. Of lb-backends they are those that
	// are restarted: others only reload.
	Units []string `json:"units,omitempty"`
	// Backends are the nodes behind the load balancers after it.
	Backends []string `json:"backends,omitempty"`
	// Balancers are the load balancers that move an address between them after it; none where one has its own.
	Balancers []string `json:"balancers,omitempty"`
	// Endpoints are those of default/kubernetes after it, each as addr:port.
	Endpoints []string `json:"endpoints,omitempty"`
	// Files are those that are written; none is all of the node's.
	Files []string `json:"files,omitempty"`
	// Last says of files, certificates and load balancers that they become what is wanted, and nothing
	// besides: until then they had what was there before too.
	Last bool `json:"last,omitempty"`
	// Etcd is what is expected of etcd before and after, of a step that changes it.
	Etcd *EtcdEffect `json:"etcd,omitempty"`
	// To is the node whose member leads after a move-leader; absent for any.
	To string `json:"to,omitempty"`
	// Interim says that the node has what it has between two versions, see Upgrade.
	Interim bool `json:"interim,omitempty"`
	// Spared are nodes that a look at the whole cluster leaves out: they were hurt before, and their own turn is to come.
	Spared []string `json:"spared,omitempty"`
}

// Kind is what the step has in common with those that do the same on other nodes: its ID
// without the node.
func (s Step) Kind() string {
	return strings.Replace(s.ID, "@"+s.Node, "", 1)
}

// A Reason is why a step is there: something wanted or seen, before and after.
type Reason struct {
	What string `json:"what"`          // a field of the cluster file, or a thing that was seen
	Old  string `json:"old,omitempty"` // as it is
	New  string `json:"new,omitempty"` // as it is to be
}

func (r Reason) String() string {
	switch {
	case r.Old != "" && r.New != "":
		return fmt.Sprintf("%s: %s -> %s", r.What, r.Old, r.New)
	case r.New != "":
		return fmt.Sprintf("%s: %s", r.What, r.New)
	case r.Old != "":
		return fmt.Sprintf("%s: was %s", r.What, r.Old)
	}
	return r.What
}

// A Guard is what must stand right before a step, looked at anew.
type Guard struct {
	// Etcd is the operation on the member of the step's node that etcd must be able to take.
	Etcd Operation `json:"etcd,omitempty"`
	// OtherAPIServers wants one behind the load balancers beside the step's node.
	OtherAPIServers bool `json:"otherAPIServers,omitempty"`
}

// Operation is what a step does to an etcd member.
type Operation string

// The operations on members.
const (
	OpStop    Operation = "stop"
	OpRemove  Operation = "remove"
	OpAdd     Operation = "add"
	OpPromote Operation = "promote"
)

// An EtcdEffect is etcd's membership around a step.
type EtcdEffect struct {
	Before Tolerance `json:"before"`
	After  Tolerance `json:"after"`
}

// A Tolerance is how many voters there are, and how many more may fail.
type Tolerance struct {
	Voters    int `json:"voters"`
	Healthy   int `json:"healthy"`   // voters that answer
	Tolerates int `json:"tolerates"` // further failures
}

// State is what the record says of a node.
type State string

// The states of nodes.
const (
	Joining State = "joining"
	Active  State = "active"
	Leaving State = "leaving"
)

// A Node is a node of the record.
type Node struct {
	topology.Node
	State  State
	Rejoin bool // leaves to be made anew under its name
}

// Input is all that a change depends on.
type Input struct {
	Wanted  *topology.Topology
	Record  []Node
	Desired map[string]render.Machine // by name, of the wanted nodes
	// Issued are certificates that are made for this change, with the reason.
	Issued   []Reason
	Objects  []Reason // of Kubernetes that its manifests would change
	Observed observed.State
	// Foreign are files of nodes with certificates that the cluster's authorities have not signed, in places of its own.
	Foreign  map[string][]string
	Replace  []string  // nodes to be made anew
	Back     bool      // nodes that leave and are wanted come back as they are, or there is no plan
	Moving   bool      // control-plane nodes may have members although etcd is to have machines of its own
	OneByOne bool      // all nodes take turns, also those without etcd and API server
	Rotate   *Rotation // the phase of a rotation that is carried out
	Task     *Task     // what is done to etcd, after all else
	Done     []string  // steps of the task that an earlier run has done
	Begun    []string  // steps of it that an earlier run has begun
	Resumed  bool      // an earlier run of this change, or of the one that it takes back, was cut off
	Upgrade  *Upgrade  // those of Replace take turns, to another version of Kubernetes
	Handover *Handover // of the endpoints of default/kubernetes; nil where they stay whose they are
	// KubeletsBack says that control-plane nodes were to lose their kubelets, and keep or get them.
	KubeletsBack bool
	// Relocates is why clients reach the load balancer elsewhere; nil where they do not.
	Relocates []Reason
	// Readdressed says that they verify another address there.
	Readdressed bool
	// Last is what nodes have in the end, of those whose Desired has what was there before too; Narrowed are
	// the certificates that lose names then.
	Last     map[string]render.Machine
	Narrowed []Reason
}

// A Change is the list of steps, in an order that fits what they need.
type Change struct {
	Steps []Step `json:"steps"`

	warnings []string
}

// Nothing reports whether all is as it is wanted.
func (c *Change) Nothing() bool { return len(c.Steps) == 0 }

// Step returns the step of the given ID.
func (c *Change) Step(id string) (Step, bool) {
	i := slices.IndexFunc(c.Steps, func(s Step) bool { return s.ID == id })
	if i < 0 {
		return Step{}, false
	}
	return c.Steps[i], true
}

// id names a step; what tells two of one verb on a node apart comes after.
func id(verb, node string, more ...string) string {
	out := verb
	if node != "" {
		out += "@" + node
	}
	for _, m := range more {
		out += "/" + m
	}
	return out
}
