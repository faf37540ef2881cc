// Package store owns the folder in which haplane remembers a cluster: its file,
// its keys, how to reach its machines, and where their state and the logs are.
package store

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/haplane/haplane/spec"
)

// A Store is the folder of one cluster.
type Store struct{ Dir string }

// ErrNoCluster means that there is no cluster of that name.
var ErrNoCluster = errors.New("no such cluster")

// ErrBadName means that no cluster can have that name.
var ErrBadName = errors.New("not a name for a cluster")

// ErrOtherUser means that the files of the cluster are another user's.
var ErrOtherUser = errors.New("it is another user's")

// Home is where the stores are: $HAPLANE_HOME, by default ~/.haplane.
func Home() (string, error) {
	if home := os.Getenv("HAPLANE_HOME"); home != "" {
		return filepath.Abs(home)
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return "", fmt.Errorf("find home folder: %w", err)
	}
	return filepath.Join(home, ".haplane"), nil
}

// Open returns the store of the cluster of the given name; it may not exist yet.
// The error wraps ErrBadName where that is no name for a cluster.
func Open(name string) (Store, error) {
	if spec.CheckName(name) != nil { // it becomes a path
		return Store{}, fmt.Errorf("%w: %q; use at most 20 lower-case letters, digits and -", ErrBadName, name)
	}
	home, err := Home()
	if err != nil {
		return Store{}, err
	}
	return Store{Dir: filepath.Join(home, name)}, nil
}

// Names lists the clusters that have a store, in order.
func Names() ([]string, error) {
	home, err := Home()
	if err != nil {
		return nil, err
	}
	var names []string
	for _, file := range []string{clusterFile, recordFile} {
		files, err := filepath.Glob(filepath.Join(home, "*", file))
		if err != nil {
			return nil, err
		}
		for _, f := range files {
			names = append(names, filepath.Base(filepath.Dir(f)))
		}
	}
	slices.Sort(names)
	return slices.Compact(names), nil
}

func (s Store) path(parts ...string) string {
	return filepath.Join(append([]string{s.Dir}, parts...)...)
}

// Path is that of a part of the store, for messages.
func (s Store) Path(parts ...string) string { return s.path(parts...) }

// Name is the cluster's.
func (s Store) Name() string { return filepath.Base(s.Dir) }

// SSHConfig is the ssh_config file that reaches the machines by node name.
func (s Store) SSHConfig() string { return s.path(sshConfigFile) }

// Machines is the folder of the local machines.
func (s Store) Machines() string { return s.path("machines") }

// Logs is the folder of the log files.
func (s Store) Logs() string { return s.path("logs") }

// Kept reports whether the store holds anything of a cluster; logs and the lock do
// not count.
func (s Store) Kept() (bool, error) {
	for _, part := range []string{clusterFile, recordFile, "pki", "ssh", "machines"} {
		if _, err := os.Stat(s.path(part)); err == nil {
			return true, nil
		} else if !errors.Is(err, os.ErrNotExist) {
			return false, err
		}
	}
	return false, nil
}
