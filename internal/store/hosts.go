package store

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/haplane/haplane/internal/topology"
	"github.com/haplane/haplane/spec"
)

// A Host is a machine as SSH and the copies of keys see it.
type Host struct {
	Name    string
	Address string
	Role    spec.Role
	// Exists says that the machine was made: it was given the keys that there were then.
	Exists bool
}

// Hosts are the machines of a topology, and those of the record that are on their way
// out: these stay within reach until they are gone.
func (s Store) Hosts(t *topology.Topology) ([]Host, error) {
	r, err := s.readRecord()
	if err != nil {
		return nil, err
	}
	if r == nil {
		r = &Record{}
	}
	var out []Host
	for _, n := range t.Nodes {
		h := Host{Name: n.Name, Address: n.Address.String(), Role: n.Role}
		if known := r.Node(n.Name); known != nil && known.State != Joining && known.Address != "" { // it may be wanted elsewhere
			h.Address = spec.Split(known.Address)[0]
		}
		out = append(out, h)
	}
	for _, n := range r.Nodes {
		if _, ok := t.Node(n.Name); ok {
			continue
		}
		if addresses := spec.Split(n.Address); len(addresses) > 0 {
			out = append(out, Host{Name: n.Name, Address: addresses[0], Role: n.Role})
		}
	}
	for i := range out {
		made, err := s.madeLocally(out[i].Name)
		if err != nil {
			return nil, err
		}
		known := r.Node(out[i].Name)
		out[i].Exists = made || known != nil && known.State != Joining
	}
	return out, nil
}

// Exists reports whether there is a cluster whose machines have keys already: it was brought up
// once, or one of its machines was made. A cluster file alone is none.
func (s Store) Exists(hosts []Host) (bool, error) {
	r, err := s.readRecord()
	if err != nil {
		return false, err
	}
	if r != nil && r.Applied != nil {
		return true, nil
	}
	for _, h := range hosts {
		if h.Exists {
			return true, nil
		}
	}
	return false, nil
}

// madeLocally reports whether there is a local machine of that name. Its record is written
// once its root is complete, with the keys in it.
func (s Store) madeLocally(name string) (bool, error) {
	_, err := os.Stat(s.path("machines", name, "machine.json"))
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("look for machine %s: %w", name, err)
	}
	return true, nil
}
