package agent

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/util/wait"
	coreinformers "k8s.io/client-go/informers/core/v1"
	discoveryinformers "k8s.io/client-go/informers/discovery/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"
)

const (
	// resync bounds how long damage lasts that no watch told of: the informers'
	// own backoff after an API server restart grows to 30 s. A round is three reads.
	resync         = 10 * time.Second
	requestTimeout = 5 * time.Second

	sliceSelector = discoveryv1.LabelServiceName + "=" + serviceName
)

// A keeper keeps default/kubernetes right while it leads.
type keeper struct {
	client    kubernetes.Interface
	endpoints *corev1.Endpoints
	slice     *discoveryv1.EndpointSlice
	status    *status
	log       *slog.Logger
	resync    time.Duration
}

// run repairs at once, after every change of the objects and every resync, and
// after an error again and again, until ctx ends.
func (k *keeper) run(ctx context.Context) {
	changed := make(chan struct{}, 1)
	var informers wait.Group
	defer informers.Wait()
	for _, informer := range k.informers() {
		signalEvents(informer, changed)
		informers.StartWithContext(ctx, informer.RunWithContext)
	}
	backoff := newBackoff()
	for ctx.Err() == nil {
		next := k.resync
		if err := k.repair(ctx); err != nil && ctx.Err() == nil {
			next = backoff.Step()
			k.status.failed()
			k.log.Warn("retry", "in", next, "error", err)
		} else if err == nil {
			backoff = newBackoff()
			k.status.synced(time.Now())
		}
		select {
		case <-ctx.Done():
		case <-changed:
		case <-time.After(next):
		}
	}
}

// newBackoff starts below the time of a conflict's retry and ends at a second: an
// API server that comes back finds the agent waiting.
func newBackoff() wait.Backoff {
	return wait.Backoff{Duration: 20 * time.Millisecond, Factor: 2, Jitter: 0.1, Steps: 100, Cap: time.Second}
}

// informers watch the Endpoints by name and the slices by label, whatever their names.
func (k *keeper) informers() []cache.SharedIndexInformer {
	byName := func(o *metav1.ListOptions) {
		o.FieldSelector = fields.OneTermEqualSelector(metav1.ObjectNameField, serviceName).String()
	}
	byLabel := func(o *metav1.ListOptions) { o.LabelSelector = sliceSelector }
	return []cache.SharedIndexInformer{
		coreinformers.NewFilteredEndpointsInformer(k.client, namespace, 0, nil, byName),
		discoveryinformers.NewFilteredEndpointSliceInformer(k.client, namespace, 0, nil, byLabel),
	}
}

// signalEvents makes every event, a broken watch included, a signal on changed. The
// events' objects are not used: repair reads for itself.
func signalEvents(informer cache.SharedIndexInformer, changed chan<- struct{}) {
	signal := func() {
		select {
		case changed <- struct{}{}:
		default: // one is waiting already
		}
	}
	_, err := informer.AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc:    func(any) { signal() },
		UpdateFunc: func(any, any) { signal() },
		DeleteFunc: func(any) { signal() },
	})
	if err == nil {
		err = informer.SetWatchErrorHandlerWithContext(func(ctx context.Context, r *cache.Reflector, err error) {
			cache.DefaultWatchErrorHandler(ctx, r, err)
			signal()
		})
	}
	if err != nil {
		panic(fmt.Sprintf("an informer that has not started refused a handler: %v", err))
	}
}
