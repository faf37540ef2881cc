package xray

import (
	"net/netip"
	"strings"

	utilnet "k8s.io/apimachinery/pkg/util/net"

	"github.com/haplane/haplane/internal/xray/evidence"
)

// What kube-apiserver takes without the flags (pkg/kubeapiserver/options of k8s.io/kubernetes).
const (
	defaultServiceRange  = "10.0.0.0/24"
	defaultNodePortRange = "30000-32767"
)

func oneServiceRange(s *Scene) []Finding {
	var out []Finding
	for _, row := range []struct {
		flag, otherwise string
		normal          func(string) string
	}{
		{"service-cluster-ip-range", defaultServiceRange, prefixes},
		{"service-node-port-range", defaultNodePortRange, portRange},
	} {
		var all []said
		for _, a := range s.live(evidence.APIServer) {
			v, given := a.Flag(row.flag)
			shown := v
			if !given || v == "" {
				v, shown = row.otherwise, row.otherwise+" (the default)"
			}
			all = append(all, said{a.at(), row.normal(v), shown})
		}
		out = append(out, agree("--"+row.flag, all, Fail)...)
	}
	return out
}

// prefixes are networks as they are, however they are written. The first one counts for more.
func prefixes(text string) string {
	parts := strings.Split(text, ",")
	for i, part := range parts {
		if p, err := netip.ParsePrefix(strings.TrimSpace(part)); err == nil {
			parts[i] = p.Masked().String()
		}
	}
	return strings.Join(parts, ",")
}

// portRange is FIRST-LAST, however it is written: FIRST+MORE is another way.
func portRange(text string) string {
	if r, err := utilnet.ParsePortRange(text); err == nil {
		return r.String()
	}
	return text
}
