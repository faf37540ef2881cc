package nspawn

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"slices"

	"github.com/haplane/haplane/internal/durable"
)

// A record is what a machine was made of. It is written once its root is complete.
type record struct {
	Name      string       `json:"name"`
	Addresses []netip.Addr `json:"addresses"`
	// Kept are addresses of before that it has beside those, see Readdress.
	Kept  []netip.Addr `json:"kept,omitempty"`
	Image string       `json:"image"` // stays: its files lie under the machine's own
}

// A networkRecord tells what the network was made of, written before it is.
type networkRecord struct {
	Cluster string `json:"cluster"`
	Bridge  string `json:"bridge"`
	Network
}

const (
	recordFile  = "machine.json"
	processFile = "process.json"
	networkFile = "network.json"
	consoleFile = "console.log" // made when a machine is started first
)

func (p *Provider) dir(machine string, elem ...string) string {
	return filepath.Join(append([]string{p.StateDir, machine}, elem...)...)
}

// errNoRecord means that there is no record that can be read: the machine was never
// complete, or a power loss took it.
var errNoRecord = errors.New("no record")

func (p *Provider) readRecord(machine string) (record, error) {
	var r record
	path := p.dir(machine, recordFile)
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return r, fmt.Errorf("%w of machine %s: %w", errNoRecord, machine, err)
	}
	if err != nil {
		return r, err
	}
	if err := json.Unmarshal(data, &r); err != nil {
		return r, fmt.Errorf("%w of machine %s: read %s: %w", errNoRecord, machine, path, err)
	}
	if r.Name != machine || len(r.Addresses) == 0 || r.Image == "" {
		return r, fmt.Errorf("%w of machine %s: read %s: it does not describe that machine", errNoRecord, machine, path)
	}
	return r, nil
}

func (p *Provider) writeRecord(r record) error {
	return durable.WriteJSON(p.dir(r.Name, recordFile), r, 0o600)
}

// records reads the records of the named machines; without names, of all that are
// complete, beside an error that names each one that is damaged.
func (p *Provider) records(names []string) ([]record, error) {
	all := len(names) == 0
	if all {
		var err error
		if names, err = p.folders(); err != nil {
			return nil, err
		}
	}
	var out []record
	var damaged []error
	for _, name := range names {
		r, err := p.look(name)
		switch {
		case err == nil:
			out = append(out, r)
		case all && errors.Is(err, ErrDamaged):
			damaged = append(damaged, err)
		case !all || !errors.Is(err, errNoRecord):
			return nil, err
		}
	}
	return out, errors.Join(damaged...)
}

// folders lists the folders that may be machines', complete or not.
func (p *Provider) folders() ([]string, error) {
	entries, err := os.ReadDir(p.StateDir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var names []string
	for _, e := range entries {
		if e.IsDir() && label.MatchString(e.Name()) {
			names = append(names, e.Name())
		}
	}
	slices.Sort(names)
	return names, nil
}
