package collect

import (
	"context"
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"github.com/haplane/haplane/internal/xray/evidence"
)

// maxBackings bounds how many Services of webhooks and aggregated APIs are looked at.
const maxBackings = 64

// vitalNamespaces are those whose writes a cluster lives by.
var vitalNamespaces = []string{metav1.NamespaceSystem, corev1.NamespaceNodeLease, metav1.NamespaceDefault}

// furtherLooks are at what the first ones named: who answers for webhooks and aggregated
// APIs, and the labels by which webhooks select namespaces.
func furtherLooks(c *evidence.Cluster) []look {
	refs := references(c)
	refs = refs[:min(len(refs), maxBackings)]
	if len(refs) == 0 && len(c.Webhooks) == 0 {
		return nil
	}
	var out []look
	namespaces := slices.Clone(vitalNamespaces)
	for _, r := range refs {
		out = append(out, look{"service " + r.Namespace + "/" + r.Name, "get of services and list of endpointslices.discovery.k8s.io in " + r.Namespace, backing(r)})
		if !slices.Contains(namespaces, r.Namespace) {
			namespaces = append(namespaces, r.Namespace)
		}
	}
	for _, n := range namespaces {
		out = append(out, look{"namespace " + n, "get of namespaces", namespace(n)})
	}
	return out
}

// tooMany tells of Services that were left out.
func tooMany(c *evidence.Cluster) []evidence.Missing {
	if n := len(references(c)) - maxBackings; n > 0 {
		return []evidence.Missing{{Way: evidence.API, Source: "services of webhooks and aggregated APIs at " + c.Server,
			Err: fmt.Sprintf("%d beyond the first %d were not looked at", n, maxBackings), Fix: "Look at the others by hand."}}
	}
	return nil
}

func backing(r evidence.ServiceRef) func(context.Context, kubernetes.Interface) (func(*evidence.Cluster), error) {
	return func(ctx context.Context, c kubernetes.Interface) (func(*evidence.Cluster), error) {
		one := evidence.Backing{Namespace: r.Namespace, Name: r.Name}
		service, err := c.CoreV1().Services(r.Namespace).Get(ctx, r.Name, metav1.GetOptions{})
		if err != nil && !apierrors.IsNotFound(err) {
			return nil, err
		}
		if err == nil {
			one.Exists, one.Headless, one.Selector = true, service.Spec.ClusterIP == corev1.ClusterIPNone, service.Spec.Selector
			for _, p := range service.Spec.Ports {
				one.Ports = append(one.Ports, p.Port)
			}
			if service.Spec.Type == corev1.ServiceTypeExternalName {
				one.External = service.Spec.ExternalName
			} else if err := endpointsOf(ctx, c, &one); err != nil {
				return nil, err
			}
		}
		return func(out *evidence.Cluster) { out.Backings = append(out.Backings, one) }, nil
	}
}

func endpointsOf(ctx context.Context, c kubernetes.Interface, one *evidence.Backing) error {
	list, err := c.DiscoveryV1().EndpointSlices(one.Namespace).List(ctx, metav1.ListOptions{LabelSelector: discoveryv1.LabelServiceName + "=" + one.Name})
	if err != nil {
		return err
	}
	var known []string // a pod with addresses of both families is in two slices
	for _, s := range list.Items {
		for _, e := range s.Endpoints {
			if ref := e.TargetRef; ref != nil && slices.Contains(known, ref.Name) {
				continue
			} else if ref != nil {
				known = append(known, ref.Name)
			}
			switch {
			case e.Conditions.Ready != nil && !*e.Conditions.Ready:
				one.NotReady++
			case e.NodeName != nil:
				one.Ready = append(one.Ready, *e.NodeName)
			default:
				one.Ready = append(one.Ready, "")
			}
		}
	}
	return nil
}

func namespace(name string) func(context.Context, kubernetes.Interface) (func(*evidence.Cluster), error) {
	return func(ctx context.Context, c kubernetes.Interface) (func(*evidence.Cluster), error) {
		found, err := c.CoreV1().Namespaces().Get(ctx, name, metav1.GetOptions{})
		if err != nil {
			return absentIsNone(err)
		}
		return func(out *evidence.Cluster) {
			if out.Namespaces == nil {
				out.Namespaces = map[string]map[string]string{}
			}
			out.Namespaces[name] = found.Labels
		}, nil
	}
}
