package kubeapi

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"

	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/haplane/haplane/internal/poll"
)

// A DrainError is a node that still has pods.
type DrainError struct {
	Node string
	Pods []RemainingPod
}

// A RemainingPod is one that a drain waits for.
type RemainingPod struct {
	Namespace, Name string
	Why             string   // what keeps it, in words
	Budgets         []Budget // those that cover it, when it is not being deleted
	Finalizers      []string // its own, when it is being deleted
}

// A Budget is a PodDisruptionBudget as it stood.
type Budget struct {
	Name                             string
	Allowed, Healthy, NeedsToBeReady int32
}

func (e *DrainError) Error() string {
	lines := make([]string, len(e.Pods))
	for i, pod := range e.Pods {
		lines[i] = fmt.Sprintf("pod %s/%s: %s", pod.Namespace, pod.Name, pod.Why)
	}
	return fmt.Sprintf("drain node %s: %s", e.Node, strings.Join(lines, "; "))
}

// evictionsAtOnce bounds the requests that are under way: one that has to wait must
// not hold up all others.
const evictionsAtOnce = 10

// evictAll evicts those pods that are not being deleted yet. Its error is never nil:
// gone is what is listed no more.
func (d *drain) evictAll(ctx context.Context, pods []corev1.Pod, budgets []policyv1.PodDisruptionBudget) error {
	remaining := &DrainError{Node: d.node, Pods: make([]RemainingPod, len(pods))}
	var group errgroup.Group
	group.SetLimit(evictionsAtOnce)
	var mu sync.Mutex
	var fatal []error
	for i, pod := range pods {
		remaining.Pods[i] = RemainingPod{Namespace: pod.Namespace, Name: pod.Name}
		if pod.DeletionTimestamp != nil {
			remaining.Pods[i].terminating(pod)
			continue
		}
		group.Go(func() error {
			err := d.client.evict(ctx, pod, d.options)
			if blocks := blocked(err); err != nil && !blocks {
				mu.Lock()
				defer mu.Unlock()
				fatal = append(fatal, d.client.errorf(fmt.Sprintf("evict pod %s/%s", pod.Namespace, pod.Name), err))
			}
			remaining.Pods[i].tried(pod, err, budgets)
			return nil
		})
	}
	_ = group.Wait()
	d.reportEvicted(pods, remaining.Pods)
	if len(fatal) > 0 {
		return poll.Stop(fmt.Errorf("drain node %s: %w", d.node, errors.Join(fatal...)))
	}
	return remaining
}

const evicting = "is being evicted"

func (d *drain) reportEvicted(pods []corev1.Pod, remaining []RemainingPod) {
	for i, pod := range pods {
		if remaining[i].Why == evicting && !d.evicted[string(pod.UID)] && d.options.Report != nil {
			d.evicted[string(pod.UID)] = true
			d.options.Report(fmt.Sprintf("evicting pod %s/%s", pod.Namespace, pod.Name))
		}
	}
}

func (c *Client) evict(ctx context.Context, pod corev1.Pod, options DrainOptions) error {
	// The pod that was seen, not one of a StatefulSet that has the name by now, elsewhere.
	deletion := &metav1.DeleteOptions{Preconditions: &metav1.Preconditions{UID: &pod.UID}}
	if seconds := int64(options.GracePeriod.Seconds()); seconds > 0 {
		deletion.GracePeriodSeconds = &seconds
	}
	err := c.typed.PolicyV1().Evictions(pod.Namespace).Evict(ctx, &policyv1.Eviction{
		ObjectMeta: metav1.ObjectMeta{Namespace: pod.Namespace, Name: pod.Name}, DeleteOptions: deletion,
	})
	if apierrors.IsNotFound(err) || apierrors.IsConflict(err) {
		return nil // gone; the next list says so
	}
	return err
}

// blocked tells an eviction that may be granted later.
func blocked(err error) bool {
	return apierrors.HasStatusCause(err, policyv1.DisruptionBudgetCause) || IsTransient(err) || errors.Is(err, context.Canceled) ||
		apierrors.HasStatusCause(err, corev1.NamespaceTerminatingCause)
}

// tried fills in what became of an eviction.
func (p *RemainingPod) tried(pod corev1.Pod, err error, budgets []policyv1.PodDisruptionBudget) {
	if err == nil {
		p.Why = evicting
		return
	}
	var words []string
	for _, budget := range budgets {
		if !covers(budget, pod) {
			continue
		}
		b := Budget{Name: budget.Name, Allowed: budget.Status.DisruptionsAllowed, Healthy: budget.Status.CurrentHealthy, NeedsToBeReady: budget.Status.DesiredHealthy}
		p.Budgets = append(p.Budgets, b)
		words = append(words, fmt.Sprintf("PodDisruptionBudget %s allows %d disruptions (%d healthy, %d needed)", b.Name, b.Allowed, b.Healthy, b.NeedsToBeReady))
	}
	p.Why = strings.Join(words, ", ")
	if len(words) == 0 {
		p.Why = err.Error()
	}
}

func covers(budget policyv1.PodDisruptionBudget, pod corev1.Pod) bool {
	selector, err := metav1.LabelSelectorAsSelector(budget.Spec.Selector)
	return err == nil && budget.Namespace == pod.Namespace && selector.Matches(labels.Set(pod.Labels))
}

func (p *RemainingPod) terminating(pod corev1.Pod) {
	p.Finalizers = pod.Finalizers
	p.Why = "its containers have not ended yet"
	if len(pod.Finalizers) > 0 {
		p.Why = "is held by finalizer " + strings.Join(pod.Finalizers, ", ")
	}
}
