package kubeapi

import (
	"context"
	"net/netip"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// KubernetesObjects are default/kubernetes as Endpoints and EndpointSlice with these
// endpoints, which have one port. managedBy owns the slice; "" is how API servers write it. The
// label on the Endpoints keeps the mirroring controller from making a second slice.
func KubernetesObjects(endpoints []netip.AddrPort, managedBy string) (*corev1.Endpoints, *discoveryv1.EndpointSlice) {
	name, port, protocol, ready := "https", int32(endpoints[0].Port()), corev1.ProtocolTCP, true
	meta := metav1.ObjectMeta{Namespace: metav1.NamespaceDefault, Name: "kubernetes", Labels: map[string]string{discoveryv1.LabelSkipMirror: "true"}}
	subset := corev1.EndpointSubset{Ports: []corev1.EndpointPort{{Name: name, Port: port, Protocol: protocol}}}
	slice := &discoveryv1.EndpointSlice{ObjectMeta: *meta.DeepCopy(), AddressType: discoveryv1.AddressTypeIPv4,
		Ports: []discoveryv1.EndpointPort{{Name: &name, Port: &port, Protocol: &protocol}}}
	slice.Labels = map[string]string{discoveryv1.LabelServiceName: "kubernetes"}
	if managedBy != "" {
		slice.Labels[discoveryv1.LabelManagedBy] = managedBy
	}
	for _, e := range endpoints {
		address := e.Addr().Unmap() // 10.0.0.1 written as ::ffff:10.0.0.1 is IPv4 for all that
		if address.Is6() {
			slice.AddressType = discoveryv1.AddressTypeIPv6
		}
		subset.Addresses = append(subset.Addresses, corev1.EndpointAddress{IP: address.String()})
		slice.Endpoints = append(slice.Endpoints, discoveryv1.Endpoint{Addresses: []string{address.String()},
			Conditions: discoveryv1.EndpointConditions{Ready: &ready}})
	}
	return &corev1.Endpoints{ObjectMeta: meta, Subsets: []corev1.EndpointSubset{subset}}, slice
}

// SetKubernetesEndpoints makes these the endpoints of default/kubernetes, each object in
// one write, where it is not so already. Another writer in between is an error that passes.
func (c *Client) SetKubernetesEndpoints(ctx context.Context, endpoints []netip.AddrPort, managedBy string) error {
	wanted, slice := KubernetesObjects(endpoints, managedBy)
	if err := c.setEndpoints(ctx, wanted); err != nil {
		return c.errorf("write endpoints default/kubernetes", err)
	}
	if err := c.setSlice(ctx, slice); err != nil {
		return c.errorf("write endpointslice default/kubernetes", err)
	}
	return nil
}

func (c *Client) setEndpoints(ctx context.Context, wanted *corev1.Endpoints) error {
	client := c.typed.CoreV1().Endpoints(wanted.Namespace)
	now, err := client.Get(ctx, wanted.Name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		_, err = client.Create(ctx, wanted, metav1.CreateOptions{})
		return err
	}
	if err != nil || equality.Semantic.DeepEqual(now.Subsets, wanted.Subsets) {
		return err
	}
	now.Labels, now.Subsets = wanted.Labels, wanted.Subsets
	_, err = client.Update(ctx, now, metav1.UpdateOptions{})
	return err
}

func (c *Client) setSlice(ctx context.Context, wanted *discoveryv1.EndpointSlice) error {
	client := c.typed.DiscoveryV1().EndpointSlices(wanted.Namespace)
	now, err := client.Get(ctx, wanted.Name, metav1.GetOptions{})
	if err == nil && now.AddressType != wanted.AddressType { // which cannot be changed
		if err = client.Delete(ctx, wanted.Name, metav1.DeleteOptions{}); err == nil {
			now, err = client.Get(ctx, wanted.Name, metav1.GetOptions{})
		}
	}
	if apierrors.IsNotFound(err) {
		_, err = client.Create(ctx, wanted, metav1.CreateOptions{})
		return err
	}
	if err != nil {
		return err
	}
	same := equality.Semantic.DeepEqual(now.Endpoints, wanted.Endpoints) && equality.Semantic.DeepEqual(now.Ports, wanted.Ports) &&
		equality.Semantic.DeepEqual(now.Labels, wanted.Labels)
	if same {
		return nil
	}
	now.Labels, now.Endpoints, now.Ports = wanted.Labels, wanted.Endpoints, wanted.Ports
	_, err = client.Update(ctx, now, metav1.UpdateOptions{})
	return err
}
