package kubeconfig

import (
	"context"
	"slices"
)

// Move has the file that has c's cluster lead to c's server, where it led to one of before, and returns
// its path; empty where there is nothing to do. An entry that the user has made his own stays.
func (f Files) Move(ctx context.Context, c Config, before []string) (string, error) {
	open, err := f.open(ctx)
	if err != nil {
		return "", err
	}
	defer open.unlock()
	name := Entry(c.Cluster)
	target := open.first(func(f *file) bool { return has(f.config, name) })
	if target == nil {
		return "", nil
	}
	cluster := target.config.Clusters[name]
	ours := cluster != nil && sharesAuthority(cluster.CertificateAuthorityData, c.CA) && slices.Contains(before, cluster.Server)
	if !ours || cluster.Server == c.Server {
		return "", nil
	}
	cluster.Server = c.Server
	target.changed = true
	return target.path, open.write()
}
