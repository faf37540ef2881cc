package collect

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/haplane/haplane/internal/xray/evidence"
)

// asJSON is an object as an API server sends it.
func asJSON(text string) any { return json.RawMessage(text) }

const (
	validatingPath = "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations"
	mutatingPath   = "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations"
	servicesPath   = "/apis/apiregistration.k8s.io/v1/apiservices"
	customPath     = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
	policyService  = "/api/v1/namespaces/policy/services/webhook"
	policySlices   = "/apis/discovery.k8s.io/v1/namespaces/policy/endpointslices"
)

func extended(s *apiServer) {
	for path, text := range map[string]string{
		validatingPath: `{"kind": "ValidatingWebhookConfigurationList", "apiVersion": "admissionregistration.k8s.io/v1", "items": [{"metadata": {"name": "policy"}, "webhooks": [
			{"name": "a", "clientConfig": {"service": {"namespace": "policy", "name": "webhook"}}, "rules": [{"apiGroups": ["*"], "apiVersions": ["*"], "resources": ["*/*"], "operations": ["*"]}]}]}]}`,
		mutatingPath: `{"kind": "MutatingWebhookConfigurationList", "apiVersion": "admissionregistration.k8s.io/v1", "items": [{"metadata": {"name": "change"}, "webhooks": [
			{"name": "b", "clientConfig": {"url": "https://b"}, "failurePolicy": "Ignore", "matchPolicy": "Exact", "timeoutSeconds": 3, "matchConditions": [{"name": "x", "expression": "true"}]}]}]}`,
		servicesPath: `{"items": [{"metadata": {"name": "v1."}, "spec": {}}, {"metadata": {"name": "v1beta1.metrics.k8s.io"}, "spec": {"group": "metrics.k8s.io", "service": {"namespace": "gone", "name": "metrics", "port": 8443}},
			"status": {"conditions": [{"type": "Available", "status": "False", "reason": "ServiceNotFound", "message": "no such service"}]}}]}`,
		customPath: `{"items": [
			{"metadata": {"name": "one.example.org"}, "spec": {"conversion": {"strategy": "Webhook", "webhook": {"clientConfig": {"service": {"namespace": "policy", "name": "webhook"}}}}, "versions": [{"served": true}, {"served": false}]}, "status": {"storedVersions": ["v1"]}},
			{"metadata": {"name": "two.example.org"}, "spec": {"group": "example.org", "names": {"plural": "two"}, "conversion": {"strategy": "Webhook", "webhook": {"clientConfig": {"service": {"namespace": "policy", "name": "webhook", "port": 9443}}}}, "versions": [{"served": true}, {"served": true}]}}]}`,
		policyService: `{"kind": "Service", "apiVersion": "v1", "spec": {"clusterIP": "10.96.0.9", "selector": {"app": "policy"}, "ports": [{"port": 443}, {"port": 9443}]}}`,
		policySlices: `{"kind": "EndpointSliceList", "apiVersion": "discovery.k8s.io/v1", "items": [
			{"endpoints": [{"addresses": ["10.244.0.9"], "nodeName": "worker-1", "targetRef": {"name": "p-1"}}, {"addresses": ["10.244.1.9"], "nodeName": "cp-1", "targetRef": {"name": "p-2"}, "conditions": {"ready": false}}]},
			{"endpoints": [{"addresses": ["fd00::9"], "nodeName": "worker-1", "targetRef": {"name": "p-1"}}]}]}`,
		"/api/v1/namespaces/kube-system": `{"kind": "Namespace", "apiVersion": "v1", "metadata": {"labels": {"exempt": "yes"}}}`,
	} {
		s.objects[path] = asJSON(text)
	}
}

func TestWebhooksAndAggregatedAPIs(t *testing.T) {
	s, config := newServer(t)
	extended(s)
	got, missing := API(t.Context(), config, "demo", time.Minute)
	if len(missing) > 0 {
		t.Errorf("missing %+v", missing)
	}
	var names []string
	for _, w := range got.Webhooks {
		names = append(names, w.Kind+" "+w.Object)
		switch {
		case w.Name == "a" && (!w.FailClosed || w.Timeout != 10*time.Second || *w.Service != evidence.ServiceRef{Namespace: "policy", Name: "webhook", Port: 443} || len(w.Rules) != 1),
			w.Name == "b" && (w.FailClosed || w.Timeout != 3*time.Second || w.URL != "https://b" || !w.Exact || !w.Conditional),
			w.Kind == evidence.Conversion && (!w.FailClosed || w.Service.Port != 9443 || w.Rules[0].Resources[0] != "two"):
			t.Errorf("webhook %+v", w)
		}
	}
	if d := cmp.Diff([]string{"ValidatingWebhookConfiguration policy", "MutatingWebhookConfiguration change", "CustomResourceDefinition two.example.org"}, names); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff([]evidence.APIService{{Name: "v1beta1.metrics.k8s.io", Group: "metrics.k8s.io", Service: evidence.ServiceRef{Namespace: "gone", Name: "metrics", Port: 8443},
		Available: "False", Reason: "ServiceNotFound: no such service"}}, got.APIServices); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff([]evidence.Backing{{Namespace: "policy", Name: "webhook", Exists: true, Selector: map[string]string{"app": "policy"}, Ports: []int32{443, 9443}, Ready: []string{"worker-1"}, NotReady: 1},
		{Namespace: "gone", Name: "metrics"}}, got.Backings); d != "" {
		t.Error(d)
	}
	if got.Namespaces["kube-system"]["exempt"] != "yes" || len(got.Namespaces) != 1 {
		t.Errorf("namespaces %v", got.Namespaces)
	}
}

// Without webhooks and aggregated APIs nothing further is asked, and none is not unknown.
func TestNoWebhooks(t *testing.T) {
	s, config := newServer(t)
	extended(s)
	for _, path := range []string{mutatingPath, servicesPath, customPath} {
		s.objects[path] = asJSON(`{"items": []}`)
	}
	s.objects[validatingPath] = asJSON(`{"kind": "ValidatingWebhookConfigurationList", "apiVersion": "admissionregistration.k8s.io/v1"}`)
	got, missing := API(t.Context(), config, "demo", time.Minute)
	if got.Webhooks == nil || got.APIServices == nil || len(got.Webhooks)+len(got.APIServices)+len(got.Backings)+len(got.Namespaces) > 0 || len(missing) > 0 {
		t.Errorf("%+v, missing %v", got, missing)
	}
}

func TestWebhooksThatCannotBeRead(t *testing.T) {
	for path, want := range map[string]string{
		validatingPath: "list of validatingwebhookconfigurations.admissionregistration.k8s.io",
		servicesPath:   "list of apiservices.apiregistration.k8s.io",
		policyService:  "get of services and list of endpointslices.discovery.k8s.io in policy",
		policySlices:   "get of services and list of endpointslices.discovery.k8s.io in policy",
	} {
		s, config := newServer(t)
		extended(s)
		s.status[path] = 403
		_, missing := API(t.Context(), config, "demo", time.Minute)
		if len(missing) != 1 || !strings.Contains(missing[0].Fix, "the right to "+want) {
			t.Errorf("%s: missing %+v", path, missing)
		}
	}
}
