package kubeapi

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"

	"github.com/haplane/haplane/internal/poll"
)

// DrainOptions bound a drain.
type DrainOptions struct {
	// Timeout is for the whole of it; 0 leaves the bound to ctx.
	Timeout time.Duration
	// GracePeriod is what containers get to end, in whole seconds; 0 leaves each pod its own.
	GracePeriod time.Duration
	// Force evicts pods without a controller too, which nothing makes anew elsewhere.
	// Without it they are an error before anything is evicted.
	Force bool
	// Expendable is a label of pods that nobody misses; empty is none. They go without Force.
	Expendable string
	// Stays says that the Node stays: where its kubelet tells nothing, so do its pods, and nobody has to let those without a
	// controller go.
	Stays bool
	// Mute is how long a kubelet that tells nothing gets to tell something again, within Timeout. Nothing is evicted meanwhile;
	// 0 waits for none.
	Mute time.Duration
	// Report is told of every pod once it is being evicted, and of what is in the way
	// when that changes. Nil is silence.
	Report func(string)
}

// drainInterval is how often a drain looks at what is left, and tries again.
const drainInterval = time.Second

// Drain cordons a node and evicts its pods by the Eviction API, which honours
// PodDisruptionBudgets: where one has no disruptions to give, it asks again until it has.
// Pods of DaemonSets and mirror pods stay; emptyDir volumes are lost with their pods, which nobody is asked about here: see LocalData. It
// returns when the last of the others is gone, and at the timeout a *DrainError; without Force,
// pods without a controller are an *UnmanagedError. It can be run again. The pods of a node whose kubelet tells nothing never end:
// from when that is seen on, be it in the middle, no pod is evicted, and where it lasts it is a *MuteError. So it is where ctx ends meanwhile.
//
// kubectl's drain package does the same, and brings 140 packages (kustomize among them); at its
// timeout it does not know the budget that stands in the way.
func (c *Client) Drain(ctx context.Context, node string, options DrainOptions) error {
	if options.Timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, options.Timeout)
		defer cancel()
	}
	d := &drain{client: c, node: node, options: options, evicted: map[string]bool{}}
	if err := poll.Until(ctx, drainInterval, d.cordon); err != nil {
		return err
	}
	return poll.Until(ctx, drainInterval, d.round)
}

// A drain is one that is under way.
type drain struct {
	client  *Client
	node    string
	options DrainOptions
	evicted map[string]bool // by UID
	said    string
	silent  time.Time // since when the node's kubelet is known to tell nothing; zero while it does
}

// cordon can be done again: a request that was cut off may have done it.
func (d *drain) cordon(ctx context.Context) error {
	if err := d.client.cordonToDrain(ctx, d.node); err != nil {
		return d.unlessTransient(err)
	}
	return nil
}

// round evicts what can be evicted, and returns nil when nothing is left.
func (d *drain) round(ctx context.Context) error {
	pods, err := d.client.evictable(ctx, d.node)
	if err != nil {
		return d.unlessTransient(err)
	}
	if len(pods) == 0 {
		return nil
	}
	mute, err := d.mute(ctx)
	if err != nil {
		return err
	}
	if alone := withoutController(pods, d.options.Expendable); len(alone) > 0 && !d.options.Force && !(mute && d.options.Stays) {
		return poll.Stop(&UnmanagedError{Node: d.node, Pods: alone})
	}
	if mute {
		return d.wait(&MuteError{Node: d.node, Pods: names(pods)})
	}
	budgets, err := d.client.typed.PolicyV1().PodDisruptionBudgets(metav1.NamespaceAll).List(ctx, metav1.ListOptions{})
	if err != nil {
		return d.unlessTransient(d.client.errorf("list poddisruptionbudgets", err))
	}
	err = d.evictAll(ctx, pods, budgets.Items)
	d.report(err.Error())
	return err
}

// mute reports whether the node's kubelet tells nothing.
func (d *drain) mute(ctx context.Context) (bool, error) {
	n, err := d.client.typed.CoreV1().Nodes().Get(ctx, d.node, metav1.GetOptions{})
	if err != nil {
		return false, d.unlessTransient(d.client.errorf("read node "+d.node, err))
	}
	is := nodeOf(*n).Mute()
	if !is {
		d.silent = time.Time{}
	}
	return is, nil
}

// wait gives a kubelet that tells nothing some time: a machine that was cut off for a while, or whose kubelet starts anew, comes back.
func (d *drain) wait(mute *MuteError) error {
	if d.silent.IsZero() {
		d.silent = time.Now()
	}
	if time.Since(d.silent) >= d.options.Mute {
		return poll.Stop(mute)
	}
	d.report(fmt.Sprintf("its kubelet tells the API nothing: it gets %s to come back", d.options.Mute.Round(time.Second)))
	return mute
}

// report tells of what is in the way, once.
func (d *drain) report(text string) {
	if d.options.Report != nil && text != d.said {
		d.options.Report(text)
		d.said = text
	}
}

// unlessTransient ends the drain at an error that waiting does not mend.
func (d *drain) unlessTransient(err error) error {
	if IsTransient(err) {
		return err
	}
	return poll.Stop(err)
}

// evictable lists the pods of a node that a drain ends.
func (c *Client) evictable(ctx context.Context, node string) ([]corev1.Pod, error) {
	list, err := c.typed.CoreV1().Pods(metav1.NamespaceAll).List(ctx, metav1.ListOptions{
		FieldSelector: fields.OneTermEqualSelector("spec.nodeName", node).String(),
	})
	if err != nil {
		return nil, c.errorf("list pods of node "+node, err)
	}
	return slices.DeleteFunc(list.Items, func(pod corev1.Pod) bool {
		owner := metav1.GetControllerOf(&pod)
		return pod.Annotations[corev1.MirrorPodAnnotationKey] != "" || owner != nil && owner.Kind == "DaemonSet"
	}), nil
}

// An UnmanagedError is a node with pods that nothing makes anew elsewhere, as NAMESPACE/NAME.
type UnmanagedError struct {
	Node string
	Pods []string
}

func (e *UnmanagedError) Error() string {
	return fmt.Sprintf("drain node %s: nothing would make these pods anew: %s", e.Node, strings.Join(e.Pods, ", "))
}

// A MuteError is a node whose kubelet tells nothing, with its pods, as NAMESPACE/NAME: they do not end.
type MuteError struct {
	Node string
	Pods []string
}

func (e *MuteError) Error() string {
	return fmt.Sprintf("drain node %s: its kubelet tells the API nothing, so that pods there do not end: %s", e.Node, strings.Join(e.Pods, ", "))
}

func names(pods []corev1.Pod) []string {
	var out []string
	for _, pod := range pods {
		out = append(out, pod.Namespace+"/"+pod.Name)
	}
	return out
}

func withoutController(pods []corev1.Pod, expendable string) []string {
	return names(slices.DeleteFunc(slices.Clone(pods), func(pod corev1.Pod) bool {
		_, ok := pod.Labels[expendable]
		return ok || metav1.GetControllerOf(&pod) != nil || finished(pod) || pod.DeletionTimestamp != nil
	}))
}

func finished(pod corev1.Pod) bool {
	return pod.Status.Phase == corev1.PodSucceeded || pod.Status.Phase == corev1.PodFailed
}
