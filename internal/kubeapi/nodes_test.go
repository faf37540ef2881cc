package kubeapi

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func TestNodes(t *testing.T) {
	said := time.Unix(1e9, 0)
	node := func(name string, conditions ...corev1.NodeCondition) *corev1.Node {
		return &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: name}, Status: corev1.NodeStatus{Conditions: conditions}}
	}
	got, err := with(
		&corev1.Node{
			ObjectMeta: metav1.ObjectMeta{Name: "w-1", UID: "u"}, Spec: corev1.NodeSpec{Unschedulable: true},
			Status: corev1.NodeStatus{
				NodeInfo:  corev1.NodeSystemInfo{MachineID: "m", BootID: "b"},
				Addresses: []corev1.NodeAddress{{Type: corev1.NodeHostName, Address: "w-1"}, {Type: corev1.NodeInternalIP, Address: "10.10.10.21"}, {Type: corev1.NodeInternalIP, Address: "fd00::21"}},
			},
		},
		node("cp-2", corev1.NodeCondition{Type: corev1.NodeReady, Status: corev1.ConditionUnknown, Reason: "NodeStatusUnknown"}),
		node("cp-1", corev1.NodeCondition{Type: corev1.NodeDiskPressure, Status: corev1.ConditionFalse, Reason: "KubeletHasNoDiskPressure"},
			corev1.NodeCondition{Type: corev1.NodeReady, Status: corev1.ConditionTrue, Reason: "KubeletReady", LastHeartbeatTime: metav1.NewTime(said)}),
	).Nodes(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	want := []Node{{Name: "cp-1", Ready: true, Reason: "KubeletReady", Reported: said}, {Name: "cp-2", Reason: "NodeStatusUnknown"},
		{Name: "w-1", Reason: "no Ready condition", Unschedulable: true, UID: "u", MachineID: "m", BootID: "b", InternalIP: "10.10.10.21"}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error("-want +got\n" + diff)
	}
}

func TestCordon(t *testing.T) {
	client := with(&corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "w-1"}})
	for _, step := range []struct {
		do   func(string) error
		want bool
	}{
		{func(n string) error { return client.Cordon(t.Context(), n) }, true},
		{func(n string) error { return client.Cordon(t.Context(), n) }, true},
		{func(n string) error { _, err := client.Uncordon(t.Context(), n); return err }, true}, // somebody else's
		{func(n string) error { return client.Drain(t.Context(), n, DrainOptions{}) }, true},
		{func(n string) error { _, err := client.Uncordon(t.Context(), n); return err }, true},
		{func(n string) error {
			return client.patchNode(t.Context(), "kubectl", "uncordon", n, `{"spec":{"unschedulable":null}}`)
		}, false},
		{func(n string) error { return client.Drain(t.Context(), n, DrainOptions{}) }, true},
		{func(n string) error { return client.Drain(t.Context(), n, DrainOptions{}) }, true}, // run again
		{func(n string) error { _, err := client.Uncordon(t.Context(), n); return err }, false},
		{func(n string) error { _, err := client.Uncordon(t.Context(), n); return err }, false},
		{func(n string) error { return client.Drain(t.Context(), n, DrainOptions{}) }, true},
		{func(n string) error { // a user's uncordon leaves the annotation, and then his cordon is his
			return errors.Join(client.patchNode(t.Context(), "kubectl", "uncordon", n, `{"spec":{"unschedulable":null}}`),
				client.patchNode(t.Context(), "kubectl", "cordon", n, `{"spec":{"unschedulable":true}}`))
		}, true},
		{func(n string) error { return client.Drain(t.Context(), n, DrainOptions{}) }, true},
		{func(n string) error { _, err := client.Uncordon(t.Context(), n); return err }, true},
		{func(n string) error { // and one that is kept for him, too
			return errors.Join(client.patchNode(t.Context(), "kubectl", "uncordon", n, `{"spec":{"unschedulable":null}}`), client.Cordon(t.Context(), n))
		}, true},
		{func(n string) error { _, err := client.Uncordon(t.Context(), n); return err }, true},
	} {
		if err := step.do("w-1"); err != nil {
			t.Fatal(err)
		}
		nodes, err := client.Nodes(t.Context())
		if err != nil || nodes[0].Unschedulable != step.want {
			t.Errorf("nodes %+v, error %v, want unschedulable %v", nodes, err, step.want)
		}
		if err := step.do("w-9"); err == nil || !strings.Contains(err.Error(), "cordon node w-9 at https://test:6443") {
			t.Errorf("a node that is not there: error %v", err)
		}
	}
}

