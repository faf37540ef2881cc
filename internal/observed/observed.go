// Package observed has the types of what is seen of a cluster: its machines, etcd,
// API servers, load balancers and Kubernetes nodes, and what could not be seen. It
// is pure; package look fills it.
package observed

import (
	"time"

	"github.com/haplane/haplane/internal/fileset"
	"github.com/haplane/haplane/internal/quorum"
)

// A State is a cluster as it is now.
type State struct {
	Machines   map[string]Machine   // by node name; of every node that was asked for
	Etcd       Etcd                 //
	APIServers map[string]APIServer // by node name
	Balancers  map[string]Balancer  // by node name
	Nodes      map[string]Node      // Kubernetes' nodes by name
	APISeen    bool                 // whether the API answered, so that a node that is not in Nodes is not there
	// Unseen tells what could not be looked at, and why.
	Unseen []string
}

// A Machine is a host of the cluster.
type Machine struct {
	Made      bool // the provider has it
	Running   bool
	Reachable bool   // takes commands
	Error     string // why it is not reachable
	// Files are those of the wanted paths that are there. Manifest lists what haplane put
	// there when it last wrote.
	Files    map[string]fileset.State
	Manifest string
	Units    map[string]Unit // by name without .service
	EtcdData bool            // there is data of etcd's, where somebody asked for that
	Images   []string        // references of the container images that containerd has, of those that were asked for
}

// An Image is a container image in containerd's store.
type Image struct {
	Ref string // such as haplane.local/pause:v1.0.0
	ID  string // digest of its configuration, as sha256:HEX; "" where any will do
}

// A Unit is a program that a machine runs.
type Unit struct {
	Active bool
	Config string // digest of the configuration that the process was started with
	Loaded string // digest of what it loaded last, of one that reloads
}

// Etcd is the membership as the members have it.
type Etcd struct {
	ClusterID uint64
	Members   []Member
	Seen      bool // some member answered
	Quorum    bool // a linearizable read came back
	Error     string
	Alarms    []Alarm
}

// An Alarm is NOSPACE or CORRUPT, raised by one member and known to all.
type Alarm struct {
	Member uint64
	Kind   string
}

// A Member is an etcd member.
type Member struct {
	ID       uint64
	Name     string // of the node; empty until it has started for the first time
	PeerURLs []string
	Learner  bool
	Healthy  bool
	Leader   bool
	Version  string
	Problems []string // alarms
	Error    string
	DBInUse  int64 // bytes of its database that hold data
}

// Quorum returns the members as package quorum counts them.
func (e Etcd) Voting() quorum.Members {
	var out quorum.Members
	for _, m := range e.Members {
		out = append(out, quorum.Member{ID: m.ID, Name: m.Name, Learner: m.Learner, Healthy: m.Healthy})
	}
	return out
}

// Member returns the member that runs on a node: of that name or, where it has
// not started yet, with that peer URL.
func (e Etcd) Member(name, peerURL string) (Member, bool) {
	for _, m := range e.Members {
		if m.Name == name {
			return m, true
		}
	}
	for _, m := range e.Members {
		for _, u := range m.PeerURLs {
			if u == peerURL {
				return m, true
			}
		}
	}
	return Member{}, false
}

// An APIServer is what a node's API server says on /readyz.
type APIServer struct {
	Ready bool
	Error string
}

// A Balancer is a load balancer with the state of its servers by node name.
type Balancer struct {
	Seen     bool
	Servers  map[string]bool // up
	Draining map[string]bool
	Address  Address
	Error    string
}

// An Address is what a load balancer has of the address that several move between them.
type Address struct {
	Held     bool // the machine has it: clients reach the API through this one
	Moved    bool // by keepalived, which takes it away again
	Own      bool // as an address of its own still: it would keep it when another one takes it
	StandsBy bool // haplane has told it to leave it to others
	Unknown  bool // it did not answer
	New      bool // it waits for the other load balancers, or never began: it does not have it before they say that they know of it
}

// A Node is a Node object.
type Node struct {
	Ready         bool
	Reason        string
	Reported      time.Time
	Unschedulable bool
	Drained       bool // by haplane, which is why it is that
	ControlPlane  bool // has the label of control-plane nodes
}
