package kubeapi

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestDeprecatedAPIs(t *testing.T) {
	const metrics = `# HELP apiserver_requested_deprecated_apis [STABLE] Gauge of deprecated APIs that have been requested
# TYPE apiserver_requested_deprecated_apis gauge
apiserver_requested_deprecated_apis{group="",removed_release="",resource="endpoints",subresource="",version="v1"} 1
apiserver_requested_deprecated_apis{group="flowcontrol.apiserver.k8s.io",removed_release="1.32",resource="flowschemas",subresource="",version="v1beta3"} 1
apiserver_requested_deprecated_apis{group="flowcontrol.apiserver.k8s.io",removed_release="1.37",resource="flowschemas",subresource="status",version="v1beta4"} 1
apiserver_request_total{code="200"} 5
`
	want := []DeprecatedAPI{{"flowschemas.v1beta3.flowcontrol.apiserver.k8s.io", "1.32"}, {"flowschemas/status.v1beta4.flowcontrol.apiserver.k8s.io", "1.37"}}
	if d := cmp.Diff(want, deprecatedIn([]byte(metrics))); d != "" {
		t.Error(d)
	}
}
