package agent

import (
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	rbacv1 "k8s.io/api/rbac/v1"
)

// Rules are all that the agent may do, as the rules of one Role in default and
// one in kube-system. RBAC cannot limit create by name, nor the list, watch and
// delete of slices, since a stray slice may have any name.
func Rules() (defaultNamespace, kubeSystem []rbacv1.PolicyRule) {
	defaultNamespace = []rbacv1.PolicyRule{
		rule(corev1.GroupName, "endpoints", serviceName, "get", "list", "watch", "update"),
		rule(corev1.GroupName, "endpoints", "", "create"),
		rule(discoveryv1.GroupName, "endpointslices", serviceName, "get", "update"),
		rule(discoveryv1.GroupName, "endpointslices", "", "list", "watch", "create", "delete"),
	}
	kubeSystem = []rbacv1.PolicyRule{
		rule(coordinationv1.GroupName, "leases", LeaseName, "get", "update"),
		rule(coordinationv1.GroupName, "leases", "", "create"),
	}
	return defaultNamespace, kubeSystem
}

// rule allows the verbs on the object of the name, on all of them when name is "".
func rule(group, resource, name string, verbs ...string) rbacv1.PolicyRule {
	r := rbacv1.PolicyRule{APIGroups: []string{group}, Resources: []string{resource}, Verbs: verbs}
	if name != "" {
		r.ResourceNames = []string{name}
	}
	return r
}
