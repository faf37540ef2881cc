package xray

import (
	"fmt"
	"maps"
	"slices"

	corev1 "k8s.io/api/core/v1"

	"github.com/haplane/haplane/internal/xray/evidence"
)

// dnsLabel is what the pods of a cluster's DNS have, whether CoreDNS or what came
// before it, so that the Service kube-dns finds them.
const dnsLabel, dnsName = "k8s-app", "kube-dns"

func corednsSpread(s *Scene) []Finding {
	if s.API == nil || s.API.Pods == nil {
		return nil
	}
	where := at{source: "pods of kube-system with " + dnsLabel + "=" + dnsName}
	all, ready, nodes := 0, 0, map[string]bool{}
	for _, p := range s.API.Pods {
		if p.Labels[dnsLabel] != dnsName {
			continue
		}
		all++
		if podServes(p) {
			ready++
			nodes[p.Spec.NodeName] = true
		}
	}
	const expected = "two ready replicas on different nodes"
	on := list(slices.Sorted(maps.Keys(nodes)))
	switch {
	case all == 0:
		return []Finding{where.fail(expected, "there is no such pod")}
	case ready == 0:
		return []Finding{where.fail(expected, fmt.Sprintf("none of %s is ready", plural(all, "pod"))).
			fixed("See what kubectl --namespace=kube-system describe pods --selector=%s=%s says.", dnsLabel, dnsName)}
	case ready == 1:
		return []Finding{where.warn(expected, "one ready replica, on "+on)}
	case len(nodes) == 1:
		return []Finding{where.warn(expected, fmt.Sprintf("%d ready replicas, all on %s", ready, on))}
	}
	return []Finding{where.pass("%d ready replicas on %s", ready, on)}
}

// podServes tells a pod that gets traffic: ready, and not about to end.
func podServes(p corev1.Pod) bool {
	return p.DeletionTimestamp == nil && slices.ContainsFunc(p.Status.Conditions, func(c corev1.PodCondition) bool {
		return c.Type == corev1.PodReady && c.Status == corev1.ConditionTrue
	})
}

func kubernetesServiceReachable(s *Scene) []Finding {
	return s.fromNodes(evidence.ThroughService, throughService)
}

func throughService(m *evidence.Machine, r evidence.Request) Finding {
	where, expected := at{m.Name, "GET " + r.URL}, "200, the certificate verified"
	observed := fmt.Sprintf("%d, the certificate verified", r.Status)
	if r.Err != "" {
		observed = r.Err
		if p := m.Program(evidence.KubeProxy); p != nil && !p.Running {
			observed += "; kube-proxy does not run"
		}
	}
	return where.judge(r.Err == "" && answered(r), Fail, expected, observed)
}

// answered tells that an API server took a request to /readyz. Where anonymous
// requests are off it does not say whether it is ready.
func answered(r evidence.Request) bool {
	return slices.Contains([]int{200, 401, 403}, r.Status)
}
