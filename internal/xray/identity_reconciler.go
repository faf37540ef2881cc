package xray

import (
	"fmt"

	discoveryv1 "k8s.io/api/discovery/v1"

	"github.com/haplane/haplane/internal/xray/evidence"
	"github.com/haplane/haplane/spec"
)

// Kinds of endpoint reconcilers (k8s.io/kubernetes/pkg/controlplane/reconcilers).
const (
	reconcilerLease = "lease"
	reconcilerCount = "master-count"
	reconcilerNone  = "none"
)

// reconciler is how an API server keeps the endpoints of the kubernetes Service.
func reconciler(a Instance) (kind, observed string) {
	kind, ok := a.Flag("endpoint-reconciler-type")
	if (!ok || kind == "") && before(a, "1.11") {
		return reconcilerCount, "no --endpoint-reconciler-type: master-count is the default before 1.11"
	}
	if !ok || kind == "" {
		return reconcilerLease, "no --endpoint-reconciler-type: lease is the default since 1.11"
	}
	return kind, "--endpoint-reconciler-type=" + kind
}

func endpointReconciler(s *Scene) []Finding {
	var out []Finding
	for _, a := range s.Instances(evidence.APIServer) {
		out = append(out, s.judgeReconciler(a))
	}
	return out
}

func (s *Scene) judgeReconciler(a Instance) Finding {
	kind, observed := reconciler(a)
	id := s.identityAt(a.Machine)
	switch {
	case id == "":
		return a.at().skip("%s; the identity is not known", observed)
	case id == spec.Shared && kind != reconcilerNone:
		return a.at().fail("--endpoint-reconciler-type=none", observed+
			": an API server that stops in order empties the endpoints, although others serve")
	case id == spec.Shared || kind == reconcilerLease:
		return a.at().pass("%s", observed)
	case s.keptByK0s():
		return a.at().pass("%s: k0s keeps the endpoints", observed)
	case kind == reconcilerCount:
		return a.at().warn("--endpoint-reconciler-type=lease", observed+": nothing takes out the endpoint of a node that died")
	case kind == reconcilerNone && s.sliceManager() != "":
		return a.at().warn("--endpoint-reconciler-type=lease", fmt.Sprintf("%s; %s says that it manages the EndpointSlice", observed, s.sliceManager()))
	case kind == reconcilerNone:
		return a.at().fail("--endpoint-reconciler-type=lease", observed+": nobody adds this API server to the Service, or takes it out")
	}
	return a.at().fail("lease, master-count or none", observed)
}

// keptByK0s tells whether k0s keeps the endpoints of the kubernetes Service: with an
// external address in its configuration it makes that one the endpoint, and tells its API
// servers, which advertise their own addresses, to leave the endpoints alone.
func (s *Scene) keptByK0s() bool {
	servers := s.Instances(evidence.APIServer)
	for _, a := range servers {
		if kind, _ := reconciler(a); kind != reconcilerNone || a.Machine.Program(evidence.K0s) == nil {
			return false
		}
	}
	return len(servers) > 0
}

// mirroring is kube-controller-manager's: it copies Endpoints that somebody else keeps.
const mirroring = "endpointslicemirroring-controller.k8s.io"

// sliceManager is who says that it manages an EndpointSlice of default/kubernetes;
// API servers say nothing.
func (s *Scene) sliceManager() string {
	if s.API == nil {
		return ""
	}
	for _, slice := range s.API.Slices {
		if by := slice.Labels[discoveryv1.LabelManagedBy]; by != "" && by != mirroring {
			return by
		}
	}
	return ""
}
