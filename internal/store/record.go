package store

import (
	"time"

	"github.com/haplane/haplane/spec"
)

const (
	recordFile   = "record.json"
	recordSchema = 1
)

// A Record is what haplane knows of a cluster beside its keys.
type Record struct {
	Schema int `json:"schema"`
	// Lineage is random and made once: that of a cluster made anew under the same name is another.
	Lineage string `json:"lineage"`
	// Serial grows by one with every write. A writer whose serial is not the one on disk is refused.
	Serial uint64 `json:"serial"`
	// Applied is what the cluster was last brought to, with defaults and names filled in; nil
	// until the first bring-up has ended.
	Applied *spec.Cluster `json:"applied,omitempty"`
	// Wanted is what a change under way leads to.
	Wanted   *spec.Cluster `json:"wanted,omitempty"`
	Versions Versions      `json:"versions"`
	// Leaps are what restores have leapt over in etcd's revisions.
	Leaps []Leap `json:"leaps,omitempty"`
	// Previous are those that it ran before the last upgrade, to go back to.
	Previous *Versions `json:"previous,omitempty"`
	Nodes    []Node    `json:"nodes"`
	// Change is the one that is under way, or was cut off.
	Change *Change `json:"change,omitempty"`
	// Rotation is of an authority or a key, from its begin until the old one is gone.
	Rotation *Rotation `json:"rotation,omitempty"`
	// Retired are client certificates of haplane's own that were made anew lately, by the SHA-256 of the earlier ones, with when nobody had that in use any
	// more; zero while the change that does it is under way.
	Retired map[string]time.Time `json:"retired,omitempty"`
	// EncryptionName is that of the encryption key since it was rotated, beside the file that has it: with another name
	// nobody could read what the key has encrypted.
	EncryptionName string `json:"encryptionName,omitempty"`
}

// Versions are what the cluster runs until it is upgraded.
type Versions struct {
	Kubernetes string `json:"kubernetes,omitempty"`
	Image      string `json:"image,omitempty"`     // its digest, which names it in the cache
	ImageRoot  string `json:"imageRoot,omitempty"` // its root folder
	Pause      string `json:"pause,omitempty"`     // container image
	CoreDNS    string `json:"coreDNS,omitempty"`   // container image
	// Programs are the digests of those that an upgrade in place brought to machines, by path and by the names that lead there.
	Programs map[string]string `json:"programs,omitempty"`
}

// NodeState is how far a node has come.
type NodeState string

// The states of nodes; one that is gone is no longer in the record.
const (
	Joining NodeState = "joining"
	Active  NodeState = "active"
	Leaving NodeState = "leaving"
)

// A Node is a machine that is, or is becoming, part of the cluster.
type Node struct {
	Name    string    `json:"name"`
	Role    spec.Role `json:"role"`
	Address string    `json:"address"`
	State   NodeState `json:"state"`
	// Rejoin says of a node that leaves that it is made anew under the same name.
	Rejoin bool `json:"rejoin,omitempty"`
	// Cordoned says, while a change is under way, that somebody else than haplane had cordoned it before.
	Cordoned bool   `json:"cordoned,omitempty"`
	Image    string `json:"image,omitempty"` // root folder of the image that its machine was made from
}

// A Change is the journal of one run that changes the cluster.
type Change struct {
	ID      string       `json:"id"`
	Command string       `json:"command"`
	Started time.Time    `json:"started"`
	Holder  string       `json:"holder"`
	Steps   []StepRecord `json:"steps,omitempty"`
	Error   string       `json:"error,omitempty"`
	// TextBefore is the cluster file before the change, to go back to.
	TextBefore []byte `json:"textBefore,omitempty"`
	// TextAfter is what the cluster file becomes; nil where it stays.
	TextAfter []byte `json:"textAfter,omitempty"`
	// Replace are the nodes that are made anew under their names.
	Replace []string `json:"replace,omitempty"`
	// Through is what changes that were cut off before led to, the cluster may still be in parts.
	Through []*spec.Cluster `json:"through,omitempty"`
	// Renew are certificates that are made anew, by name with the serial that each had.
	Renew map[string]string `json:"renew,omitempty"`
	// Task is what is done to etcd; nil where the change is about nodes and files alone.
	Task *Task `json:"task,omitempty"`
	// Upgrade says that it leads to other versions.
	Upgrade *Upgrade `json:"upgrade,omitempty"`
}

// An Upgrade is a change to other versions, those of Record.Versions.
type Upgrade struct {
	From string `json:"from"`
	To   string `json:"to"`
	// Down is set on the way back to an older version.
	Down    bool `json:"down,omitempty"`
	AtOnce  int  `json:"atOnce,omitempty"`  // workers that take their turn together
	InPlace bool `json:"inPlace,omitempty"` // machines stay, and have other programs
	// PauseSeconds is how long it waits after each turn.
	PauseSeconds float64 `json:"pauseSeconds,omitempty"`
	ConfirmEach  bool    `json:"confirmEach,omitempty"` // it asks before each turn but the first
}

// The states of steps.
const (
	Doing  = "doing"
	Done   = "done"
	Failed = "failed"
)

// A StepRecord is the last that is known of a step.
type StepRecord struct {
	ID    string    `json:"id"`
	Verb  string    `json:"verb"`
	Node  string    `json:"node,omitempty"`
	State string    `json:"state"` // Doing, Done or Failed
	At    time.Time `json:"at"`
}

// Node returns the node of the given name, to be changed in place; nil where there is none.
func (r *Record) Node(name string) *Node {
	for i := range r.Nodes {
		if r.Nodes[i].Name == name {
			return &r.Nodes[i]
		}
	}
	return nil
}

// derived is the record of a cluster of an older haplane, which kept only the file.
func derived(c *spec.Cluster) *Record {
	r := &Record{Schema: recordSchema, Applied: c, Nodes: []Node{}}
	for _, n := range c.Spec.Nodes {
		r.Nodes = append(r.Nodes, Node{Name: n.Name, Role: n.Role, Address: n.Address, State: Active})
	}
	return r
}
