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

// Cluster reads the file that the cluster was made from, with its defaults
// filled in. The error wraps ErrNoCluster where there is none.
func (s Store) Cluster() (*spec.Cluster, error) {
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
	return spec.Parse(file, data)
}

// SaveCluster writes the file that the cluster is made from.
func (s Store) SaveCluster(c *spec.Cluster) error {
	data, err := yaml.Marshal(c)
	if err != nil {
		return fmt.Errorf("save cluster file: %w", err)
	}
	return s.SaveClusterText(data)
}

// SaveClusterText keeps a cluster file as the user wrote it, with its comments.
func (s Store) SaveClusterText(raw []byte) error { return s.save(clusterFile, raw, 0o644) }
