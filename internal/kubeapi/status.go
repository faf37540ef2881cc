package kubeapi

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// A NotReadyError is an API server that answers /readyz with failed checks.
type NotReadyError struct {
	Server string
	Failed []string // such as "etcd" or "poststarthook/rbac/bootstrap-roles"
}

func (e *NotReadyError) Error() string {
	return fmt.Sprintf("%s is not ready: failed checks: %s", e.Server, strings.Join(e.Failed, ", "))
}

// failedChecks reads "[-]etcd failed: reason withheld" lines.
func failedChecks(body []byte) []string {
	var failed []string
	for line := range strings.Lines(string(body)) {
		if rest, ok := strings.CutPrefix(line, "[-]"); ok {
			name, _, _ := strings.Cut(strings.TrimSpace(rest), " ")
			failed = append(failed, name)
		}
	}
	return failed
}

// KubernetesEndpoints returns the ready endpoints of default/kubernetes, each as
// addr:port, sorted. They come from EndpointSlices, as kube-proxy's do.
func (c *Client) KubernetesEndpoints(ctx context.Context) ([]string, error) {
	selector := discoveryv1.LabelServiceName + "=kubernetes"
	list, err := c.typed.DiscoveryV1().EndpointSlices(metav1.NamespaceDefault).List(ctx, metav1.ListOptions{LabelSelector: selector})
	if err != nil {
		return nil, c.errorf("list endpointslices of default/kubernetes", err)
	}
	var found []string
	for _, slice := range list.Items {
		for _, endpoint := range slice.Endpoints {
			// Nil means unknown, which the API says to take for ready.
			if ready := endpoint.Conditions.Ready; ready != nil && !*ready {
				continue
			}
			for _, port := range slice.Ports {
				if port.Port != nil {
					found = append(found, hostPorts(endpoint.Addresses, *port.Port)...)
				}
			}
		}
	}
	slices.Sort(found)
	return slices.Compact(found), nil
}

func hostPorts(addresses []string, port int32) []string {
	var found []string
	for _, address := range addresses {
		found = append(found, net.JoinHostPort(address, strconv.Itoa(int(port))))
	}
	return found
}

// A Lease says who leads. It is past when Renewed is longer ago than Duration, by the holder's clock.
type Lease struct {
	Holder   string        `json:"holder"` // "" when the last leader released it
	Renewed  time.Time     `json:"renewed"`
	Duration time.Duration `json:"duration"`
}

// LeaderLeases returns the Leases of kube-controller-manager and kube-scheduler
// by name. One that does not exist, because nothing has led yet, is left out.
func (c *Client) LeaderLeases(ctx context.Context) (map[string]Lease, error) {
	leases := map[string]Lease{}
	for _, name := range []string{"kube-controller-manager", "kube-scheduler"} {
		found, err := c.typed.CoordinationV1().Leases(metav1.NamespaceSystem).Get(ctx, name, metav1.GetOptions{})
		if apierrors.IsNotFound(err) {
			continue
		}
		if err != nil {
			return nil, c.errorf("get lease kube-system/"+name, err)
		}
		leases[name] = leaseOf(found.Spec)
	}
	return leases, nil
}

func leaseOf(spec coordinationv1.LeaseSpec) Lease {
	var lease Lease
	if spec.HolderIdentity != nil {
		lease.Holder = *spec.HolderIdentity
	}
	if spec.RenewTime != nil {
		lease.Renewed = spec.RenewTime.Time
	}
	if spec.LeaseDurationSeconds != nil {
		lease.Duration = time.Duration(*spec.LeaseDurationSeconds) * time.Second
	}
	return lease
}

// PodsRun returns nil when the containers of all pods that a label selector names run, and
// have begun after what since says of their node. A deployment may be called available for a
// while of pods that ended with their machines.
func (c *Client) PodsRun(ctx context.Context, namespace, selector string, since func(node string) time.Time) error {
	pods, err := c.typed.CoreV1().Pods(namespace).List(ctx, metav1.ListOptions{LabelSelector: selector})
	if err != nil {
		return c.errorf("list pods "+selector, err)
	}
	for _, p := range pods.Items {
		if p.DeletionTimestamp != nil || p.Status.Phase == corev1.PodFailed || p.Status.Phase == corev1.PodSucceeded {
			continue // it is replaced
		}
		if len(p.Status.ContainerStatuses) == 0 {
			return c.errorf("wait for pod "+p.Name, errors.New("its containers have not begun"))
		}
		for _, s := range p.Status.ContainerStatuses {
			if s.State.Running == nil || !s.Ready || s.State.Running.StartedAt.Time.Before(since(p.Spec.NodeName)) {
				return c.errorf("wait for pod "+p.Name, fmt.Errorf("container %s does not run yet%s", s.Name, why(p, s)))
			}
		}
	}
	return nil
}

// why says where a container that does not run was to, and what keeps it from that, as ImagePullBackOff.
func why(p corev1.Pod, s corev1.ContainerStatus) string {
	if s.State.Waiting == nil || s.State.Waiting.Reason == "" {
		return ""
	}
	return fmt.Sprintf(" on %s: %s", p.Spec.NodeName, s.State.Waiting.Reason)
}

// A Deployment is how far one is, in replicas.
type Deployment struct {
	Wanted, Updated, Available int // Updated are of its current version, Available are those that serve
	// Moved says that there are as many as are wanted, all of them of the current version, available or not.
	Moved bool
}

func (d Deployment) String() string {
	return fmt.Sprintf("%d of %d replicas updated, %d available", d.Updated, d.Wanted, d.Available)
}

// Deployment returns how far a deployment is.
func (c *Client) Deployment(ctx context.Context, namespace, name string) (Deployment, error) {
	d, err := c.typed.AppsV1().Deployments(namespace).Get(ctx, name, metav1.GetOptions{})
	if err != nil {
		return Deployment{}, c.errorf("get deployment "+namespace+"/"+name, err)
	}
	wanted := int32(1)
	if d.Spec.Replicas != nil {
		wanted = *d.Spec.Replicas
	}
	status := d.Status
	return Deployment{Wanted: int(wanted), Updated: int(status.UpdatedReplicas), Available: int(status.AvailableReplicas),
		Moved: status.ObservedGeneration >= d.Generation && status.UpdatedReplicas == wanted && status.Replicas == wanted}, nil
}

// DeploymentAvailable returns nil when all replicas of the deployment's current
// version are available, else an error that says how many are: made for poll.Until.
func (c *Client) DeploymentAvailable(ctx context.Context, namespace, name string) error {
	d, err := c.Deployment(ctx, namespace, name)
	if err != nil || d.Moved && d.Available == d.Wanted {
		return err
	}
	return c.errorf("wait for deployment "+namespace+"/"+name, errors.New(d.String()))
}
