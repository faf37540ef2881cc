// Package cluster brings clusters up, keeps them as their file says, and takes
// them down.
package cluster

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
	"sigs.k8s.io/yaml"

	"github.com/haplane/haplane/internal/pki"
	"github.com/haplane/haplane/spec"
)

// A Store is the folder where haplane keeps what it must remember of a cluster:
// its file, its keys, how to reach its machines, its logs.
type Store struct{ Dir string }

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

// OpenStore returns the store of the cluster of the given name; it may not exist yet.
// The error wraps ErrBadName where that is no name for a cluster.
func OpenStore(name string) (Store, error) {
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
	files, err := filepath.Glob(filepath.Join(home, "*", clusterFile))
	if err != nil {
		return nil, err
	}
	var names []string
	for _, f := range files {
		names = append(names, filepath.Base(filepath.Dir(f)))
	}
	slices.Sort(names)
	return names, nil
}

// Names of files in a store.
const (
	clusterFile = "cluster.yaml"
	lockFile    = "lock"
)

func (s Store) path(parts ...string) string {
	return filepath.Join(append([]string{s.Dir}, parts...)...)
}

// name is the cluster's.
func (s Store) name() string { return filepath.Base(s.Dir) }

// SSHConfig is the ssh_config file that reaches the machines by node name.
func (s Store) SSHConfig() string { return s.path("ssh", "config") }

// Machines is the folder of the local machines.
func (s Store) Machines() string { return s.path("machines") }

// Logs is the folder of the log files.
func (s Store) Logs() string { return s.path("logs") }

// ErrNoCluster means that there is no cluster of that name.
var ErrNoCluster = errors.New("no such cluster")

// ErrBadName means that no cluster can have that name.
var ErrBadName = errors.New("not a name for a cluster")

var errUnfinished = errors.New("bringing it up was cut off")

// Cluster reads the file that the cluster was made from, with its defaults
// filled in. The error wraps ErrNoCluster where there is none.
func (s Store) Cluster() (*spec.Cluster, error) {
	file := s.path(clusterFile)
	data, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("read cluster %s: %w", s.name(), ErrNoCluster)
	}
	if errors.Is(err, fs.ErrPermission) {
		return nil, withHint(fmt.Errorf("read cluster: %w", err), "another user made it; run haplane as for up, with sudo")
	}
	if err != nil {
		return nil, fmt.Errorf("read cluster: %w", err)
	}
	return spec.Parse(file, data)
}

func (s Store) saveCluster(c *spec.Cluster) error {
	data, err := yaml.Marshal(c)
	if err != nil {
		return fmt.Errorf("save cluster file: %w", err)
	}
	return s.save(clusterFile, data, 0o644)
}

// save writes a file atomically; a secret one is 0600 from its first byte.
func (s Store) save(name string, data []byte, mode fs.FileMode) error {
	file := s.path(name)
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(file), filepath.Base(file)+".*.new") // 0600
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	_, err = f.Write(data)
	if err := errors.Join(err, f.Chmod(mode), f.Sync(), f.Close()); err != nil {
		return fmt.Errorf("write %s: %w", file, err)
	}
	return os.Rename(f.Name(), file)
}

func (s Store) load(name string) ([]byte, error) {
	data, err := os.ReadFile(s.path(name))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return data, err
}

// Keys reads the keys that the store has; missing ones are empty.
func (s Store) Keys(rows []pki.Row) (pki.Bundle, error) {
	b := pki.Bundle{Pairs: map[string]pki.Pair{}}
	var errs []error
	read := func(name string) []byte {
		data, err := s.load(filepath.Join("pki", name))
		errs = append(errs, err)
		return data
	}
	for _, row := range rows {
		if p := (pki.Pair{Cert: read(row.Name + ".crt"), Key: read(row.Name + ".key")}); len(p.Cert) > 0 && len(p.Key) > 0 {
			b.Pairs[row.Name] = p
		}
	}
	b.ServiceAccountKey, b.ServiceAccountPub, b.EncryptionKey = read("sa.key"), read("sa.pub"), read("encryption.key")
	return b, errors.Join(errs...)
}

// saveKeys writes those of the keys that are named: rows, "sa" and "encryption".
// A key is written before its certificate, so a pair is never half there.
func (s Store) saveKeys(b pki.Bundle, names []string) error {
	var errs []error
	write := func(name string, data []byte, mode fs.FileMode) {
		errs = append(errs, s.save(filepath.Join("pki", name), data, mode))
	}
	for _, name := range names {
		switch name {
		case "sa":
			write("sa.key", b.ServiceAccountKey, 0o600)
			write("sa.pub", b.ServiceAccountPub, 0o644)
		case "encryption":
			write("encryption.key", b.EncryptionKey, 0o600)
		default:
			write(name+".key", b.Pairs[name].Key, 0o600)
			write(name+".crt", b.Pairs[name].Cert, 0o644)
		}
	}
	return errors.Join(errs...)
}

// Lock keeps other runs away from the cluster until unlock is called, or this
// process ends in whatever way. It makes the store's folder.
func (s Store) Lock() (unlock func(), err error) {
	if err := os.MkdirAll(s.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("make store: %w", err)
	}
	f, err := os.OpenFile(s.path(lockFile), os.O_RDWR|os.O_CREATE|unix.O_CLOEXEC, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lock cluster: %w", err)
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		holder, _ := os.ReadFile(f.Name())
		f.Close()
		return nil, fmt.Errorf("lock cluster %s: in use by another haplane (pid %s)", s.name(), strings.TrimSpace(string(holder)))
	}
	if err := errors.Join(f.Truncate(0), writePID(f)); err != nil {
		f.Close()
		return nil, fmt.Errorf("lock cluster: %w", err)
	}
	return func() { f.Close() }, nil
}

func writePID(f *os.File) error {
	_, err := fmt.Fprintf(f, "%d\n", os.Getpid())
	return err
}
