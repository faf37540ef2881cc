package xray

import (
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"

	"github.com/haplane/haplane/internal/xray/evidence"
	"github.com/haplane/haplane/spec"
)

var nodeChecks = []Check{
	{
		ID: "nodes-ready", Subject: Nodes, Title: "Every node is Ready",
		Why:    "A node that is not Ready gets no new pods, and after five minutes loses those that it has. Of a control-plane node it is often the first sign that the machine is about to go.",
		Source: "https://kubernetes.io/docs/concepts/architecture/nodes/#condition",
		Fix:    "Look at the log of the node's kubelet and of its container runtime.",
		Needs:  []evidence.Way{evidence.API}, Run: nodesReady,
	},
	{
		ID: "coredns-spread", Subject: Nodes, Title: "CoreDNS serves on at least two nodes",
		Why:    "Pods find each other, and the API by its name, through the cluster's DNS. With one replica, or all on one node, the failure of that node stops it until new pods have started elsewhere, which takes minutes.",
		Source: "https://kubernetes.io/docs/tasks/administer-cluster/dns-horizontal-autoscaling/",
		Fix:    "Give the Deployment coredns two replicas or more, and an anti-affinity to its own pods or a topology spread over kubernetes.io/hostname.",
		Needs:  []evidence.Way{evidence.API}, Run: corednsSpread,
	},
	{
		ID: "kubernetes-service-reachable", Subject: Nodes, Title: "Every node reaches the API through the kubernetes Service",
		Why:    "Pods reach the API under the Service's address and verify it. Where a node's kube-proxy or packet filter does not lead there, or the certificate lacks the address, controllers, operators and DNS on that node are cut off although the node is Ready.",
		Source: "https://kubernetes.io/docs/tasks/run-application/access-api-from-pod/",
		Fix:    "Look at kube-proxy on the node, at its packet filter, and at the endpoints of default/kubernetes.",
		Needs:  fromMachines, Run: kubernetesServiceReachable,
	},
	{
		ID: "failures-tolerated", Subject: Nodes, Title: "The control plane tolerates as many failures as it has nodes for",
		Why:    "One API server and more than half of etcd's voting members have to serve, and clients need a way to reach them. What is down already uses up what is left for the next failure.",
		Source: "https://kubernetes.io/docs/setup/production-environment/tools/kubeadm/ha-topology/",
		Fix:    "Start what does not serve, or replace its machine. Three control-plane nodes with an etcd member each tolerate the failure of one.",
		Needs:  []evidence.Way{evidence.Machines, evidence.API}, Run: failuresTolerated,
	},
}

func nodesReady(s *Scene) []Finding {
	if s.API == nil || s.API.Nodes == nil {
		return nil
	}
	var out []Finding
	for _, n := range s.API.Nodes {
		out = append(out, s.nodeReady(n)...)
	}
	return append(out, s.nodesGone()...)
}

func (s *Scene) nodeReady(n corev1.Node) []Finding {
	where := at{n.Name, "node " + n.Name}
	if m := s.MachineOf(n); m != nil {
		where.node = m.Name
	}
	i := slices.IndexFunc(n.Status.Conditions, func(c corev1.NodeCondition) bool { return c.Type == corev1.NodeReady })
	if i < 0 {
		return []Finding{where.fail("Ready", "it has never said so: its kubelet has not reported yet")}
	}
	if c := n.Status.Conditions[i]; c.Status != corev1.ConditionTrue {
		return []Finding{where.fail("Ready", notReady(c))}
	}
	var out []Finding
	for _, c := range n.Status.Conditions {
		if c.Type != corev1.NodeReady && c.Status == corev1.ConditionTrue && slices.Contains(troubles, c.Type) {
			out = append(out, where.warn("no "+string(c.Type), fmt.Sprintf("Ready, but %s: %s", c.Type, c.Message)))
		}
	}
	observed := "Ready"
	if n.Spec.Unschedulable {
		observed += ", closed to new pods (cordoned)"
	}
	return orPass(out, where, "%s", observed)
}

// troubles are conditions under which a Ready node still gets no new pods.
var troubles = []corev1.NodeConditionType{corev1.NodeMemoryPressure, corev1.NodeDiskPressure, corev1.NodePIDPressure, corev1.NodeNetworkUnavailable}

func notReady(c corev1.NodeCondition) string {
	text := "not Ready"
	if c.Status == corev1.ConditionUnknown {
		text = "not known to be Ready, its kubelet has stopped reporting"
	}
	if c.Reason != "" {
		text += ": " + c.Reason
	}
	if c.Message != "" {
		text += ": " + c.Message
	}
	return text
}

// nodesGone are kubelets without a node: those that were seen, and those that the
// cluster file wants.
func (s *Scene) nodesGone() []Finding {
	var out []Finding
	for _, m := range s.Machines {
		if k := m.Program(evidence.Kubelet); k != nil && !s.isNodeNow(m, m.Name, k.FlagOr("hostname-override", "")) {
			out = append(out, Instance{k, m}.at().fail("a node of the cluster", "it has a kubelet, and the API has no such node"))
		}
	}
	for _, name := range s.kubeletsByFile() {
		m := s.Machine(name)
		if (m == nil || m.Program(evidence.Kubelet) == nil) && !s.isNodeNow(m, name, "") {
			out = append(out, at{name, "cluster file"}.fail("a node of the cluster", "the API has no such node"))
		}
	}
	return out
}

func (s *Scene) isNodeNow(m *evidence.Machine, name, override string) bool {
	return m != nil && s.NodeOf(m) != nil || slices.ContainsFunc(s.API.Nodes, func(n corev1.Node) bool {
		return n.Name == name || override != "" && n.Name == override
	})
}

// kubeletsByFile are the nodes that the cluster file wants to run a kubelet.
func (s *Scene) kubeletsByFile() []string {
	out := s.Expected(spec.RoleWorker)
	if c := s.Expect.Cluster; c != nil && (c.Spec.ControlPlane.Kubelet == nil || *c.Spec.ControlPlane.Kubelet) {
		out = append(s.Expected(spec.RoleControlPlane), out...)
	}
	return out
}
