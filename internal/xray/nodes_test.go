package xray

import (
	"slices"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/haplane/haplane/internal/xray/evidence"
	"github.com/haplane/haplane/internal/xray/evidence/evidencetest"
	"github.com/haplane/haplane/spec"
)

func withNode(name string, change func(*corev1.Node)) func(*evidence.Evidence) {
	return func(e *evidence.Evidence) { change(evidencetest.Node(e, name)) }
}

func dropNode(name string) func(*evidence.Evidence) {
	return func(e *evidence.Evidence) {
		e.API.Nodes = slices.DeleteFunc(e.API.Nodes, func(n corev1.Node) bool { return n.Name == name })
	}
}

// clusterFile has with nodes of the fixture and one more worker.
var clusterFile = &spec.Cluster{Spec: spec.Spec{Identity: spec.Shared, Nodes: []spec.Node{
	{Name: "cp-1", Role: spec.RoleControlPlane}, {Name: "cp-2", Role: spec.RoleControlPlane}, {Name: "cp-3", Role: spec.RoleControlPlane},
	{Name: "worker-1", Role: spec.RoleWorker}, {Name: "worker-2", Role: spec.RoleWorker}, {Name: "lb-1", Role: spec.RoleLoadBalancer}}}}

var (
	apiOnlyKubeadm = func() *evidence.Evidence { return evidencetest.APIOnly(evidencetest.Kubeadm()) }
	apiOnlyShared  = func() *evidence.Evidence { return evidencetest.APIOnly(evidencetest.Healthy(spec.Shared)) }
	folderShared   = func() *evidence.Evidence { return evidencetest.Folder(evidencetest.Healthy(spec.Shared)) }
)

// dns changes the pods of CoreDNS, of which there are two: on cp-2 and worker-1.
func dns(change func(pods []corev1.Pod) []corev1.Pod) func(*evidence.Evidence) {
	return func(e *evidence.Evidence) { e.API.Pods = change(e.API.Pods) }
}

func eachPod(change func(*corev1.Pod)) func(*evidence.Evidence) {
	return dns(func(pods []corev1.Pod) []corev1.Pod {
		for i := range pods {
			change(&pods[i])
		}
		return pods
	})
}

func unready(p *corev1.Pod) { p.Status.Conditions[0].Status = corev1.ConditionFalse }

var nodeCases = slices.Concat(readyCases, dnsCases, serviceCases, toleratedCases)

var readyCases = []checkCase{
	{check: "nodes-ready", name: "healthy", status: Pass, says: "Ready"},
	{check: "nodes-ready", name: "through the API alone", of: apiOnlyShared, status: Pass},
	{check: "nodes-ready", name: "files alone", of: folderShared, status: Skip, says: "the API (--kubeconfig)"},
	{check: "nodes-ready", name: "not ready", status: Fail, node: "worker-1", says: "not Ready: KubeletNotReady: container runtime is down", change: withNode("worker-1", func(n *corev1.Node) {
		c := &n.Status.Conditions[0]
		c.Status, c.Reason, c.Message = corev1.ConditionFalse, "KubeletNotReady", "container runtime is down"
	})},
	{check: "nodes-ready", name: "its kubelet has stopped", status: Fail, node: "cp-2", says: "has stopped reporting: NodeStatusUnknown", change: withNode("cp-2", func(n *corev1.Node) {
		n.Status.Conditions[0].Status, n.Status.Conditions[0].Reason = corev1.ConditionUnknown, "NodeStatusUnknown"
	})},
	{check: "nodes-ready", name: "it has never reported", status: Fail, node: "cp-2", says: "never", change: withNode("cp-2", func(n *corev1.Node) { n.Status.Conditions = nil })},
	{check: "nodes-ready", name: "its machine died", status: Fail, node: "cp-3", change: func(e *evidence.Evidence) { evidencetest.Fail(e, "cp-3") }},
	{check: "nodes-ready", name: "it has no space left", status: Warn, node: "cp-1", says: "DiskPressure: kubelet has disk pressure", change: withNode("cp-1", func(n *corev1.Node) {
		n.Status.Conditions = append(n.Status.Conditions, corev1.NodeCondition{Type: corev1.NodeDiskPressure, Status: corev1.ConditionTrue, Message: "kubelet has disk pressure"})
	})},
	{check: "nodes-ready", name: "a condition that is no trouble", status: Pass, change: withNode("cp-1", func(n *corev1.Node) {
		n.Status.Conditions = append(n.Status.Conditions, corev1.NodeCondition{Type: corev1.NodeMemoryPressure, Status: corev1.ConditionFalse},
			corev1.NodeCondition{Type: "KernelHasNoDeadlock", Status: corev1.ConditionTrue})
	})},
	{check: "nodes-ready", name: "closed to new pods", status: Pass, says: "cordoned", change: withNode("cp-1", func(n *corev1.Node) { n.Spec.Unschedulable = true })},
	{check: "nodes-ready", name: "a kubelet has no node", status: Fail, node: "worker-1", says: "no such node", change: dropNode("worker-1")},
	{check: "nodes-ready", name: "a kubelet under another name", status: Pass, change: func(e *evidence.Evidence) {
		m := evidencetest.Machine(e, "worker-1")
		m.Name, m.Hostname = "10.10.10.21", "ip-10-10-10-21"
	}},
	{check: "nodes-ready", name: "named as the user names the machine", status: Fail, node: "box", change: func(e *evidence.Evidence) {
		evidencetest.Machine(e, "worker-1").Name = "box"
		stopsReporting(evidencetest.Node(e, "worker-1"))
	}},
	{check: "nodes-ready", name: "the cluster file has one more", status: Fail, node: "worker-2", says: "no such node", expect: Expectation{Cluster: clusterFile}},
	{check: "nodes-ready", name: "control-plane nodes that are to have no kubelet", status: Pass, expect: Expectation{Cluster: &spec.Cluster{Spec: spec.Spec{
		ControlPlane: spec.ControlPlane{Kubelet: new(false)}, Nodes: clusterFile.Spec.Nodes[:4]}}}, change: func(e *evidence.Evidence) {
		dropNode("cp-1")(e)
		evidencetest.DropProgram(e, "cp-1", evidence.Kubelet)
	}},
	{check: "nodes-ready", name: "nodes could not be listed", status: Skip, change: func(e *evidence.Evidence) { e.API.Nodes = nil }},
}

