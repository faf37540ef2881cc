package spec

import (
	"fmt"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/util/validation/field"
)

// maxNameLength keeps the bridge (15 characters) and host names readable.
const maxNameLength = 20

// Validate returns every problem of a cluster whose defaults are set.
func Validate(c *Cluster) field.ErrorList { return validate(c, nil) }

// validate names the fields that somebody wrote, as far as the reading tells.
func validate(c *Cluster, r *reading) field.ErrorList {
	spec := field.NewPath("spec")
	return slices.Concat(
		oneOf(field.NewPath("apiVersion"), c.APIVersion, APIVersion),
		oneOf(field.NewPath("kind"), c.Kind, Kind),
		checkOwnName(field.NewPath("metadata", "name"), c.Metadata.Name),
		oneOf(spec.Child("identity"), c.Spec.Identity, Shared, PerNode, SharedCertificate),
		checkReconciler(spec.Child("endpointReconciler"), &c.Spec),
		checkComponents(spec, &c.Spec, r),
		checkExternalCA(spec.Child("certificates", "externalCA"), c.Spec.Certificates.ExternalCA),
		checkNetwork(spec.Child("network"), c.Spec.Network, r),
		checkPodCIDR(spec.Child("network", "podCIDR"), &c.Spec, r),
		checkSnapshots(spec.Child("etcd", "snapshots"), c.Spec.Etcd.Snapshots),
		checkLoadBalancer(spec.Child("loadBalancer"), &c.Spec),
		checkExtraArgs(spec.Child("extraArgs"), &c.Spec),
		checkNodes(spec, &c.Spec, r),
	)
}

// Warnings returns what is allowed and still not wise, a line each.
func Warnings(c *Cluster) []string {
	var out []string
	s := &c.Spec
	members, what := len(s.nodesOf(RoleEtcd)), "etcd nodes"
	if members == 0 {
		members, what = len(s.nodesOf(RoleControlPlane)), "control-plane nodes with etcd"
	}
	if members%2 == 0 {
		out = append(out, fmt.Sprintf("spec.nodes: %d %s tolerate %d failures, as many as %d would: use an odd number",
			members, what, (members-1)/2, members-1))
	}
	nodes := len(s.nodesOf(RoleControlPlane))
	if s.LoadBalancer.Kind == OnControlPlane && len(s.nodesOf(RoleEtcd)) > 0 && nodes%2 == 0 { // without these it was said of etcd
		out = append(out, fmt.Sprintf("spec.nodes: %d control-plane nodes say by a majority which of them has the address that moves, and tolerate %d failures, as many as %d would: use an odd number",
			nodes, (nodes-1)/2, nodes-1))
	}
	if s.LoadBalancer.NodeLocal && len(s.nodesOf(RoleWorker)) == 0 {
		out = append(out, "spec.loadBalancer.nodeLocal: there is no worker node to have a load balancer of its own; control-plane nodes have none")
	}
	if s.Identity == Shared && s.EndpointReconciler == ReconcilerLease {
		out = append(out, "spec.endpointReconciler: with identity shared, an API server that stops empties the endpoints "+
			"of default/kubernetes although others run; leave it out for haplane agent to own them")
	}
	if slices.Contains(s.Certificates.ExternalCA, CA) {
		out = append(out, "spec.certificates.externalCA: without the key of ca nobody in the cluster signs: kubelets do not renew their "+
			"certificates, and CertificateSigningRequests stay as they are; haplane certs csr and import do before they end")
	}
	if !*s.ControlPlane.Kubelet {
		out = append(out, "spec.controlPlane.kubelet: without kubelets on control-plane nodes API servers do not reach pods: "+
			"admission webhooks and aggregated APIs that run in pods will not work")
	}
	return out
}

// CheckName tells what is wrong with the name of a cluster.
func CheckName(name string) error {
	return checkName(field.NewPath("metadata", "name"), name).ToAggregate()
}

func oneOf[T ~string](at *field.Path, value T, allowed ...T) field.ErrorList {
	if slices.Contains(allowed, value) {
		return nil
	}
	if value == "" {
		return field.ErrorList{field.Required(at, fmt.Sprintf("must be %s", quoted(allowed)))}
	}
	return field.ErrorList{field.Invalid(at, value, fmt.Sprintf("must be %s", quoted(allowed)))}
}

func quoted[T ~string](values []T) string {
	out := make([]string, len(values))
	for i, v := range values {
		out[i] = fmt.Sprintf("%q", string(v))
	}
	return strings.Join(out, " or ")
}

func checkName(at *field.Path, name string) field.ErrorList {
	if len(name) > maxNameLength {
		return field.ErrorList{field.TooLong(at, name, maxNameLength)}
	}
	if problem := nameProblem(name, name); problem != "" {
		return field.ErrorList{field.Invalid(at, name, problem)}
	}
	return nil
}

func checkReconciler(at *field.Path, s *Spec) field.ErrorList {
	known := s.Identity == PerNode || s.Identity == SharedCertificate
	if known && s.EndpointReconciler == ReconcilerNone {
		return field.ErrorList{field.Invalid(at, s.EndpointReconciler,
			fmt.Sprintf("goes with identity %q only: with %q nobody would write the endpoints; use %q",
				Shared, s.Identity, ReconcilerLease))}
	}
	return oneOf(at, s.EndpointReconciler, ReconcilerNone, ReconcilerLease)
}

func checkExternalCA(at *field.Path, names []string) field.ErrorList {
	var errs field.ErrorList
	for i, name := range names {
		errs = append(errs, oneOf(at.Index(i), name, CA, EtcdCA, FrontProxyCA)...)
		if slices.Contains(names[:i], name) {
			errs = append(errs, field.Duplicate(at.Index(i), name))
		}
	}
	return errs
}

func checkCounts(at *field.Path, s *Spec) field.ErrorList {
	for _, n := range s.Nodes {
		if _, known := namePrefix[n.Role]; !known {
			return nil // nobody knows what that was to be
		}
	}
	var errs field.ErrorList
	if len(s.nodesOf(RoleControlPlane)) == 0 {
		errs = append(errs, field.Required(at, `at least one node with role "control-plane"`))
	}
	if !*s.ControlPlane.Kubelet && len(s.nodesOf(RoleWorker)) == 0 {
		errs = append(errs, field.Required(at, `at least one node with role "worker" where control-plane nodes have no kubelet`))
	}
	return errs
}
