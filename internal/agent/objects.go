package agent

import (
	"net/netip"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/haplane/haplane/internal/kubeapi"
)

// ManagedBy is the value of endpointslice.kubernetes.io/managed-by on the agent's
// slice. Any value but their own names keeps the EndpointSlice and the mirroring
// controller of kube-controller-manager off a slice.
const ManagedBy = "haplane-agent"

const (
	namespace   = metav1.NamespaceDefault
	serviceName = "kubernetes"
)

// Objects returns default/kubernetes as it has to be in the shared identity: the
// endpoint, which is the load balancer's, and no other.
func Objects(endpoint netip.AddrPort) (*corev1.Endpoints, *discoveryv1.EndpointSlice) {
	return kubeapi.KubernetesObjects([]netip.AddrPort{endpoint}, ManagedBy)
}
