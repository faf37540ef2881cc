package agent

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/haplane/haplane/internal/durable"
	"github.com/haplane/haplane/internal/lease"
	"github.com/haplane/haplane/internal/topology"
	"github.com/haplane/haplane/internal/uptime"
)

// BalancerOptions say what haplane agent balancer runs with.
type BalancerOptions struct {
	Socket     string       // of HAProxy's Runtime API
	Loaded     string       // a file that is written right before HAProxy loads its configuration
	TrackFile  string       // which keepalived watches
	Address    netip.Addr   // this machine's own
	Moves      []netip.Addr // that the load balancers move; of two families the second goes with the first
	Electorate string       // path of a lease.Electorate, read again when it is replaced
	Key        string       // path of the keys that sign, likewise
	Log        *slog.Logger

	// Where tests have other ones.
	places
	address movingAddress
	lives   func() bool // keepalived
}

// places are files of a balancer.
type places struct {
	well    string // 0 where it could have the address, else 1; haplane reads it
	standBy string // 1 where it is not to have it; haplane writes it
	lease   string // its lease, gone with the machine's power
	inForce string // the electorates that it goes by; on the disk
}

// movingAddress is the address that moves, on this machine.
type movingAddress interface {
	Look() (moved, own bool, err error)
	Renew() error
	Remove() error
}

func (o *BalancerOptions) defaults() {
	if o.places == (places{}) {
		o.places = places{well: topology.BalancerWell, standBy: topology.StandBy, lease: topology.BalancerDir + "/lease", inForce: topology.BalancerInForce}
	}
	if o.address == nil {
		o.address = &kernelAddress{own: o.Address, moves: o.Moves}
	}
	if o.lives == nil {
		o.lives = func() bool { return processLives(topology.KeepalivedPID, "keepalived") }
	}
	if o.Log == nil {
		o.Log = slog.Default()
	}
}

// RunBalancer lets keepalived have the address that moves for as long as a majority says so and the HAProxy beside it takes
// connections, until ctx ends. One that is started anew goes on with the lease that it had.
func RunBalancer(ctx context.Context, o BalancerOptions) error {
	o.defaults()
	socket, err := listenLease(ctx, netip.AddrPortFrom(o.Address, topology.LeasePort), o.Key, o.Log)
	if err != nil {
		return fmt.Errorf("agent: %w", errors.Join(err, o.leave()))
	}
	defer socket.conn.Close()
	g, err := newGuard(o)
	if err != nil {
		return fmt.Errorf("agent: %w", errors.Join(err, o.leave()))
	}
	g.send = func(to netip.Addr, m lease.Message) { socket.send(netip.AddrPortFrom(to, topology.LeasePort), m) }
	return g.run(ctx, socket)
}

// leave has this machine without the address, whatever keepalived was told by an earlier process: one that cannot start may not
// leave it as it is.
func (o BalancerOptions) leave() error {
	return errors.Join(writeTrack(o.TrackFile, trackNot), o.address.Remove())
}

// readElectorate reads who votes.
func readElectorate(path string, me netip.Addr) (lease.Electorate, error) {
	var e lease.Electorate
	if err := durable.ReadJSON(path, &e); err != nil {
		return e, fmt.Errorf("read who votes: %w", err)
	}
	if !slices.Contains(e.Balancers, me) {
		return e, fmt.Errorf("read who votes: %s: %s is none of the load balancers", path, me)
	}
	return e, nil
}

// readInForce reads the electorates that an earlier process of this machine went by; none where it was no candidate.
func readInForce(path string, me netip.Addr) ([]lease.Electorate, error) {
	var all []lease.Electorate
	err := durable.ReadJSON(path, &all)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	others := func(e lease.Electorate) bool { return !slices.Contains(e.Balancers, me) }
	if err != nil || slices.ContainsFunc(all, others) {
		return nil, err // it was another machine's: the others tell
	}
	return all, nil
}

// A note is what a process leaves for the next one of its machine: the lease that it has, and all that it promised. Times are
// by uptime.
type note struct {
	Until      lease.Time `json:"until"`
	Electorate string     `json:"electorate"`
	VotesFor   netip.Addr `json:"votesFor"`
	VotesUntil lease.Time `json:"votesUntil"`
}

// readNote reports whether there is one.
func readNote(path string) (n note, ok bool) {
	text, err := os.ReadFile(path)
	if err != nil || json.Unmarshal(text, &n) != nil {
		return note{}, false
	}
	return n, true
}

// write puts it in place by one system call, which is never shorter than the one before.
func (n note) write(path string) error {
	text, err := json.Marshal(n)
	if err != nil {
		return err
	}
	return writePlain(path, fmt.Sprintf("%-255s\n", text), 0o600)
}

// said is what a file of one word says.
func said(file string) string {
	text, err := os.ReadFile(file)
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(text))
}

// What keepalived's track file says: it adds that to its priority, and the least is a fault, in which it has no address.
// keepalived leaves the address to one that says more, and takes it from one that says less. So one that begins with a lease says more than
// one that holds: that may be a machine whose guard does not run, so that nobody tells keepalived there that the lease has ended.
const (
	trackNot      = "-254"
	trackHandOver = "0"
	trackHold     = "50"
	trackTake     = "100"
)

// writeTrack writes a file that keepalived reads whenever it is closed: in place, for an empty one is a 0.
func writeTrack(file, value string) error {
	return writePlain(file, fmt.Sprintf("%-5s\n", value), 0o644)
}

func writePlain(file, text string, mode os.FileMode) error {
	f, err := os.OpenFile(file, os.O_WRONLY|os.O_CREATE, mode)
	if err != nil {
		return err
	}
	_, err = f.WriteString(text)
	return errors.Join(err, f.Close())
}

// now is the clock of leases.
func now() lease.Time { return uptime.Now() }

// often is how often files are looked at that change seldom: a plan may end another voter when it has told this machine that it is alone.
const often = 200 * time.Millisecond
