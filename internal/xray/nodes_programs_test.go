package xray

import (
	"slices"

	corev1 "k8s.io/api/core/v1"

	"github.com/haplane/haplane/internal/xray/evidence"
	"github.com/haplane/haplane/internal/xray/evidence/evidencetest"
	"github.com/haplane/haplane/spec"
)

func withoutProgram(node, program string) func(*evidence.Evidence) {
	return func(e *evidence.Evidence) { evidencetest.DropProgram(e, node, program) }
}

// dropPods takes pods of a label away on a node, or on all where it is "".
func dropPods(app, node string) func(*evidence.Evidence) {
	return func(e *evidence.Evidence) {
		e.API.Pods = slices.DeleteFunc(e.API.Pods, func(p corev1.Pod) bool {
			return p.Labels["k8s-app"] == app && (node == "" || p.Spec.NodeName == node)
		})
	}
}

// unreadyProxy has the pod of kube-proxy on a node fail.
func unreadyProxy(node string) func(*evidence.Evidence) {
	return eachPod(func(p *corev1.Pod) {
		if isProxy(*p) && p.Spec.NodeName == node {
			unready(p)
		}
	})
}

var programCases = []checkCase{
	{check: "node-programs-run", name: "healthy", status: Pass, says: "kube-proxy runs"},
	{check: "node-programs-run", name: "healthy kubeadm", of: evidencetest.Kubeadm, status: Pass, says: "kube-proxy runs"},
	{check: "node-programs-run", name: "kube-proxy was stopped", status: Fail, node: "worker-1", says: "kube-proxy.service is inactive", change: stopProgram("worker-1", evidence.KubeProxy)},
	{check: "node-programs-run", name: "kube-proxy was stopped and disabled", status: Fail, node: "worker-1", says: "neither process nor unit", change: withoutProgram("worker-1", evidence.KubeProxy)},
	{check: "node-programs-run", name: "a pod of kube-proxy is not there", of: evidencetest.Kubeadm, status: Fail, node: "cp-2", says: "as on cp-1", change: withoutProgram("cp-2", evidence.KubeProxy)},
	{check: "node-programs-run", name: "a kubelet that keeps etcd alone", of: evidencetest.Kubeadm, status: Pass, change: changes(withoutProgram("cp-2", evidence.KubeProxy), func(e *evidence.Evidence) {
		evidencetest.DropFlag(evidencetest.Program(e, "cp-2", evidence.Kubelet), "kubeconfig")
	})},
	{check: "node-programs-run", name: "no kube-proxy at all", status: Skip, says: "something else may do its work", change: func(e *evidence.Evidence) {
		for _, node := range []string{"cp-1", "cp-2", "cp-3", "worker-1"} {
			evidencetest.DropProgram(e, node, evidence.KubeProxy)
		}
	}},
	{check: "node-programs-run", name: "the kubelet was stopped", status: Fail, node: "cp-3", says: "kubelet.service is inactive", change: stopProgram("cp-3", evidence.Kubelet)},
	{check: "node-programs-run", name: "by its pods", of: apiOnlyKubeadm, status: Pass, says: "kube-proxy-worker-1 is ready"},
	{check: "node-programs-run", name: "a pod that is not ready", of: apiOnlyKubeadm, status: Fail, node: "worker-1", says: "kube-proxy-worker-1 is not ready", change: unreadyProxy("worker-1")},
	{check: "node-programs-run", name: "a node without a pod", of: apiOnlyKubeadm, status: Warn, node: "worker-1", says: "on purpose", change: dropPods(evidence.KubeProxy, "worker-1")},
	{check: "node-programs-run", name: "a node with Windows", of: apiOnlyKubeadm, status: Skip, node: "worker-1", says: "nodes with Linux", change: changes(dropPods(evidence.KubeProxy, "worker-1"), withNode("worker-1", func(n *corev1.Node) {
		n.Labels[corev1.LabelOSStable] = "windows"
	}))},
	{check: "node-programs-run", name: "a node that is not Ready", of: apiOnlyKubeadm, status: Pass, change: changes(unreadyProxy("worker-1"), withNode("worker-1", func(n *corev1.Node) {
		n.Status.Conditions[0].Status = corev1.ConditionFalse
	}))},
	{check: "node-programs-run", name: "no pods of it", of: apiOnlyKubeadm, status: Skip, change: dropPods(evidence.KubeProxy, "")},
	{check: "node-programs-run", name: "units through the API", of: apiOnlyShared, status: Skip},
	{check: "node-programs-run", name: "files", of: func() *evidence.Evidence { return evidencetest.Folder(evidencetest.Healthy(spec.Shared)) }, status: Skip, says: "seen only with"},
}
