package store

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"sigs.k8s.io/yaml"

	"github.com/haplane/haplane/spec"
)

const clusterFile = "cluster.yaml"

// Cluster returns what the cluster is, with its defaults filled in: what the change
// that is under way or was cut off leads to, else what it was last brought to. The error wraps
// ErrNoCluster where there is none.
func (s Store) Cluster() (*spec.Cluster, error) {
	r, err := s.readRecord()
	switch {
	case err != nil:
		return nil, err
	case r != nil && r.Wanted != nil:
		return r.Wanted, nil
	case r != nil && r.Applied != nil:
		return r.Applied, nil
	}
	return s.clusterFile()
}

func (s Store) clusterFile() (*spec.Cluster, error) {
	file := s.path(clusterFile)
	data, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("read cluster %s: %w", s.Name(), ErrNoCluster)
	}
	if errors.Is(err, fs.ErrPermission) {
		return nil, fmt.Errorf("read cluster: %w: %w", err, ErrOtherUser)
	}
	if err != nil {
		return nil, fmt.Errorf("read cluster: %w", err)
	}
	return spec.ParseKept(file, data, spec.Known{})
}

// SaveCluster writes the file that the cluster is made from.
func (s Store) SaveCluster(c *spec.Cluster) error {
	data, err := yaml.Marshal(c)
	if err != nil {
		return fmt.Errorf("save cluster file: %w", err)
	}
	return s.SaveClusterText(data)
}

// ClusterText is the cluster file as it was written.
func (s Store) ClusterText() ([]byte, error) {
	data, err := os.ReadFile(s.path(clusterFile))
	if err != nil {
		return nil, fmt.Errorf("read cluster file: %w", err)
	}
	return data, nil
}

// SaveClusterText keeps a cluster file as the user wrote it, with its comments.
func (s Store) SaveClusterText(raw []byte) error { return s.save(clusterFile, raw, 0o644) }
