package kubeconfig

import (
	"context"
	"slices"

	"k8s.io/client-go/tools/clientcmd/api"
)

// Move has the file that has c's cluster lead to c's server, where it led to one of before, and returns
// its path; empty where there is nothing to do. An entry that the user has made his own stays.
func (f Files) Move(ctx context.Context, c Config, before []string) (string, error) {
	return f.change(ctx, c, func(cluster *api.Cluster, _ *api.AuthInfo) bool {
		ours := cluster != nil && sharesAuthority(cluster.CertificateAuthorityData, c.CA) && slices.Contains(before, cluster.Server)
		if !ours || cluster.Server == c.Server {
			return false
		}
		cluster.Server = c.Server
		return true
	})
}
