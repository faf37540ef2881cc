package xray

import (
	"net/url"
	"strings"

	"github.com/haplane/haplane/internal/xray/evidence"
)

// dnsDomain is the cluster's, such as cluster.local; "" where nothing tells.
func (s *Scene) dnsDomain() string {
	if c := s.Expect.Cluster; c != nil && c.Spec.Network.DNSDomain != "" {
		return c.Spec.Network.DNSDomain
	}
	for _, k := range s.Instances(evidence.Kubelet) {
		if v, ok := k.Config["clusterDomain"].(string); ok && v != "" {
			return v
		}
		if v := k.FlagOr("cluster-domain", ""); v != "" {
			return v
		}
	}
	for _, a := range s.Instances(evidence.APIServer) {
		issuer, err := url.Parse(a.FlagOr("service-account-issuer", ""))
		if err != nil {
			continue
		}
		if domain, ok := strings.CutPrefix(issuer.Hostname(), "kubernetes.default.svc."); ok {
			return domain
		}
	}
	return ""
}
