package collect

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"github.com/haplane/haplane/internal/xray/evidence"
)

// webhookTimeout is the default of timeoutSeconds, and webhookPort that of a Service's port.
const (
	webhookTimeout = 10
	webhookPort    = 443
)

func validating(ctx context.Context, c kubernetes.Interface) (func(*evidence.Cluster), error) {
	list, err := c.AdmissionregistrationV1().ValidatingWebhookConfigurations().List(ctx, metav1.ListOptions{})
	if err != nil {
		return absentIsNone(err)
	}
	var out []evidence.Webhook
	for _, o := range list.Items {
		for _, w := range o.Webhooks {
			out = append(out, webhook(evidence.Validating, o.Name, mutatingLike(w)))
		}
	}
	return withWebhooks(out), nil
}

func mutating(ctx context.Context, c kubernetes.Interface) (func(*evidence.Cluster), error) {
	list, err := c.AdmissionregistrationV1().MutatingWebhookConfigurations().List(ctx, metav1.ListOptions{})
	if err != nil {
		return absentIsNone(err)
	}
	var out []evidence.Webhook
	for _, o := range list.Items {
		for _, w := range o.Webhooks {
			out = append(out, webhook(evidence.Mutating, o.Name, w))
		}
	}
	return withWebhooks(out), nil
}

// absentIsNone takes a kind that the API server does not have for one without objects.
func absentIsNone(err error) (func(*evidence.Cluster), error) {
	if apierrors.IsNotFound(err) {
		return func(*evidence.Cluster) {}, nil
	}
	return nil, err
}

func withWebhooks(found []evidence.Webhook) func(*evidence.Cluster) {
	return func(out *evidence.Cluster) { out.Webhooks = append(seen(out.Webhooks), found...) }
}

// mutatingLike is a validating webhook as far as the two are alike.
func mutatingLike(w admissionv1.ValidatingWebhook) admissionv1.MutatingWebhook {
	return admissionv1.MutatingWebhook{Name: w.Name, ClientConfig: w.ClientConfig, Rules: w.Rules, FailurePolicy: w.FailurePolicy, MatchPolicy: w.MatchPolicy,
		NamespaceSelector: w.NamespaceSelector, ObjectSelector: w.ObjectSelector, TimeoutSeconds: w.TimeoutSeconds, MatchConditions: w.MatchConditions}
}

func webhook(kind, object string, w admissionv1.MutatingWebhook) evidence.Webhook {
	out := evidence.Webhook{Kind: kind, Object: object, Name: w.Name, Rules: w.Rules, Namespaces: w.NamespaceSelector, Objects: w.ObjectSelector,
		FailClosed:  w.FailurePolicy == nil || *w.FailurePolicy == admissionv1.Fail,
		Exact:       w.MatchPolicy != nil && *w.MatchPolicy == admissionv1.Exact,
		Conditional: len(w.MatchConditions) > 0, Timeout: webhookTimeout * time.Second}
	if w.TimeoutSeconds != nil {
		out.Timeout = time.Duration(*w.TimeoutSeconds) * time.Second
	}
	if w.ClientConfig.URL != nil {
		out.URL = *w.ClientConfig.URL
	}
	if s := w.ClientConfig.Service; s != nil {
		out.Service = &evidence.ServiceRef{Namespace: s.Namespace, Name: s.Name, Port: webhookPort}
		if s.Port != nil {
			out.Service.Port = *s.Port
		}
	}
	return out
}

// A serviceRef is what webhooks and APIServices name a Service by.
type serviceRef struct {
	Namespace string `json:"namespace"`
	Name      string `json:"name"`
	Port      int32  `json:"port"`
}

func (r serviceRef) evidence() evidence.ServiceRef {
	return evidence.ServiceRef{Namespace: r.Namespace, Name: r.Name, Port: cmp.Or(r.Port, webhookPort)}
}

// maxListed bounds lists of which only a little is kept.
const maxListed = 64 << 20

// listed reads a list at a path, of whose items only what T has is kept.
func listed[T any](ctx context.Context, c kubernetes.Interface, path string) ([]T, error) {
	stream, err := c.Discovery().RESTClient().Get().AbsPath(path).SetHeader("Accept", "application/json").MaxRetries(0).Stream(ctx)
	if err != nil {
		return nil, err
	}
	defer stream.Close()
	var list struct {
		Items []T `json:"items"`
	}
	if err := json.NewDecoder(io.LimitReader(stream, maxListed)).Decode(&list); err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	return list.Items, nil
}

