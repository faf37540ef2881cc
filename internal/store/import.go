package store

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

// An ImportError is what keeps files from being a cluster's.
type ImportError struct{ Err error }

func (e *ImportError) Error() string { return e.Err.Error() }
func (e *ImportError) Unwrap() error { return e.Err }

// ReadImport reads the record among the files that RestoreFiles gave, as of a cluster with no change under way: what
// it was brought to last. The machines of such a change are not here, and neither is what it had done.
func ReadImport(files map[string][]byte) (*Record, error) {
	data, ok := files[recordFile]
	if !ok {
		return nil, &ImportError{errors.New("it has no record of the cluster (record.json)")}
	}
	r, err := parseRecord(data)
	if err != nil {
		return nil, &ImportError{fmt.Errorf("the record in it: %w", err)}
	}
	if r.Applied == nil {
		return nil, &ImportError{errors.New("the cluster in it was never brought up to its end")}
	}
	if c := r.Change; c != nil && c.Upgrade != nil && !c.Upgrade.Down && r.Previous != nil {
		r.Versions = *r.Previous
	}
	if c := r.Change; c != nil && c.TextBefore != nil {
		files[clusterFile] = c.TextBefore
	}
	r.Wanted, r.Change, r.Nodes = nil, nil, derived(r.Applied).Nodes
	for name := range files {
		if !path.IsAbs(name) && filepath.IsLocal(name) && (name == clusterFile || name == recordFile || strings.HasPrefix(name, "pki/") || strings.HasPrefix(name, "ssh/")) {
			continue
		}
		return nil, &ImportError{fmt.Errorf("it has a file %q, which is none of a cluster's", name)}
	}
	return r, nil
}

// Import writes files that RestoreFiles gave, and a record with them: the keys first, and the record, which makes a cluster of
// it, last. The lock must be held, and nothing be kept. undo removes what was written.
func (s Store) Import(files map[string][]byte, r *Record) (undo func() error, err error) {
	r.Serial++
	data, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return nil, err
	}
	files = maps.Clone(files)
	delete(files, recordFile)
	var written []string
	undo = func() error {
		var errs []error
		for _, name := range slices.Backward(written) { // the record first
			errs = append(errs, s.remove(name))
		}
		for _, dir := range []string{"ssh/host-keys", "ssh", "pki/pending/etcd", "pki/pending", "pki/etcd", "pki", "restore", "tmp", "machines"} {
			_ = os.Remove(s.path(dir)) // where it is empty
		}
		return errors.Join(errs...)
	}
	write := func(name string, data []byte) error {
		written = append(written, name)
		return s.save(name, data, modeOf(name))
	}
	// A cluster file alone would count as a cluster that is up: it is written when all else is there, and removed before it.
	names := slices.DeleteFunc(slices.Sorted(maps.Keys(files)), func(name string) bool { return name == clusterFile })
	for _, name := range names {
		if err := write(name, files[name]); err != nil {
			return nil, errors.Join(err, undo())
		}
	}
	for _, n := range r.Nodes { // a node that joined after the keys were sealed for snapshots; its machine is made anew, too
		if name := hostKeyFile(n.Name); files[name] == nil {
			written = append(written, name)
			if _, err := s.sshKey(name); err != nil {
				return nil, errors.Join(err, undo())
			}
		}
	}
	if text, ok := files[clusterFile]; ok {
		if err := write(clusterFile, text); err != nil {
			return nil, errors.Join(err, undo())
		}
	}
	if err := write(recordFile, append(data, '\n')); err != nil {
		return nil, errors.Join(err, undo())
	}
	return undo, nil
}
