package evidence

import (
	"time"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Kinds of objects that name webhooks.
const (
	Validating = "ValidatingWebhookConfiguration"
	Mutating   = "MutatingWebhookConfiguration"
	Conversion = "CustomResourceDefinition"
)

// A Webhook is one that API servers ask before they write or, where it converts, before
// they read too.
type Webhook struct {
	Kind       string // of the object
	Object     string // its name
	Name       string // of the webhook in it
	FailClosed bool   // no answer is a no
	Timeout    time.Duration
	Rules      []admissionv1.RuleWithOperations
	Exact      bool                  // matchPolicy: Exact
	Namespaces *metav1.LabelSelector // nil: all
	Objects    *metav1.LabelSelector // nil: all
	// Conditional: it has matchConditions, which nobody evaluated.
	Conditional bool
	Service     *ServiceRef // nil: URL
	URL         string
}

// A ServiceRef names a port of a Service.
type ServiceRef struct {
	Namespace, Name string
	Port            int32
}

// An APIService is an API that a server behind a Service serves, for the API servers.
type APIService struct {
	Name      string // v1beta1.metrics.k8s.io
	Group     string
	Service   ServiceRef
	Available string // True, False, Unknown; "" where nobody has said yet
	Reason    string // why it is not, with the message
}

// A Backing is the Service of webhooks and aggregated APIs, and who answers.
type Backing struct {
	Namespace, Name string
	Exists          bool
	Selector        map[string]string
	Headless        bool   // API servers cannot be led there
	External        string // the name of ExternalName
	Ports           []int32
	Ready           []string // nodes of ready endpoints, one each; "" where it is not said
	NotReady        int      // endpoints
}
