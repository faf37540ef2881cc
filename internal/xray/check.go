// Package xray judges what package evidence has seen of a cluster: is its control
// plane as available as it looks? Everything here is pure. A check is one value
// in a file of its subject; what it expects comes from the cluster file or is
// inferred from the evidence, never from what haplane remembers to have built.
package xray

import (
	"fmt"
	"slices"
	"strings"

	"github.com/haplane/haplane/internal/xray/evidence"
)

// A Status is what came of looking.
type Status string

// The statuses, worst first. Error means that it could not be looked at, though it
// should have been possible; skip, that none of the ways in shows it, or that it
// does not apply.
const (
	Fail  Status = "fail"
	Error Status = "error"
	Warn  Status = "warn"
	Skip  Status = "skip"
	Pass  Status = "pass"
)

// statuses in the order in which they are reported.
var statuses = []Status{Fail, Error, Warn, Skip, Pass}

// A Subject groups checks.
type Subject string

// The subjects in the order in which they are reported.
const (
	Article      Subject = "The article's four"
	Identity     Subject = "Identity"
	Leaders      Subject = "Leader election"
	LoadBalancer Subject = "Load balancer"
	Etcd         Subject = "etcd"
	Certificates Subject = "Certificates and keys"
	Termination  Subject = "Termination and versions"
	Nodes        Subject = "Nodes and data plane"
	Looking      Subject = "What was looked at"
)

var subjects = []Subject{Article, Identity, Leaders, LoadBalancer, Etcd, Certificates, Termination, Nodes, Looking}

// A Check is a question about a cluster. Its ID is stable.
type Check struct {
	ID      string
	Subject Subject
	Title   string // what is right, as a statement
	Why     string // why it matters, in whole sentences
	Source  string // where that is known from: URL, KEP, upstream issue, or our own measurement
	Fix     string // what to do, in general; a finding may know better
	// Needs are the ways in that show it, any of them.
	Needs []evidence.Way
	// Run looks; it returns one finding for each thing that it judged, and none
	// where it saw nothing to judge: that becomes a skip.
	Run func(*Scene) []Finding
}

// A Finding is what a check says about one thing. Names of its JSON fields are stable.
type Finding struct {
	Check    string  `json:"check"`
	Subject  Subject `json:"subject"`
	Title    string  `json:"title"`
	Status   Status  `json:"status"`
	Node     string  `json:"node,omitempty"` // "" where it is about the whole cluster
	Expected string  `json:"expected,omitempty"`
	Observed string  `json:"observed"`
	Source   string  `json:"source,omitempty"` // file, process, object or URL where it was seen
	Fix      string  `json:"fix,omitempty"`    // of what is not right
}

// A Catalogue is all checks, by subject.
func Catalogue() []Check {
	return slices.Concat(articleChecks, identityChecks, identityReplicaChecks, leaderChecks, leaderReplicaChecks, loadBalancerChecks,
		etcdChecks, etcdReplicaChecks, certificateChecks, terminationChecks, nodeChecks, nodeProgramChecks, extensionChecks, doubleChecks,
		lookingChecks)
}

// Find returns the check of an ID.
func Find(id string) (Check, bool) {
	for _, c := range Catalogue() {
		if c.ID == id {
			return c, true
		}
	}
	return Check{}, false
}

// at starts a finding about something on a node; judge ends it.
type at struct{ node, source string }

// judge is a pass where ok, and of the other status where not.
func (a at) judge(ok bool, otherwise Status, expected, observed string) Finding {
	status := Pass
	if !ok {
		status = otherwise
	}
	return Finding{Status: status, Node: a.node, Source: a.source, Expected: expected, Observed: observed}
}

func (a at) pass(observed string, args ...any) Finding {
	return Finding{Status: Pass, Node: a.node, Source: a.source, Observed: fmt.Sprintf(observed, args...)}
}

func (a at) fail(expected, observed string) Finding { return a.judge(false, Fail, expected, observed) }

func (a at) warn(expected, observed string) Finding { return a.judge(false, Warn, expected, observed) }

// skip says why something is not judged.
func (a at) skip(why string, args ...any) Finding {
	return Finding{Status: Skip, Node: a.node, Source: a.source, Observed: fmt.Sprintf(why, args...)}
}

// unseen says that something could not be looked at.
func (a at) unseen(observed string) Finding {
	return Finding{Status: Error, Node: a.node, Source: a.source, Observed: observed}
}

// fixed gives a finding a fix of its own.
func (f Finding) fixed(fix string, args ...any) Finding {
	if f.Status != Pass {
		f.Fix = fmt.Sprintf(fix, args...)
	}
	return f
}

// list writes values the way findings show them.
func list[T any](values []T) string {
	if len(values) == 0 {
		return "none"
	}
	parts := make([]string, len(values))
	for i, v := range values {
		parts[i] = fmt.Sprint(v)
	}
	return strings.Join(parts, ", ")
}

// sorted is a copy in order.
func sorted(values []string) []string { return slices.Sorted(slices.Values(values)) }
