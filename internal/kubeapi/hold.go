package kubeapi

import (
	"context"
	"errors"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes/scheme"
)

// holdName names the policy that keeps API servers off the endpoints of default/kubernetes.
const holdName = "haplane-holds-kubernetes-endpoints"

// apiServerUser is who an API server is in its requests to itself
// (k8s.io/apiserver/pkg/authentication/user). It is of system:masters: no role could stop it.
const apiServerUser = "system:apiserver"

// hold is a ValidatingAdmissionPolicy: API servers ask these of themselves too.
const hold = `apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicy
metadata: {name: ` + holdName + `}
spec:
  failurePolicy: Fail
  matchConstraints:
    namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: default}}
    resourceRules:
    - {apiGroups: [""], apiVersions: [v1], resources: [endpoints], resourceNames: [kubernetes], operations: [CREATE, UPDATE, DELETE]}
    - {apiGroups: [discovery.k8s.io], apiVersions: [v1], resources: [endpointslices], resourceNames: [kubernetes], operations: [CREATE, UPDATE, DELETE]}
  matchConditions:
  - {name: by-an-api-server, expression: "request.userInfo.username == '` + apiServerUser + `'"}
  validations:
  - {expression: "false", message: "haplane hands these endpoints over; API servers write them again when it has"}
---
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicyBinding
metadata: {name: ` + holdName + `}
spec: {policyName: ` + holdName + `, validationActions: [Deny]}
`

// HoldKubernetesEndpoints has all API servers refuse what API servers write to the endpoints of
// default/kubernetes, until they are released. Each notes it within about a second.
func (c *Client) HoldKubernetesEndpoints(ctx context.Context) error {
	_, err := c.Apply(ctx, []byte(hold))
	return err
}

// KubernetesEndpointsHeld returns nil where the API server that is asked refuses to write the
// endpoints of default/kubernetes to an API server. It tries, without writing.
func (c *Client) KubernetesEndpointsHeld(ctx context.Context) error {
	const what = "see whether the endpoints of default/kubernetes are held"
	now, err := c.typed.CoreV1().Endpoints(metav1.NamespaceDefault).Get(ctx, "kubernetes", metav1.GetOptions{})
	if err != nil {
		return c.errorf(what, err)
	}
	err = c.typed.CoreV1().RESTClient().Put().Namespace(now.Namespace).Resource("endpoints").Name(now.Name).
		SetHeader("Impersonate-User", apiServerUser).SetHeader("Impersonate-Group", "system:masters").
		VersionedParams(&metav1.UpdateOptions{DryRun: []string{metav1.DryRunAll}}, scheme.ParameterCodec).Body(now).Do(ctx).Error()
	switch {
	case err != nil && strings.Contains(err.Error(), holdName):
		return nil
	case err != nil:
		return c.errorf(what, err)
	}
	return c.errorf(what, errors.New("it would let an API server write them; does it run without the admission plugin ValidatingAdmissionPolicy?"))
}

// ReleaseKubernetesEndpoints lets API servers write the endpoints of default/kubernetes again.
func (c *Client) ReleaseKubernetesEndpoints(ctx context.Context) error {
	client := c.typed.AdmissionregistrationV1()
	for _, remove := range []func(context.Context, string, metav1.DeleteOptions) error{
		client.ValidatingAdmissionPolicyBindings().Delete, client.ValidatingAdmissionPolicies().Delete,
	} {
		if err := remove(ctx, holdName, metav1.DeleteOptions{}); err != nil && !apierrors.IsNotFound(err) {
			return c.errorf("release the endpoints of default/kubernetes", err)
		}
	}
	return nil
}
