// Package oplock is the lock that lets one operator at a time change a cluster. It lives on
// the cluster's own machines, in /run, and needs neither the API nor etcd.
//
// Whoever has it on a majority of the machines that were given holds it. Machines that cannot be
// reached are no votes and do count: were the majority one of those that were reached, two
// operators on two sides of a broken network would both have one. So whoever knows machines
// to be gone for good, or to go, leaves them out of those that count. Give control-plane nodes, and etcd's own machines: there is at least one. Two
// operators may disagree on which there are and which go, by records of different age. So the lock is also put on those of these that do
// not count, where they run, and whoever has it on one of them is in the way of all others: one meets the other on a machine that both know.
//
// The holder renews it every 5 s. Where that has stopped for 30 s, by the uptime of the machine that
// has it (which no change of the clock moves), it is free for others. A machine that is started anew
// has forgotten it; until the holder puts it back, its other machines still tell.
package oplock

import (
	"crypto/rand"
	"fmt"
	"os"
	"os/user"
	"strings"
	"time"
)

// A Holder is who changes a cluster.
type Holder struct {
	Who     string    `json:"holder"`  // user@host pid N
	Command string    `json:"command"` // such as haplane apply
	Lineage string    `json:"lineage"` // of the cluster's record
	Token   string    `json:"token"`   // of this lock alone; Acquire makes one where there is none
	Since   time.Time `json:"since"`   // by the holder's clock; Acquire sets it
}

// Me describes this process.
func Me(command, lineage string) Holder {
	name, host := "unknown", "unknown"
	if u, err := user.Current(); err == nil {
		name = u.Username
	}
	if h, err := os.Hostname(); err == nil {
		host = h
	}
	return Holder{Who: fmt.Sprintf("%s@%s pid %d", name, host, os.Getpid()), Command: command, Lineage: lineage, Token: rand.Text()}
}

// A Seen is a lock as machines tell of it.
type Seen struct {
	Holder
	Heartbeat time.Duration `json:"heartbeat"` // since the last one, in whole seconds
	Expired   bool          `json:"expired"`   // the holder is dead, or cut off: others may take it
	On        []string      `json:"on"`        // the machines that have it
}

func (s Seen) String() string {
	return fmt.Sprintf("%s (%s) since %s, last heard of %s ago on %s", s.Who, s.Command, s.Since.UTC().Format(time.RFC3339),
		s.Heartbeat, strings.Join(s.On, ", "))
}

// A HeldError is a lock that somebody else has.
type HeldError struct{ Seen Seen }

func (e *HeldError) Error() string {
	return "lock the cluster: it is being changed by " + e.Seen.String()
}

// A TooFewError is a lock that could be had on too few machines, and nobody else has it.
type TooFewError struct {
	Got, Needed, Of int
	Causes          error // one for each of the others
}

func (e *TooFewError) Error() string {
	return fmt.Sprintf("lock the cluster: %d of %d machines, %d needed: %s", e.Got, e.Of, e.Needed,
		strings.ReplaceAll(e.Causes.Error(), "\n", "; "))
}

func (e *TooFewError) Unwrap() error { return e.Causes }
