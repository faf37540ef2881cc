package kubeapi

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
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
	// Drained says that a drain of haplane's cordoned it: else somebody else did, who wants it so.
	Drained bool `json:"drained,omitempty"`
	// DrainedUnnoted says that haplane cordoned it and did not note why: one of before drainedBy did so, and often left it so.
	DrainedUnnoted bool   `json:"drainedUnnoted,omitempty"`
	UID            string `json:"uid"`
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
		Name: item.Name, Reason: "no Ready condition", Unschedulable: item.Spec.Unschedulable, Drained: byDrain(item), UID: string(item.UID),
		DrainedUnnoted: cordonedBy(item, FieldManager) && !noted(item),
		MachineID:      item.Status.NodeInfo.MachineID, BootID: item.Status.NodeInfo.BootID,
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

// Mute reports whether the kubelet tells the API nothing any more, or never did: pods there never end.
func (n Node) Mute() bool {
	return !n.Ready && (n.Reason == "NodeStatusUnknown" || n.Reason == "NodeStatusNeverUpdated")
}

// Cordon keeps new pods away from a node, for somebody who wants it so: no drain of haplane's takes it back.
// One that is cordoned is left so.
func (c *Client) Cordon(ctx context.Context, node string) error {
	return c.patchNode(ctx, keeper, "cordon", node, fmt.Sprintf(`{"metadata":{"annotations":{%q:null}},"spec":{"unschedulable":true}}`, drainedBy))
}

const (
	// drainedBy is the annotation of nodes that a drain has cordoned.
	drainedBy = "haplane.local/drained"
	// keeper is the field manager of a cordon that is somebody else's.
	keeper = FieldManager + "-keeps"
)

// byDrain reports whether a drain has cordoned a node. The annotation alone does not tell: it outlives a kubectl uncordon, and would
// then claim a cordon that somebody else made later. Whose the cordon is, the API server notes (metadata.managedFields).
func byDrain(n corev1.Node) bool { return noted(n) && cordonedBy(n, FieldManager) }

func noted(n corev1.Node) bool {
	_, is := n.Annotations[drainedBy]
	return is
}

// cordonedBy reports whether a field manager was the last to cordon a node: the field is nobody's once it is uncordoned, and
// then of whoever sets it again.
func cordonedBy(n corev1.Node, manager string) bool { return slices.Contains(cordoners(n), manager) }

// cordoners are the field managers that have cordoned a node.
func cordoners(n corev1.Node) []string {
	var out []string
	for _, e := range n.ManagedFields {
		var fields struct {
			Spec struct {
				Unschedulable *struct{} `json:"f:unschedulable"`
			} `json:"f:spec"`
		}
		if n.Spec.Unschedulable && e.FieldsV1 != nil && json.Unmarshal(e.FieldsV1.Raw, &fields) == nil && fields.Spec.Unschedulable != nil {
			out = append(out, e.Manager)
		}
	}
	return out
}

// cordonToDrain keeps new pods away from a node, and notes on it that nobody else did before.
func (c *Client) cordonToDrain(ctx context.Context, node string) error {
	n, err := c.typed.CoreV1().Nodes().Get(ctx, node, metav1.GetOptions{})
	switch {
	case err != nil:
		return c.errorf("cordon node "+node, err)
	case n.Spec.Unschedulable:
		return nil
	}
	return c.patchNode(ctx, FieldManager, "cordon", node, fmt.Sprintf(`{"metadata":{"annotations":{%q:"true"}},"spec":{"unschedulable":true}}`, drainedBy))
}

// Uncordon lets pods come to a node again that a drain has cordoned. One that somebody else cordoned is left so, and kept says in
// words who that was; it is empty where the node is not cordoned any more.
func (c *Client) Uncordon(ctx context.Context, node string) (kept string, err error) {
	n, err := c.typed.CoreV1().Nodes().Get(ctx, node, metav1.GetOptions{})
	switch {
	case err != nil:
		return "", c.errorf("uncordon node "+node, err)
	case n.Spec.Unschedulable && !byDrain(*n):
		return cordoner(*n), nil
	}
	return "", c.patchNode(ctx, FieldManager, "uncordon", node, fmt.Sprintf(`{"metadata":{"annotations":{%q:null}},"spec":{"unschedulable":false}}`, drainedBy))
}

// cordoner is who cordoned a node that no drain of haplane's did, in words.
func cordoner(n corev1.Node) string {
	switch by := cordoners(n); {
	case len(by) == 0:
		return "somebody else than haplane cordoned it"
	case slices.Contains(by, keeper):
		return "somebody had cordoned it before it was made anew"
	case slices.Contains(by, FieldManager):
		return "an older haplane cordoned it, and did not note whether for a drain"
	default:
		return strings.Join(by, ", ") + " cordoned it, and no drain of haplane's did"
	}
}

func (c *Client) patchNode(ctx context.Context, manager, verb, node, patch string) error {
	_, err := c.typed.CoreV1().Nodes().Patch(ctx, node, types.StrategicMergePatchType, []byte(patch), metav1.PatchOptions{FieldManager: manager})
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
