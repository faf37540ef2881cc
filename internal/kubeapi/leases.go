package kubeapi

import (
	"context"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// identityLabel marks the Leases in kube-system by which API servers know each other.
const identityLabel = "apiserver.kubernetes.io/identity"

// DeleteNodeLease deletes the Lease by which a kubelet says that it is alive; one that is not
// there is deleted. It belongs to the Node and goes with it, as long as a controller manager runs.
func (c *Client) DeleteNodeLease(ctx context.Context, node string) error {
	err := c.typed.CoordinationV1().Leases(corev1.NamespaceNodeLease).Delete(ctx, node, metav1.DeleteOptions{})
	if err != nil && !apierrors.IsNotFound(err) {
		return c.errorf("delete lease "+corev1.NamespaceNodeLease+"/"+node, err)
	}
	return nil
}

// APIServerLeases returns the identity Leases of API servers by the hostname of their machine.
// Those of today delete theirs when they are stopped. That of a killed one stays for its
// duration, one hour, and then until another API server looks for such, which each does every hour.
func (c *Client) APIServerLeases(ctx context.Context) (map[string]Lease, error) {
	list, err := c.typed.CoordinationV1().Leases(metav1.NamespaceSystem).List(ctx, metav1.ListOptions{LabelSelector: identityLabel + "=kube-apiserver"})
	if err != nil {
		return nil, c.errorf("list identity leases of API servers", err)
	}
	leases := map[string]Lease{}
	for _, item := range list.Items {
		leases[item.Labels[corev1.LabelHostname]] = leaseOf(item.Spec)
	}
	return leases, nil
}

// DeleteAPIServerLease deletes the identity Lease of the API server that was on the
// machine with the hostname; one that is not there is deleted. An API server that runs makes its own anew within 10 s.
func (c *Client) DeleteAPIServerLease(ctx context.Context, hostname string) error {
	selector := identityLabel + "=kube-apiserver," + corev1.LabelHostname + "=" + hostname
	leases := c.typed.CoordinationV1().Leases(metav1.NamespaceSystem)
	list, err := leases.List(ctx, metav1.ListOptions{LabelSelector: selector})
	if err != nil {
		return c.errorf("list identity leases of API server "+hostname, err)
	}
	for _, item := range list.Items {
		if err := leases.Delete(ctx, item.Name, metav1.DeleteOptions{}); err != nil && !apierrors.IsNotFound(err) {
			return c.errorf("delete identity lease of API server "+hostname, err)
		}
	}
	return nil
}
