// Package nspawn makes local machines: systemd-nspawn containers booted with
// systemd and sshd from a golden image, on a bridge of their own. It creates,
// starts, stops and removes them; what runs on them is nobody's business here.
//
// A machine that powers off or reboots itself is off until Start: nothing
// watches over it. Its files are kept, what was in the kernel is not.
package nspawn

import (
	"errors"
	"net/netip"
	"slices"
	"sync"
	"time"
)

// A Network is the bridge that the machines of one cluster share, and their
// addresses. With NAT they reach out through the host, else they do not. NAT
// turns the host's net.ipv4.ip_forward on, or net.ipv6.conf.all.forwarding, and
// it stays on: others may by then rely on it. Traffic between the machines does
// not need it, and to those of other clusters there is none.
type Network struct {
	Prefixes []netip.Prefix `json:"prefixes"` // one, or two of different families; of each, the host has the first address
	NAT      bool           `json:"nat"`
}

// Gateways are the host's own addresses on the bridge, in the order of the prefixes.
func (n Network) Gateways() []netip.Addr {
	var out []netip.Addr
	for _, p := range n.Prefixes {
		out = append(out, p.Masked().Addr().Next())
	}
	return out
}

// String is the prefixes.
func (n Network) String() string { return list(n.Prefixes) }

// A Machine is what has to be known to make one.
type Machine struct {
	Name          string            // a DNS label; the host name
	Addresses     []netip.Addr      // one of each of the network's prefixes, in their order
	HostKey       []byte            // sshd's ed25519 key, OpenSSH PEM
	Image         string            // root folder of the image that it is made from; empty: the provider's. One that is made already keeps its own
	AuthorizedKey []byte            // one line of authorized_keys; it becomes root
	Programs      map[string]string // files of this host by where the machine is made with a copy, 0755; one that is made already keeps its own
}

// A Status is what is seen of a machine that was created.
type Status struct {
	Name      string       `json:"name"`
	Addresses []netip.Addr `json:"addresses"`
	Running   bool         `json:"running"`
	PID       int          `json:"pid,omitempty"`     // of systemd-nspawn, while it runs
	Damaged   string       `json:"damaged,omitempty"` // what it has lost, so that it cannot be started
	Lost      bool         `json:"lost,omitempty"`    // of one that is damaged: more than its record, which Create gives back
}

// A Provider makes the machines of one cluster. Its methods need root. They can
// be called again after any error, and at the same time for different machines of one Provider;
// no two Providers work on one cluster at a time.
type Provider struct {
	Cluster  string  // a DNS label, unique on this host
	StateDir string  // absolute; the provider's own: Destroy empties it
	Image    string  // root folder of the image that machines are made from
	Network  Network // may be empty for Destroy, of a cluster whose file is lost
	// Known are the machines whose names each one knows from its start on, beside those that
	// it is created with.
	Known []Machine
	// Lingers is how long programs on the machines serve on when they are told to stop: Stop waits for so much longer.
	Lingers time.Duration

	// StartCommand starts the whole cluster: its program is an absolute path. With
	// one, and systemd on this host, the machines start when the host boots. It
	// runs as root with a clean environment and StartEnvironment, as NAME=value.
	StartCommand     []string
	StartEnvironment []string

	boot   *bootService // other than this host's, for tests
	shared sync.Mutex   // held while what all machines share is made
}

// List tells the state of every machine that was created, by name.
func (p *Provider) List() ([]Status, error) {
	names, err := p.folders()
	if err != nil {
		return nil, err
	}
	var out []Status
	for _, name := range names {
		r, err := p.look(name)
		s := Status{Name: name, Addresses: r.Addresses}
		switch {
		case errors.Is(err, ErrDamaged):
			s.Damaged, s.Lost = err.Error(), !errors.Is(err, errRecordLost)
		case errors.Is(err, errNoRecord):
			continue
		case err != nil:
			return nil, err
		}
		if proc, err := p.readProcess(name); err == nil && proc.alive() {
			s.Running, s.PID = true, proc.PID
		}
		out = append(out, s)
	}
	return out, nil
}

// each runs fn for all items at the same time and joins the errors in order.
func each[T any](items []T, fn func(int, T) error) error {
	errs := make([]error, len(items))
	var wg sync.WaitGroup
	for i, item := range items {
		wg.Go(func() { errs[i] = fn(i, item) })
	}
	wg.Wait()
	return errors.Join(slices.DeleteFunc(errs, func(e error) bool { return e == nil })...)
}
