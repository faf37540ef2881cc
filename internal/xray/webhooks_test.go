package xray

import (
	"strings"
	"testing"
	"time"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/haplane/haplane/internal/xray/evidence"
	"github.com/haplane/haplane/internal/xray/evidence/evidencetest"
	"github.com/haplane/haplane/spec"
)

// guarding is a webhook that fails closed, for resources as GROUP/RESOURCE.
func guarding(resources ...string) evidence.Webhook {
	w := evidence.Webhook{Kind: evidence.Validating, Object: "policy", Name: "policy.example.org", FailClosed: true, Timeout: 10 * time.Second,
		Service: &evidence.ServiceRef{Namespace: "policy", Name: "webhook", Port: 443}}
	for _, r := range resources {
		group, resource, _ := strings.Cut(r, "/")
		w.Rules = append(w.Rules, admissionv1.RuleWithOperations{Operations: []admissionv1.OperationType{admissionv1.OperationAll},
			Rule: admissionv1.Rule{APIGroups: []string{group}, APIVersions: []string{"*"}, Resources: []string{resource}}})
	}
	return w
}

// webhooks adds some, whose Service has ready endpoints on nodes.
func webhooks(nodes []string, all ...evidence.Webhook) func(*evidence.Evidence) {
	return func(e *evidence.Evidence) {
		e.API.Webhooks = append(e.API.Webhooks, all...)
		e.API.Backings = []evidence.Backing{{Namespace: "policy", Name: "webhook", Exists: true, Ports: []int32{443}, Ready: nodes}}
	}
}

// serviceOf changes the Service of the webhooks.
func serviceOf(change func(*evidence.Backing)) func(*evidence.Evidence) {
	return func(e *evidence.Evidence) { change(&e.API.Backings[0]) }
}

func changed(w evidence.Webhook, change func(*evidence.Webhook)) evidence.Webhook {
	change(&w)
	return w
}

// exempt selects all namespaces but some.
func exempt(names ...string) *metav1.LabelSelector {
	return &metav1.LabelSelector{MatchExpressions: []metav1.LabelSelectorRequirement{{Key: "kubernetes.io/metadata.name", Operator: metav1.LabelSelectorOpNotIn, Values: names}}}
}

var (
	everything = guarding("*/*/*")
	twoNodes   = []string{"cp-1", "worker-1"}
)

func open(w *evidence.Webhook) { w.FailClosed = false }

