package kubeapi

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// A Node is a Node object's readiness.
type Node struct {
	Name   string `json:"name"`
	Ready  bool   `json:"ready"`
	Reason string `json:"reason"` // of the condition Ready, such as KubeletReady or NodeStatusUnknown
	// Reported is when the node's kubelet last said so, by its own clock, in whole seconds.
	Reported      time.Time `json:"reported,omitzero"`
	Unschedulable bool      `json:"unschedulable"` // cordoned
	UID           string    `json:"uid"`
	// MachineID is /etc/machine-id where the kubelet ran that reported last. A new machine
	// under an old name takes the Node object over, and then this changes and the UID does not.
	MachineID string `json:"machineID,omitempty"`
	// BootID is the kernel's: it changes with every boot, and containers have that of their host.
	BootID     string `json:"bootID,omitempty"`
	InternalIP string `json:"internalIP,omitempty"` // the first that the kubelet names
}

// Nodes returns all nodes by name.
func (c *Client) Nodes(ctx context.Context) ([]Node, error) {
	list, err := c.typed.CoreV1().Nodes().List(ctx, metav1.ListOptions{})
	if err != nil {
		return nil, c.errorf("list nodes", err)
	}
	nodes := make([]Node, 0, len(list.Items))
	for _, item := range list.Items {
		nodes = append(nodes, nodeOf(item))
	}
	slices.SortFunc(nodes, func(a, b Node) int { return cmp.Compare(a.Name, b.Name) })
	return nodes, nil
}

func nodeOf(item corev1.Node) Node {
	node := Node{
		Name: item.Name, Reason: "no Ready condition", Unschedulable: item.Spec.Unschedulable, UID: string(item.UID),
		MachineID: item.Status.NodeInfo.MachineID, BootID: item.Status.NodeInfo.BootID,
	}
	for _, condition := range item.Status.Conditions {
		if condition.Type == corev1.NodeReady {
			node.Ready, node.Reason = condition.Status == corev1.ConditionTrue, condition.Reason
			node.Reported = condition.LastHeartbeatTime.Time
		}
	}
	for _, address := range item.Status.Addresses {
		if address.Type == corev1.NodeInternalIP && node.InternalIP == "" {
			node.InternalIP = address.Address
		}
	}
	return node
}

// Cordon keeps new pods away from a node. One that is cordoned is left so.
func (c *Client) Cordon(ctx context.Context, node string) error {
	return c.setUnschedulable(ctx, "cordon", node, true)
}

// Uncordon lets pods come to a node again.
func (c *Client) Uncordon(ctx context.Context, node string) error {
	return c.setUnschedulable(ctx, "uncordon", node, false)
}

func (c *Client) setUnschedulable(ctx context.Context, verb, node string, to bool) error {
	patch := fmt.Appendf(nil, `{"spec":{"unschedulable":%t}}`, to)
	_, err := c.typed.CoreV1().Nodes().Patch(ctx, node, types.StrategicMergePatchType, patch, metav1.PatchOptions{FieldManager: FieldManager})
	if err != nil {
		return c.errorf(verb+" node "+node, err)
	}
	return nil
}

// DeleteNode deletes a Node object; one that is not there is deleted. Its Lease in
// kube-node-lease and its CSINode are owned by it and go with it, by the garbage collector; its
// pods go too, whether or not their containers have ended. A kubelet that still runs does
// not make the object anew before it is started again.
func (c *Client) DeleteNode(ctx context.Context, name string) error {
	err := c.typed.CoreV1().Nodes().Delete(ctx, name, metav1.DeleteOptions{})
	if err != nil && !apierrors.IsNotFound(err) {
		return c.errorf("delete node "+name, err)
	}
	return nil
}
