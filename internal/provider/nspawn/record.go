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
	Image     string       `json:"image"` // stays: its files lie under the machine's own
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
)

func (p *Provider) dir(machine string, elem ...string) string {
	return filepath.Join(append([]string{p.StateDir, machine}, elem...)...)
}

func (p *Provider) readRecord(machine string) (record, error) {
	var r record
	err := readJSON(p.dir(machine, recordFile), &r)
	if err == nil && (r.Name != machine || len(r.Addresses) == 0 || r.Image == "") {
		err = fmt.Errorf("read %s: it does not describe machine %s", p.dir(machine, recordFile), machine)
	}
	return r, err
}

func (p *Provider) writeRecord(r record) error { return writeJSON(p.dir(r.Name, recordFile), r) }

// records reads the records of the named machines, or of all that are complete.
func (p *Provider) records(names []string) ([]record, error) {
	all := len(names) == 0
	if all {
		var err error
		if names, err = p.folders(); err != nil {
			return nil, err
		}
	}
	var out []record
	for _, name := range names {
		r, err := p.readRecord(name)
		if all && errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		out = append(out, r)
	}
	return out, nil
}

// folders lists the machines that have a folder, complete or not.
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
		if e.IsDir() {
			names = append(names, e.Name())
		}
	}
	slices.Sort(names)
	return names, nil
}

func readJSON(path string, v any) error {
	data, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(data, v); err != nil {
		return fmt.Errorf("read %s: %w", path, err)
	}
	return nil
}

func writeJSON(path string, v any) error {
	data, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return err
	}
	return durable.WriteFile(path, append(data, '\n'), 0o600)
}
