package agent

import (
	"context"
	"fmt"
	"maps"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// repair compares both objects with what they have to be, as the API server has
// them and not as a cache does, and writes only what differs. The Endpoints go
// first: without their label the mirroring controller makes the stray slices anew.
func (k *keeper) repair(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	if err := k.repairEndpoints(ctx); err != nil {
		return fmt.Errorf("repair endpoints %s/%s: %w", namespace, serviceName, err)
	}
	if err := k.repairSlice(ctx); err != nil {
		return fmt.Errorf("repair endpointslice %s/%s: %w", namespace, serviceName, err)
	}
	if err := k.deleteStraySlices(ctx); err != nil {
		return fmt.Errorf("delete stray endpointslices of %s/%s: %w", namespace, serviceName, err)
	}
	return nil
}

func (k *keeper) repairEndpoints(ctx context.Context) error {
	client := k.client.CoreV1().Endpoints(namespace)
	now, err := client.Get(ctx, serviceName, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		_, err = client.Create(ctx, k.endpoints, metav1.CreateOptions{})
		return k.repaired("endpoints", "was missing", err)
	}
	if err != nil {
		return err
	}
	if hasLabels(now.Labels, k.endpoints.Labels) && equality.Semantic.DeepEqual(now.Subsets, k.endpoints.Subsets) {
		return nil
	}
	was := describeEndpoints(now)
	now.Labels = withLabels(now.Labels, k.endpoints.Labels)
	now.Subsets = k.endpoints.Subsets
	// The resource version of what was read goes along: a write in between is a
	// conflict, and the next attempt reads again.
	_, err = client.Update(ctx, now, metav1.UpdateOptions{})
	return k.repaired("endpoints", was, err)
}

func (k *keeper) repairSlice(ctx context.Context) error {
	client := k.client.DiscoveryV1().EndpointSlices(namespace)
	now, err := client.Get(ctx, serviceName, metav1.GetOptions{})
	if err == nil && now.AddressType != k.slice.AddressType {
		// The address type cannot be changed: a slice of the other kind makes way.
		if err := k.deleteSlice(ctx, now); err != nil {
			return err
		}
		now, err = client.Get(ctx, serviceName, metav1.GetOptions{})
	}
	if apierrors.IsNotFound(err) {
		_, err = client.Create(ctx, k.slice, metav1.CreateOptions{})
		return k.repaired("endpointslice", "was missing", err)
	}
	if err != nil {
		return err
	}
	if hasLabels(now.Labels, k.slice.Labels) &&
		equality.Semantic.DeepEqual(now.Endpoints, k.slice.Endpoints) &&
		equality.Semantic.DeepEqual(now.Ports, k.slice.Ports) {
		return nil
	}
	was := describeSlice(now)
	now.Labels = withLabels(now.Labels, k.slice.Labels)
	now.Endpoints, now.Ports = k.slice.Endpoints, k.slice.Ports
	_, err = client.Update(ctx, now, metav1.UpdateOptions{})
	return k.repaired("endpointslice", was, err)
}

// deleteStraySlices deletes what else claims to be a slice of the Service:
// kube-proxy would send to its addresses too.
func (k *keeper) deleteStraySlices(ctx context.Context) error {
	list, err := k.client.DiscoveryV1().EndpointSlices(namespace).List(ctx, metav1.ListOptions{LabelSelector: sliceSelector})
	if err != nil {
		return err
	}
	for i := range list.Items {
		if stray := &list.Items[i]; stray.Name != serviceName {
			if err := k.deleteSlice(ctx, stray); err != nil {
				return err
			}
		}
	}
	return nil
}

// deleteSlice deletes this very slice; one that is gone already is fine.
func (k *keeper) deleteSlice(ctx context.Context, slice *discoveryv1.EndpointSlice) error {
	err := k.client.DiscoveryV1().EndpointSlices(namespace).Delete(ctx, slice.Name,
		metav1.DeleteOptions{Preconditions: metav1.NewUIDPreconditions(string(slice.UID))})
	if apierrors.IsNotFound(err) {
		return nil
	}
	return k.repaired("endpointslice", "stray "+slice.Name+": "+describeSlice(slice), err)
}

// repaired records a write: object is the metric's label, was says what was found.
func (k *keeper) repaired(object, was string, err error) error {
	if err != nil {
		return err
	}
	k.status.repairs.WithLabelValues(object).Inc()
	k.log.Info("repaired default/kubernetes", "object", object, "was", was)
	return nil
}

func describeEndpoints(e *corev1.Endpoints) string {
	return fmt.Sprintf("labels %v, subsets %v", e.Labels, e.Subsets)
}

func describeSlice(s *discoveryv1.EndpointSlice) string {
	var found []string
	for _, e := range s.Endpoints {
		ready := e.Conditions.Ready == nil || *e.Conditions.Ready
		found = append(found, fmt.Sprintf("%v ready=%t", e.Addresses, ready))
	}
	return fmt.Sprintf("labels %v, %s %v, %d ports", s.Labels, s.AddressType, found, len(s.Ports))
}

func hasLabels(labels, wanted map[string]string) bool {
	for key, value := range wanted {
		if labels[key] != value {
			return false
		}
	}
	return true
}

// withLabels adds the wanted labels and keeps those of others.
func withLabels(labels, wanted map[string]string) map[string]string {
	all := maps.Clone(labels)
	if all == nil {
		all = map[string]string{}
	}
	maps.Copy(all, wanted)
	return all
}