var extensionCases = []checkCase{
	{check: "webhooks-fail-closed", name: "none", status: Pass, says: "0 webhooks"},
	{check: "webhooks-fail-closed", name: "not read", status: Skip, change: func(e *evidence.Evidence) { e.API.Webhooks = nil }},
	{check: "webhooks-fail-closed", name: "for its own resources", status: Pass, says: "1 webhook, of which 1 fail closed", change: webhooks(twoNodes[:1], guarding("cert-manager.io/certificates"))},
	{check: "webhooks-fail-closed", name: "everything, without a Service", status: Fail, says: "Service policy/webhook does not exist: it stops the heartbeat of nodes, leader election, the status of nodes,",
		change: changes(webhooks(nil, everything), serviceOf(func(b *evidence.Backing) { *b = evidence.Backing{Namespace: "policy", Name: "webhook"} }))},
	{check: "webhooks-fail-closed", name: "everything, without endpoints", status: Fail, says: "has no endpoint", change: webhooks(nil, everything)},
	{check: "webhooks-fail-closed", name: "pods, of which none is ready", status: Fail, says: "no ready endpoint, and 2 that are not: it stops the pods of kube-system, and all writes of pods",
		change: changes(webhooks(nil, guarding("/pods")), serviceOf(func(b *evidence.Backing) { b.NotReady = 2 }))},
	{check: "webhooks-fail-closed", name: "another port", status: Fail, says: "has no port 443", change: changes(webhooks(twoNodes, everything), serviceOf(func(b *evidence.Backing) { b.Ports = []int32{8443} }))},
	{check: "webhooks-fail-closed", name: "headless", status: Fail, says: "headless", change: changes(webhooks(twoNodes, everything), serviceOf(func(b *evidence.Backing) { b.Headless = true }))},
	{check: "webhooks-fail-closed", name: "its own resources, without endpoints", status: Fail, says: "it stops writes of certificates.cert-manager.io", change: webhooks(nil, guarding("cert-manager.io/certificates"))},
	{check: "webhooks-fail-closed", name: "selected namespaces, without endpoints", status: Fail, says: "writes of pods that its selectors match",
		change: webhooks(nil, changed(guarding("/pods"), func(w *evidence.Webhook) {
			w.Namespaces = &metav1.LabelSelector{MatchLabels: map[string]string{"inject": "yes"}}
		}))},
	{check: "webhooks-fail-closed", name: "fails open, without endpoints", status: Pass, says: "0 fail closed", change: webhooks(nil, changed(everything, open))},
	{check: "webhooks-fail-closed", name: "nothing is guarded", status: Pass, change: webhooks(nil, guarding())},
	{check: "webhooks-fail-closed", name: "under conditions, without endpoints", status: Warn, says: "matchConditions", change: webhooks(nil, changed(everything, func(w *evidence.Webhook) { w.Conditional = true }))},
	{check: "webhooks-fail-closed", name: "a conversion without endpoints", status: Fail, says: "it stops reads and writes of widgets.example.org",
		change: webhooks(nil, changed(guarding("example.org/widgets"), func(w *evidence.Webhook) { w.Kind = evidence.Conversion }))},
	{check: "webhooks-fail-closed", name: "everything, answered", status: Warn, says: "it guards the heartbeat of nodes", change: webhooks(twoNodes, everything)},
	{check: "webhooks-fail-closed", name: "nodes alone", status: Warn, says: "it guards the status of nodes", change: webhooks(twoNodes, guarding("/nodes/status"))},
	{check: "webhooks-fail-closed", name: "* is no subresource", status: Warn, says: "it guards the joining of nodes, taints of nodes,", change: webhooks(twoNodes, guarding("/*"))},
	{check: "webhooks-fail-closed", name: "the namespaces of the system are exempt, and its own", status: Pass,
		change: webhooks(twoNodes, changed(guarding("*/pods"), func(w *evidence.Webhook) { w.Namespaces = exempt("kube-system", "policy") }))},
	{check: "webhooks-fail-closed", name: "nodes are in no namespace", status: Warn, says: "it guards the joining of nodes",
		change: webhooks(twoNodes, changed(guarding("*/*"), func(w *evidence.Webhook) { w.Namespaces = exempt("kube-system", "kube-node-lease", "policy") }))},
	{check: "webhooks-fail-closed", name: "namespaced alone", status: Pass,
		change: webhooks(twoNodes, changed(guarding("*/*"), func(w *evidence.Webhook) {
			w.Namespaces, w.Rules[0].Scope = exempt("kube-system", "kube-node-lease", "policy"), new(admissionv1.NamespacedScope)
		}))},
	{check: "webhooks-fail-closed", name: "kube-system is exempt by a label of its own", status: Pass, change: changes(
		webhooks(twoNodes, changed(guarding("/pods"), func(w *evidence.Webhook) {
			w.Namespaces = &metav1.LabelSelector{MatchExpressions: []metav1.LabelSelectorRequirement{{Key: "exempt", Operator: metav1.LabelSelectorOpDoesNotExist}}}
		})),
		func(e *evidence.Evidence) {
			e.API.Namespaces = map[string]map[string]string{"kube-system": {"exempt": "yes"}, "policy": {"exempt": "yes"}}
		})},
	{check: "webhooks-fail-closed", name: "objects by a label", status: Pass,
		change: webhooks(twoNodes, changed(everything, func(w *evidence.Webhook) {
			w.Objects = &metav1.LabelSelector{MatchLabels: map[string]string{"inject": "yes"}}
		}))},
	{check: "webhooks-fail-closed", name: "its own pods", status: Warn, says: "the pods of its own namespace policy", change: webhooks(twoNodes, changed(guarding("/pods"), func(w *evidence.Webhook) { w.Namespaces = exempt("kube-system") }))},
	{check: "webhooks-fail-closed", name: "its own pods, exempt by their label", status: Pass, change: changes(
		webhooks(twoNodes, changed(guarding("/pods"), func(w *evidence.Webhook) {
			w.Namespaces, w.Objects = exempt("kube-system"), &metav1.LabelSelector{MatchExpressions: []metav1.LabelSelectorRequirement{{Key: "control-plane-component", Operator: metav1.LabelSelectorOpDoesNotExist}}}
		})), serviceOf(func(b *evidence.Backing) { b.Selector = map[string]string{"control-plane-component": "injector"} }))},
	{check: "webhooks-fail-closed", name: "headless, with API servers that go to pods", status: Pass, change: changes(webhooks(twoNodes, guarding("cert-manager.io/certificates")),
		serviceOf(func(b *evidence.Backing) { b.Headless = true }), setFlags(server, "enable-aggregator-routing", "true"))},
	{check: "webhooks-fail-closed", name: "headless, and one API server goes to its address", status: Fail, says: "headless", change: changes(webhooks(twoNodes, guarding("cert-manager.io/certificates")),
		serviceOf(func(b *evidence.Backing) { b.Headless = true }), setFlag("cp-1", server, "enable-aggregator-routing", "true"))},
	{check: "webhooks-fail-closed", name: "pods, by one pod of a cluster of one node", status: Pass, change: changes(
		webhooks(twoNodes[:1], changed(guarding("/pods"), func(w *evidence.Webhook) { w.Namespaces = exempt("kube-system", "policy") })),
		func(e *evidence.Evidence) { e.API.Nodes = e.API.Nodes[:1] })},
	{check: "webhooks-fail-closed", name: "pods, by one pod", status: Warn, says: "it guards pods, and one pod alone answers, on cp-1",
		change: webhooks(twoNodes[:1], changed(guarding("/pods"), func(w *evidence.Webhook) { w.Namespaces = exempt("kube-system", "policy") }))},
	{check: "webhooks-fail-closed", name: "pods, all on one node", status: Warn, says: "all 2 pods that answer are on cp-1",
		change: webhooks([]string{"cp-1", "cp-1"}, changed(guarding("/pods"), func(w *evidence.Webhook) { w.Namespaces = exempt("kube-system", "policy") }))},
	{check: "webhooks-fail-closed", name: "pods, at a URL", status: Warn, says: "asked at https://10.0.0.9/validate", change: webhooks(nil, changed(guarding("/pods"), func(w *evidence.Webhook) {
		w.Service, w.URL = nil, "https://10.0.0.9/validate"
	}))},
	{check: "webhooks-fail-closed", name: "reading alone", status: Pass, change: webhooks(nil, changed(guarding("/pods"), func(w *evidence.Webhook) {
		w.Rules[0].Operations, w.FailClosed = []admissionv1.OperationType{admissionv1.Connect}, false
	}))},
	{check: "webhooks-fail-closed", name: "everything, at a URL where nobody answers", status: Fail, says: "no leader renews its Lease any more, asked at https://10.0.0.9", change: changes(
		webhooks(nil, changed(everything, func(w *evidence.Webhook) { w.Service, w.URL = nil, "https://10.0.0.9" })),
		renewedBefore("kube-scheduler", time.Minute), renewedBefore("kube-controller-manager", time.Minute))},
	{check: "webhooks-fail-closed", name: "everything, with endpoints that do not answer", status: Fail, says: "no leader renews", change: changes(webhooks(twoNodes, everything),
		renewedBefore("kube-scheduler", time.Minute), renewedBefore("kube-controller-manager", time.Minute))},
	{check: "webhooks-fail-closed", name: "an API server that is on no node", status: Warn, says: "those of cp-1 run on machines without kubelet", change: changes(webhooks(twoNodes, guarding("cert-manager.io/certificates")),
		withoutProgram("cp-1", evidence.Kubelet), withoutProgram("cp-1", evidence.KubeProxy))},
	{check: "webhooks-fail-closed", name: "API servers with a way of their own", of: evidencetest.K0s, status: Pass, change: webhooks(twoNodes, guarding("cert-manager.io/certificates"))},
	{check: "webhooks-fail-closed", name: "one leader renews", status: Warn, says: "it guards", change: changes(webhooks(twoNodes, everything), renewedBefore("kube-scheduler", time.Minute))},
	{check: "webhooks-fail-closed", name: "slow for Leases", status: Warn, says: "up to 10s, if they hang: policy.example.org", change: webhooks(twoNodes, changed(everything, open))},
	{check: "webhooks-fail-closed", name: "many, each soon", status: Warn, says: "up to 12s", change: webhooks(twoNodes, mutatingSoon, mutatingSoon, changed(mutatingSoon, func(w *evidence.Webhook) { w.Kind = evidence.Validating }))},
	{check: "webhooks-fail-closed", name: "two, each soon", status: Pass, change: webhooks(twoNodes, mutatingSoon, mutatingSoon)},

	{check: "aggregated-apis", name: "none", status: Pass, says: "none"},
	{check: "aggregated-apis", name: "not read", status: Skip, change: func(e *evidence.Evidence) { e.API.APIServices = nil }},
	{check: "aggregated-apis", name: "available", status: Pass, says: "v1beta1.metrics.k8s.io", change: metrics("True", "")},
	{check: "aggregated-apis", name: "not available", status: Fail, says: "FailedDiscoveryCheck", change: metrics("False", "FailedDiscoveryCheck: no response")},
	{check: "aggregated-apis", name: "nobody said", status: Warn, says: "nobody has found out", change: metrics("", "")},
	{check: "aggregated-apis", name: "without a Service", status: Fail, says: "Service kube-system/metrics-server does not exist", change: changes(metrics("False", "ServiceNotFound"), func(e *evidence.Evidence) {
		e.API.Backings = []evidence.Backing{{Namespace: "kube-system", Name: "metrics-server"}}
	})},
}