// What an older haplane cordoned, which noted nothing, is told apart from what a user did; both stay cordoned, and it is said who did it.
func TestDrainedUnnoted(t *testing.T) {
	said := map[string]string{FieldManager: "an older haplane cordoned it, and did not note whether for a drain",
		"kubectl": "kubectl cordoned it, and no drain of haplane's did", keeper: "somebody had cordoned it before it was made anew"}
	for manager, want := range map[string]bool{FieldManager: true, "kubectl": false, keeper: false} {
		client := with(&corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "w-1"}})
		if err := client.patchNode(t.Context(), manager, "cordon", "w-1", `{"spec":{"unschedulable":true}}`); err != nil {
			t.Fatal(err)
		}
		nodes, err := client.Nodes(t.Context())
		if err != nil || nodes[0].Drained || nodes[0].DrainedUnnoted != want {
			t.Errorf("%s: %+v, %v", manager, nodes, err)
		}
		if kept, err := client.Uncordon(t.Context(), "w-1"); err != nil || kept != said[manager] {
			t.Errorf("%s: kept, because %q, %v", manager, kept, err)
		}
	}
}

func TestDeleteNode(t *testing.T) {
	client := with(&corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "w-1"}}, &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "w-2"}})
	for range 2 {
		if err := client.DeleteNode(t.Context(), "w-1"); err != nil {
			t.Fatal(err)
		}
	}
	nodes, err := client.Nodes(t.Context())
	if err != nil || len(nodes) != 1 || nodes[0].Name != "w-2" {
		t.Errorf("left: %+v, error %v", nodes, err)
	}
}

func TestDeleteLeases(t *testing.T) {
	lease := func(namespace, name string, labels map[string]string) *coordinationv1.Lease {
		return &coordinationv1.Lease{
			ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name, Labels: labels},
			Spec:       coordinationv1.LeaseSpec{HolderIdentity: &name},
		}
	}
	identity := func(name, host string) *coordinationv1.Lease {
		return lease("kube-system", name, map[string]string{"apiserver.kubernetes.io/identity": "kube-apiserver", "kubernetes.io/hostname": host})
	}
	client := with(lease("kube-node-lease", "cp-1", nil), lease("kube-node-lease", "cp-2", nil), lease("kube-system", "cp-1", nil),
		identity("apiserver-a", "cp-1"), identity("apiserver-b", "cp-2"))
	for range 2 {
		if err := client.DeleteNodeLease(t.Context(), "cp-1"); err != nil {
			t.Fatal(err)
		}
		if err := client.DeleteAPIServerLease(t.Context(), "cp-1"); err != nil {
			t.Fatal(err)
		}
	}
	list, err := client.Typed().CoordinationV1().Leases("").List(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	left := map[string]bool{}
	for _, item := range list.Items {
		left[item.Namespace+"/"+item.Name] = true
	}
	want := map[string]bool{"kube-node-lease/cp-2": true, "kube-system/cp-1": true, "kube-system/apiserver-b": true}
	if diff := cmp.Diff(want, left); diff != "" {
		t.Error("-want +got\n" + diff)
	}
	leases, err := client.APIServerLeases(t.Context())
	if diff := cmp.Diff(map[string]Lease{"cp-2": {Holder: "apiserver-b"}}, leases); err != nil || diff != "" {
		t.Error(err, "-want +got\n"+diff)
	}
}