func stopsReporting(n *corev1.Node) { n.Status.Conditions[0].Status = corev1.ConditionUnknown }

var dnsCases = []checkCase{
	{check: "coredns-spread", name: "healthy", status: Pass, says: "2 ready replicas on cp-2, worker-1"},
	{check: "coredns-spread", name: "through the API alone", of: apiOnlyKubeadm, status: Pass},
	{check: "coredns-spread", name: "files alone", of: folderShared, status: Skip, says: "the API (--kubeconfig)"},
	{check: "coredns-spread", name: "one replica", status: Warn, says: "one ready replica, on worker-1", change: dns(func(pods []corev1.Pod) []corev1.Pod { return pods[1:] })},
	{check: "coredns-spread", name: "one of two is ready", status: Warn, says: "one ready replica, on worker-1", change: dns(func(pods []corev1.Pod) []corev1.Pod {
		unready(&pods[0])
		return pods
	})},
	{check: "coredns-spread", name: "one of two is about to end", status: Warn, says: "on cp-2", change: dns(func(pods []corev1.Pod) []corev1.Pod {
		pods[1].DeletionTimestamp = &metav1.Time{Time: evidencetest.At}
		return pods
	})},
	{check: "coredns-spread", name: "all on one node", status: Warn, says: "2 ready replicas, all on cp-1", change: eachPod(func(p *corev1.Pod) { p.Spec.NodeName = "cp-1" })},
	{check: "coredns-spread", name: "none is ready", status: Fail, says: "describe pods", change: eachPod(unready)},
	{check: "coredns-spread", name: "there is none", status: Fail, says: "no such pod", change: dns(func([]corev1.Pod) []corev1.Pod { return []corev1.Pod{} })},
	{check: "coredns-spread", name: "pods could not be listed", status: Skip, change: dns(func([]corev1.Pod) []corev1.Pod { return nil })},
}

// throughTheService changes the request that worker-1 made.
func throughTheService(change func(*evidence.Request)) func(*evidence.Evidence) {
	return func(e *evidence.Evidence) { change(evidencetest.Request(e, "worker-1", evidence.ThroughService)) }
}

var serviceCases = []checkCase{
	{check: "kubernetes-service-reachable", name: "healthy", status: Pass, says: "200, the certificate verified"},
	{check: "kubernetes-service-reachable", name: "through the API alone", of: apiOnlyShared, status: Skip, says: "machines over SSH"},
	{check: "kubernetes-service-reachable", name: "files alone", of: folderShared, status: Skip, says: "machines over SSH"},
	{check: "kubernetes-service-reachable", name: "no way", status: Fail, node: "worker-1", says: "i/o timeout", change: throughTheService(func(r *evidence.Request) { r.Status, r.Err = 0, "i/o timeout" })},
	{check: "kubernetes-service-reachable", name: "the certificate lacks the address", status: Fail, node: "worker-1", says: "not 10.96.0.1", change: throughTheService(func(r *evidence.Request) {
		r.Status, r.Err = 0, "x509: certificate is valid for 10.10.10.3, not 10.96.0.1"
	})},
	{check: "kubernetes-service-reachable", name: "kube-proxy does not run", status: Fail, node: "worker-1", says: "kube-proxy does not run", change: func(e *evidence.Evidence) {
		throughTheService(func(r *evidence.Request) { r.Status, r.Err = 0, "no route to host" })(e)
		evidencetest.Program(e, "worker-1", evidence.KubeProxy).Running = false
	}},
	{check: "kubernetes-service-reachable", name: "not ready", status: Fail, node: "worker-1", says: "500", change: throughTheService(func(r *evidence.Request) { r.Status = 500 })},
	{check: "kubernetes-service-reachable", name: "anonymous requests are off", status: Pass, says: "401", change: throughTheService(func(r *evidence.Request) { r.Status = 401 })},
	{check: "kubernetes-service-reachable", name: "one was not asked", status: Skip, says: "no request", change: func(e *evidence.Evidence) { evidencetest.Machine(e, "worker-1").Requests = nil }},
}