var mutatingSoon = changed(everything, func(w *evidence.Webhook) { w.Kind, w.FailClosed, w.Timeout = evidence.Mutating, false, 4*time.Second })

func metrics(available, reason string) func(*evidence.Evidence) {
	return func(e *evidence.Evidence) {
		e.API.APIServices = []evidence.APIService{{Name: "v1beta1.metrics.k8s.io", Group: "metrics.k8s.io", Available: available, Reason: reason,
			Service: evidence.ServiceRef{Namespace: "kube-system", Name: "metrics-server", Port: 443}}}
	}
}

// Webhooks as their makers install them, with two replicas, stop nothing that a cluster lives by.
func TestWebhooksAsTheyAreInstalled(t *testing.T) {
	not := func(key string, values ...string) *metav1.LabelSelector {
		r := metav1.LabelSelectorRequirement{Key: key, Operator: metav1.LabelSelectorOpNotIn, Values: values}
		if len(values) == 0 {
			r.Operator, r.Values = metav1.LabelSelectorOpDoesNotExist, nil
		}
		return &metav1.LabelSelector{MatchExpressions: []metav1.LabelSelectorRequirement{r}}
	}
	with := func(w evidence.Webhook, namespaces, objects *metav1.LabelSelector, timeout time.Duration) evidence.Webhook {
		w.Namespaces, w.Objects, w.Timeout = namespaces, objects, timeout
		return w
	}
	for name, all := range map[string][]evidence.Webhook{
		"cert-manager": {with(guarding("cert-manager.io/*/*", "acme.cert-manager.io/*/*"), not("cert-manager.io/disable-validation", "true"), nil, 30*time.Second)},
		"gatekeeper": {changed(with(guarding("*/*", "/pods/exec", "/services/status"), exempt("policy"), nil, 3*time.Second), open),
			with(guarding("/namespaces"), exempt("policy"), nil, 3*time.Second),
			changed(with(guarding("*/*"), exempt("policy"), nil, time.Second), func(w *evidence.Webhook) { w.Kind, w.FailClosed = evidence.Mutating, false })},
		"istio by namespace": {with(guarding("/pods"), &metav1.LabelSelector{MatchLabels: map[string]string{"istio-injection": "enabled"}}, not("sidecar.istio.io/inject", "false"), 10*time.Second)},
		"istio by pod":       {with(guarding("/pods"), not("istio-injection"), &metav1.LabelSelector{MatchLabels: map[string]string{"sidecar.istio.io/inject": "true"}}, 10*time.Second)},
		"linkerd":            {with(guarding("/pods", "/services"), exempt("kube-system", "cert-manager"), not("app"), 10*time.Second)},
		"ingress-nginx":      {with(guarding("networking.k8s.io/ingresses"), nil, nil, 10*time.Second)},
		"load balancers":     {with(guarding("/services"), nil, not("app", "webhook"), 10*time.Second)},
		"kyverno itself":     {with(guarding("coordination.k8s.io/leases"), nil, &metav1.LabelSelector{MatchLabels: map[string]string{"app": "webhook"}}, 10*time.Second)},
	} {
		t.Run(name, func(t *testing.T) {
			e := evidencetest.Healthy(spec.Shared)
			webhooks(twoNodes, all...)(e)
			serviceOf(func(b *evidence.Backing) { b.Selector = map[string]string{"app": "webhook"} })(e)
			check, _ := Find("webhooks-fail-closed")
			if f := check.findings(NewScene(e, Expectation{})); len(f) != 1 || f[0].Status != Pass {
				t.Error(show(f))
			}
		})
	}
}

// What is wrong with the way to all Services is one finding, however many webhooks there are.
func TestNoWayToServicesIsSaidOnce(t *testing.T) {
	e := evidencetest.Healthy(spec.Shared)
	changes(webhooks(twoNodes, guarding("a/b"), guarding("c/d")), withoutProgram("cp-1", evidence.Kubelet), withoutProgram("cp-1", evidence.KubeProxy))(e)
	check, _ := Find("webhooks-fail-closed")
	if f := check.findings(NewScene(e, Expectation{})); len(f) != 1 || f[0].Status != Warn {
		t.Error(show(f))
	}
}

func TestVerdictOfAWebhookThatRefuses(t *testing.T) {
	e := evidencetest.Healthy(spec.Shared)
	webhooks(nil, everything)(e)
	if v := Evaluate(e, Options{}).Verdict; !strings.Contains(v.Summary, "; what a webhook guards is refused now; 1 finding failed") {
		t.Error(v.Summary)
	}
}
