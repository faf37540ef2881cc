package kubeapi

import (
	"context"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// PodsWithTokens are, as NAMESPACE/NAME, the pods that ask the API as a service account, be it by a token in a Secret, and that a program
// has run in since before a time; apart from the others those of CoreDNS, which is haplane's.
func (c *Client) PodsWithTokens(ctx context.Context, before time.Time) (pods, dns []string, err error) {
	secrets, err := c.tokenSecrets(ctx)
	if err != nil {
		return nil, nil, err
	}
	withToken := map[string]bool{}
	for _, s := range secrets {
		withToken[s.Namespace+"/"+s.Name] = true
	}
	list, err := c.typed.CoreV1().Pods("").List(ctx, metav1.ListOptions{ResourceVersion: "0"})
	if err != nil {
		return nil, nil, c.errorf("list pods", err)
	}
	for i := range list.Items {
		p := &list.Items[i]
		switch name := p.Namespace + "/" + p.Name; {
		case !asksAPI(p, withToken) || !beganBefore(p, before):
		case p.Namespace == metav1.NamespaceSystem && p.Labels["k8s-app"] == "kube-dns":
			dns = append(dns, name)
		default:
			pods = append(pods, name)
		}
	}
	slices.Sort(pods)
	return pods, dns, nil
}

// asksAPI reports whether a pod has what its programs verify the API servers by: a token, or the bundle beside it. Secrets with a token,
// which have that bundle too, are given as NAMESPACE/NAME.
func asksAPI(p *corev1.Pod, withToken map[string]bool) bool {
	if slices.ContainsFunc(secretsOf(p), func(name string) bool { return withToken[p.Namespace+"/"+name] }) {
		return true
	}
	return slices.ContainsFunc(p.Spec.Volumes, func(v corev1.Volume) bool {
		if v.ConfigMap != nil && v.ConfigMap.Name == rootCA {
			return true
		}
		return v.Projected != nil && slices.ContainsFunc(v.Projected.Sources, func(s corev1.VolumeProjection) bool {
			return s.ServiceAccountToken != nil || s.ConfigMap != nil && s.ConfigMap.Name == rootCA
		})
	})
}

// secretsOf are the names of the Secrets that a pod has in its volumes, or in the environment of its programs; each once.
func secretsOf(p *corev1.Pod) []string {
	var out []string
	for _, v := range p.Spec.Volumes {
		if v.Secret != nil {
			out = append(out, v.Secret.SecretName)
		}
		if v.Projected == nil {
			continue
		}
		for _, s := range v.Projected.Sources {
			if s.Secret != nil {
				out = append(out, s.Secret.Name)
			}
		}
	}
	for _, c := range slices.Concat(p.Spec.InitContainers, p.Spec.Containers) {
		for _, from := range c.EnvFrom {
			if from.SecretRef != nil {
				out = append(out, from.SecretRef.Name)
			}
		}
		for _, e := range c.Env {
			if e.ValueFrom != nil && e.ValueFrom.SecretKeyRef != nil {
				out = append(out, e.ValueFrom.SecretKeyRef.Name)
			}
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// beganBefore reports whether a container runs that began before a time.
func beganBefore(p *corev1.Pod, at time.Time) bool {
	return slices.ContainsFunc(slices.Concat(p.Status.InitContainerStatuses, p.Status.ContainerStatuses), func(s corev1.ContainerStatus) bool {
		return s.State.Running != nil && s.State.Running.StartedAt.Time.Before(at)
	})
}
