package store

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/haplane/haplane/spec"
)

// A DamagedError is a record that cannot be used.
type DamagedError struct {
	File string
	Err  error
}

func (e *DamagedError) Error() string { return fmt.Sprintf("read record %s: %v", e.File, e.Err) }
func (e *DamagedError) Unwrap() error { return e.Err }

// Record reads what is known of the cluster. The error wraps ErrNoCluster where there is
// none. Of a cluster that an older haplane made, it is what its file says: serial 0, no versions.
func (s Store) Record() (*Record, error) {
	r, err := s.readRecord()
	if r != nil || err != nil {
		return r, err
	}
	c, err := s.clusterFile()
	if err != nil {
		return nil, err
	}
	return derived(c), nil
}

// readRecord returns nil where there is no record.
func (s Store) readRecord() (*Record, error) {
	file := s.path(recordFile)
	data, err := os.ReadFile(file)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, nil
	case errors.Is(err, fs.ErrPermission):
		return nil, fmt.Errorf("read record: %w: %w", err, ErrOtherUser)
	case err != nil:
		return nil, fmt.Errorf("read record: %w", err)
	}
	r, err := parseRecord(data)
	if err != nil {
		return nil, &DamagedError{File: file, Err: err}
	}
	return r, nil
}

func parseRecord(data []byte) (*Record, error) {
	var version struct{ Schema int }
	if err := json.Unmarshal(data, &version); err != nil {
		return nil, err
	}
	if version.Schema != recordSchema {
		return nil, fmt.Errorf("its schema is %d, this haplane knows %d", version.Schema, recordSchema)
	}
	var r Record
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.DisallowUnknownFields() // else the next write would drop them
	if err := decoder.Decode(&r); err != nil {
		return nil, err
	}
	return &r, r.check()
}

// check refuses what the program would stumble over later. It fills in defaults.
func (r *Record) check() error {
	if r.Lineage == "" || r.Serial == 0 {
		return errors.New("it has no lineage or serial")
	}
	for field, c := range map[string]*spec.Cluster{"applied": r.Applied, "wanted": r.Wanted} {
		if c == nil {
			continue
		}
		spec.SetDefaults(c) // of fields that are newer than the record
		if errs := spec.Validate(c); len(errs) > 0 {
			return fmt.Errorf("%s: %w", field, errs.ToAggregate())
		}
	}
	if err := r.Rotation.check(); err != nil {
		return err
	}
	seen := map[string]bool{}
	for _, n := range r.Nodes {
		switch {
		case n.Name == "" || seen[n.Name]:
			return fmt.Errorf("node %q is there twice or has no name", n.Name)
		case n.State != Joining && n.State != Active && n.State != Leaving:
			return fmt.Errorf("node %s: its state is %q", n.Name, n.State)
		}
		seen[n.Name] = true
	}
	return nil
}
