package kubeprobe

import (
	"context"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// leftOver is how old what carries Label must be to belong to no run any longer.
// Pods of runs end by then.
const leftOver = 6 * time.Hour

type deleter func(ctx context.Context, name string, o metav1.DeleteOptions) error

// deleteOld deletes what a run that was killed has left.
func deleteOld(ctx context.Context, object metav1.Object, del deleter) error {
	if time.Since(object.GetCreationTimestamp().Time) < leftOver {
		return nil
	}
	if err := del(ctx, object.GetName(), metav1.DeleteOptions{}); err != nil && !apierrors.IsNotFound(err) {
		return err
	}
	return nil
}
