package xray

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"

	"github.com/haplane/haplane/internal/xray/evidence"
)

var nodeProgramChecks = []Check{
	{
		ID: "node-programs-run", Subject: Nodes, Title: "kubelet runs on every node, and kube-proxy on all or on none",
		Why:    "Without kube-proxy a node keeps the rules that it had: it stays Ready, and sends connections to Services where pods were. Its pods lose Services one after the other, the API's among them. A kubelet that has stopped is noticed by the control plane after 40 s. Where no node has a kube-proxy, something else does its work.",
		Source: "https://kubernetes.io/docs/reference/command-line-tools-reference/kube-proxy/",
		Fix:    "Start the program on the node, and see its log.",
		Needs:  []evidence.Way{evidence.Machines, evidence.API}, Run: nodeProgramsRun,
	},
}

func nodeProgramsRun(s *Scene) []Finding {
	var out []Finding
	for _, m := range s.Machines {
		if k := m.Program(evidence.Kubelet); k != nil && m.Way == evidence.Machines {
			out = append(out, judgeRunning(Instance{k, m}))
		}
	}
	example := s.proxied()
	for _, m := range s.Machines {
		if k := m.Program(evidence.Kubelet); m.Way != evidence.Machines || k == nil || standsAlone(Instance{k, m}) {
			continue
		}
		switch p := m.Program(evidence.KubeProxy); {
		case p != nil:
			out = append(out, judgeRunning(Instance{p, m}))
		case example == "":
			out = append(out, at{node: m.Name}.skip("no kube-proxy, as on all nodes that were seen: something else may do its work"))
		default:
			out = append(out, at{node: m.Name}.fail("a kube-proxy, as on "+example, "neither process nor unit of kube-proxy"))
		}
	}
	return append(out, s.proxyPods(example)...)
}

// standsAlone tells a kubelet that asks no API server: it keeps static pods, of etcd say, and its
// machine is no node.
func standsAlone(k Instance) bool {
	_, asks := k.Flag("kubeconfig")
	_, joins := k.Flag("bootstrap-kubeconfig")
	return !asks && !joins && len(k.Argv) > 0
}

func judgeRunning(p Instance) Finding {
	if p.Running {
		return p.at().pass("%s runs", p.Name)
	}
	observed := p.Name + " does not run"
	if p.Unit != nil && p.Unit.Active != "" {
		observed += fmt.Sprintf(": %s is %s", p.Unit.Name, p.Unit.Active)
	}
	return p.at().fail(p.Name+" that runs", observed)
}

// proxied is a node with a kube-proxy that runs; "" where none was seen.
func (s *Scene) proxied() string {
	for _, p := range s.Instances(evidence.KubeProxy) {
		if p.Running && p.Machine.Way == evidence.Machines {
			return p.Machine.Name
		}
	}
	if s.API != nil {
		for _, p := range s.API.Pods {
			if isProxy(p) && podServes(p) {
				return p.Spec.NodeName
			}
		}
	}
	return ""
}

// isProxy tells a pod of kube-proxy by the label that kubeadm and others give its DaemonSet.
func isProxy(p corev1.Pod) bool { return p.Labels["k8s-app"] == evidence.KubeProxy }

// proxyPods judges nodes that were not looked into by their pods. A node without one may
// be left out on purpose, and one that is not Ready is what nodes-ready finds.
func (s *Scene) proxyPods(example string) []Finding {
	if s.API == nil || s.API.Pods == nil || example == "" {
		return nil
	}
	var out []Finding
	for _, n := range s.API.Nodes {
		if m := s.MachineOf(n); m != nil && m.Way == evidence.Machines && lookedInto(m) || !isReady(n) {
			continue
		}
		out = append(out, s.proxyPod(n, example))
	}
	return out
}

func (s *Scene) proxyPod(n corev1.Node, example string) Finding {
	where := at{n.Name, "pods of kube-system with k8s-app=kube-proxy"}
	found := ""
	for _, p := range s.API.Pods {
		switch {
		case !isProxy(p) || p.Spec.NodeName != n.Name:
		case podServes(p):
			return where.pass("%s is ready", p.Name)
		default:
			found = p.Name
		}
	}
	expected := "a kube-proxy, as on " + example
	switch {
	case found == "" && elsewise(n):
		return where.skip("no such pod, as DaemonSets for nodes with Linux have none here")
	case found != "":
		return where.fail(expected, found+" is not ready").fixed("See what kubectl --namespace=kube-system describe pod %s says.", found)
	case !s.proxyInPods():
		return where.skip("it was not looked into, and kube-proxy runs in no pod")
	}
	return where.warn(expected, "no such pod on the node").fixed("See whether the DaemonSet of kube-proxy leaves %s out on purpose: its nodeSelector, affinity and tolerations.", n.Name)
}

// elsewise tells nodes that the DaemonSet of kube-proxy is not for: Windows has one of its own, and
// virtual ones have no network of theirs.
func elsewise(n corev1.Node) bool {
	return n.Labels[corev1.LabelOSStable] == "windows" || n.Labels["type"] == "virtual-kubelet" || n.Labels["eks.amazonaws.com/compute-type"] == "fargate"
}

func (s *Scene) proxyInPods() bool {
	for _, p := range s.API.Pods {
		if isProxy(p) {
			return true
		}
	}
	return false
}
