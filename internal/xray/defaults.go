package xray

import (
	"net/netip"
	"slices"

	"k8s.io/apimachinery/pkg/util/version"

	"github.com/haplane/haplane/internal/xray/evidence"
	"github.com/haplane/haplane/spec"
)

// defaultServiceCIDR is what kube-apiserver takes without --service-cluster-ip-range
// (DefaultServiceIPCIDR of k8s.io/kubernetes/pkg/kubeapiserver/options), from 1.0 on.
const defaultServiceCIDR = "10.0.0.0/24"

// defaults are what programs take without a flag, as far as versions agree on them:
// pkg/kubeapiserver, cmd/kube-controller-manager and cmd/kube-scheduler of k8s.io/kubernetes,
// k8s.io/apiserver/pkg/server/options, and embed/config.go of etcd. Of switches, false is
// what none of them says.
var defaults = map[string]map[string]string{
	evidence.APIServer: {
		"service-cluster-ip-range": defaultServiceCIDR, "secure-port": "6443", "bind-address": "0.0.0.0", "etcd-prefix": "/registry",
		"authorization-mode": "AlwaysAllow", "anonymous-auth": "true", "service-node-port-range": "30000-32767", "profiling": "true",
		"request-timeout": "1m0s", "min-request-timeout": "1800", "service-account-lookup": "true", "max-requests-inflight": "400",
		"max-mutating-requests-inflight": "200", "goaway-chance": "0", "event-ttl": "1h0m0s", "enable-garbage-collector": "true",
	},
	evidence.ControllerManager: {
		"bind-address": "0.0.0.0", "secure-port": "10257", "cluster-name": "kubernetes", "profiling": "true", "controllers": "*",
		"configure-cloud-routes": "true", "node-monitor-period": "5s",
	},
	evidence.Scheduler: {"bind-address": "0.0.0.0", "secure-port": "10259", "profiling": "true"},
	evidence.EtcdServer: {
		"heartbeat-interval": "100", "election-timeout": "1000", "quota-backend-bytes": "0", "max-request-bytes": "1572864",
		"auto-compaction-retention": "0", "strict-reconfig-check": "true", "max-snapshots": "5", "max-wals": "5",
	},
}

// off are switches that are off without the flag.
var off = []string{"allow-privileged", "enable-bootstrap-token-auth", "enable-aggregator-routing", "allocate-node-cidrs", "use-service-account-credentials",
	"contention-profiling", "enable-pprof", "unsafe-no-fsync"}

// defaultOf is what a program takes for a setting that it is not given; not ok where that is
// not known.
func defaultOf(p Instance, name string) (string, bool) {
	if v, ok := defaults[p.Name][name]; ok {
		return v, true
	}
	return "false", slices.Contains(off, name)
}

// serviceRanges are those that an API server allocates addresses of Services from.
func serviceRanges(a Instance) []string {
	if all := a.List("service-cluster-ip-range"); len(all) > 0 {
		return all
	}
	return []string{defaultServiceCIDR}
}

// serviceIP is the first address of the first service network: as most API servers have it,
// else as the API or the cluster file says.
func (s *Scene) serviceIP() netip.Addr {
	var cidrs []string
	if all := s.Instances(evidence.APIServer); len(all) > 0 {
		cidrs = append(cidrs, mostCommon(all, func(a Instance) string { return serviceRanges(a)[0] }))
	}
	if s.API != nil {
		cidrs = append(cidrs, s.API.ServiceCIDRs...)
	}
	if c := s.Expect.Cluster; c != nil {
		cidrs = append(cidrs, spec.Split(c.Spec.Network.ServiceCIDR)...)
	}
	for _, text := range cidrs {
		if p, err := netip.ParsePrefix(text); err == nil {
			return p.Masked().Addr().Next()
		}
	}
	return netip.Addr{}
}

// before tells whether a program is known to be older.
func before(p Instance, since string) bool {
	v, err := version.ParseGeneric(p.Version)
	return err == nil && v.LessThan(version.MustParseGeneric(since))
}

// advertisedText is the address that an API server is told to advertise, and by which flag:
// --advertise-address, else a single address that it binds to (DefaultAdvertiseAddress of
// k8s.io/apiserver/pkg/server/options). "" is the address of the default route.
func advertisedText(a Instance) (text, flag string) {
	for _, flag := range []string{"advertise-address", "bind-address"} {
		text := a.FlagOr(flag, "")
		ip, err := netip.ParseAddr(text)
		if flag == "advertise-address" && err != nil && text != "" {
			return text, flag
		}
		if err == nil && !ip.IsUnspecified() && (flag == "advertise-address" || !ip.IsLoopback()) {
			return text, flag
		}
	}
	return "", ""
}