type objectName struct {
	Name string `json:"name"`
}

func apiServices(ctx context.Context, c kubernetes.Interface) (func(*evidence.Cluster), error) {
	items, err := listed[struct {
		Metadata objectName `json:"metadata"`
		Spec     struct {
			Group   string      `json:"group"`
			Service *serviceRef `json:"service"`
		} `json:"spec"`
		Status struct {
			Conditions []metav1.Condition `json:"conditions"`
		} `json:"status"`
	}](ctx, c, "/apis/apiregistration.k8s.io/v1/apiservices")
	if err != nil {
		return absentIsNone(err)
	}
	out := []evidence.APIService{}
	for _, i := range items {
		if i.Spec.Service == nil { // the API servers' own
			continue
		}
		one := evidence.APIService{Name: i.Metadata.Name, Group: i.Spec.Group, Service: i.Spec.Service.evidence()}
		for _, c := range i.Status.Conditions {
			if c.Type == "Available" {
				one.Available, one.Reason = string(c.Status), strings.Trim(c.Reason+": "+c.Message, ": ")
			}
		}
		out = append(out, one)
	}
	return func(c *evidence.Cluster) { c.APIServices = out }, nil
}

// conversions are the webhooks of custom resources of which there is more than one
// version: nothing else is converted.
func conversions(ctx context.Context, c kubernetes.Interface) (func(*evidence.Cluster), error) {
	items, err := listed[customResource](ctx, c, "/apis/apiextensions.k8s.io/v1/customresourcedefinitions")
	if err != nil {
		return absentIsNone(err)
	}
	var out []evidence.Webhook
	for _, i := range items {
		if i.Spec.Conversion.Strategy == "Webhook" && i.converts() {
			out = append(out, i.webhook())
		}
	}
	return withWebhooks(out), nil
}

// A customResource is what of a CustomResourceDefinition is about conversion.
type customResource struct {
	Metadata objectName `json:"metadata"`
	Spec     struct {
		Group string `json:"group"`
		Names struct {
			Plural string `json:"plural"`
		} `json:"names"`
		Versions []struct {
			Served bool `json:"served"`
		} `json:"versions"`
		Conversion struct {
			Strategy string `json:"strategy"`
			Webhook  struct {
				ClientConfig struct {
					URL     string      `json:"url"`
					Service *serviceRef `json:"service"`
				} `json:"clientConfig"`
			} `json:"webhook"`
		} `json:"conversion"`
	} `json:"spec"`
	Status struct {
		StoredVersions []string `json:"storedVersions"`
	} `json:"status"`
}

func (r customResource) converts() bool {
	served := 0
	for _, v := range r.Spec.Versions {
		if v.Served {
			served++
		}
	}
	return served > 1 || len(r.Status.StoredVersions) > 1
}

func (r customResource) webhook() evidence.Webhook {
	to := r.Spec.Conversion.Webhook.ClientConfig
	out := evidence.Webhook{Kind: evidence.Conversion, Object: r.Metadata.Name, Name: r.Metadata.Name, FailClosed: true, URL: to.URL,
		Rules: []admissionv1.RuleWithOperations{{Operations: []admissionv1.OperationType{admissionv1.OperationAll},
			Rule: admissionv1.Rule{APIGroups: []string{r.Spec.Group}, APIVersions: []string{"*"}, Resources: []string{r.Spec.Names.Plural}}}}}
	if to.Service != nil {
		ref := to.Service.evidence()
		out.Service = &ref
	}
	return out
}

// references are the Services of webhooks and aggregated APIs, each once.
func references(c *evidence.Cluster) []evidence.ServiceRef {
	var out []evidence.ServiceRef
	add := func(r evidence.ServiceRef) {
		r.Port = 0
		if !slices.Contains(out, r) {
			out = append(out, r)
		}
	}
	for _, w := range c.Webhooks {
		if w.Service != nil {
			add(*w.Service)
		}
	}
	for _, a := range c.APIServices {
		add(a.Service)
	}
	return out
}
