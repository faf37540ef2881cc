package agent

import (
	certificatesv1 "k8s.io/api/certificates/v1"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	rbacv1 "k8s.io/api/rbac/v1"

	"github.com/haplane/haplane/internal/render"
)

// Rules are all that the agent may do, as the rules of a ClusterRole, and of one Role in default and
// one in kube-system. RBAC cannot limit create by name, nor the list, watch and
// delete of slices, since a stray slice may have any name, nor approvals; these it limits by who signs.
func Rules() (everywhere, defaultNamespace, kubeSystem []rbacv1.PolicyRule) {
	everywhere = []rbacv1.PolicyRule{
		rule(certificatesv1.GroupName, "certificatesigningrequests", "", "list"),
		rule(certificatesv1.GroupName, "certificatesigningrequests/approval", "", "update"),
		rule(certificatesv1.GroupName, "signers", certificatesv1.KubeletServingSignerName, "approve"),
	}
	defaultNamespace = []rbacv1.PolicyRule{
		rule(corev1.GroupName, "endpoints", serviceName, "get", "list", "watch", "update"),
		rule(corev1.GroupName, "endpoints", "", "create"),
		rule(discoveryv1.GroupName, "endpointslices", serviceName, "get", "update"),
		rule(discoveryv1.GroupName, "endpointslices", "", "list", "watch", "create", "delete"),
	}
	kubeSystem = []rbacv1.PolicyRule{
		rule(coordinationv1.GroupName, "leases", LeaseName, "get", "update"),
		rule(coordinationv1.GroupName, "leases", "", "create"),
		rule(corev1.GroupName, "configmaps", render.KubeletNamesMap, "get"),
	}
	return everywhere, defaultNamespace, kubeSystem
}

// rule allows the verbs on the object of the name, on all of them when name is "".
func rule(group, resource, name string, verbs ...string) rbacv1.PolicyRule {
	r := rbacv1.PolicyRule{APIGroups: []string{group}, Resources: []string{resource}, Verbs: verbs}
	if name != "" {
		r.ResourceNames = []string{name}
	}
	return r
}
