package kubeapi

import (
	"context"
	"encoding/base64"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/util/retry"

	"github.com/haplane/haplane/internal/pki"
)

// A Bundle is what an object has of certificates by which somebody verifies.
type Bundle struct {
	Object string // such as ConfigMap default/kube-root-ca.crt
	PEM    []byte
	// Own says that Kubernetes keeps it: it has to have our authority.
	Own bool
}

// bundled are the objects with a caBundle, and the fields that lead to it.
var bundled = []struct {
	kind   string
	of     schema.GroupVersionResource
	fields []string
}{
	{"ValidatingWebhookConfiguration", schema.GroupVersionResource{Group: "admissionregistration.k8s.io", Version: "v1", Resource: "validatingwebhookconfigurations"}, []string{"webhooks", "clientConfig", "caBundle"}},
	{"MutatingWebhookConfiguration", schema.GroupVersionResource{Group: "admissionregistration.k8s.io", Version: "v1", Resource: "mutatingwebhookconfigurations"}, []string{"webhooks", "clientConfig", "caBundle"}},
	{"APIService", schema.GroupVersionResource{Group: "apiregistration.k8s.io", Version: "v1", Resource: "apiservices"}, []string{"spec", "caBundle"}},
	{"CustomResourceDefinition", schema.GroupVersionResource{Group: "apiextensions.k8s.io", Version: "v1", Resource: "customresourcedefinitions"}, []string{"spec", "conversion", "webhook", "clientConfig", "caBundle"}},
}

// Bundles lists who in the API has certificates of authorities: kube-root-ca.crt in every namespace, Secrets with
// tokens of service accounts, and what webhooks and aggregated APIs are verified by.
func (c *Client) Bundles(ctx context.Context) ([]Bundle, error) {
	namespaces, err := c.typed.CoreV1().Namespaces().List(ctx, metav1.ListOptions{})
	if err != nil {
		return nil, c.errorf("list namespaces", err)
	}
	maps, err := c.typed.CoreV1().ConfigMaps("").List(ctx, metav1.ListOptions{FieldSelector: "metadata.name=" + rootCA})
	if err != nil {
		return nil, c.errorf("list ConfigMaps", err)
	}
	have := map[string]string{}
	for _, m := range maps.Items {
		have[m.Namespace] = m.Data["ca.crt"]
	}
	var out []Bundle
	for _, n := range namespaces.Items {
		if n.Status.Phase != corev1.NamespaceTerminating {
			out = append(out, Bundle{Object: "ConfigMap " + n.Name + "/" + rootCA, PEM: []byte(have[n.Name]), Own: true})
		}
	}
	secrets, err := c.tokenSecrets(ctx)
	if err != nil {
		return nil, err
	}
	for _, s := range secrets {
		out = append(out, Bundle{Object: "Secret " + s.Namespace + "/" + s.Name, PEM: s.Data["ca.crt"], Own: true})
	}
	for _, b := range bundled {
		list, err := c.dynamic.Resource(b.of).List(ctx, metav1.ListOptions{})
		if err != nil {
			return nil, c.errorf("list "+b.of.Resource, err)
		}
		for _, o := range list.Items {
			for _, data := range values(o.Object, b.fields) {
				pem, _ := base64.StdEncoding.DecodeString(data)
				out = append(out, Bundle{Object: b.kind + " " + o.GetName(), PEM: pem})
			}
		}
	}
	return out, nil
}

// rootCA is the ConfigMap by which pods verify the API servers.
const rootCA = "kube-root-ca.crt"

// tokenSecrets are the Secrets with a token of a service account that does not end.
func (c *Client) tokenSecrets(ctx context.Context) ([]corev1.Secret, error) {
	list, err := c.typed.CoreV1().Secrets("").List(ctx, metav1.ListOptions{FieldSelector: "type=" + string(corev1.SecretTypeServiceAccountToken)})
	if err != nil {
		return nil, c.errorf("list Secrets with tokens", err)
	}
	return list.Items, nil
}

// values are the strings at the end of fields, through lists.
func values(object any, fields []string) []string {
	switch o := object.(type) {
	case []any:
		var out []string
		for _, one := range o {
			out = append(out, values(one, fields)...)
		}
		return out
	case map[string]any:
		if len(fields) > 0 {
			return values(o[fields[0]], fields[1:])
		}
	case string:
		if len(fields) == 0 {
			return []string{o}
		}
	}
	return nil
}

const authenticationMap = "extension-apiserver-authentication"

// PublishedAuthority is a bundle of kube-system/extension-apiserver-authentication, by which aggregated API servers verify.
func (c *Client) PublishedAuthority(ctx context.Context, key string) ([]byte, error) {
	m, err := c.typed.CoreV1().ConfigMaps("kube-system").Get(ctx, authenticationMap, metav1.GetOptions{})
	if err != nil {
		return nil, c.errorf("read ConfigMap kube-system/"+authenticationMap, err)
	}
	return []byte(m.Data[key]), nil
}

// UnpublishAuthority takes a certificate out of that bundle.
func (c *Client) UnpublishAuthority(ctx context.Context, key string, certificate []byte) error {
	err := retry.RetryOnConflict(retry.DefaultRetry, func() error {
		m, err := c.typed.CoreV1().ConfigMaps("kube-system").Get(ctx, authenticationMap, metav1.GetOptions{})
		if err != nil {
			return err
		}
		if !pki.Contains([]byte(m.Data[key]), certificate) {
			return nil
		}
		m.Data[key] = string(pki.Without([]byte(m.Data[key]), certificate))
		_, err = c.typed.CoreV1().ConfigMaps("kube-system").Update(ctx, m, metav1.UpdateOptions{FieldManager: FieldManager})
		return err
	})
	if err != nil {
		return c.errorf("take an authority out of ConfigMap kube-system/"+authenticationMap, err)
	}
	return nil
}

// PodNames are NAMESPACE/NAME of all pods by their UIDs.
func (c *Client) PodNames(ctx context.Context) (map[string]string, error) {
	out := map[string]string{}
	list, err := c.dynamic.Resource(schema.GroupVersionResource{Version: "v1", Resource: "pods"}).List(ctx, metav1.ListOptions{})
	if err != nil {
		return nil, c.errorf("list pods", err)
	}
	for _, p := range list.Items {
		out[string(p.GetUID())] = p.GetNamespace() + "/" + p.GetName()
	}
	return out, nil
}
