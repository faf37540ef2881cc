package agent

import (
	"net/netip"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
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
// endpoint, which is the load balancer's, and no other. The label on the Endpoints
// keeps the mirroring controller from making a second slice of it.
func Objects(endpoint netip.AddrPort) (*corev1.Endpoints, *discoveryv1.EndpointSlice) {
	// 10.0.0.1 written as ::ffff:10.0.0.1 is IPv4 for all that.
	address := endpoint.Addr().Unmap()
	name, port, protocol, ready := "https", int32(endpoint.Port()), corev1.ProtocolTCP, true
	endpoints := &corev1.Endpoints{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: namespace, Name: serviceName,
			Labels: map[string]string{discoveryv1.LabelSkipMirror: "true"},
		},
		Subsets: []corev1.EndpointSubset{{
			Addresses: []corev1.EndpointAddress{{IP: address.String()}},
			Ports:     []corev1.EndpointPort{{Name: name, Port: port, Protocol: protocol}},
		}},
	}
	slice := &discoveryv1.EndpointSlice{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: namespace, Name: serviceName,
			Labels: map[string]string{
				discoveryv1.LabelServiceName: serviceName,
				discoveryv1.LabelManagedBy:   ManagedBy,
			},
		},
		AddressType: discoveryv1.AddressTypeIPv4,
		Endpoints: []discoveryv1.Endpoint{{
			Addresses:  []string{address.String()},
			Conditions: discoveryv1.EndpointConditions{Ready: &ready},
		}},
		Ports: []discoveryv1.EndpointPort{{Name: &name, Port: &port, Protocol: &protocol}},
	}
	if address.Is6() {
		slice.AddressType = discoveryv1.AddressTypeIPv6
	}
	return endpoints, slice
}
