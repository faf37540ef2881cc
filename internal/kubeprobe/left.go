package kubeprobe

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
)

// LeftOver is how old what carries Label must be to belong to no run any longer.
// Pods of runs end by then, and what was written is removed by whichever run ends next.
const LeftOver = 6 * time.Hour

type deleter func(ctx context.Context, name string, o metav1.DeleteOptions) error

// deleteOld deletes what a run that was killed has left.
func deleteOld(ctx context.Context, object metav1.Object, del deleter) error {
	if time.Since(object.GetCreationTimestamp().Time) < LeftOver {
		return nil
	}
	if err := del(ctx, object.GetName(), metav1.DeleteOptions{}); err != nil && !apierrors.IsNotFound(err) {
		return err
	}
	return nil
}

// ofChange begins the names of runs beside a change of the cluster.
const ofChange = "change-"

// ForChange makes the run one beside a change of the cluster. There is one change at a time.
func (t *Target) ForChange() { t.run = ofChange + strings.TrimPrefix(t.run, ofChange) }

// RemoveLeft deletes what runs beside changes have left that were killed, but not what this one has
// written: their pods go on for hours. It is for whoever has the lock on the cluster.
func (t *Target) RemoveLeft(ctx context.Context) error {
	client, err := kubernetes.NewForConfig(t.config)
	if err != nil {
		return err
	}
	return removeLeft(ctx, client, t.run)
}

func removeLeft(ctx context.Context, client kubernetes.Interface, own string) error {
	ctx, cancel := context.WithTimeout(ctx, deleteTime)
	defer cancel()
	pods, maps := client.CoreV1().Pods(Namespace), client.CoreV1().ConfigMaps(Namespace)
	runs, err := pods.List(ctx, metav1.ListOptions{LabelSelector: Label})
	if err != nil {
		return fmt.Errorf("list pods of earlier runs: %w", err)
	}
	written, err := maps.List(ctx, metav1.ListOptions{LabelSelector: Label})
	if err != nil {
		return fmt.Errorf("list what earlier runs wrote: %w", err)
	}
	var failed []error
	remove := func(object metav1.Object, del deleter) {
		run := object.GetLabels()[Label]
		if !strings.HasPrefix(run, ofChange) || run == own {
			return
		}
		if err := del(ctx, object.GetName(), metav1.DeleteOptions{GracePeriodSeconds: new(int64)}); err != nil && !apierrors.IsNotFound(err) {
			failed = append(failed, fmt.Errorf("delete %s of an earlier run: %w", object.GetName(), err))
		}
	}
	for _, o := range runs.Items {
		remove(&o, pods.Delete)
	}
	for _, o := range written.Items {
		remove(&o, maps.Delete)
	}
	return errors.Join(failed...)
}
