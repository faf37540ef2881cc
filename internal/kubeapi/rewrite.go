package kubeapi

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	svmv1 "k8s.io/api/storagemigration/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/haplane/haplane/internal/poll"
)

// ErrNoMigration means that the API server does not serve StorageVersionMigrations.
var ErrNoMigration = errors.New("StorageVersionMigration is not served")

// MigrateSecrets has the controller manager write all Secrets anew, as they are stored now. It begins when its cache
// has seen the revision at which the migration was made (v1.37: "GC cache is not up to date"): that of a resource which nobody
// writes to does so once a minute. So touch writes one, once the revision is known. The error wraps
// ErrNoMigration where there is no API for it.
func (c *Client) MigrateSecrets(ctx context.Context, limit time.Duration, touch func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	migrations := c.typed.StoragemigrationV1().StorageVersionMigrations()
	made, err := migrations.Create(ctx, &svmv1.StorageVersionMigration{ObjectMeta: metav1.ObjectMeta{GenerateName: migrationPrefix},
		Spec: svmv1.StorageVersionMigrationSpec{Resource: metav1.GroupResource{Resource: "secrets"}}}, metav1.CreateOptions{})
	if apierrors.IsNotFound(err) {
		return c.errorf("rewrite Secrets", ErrNoMigration)
	}
	if err != nil {
		return c.errorf("rewrite Secrets", err)
	}
	defer func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
		defer cancel()
		_ = migrations.Delete(ctx, made.Name, metav1.DeleteOptions{}) // it has done what it can
	}()
	touched := false
	return poll.Until(ctx, 500*time.Millisecond, func(ctx context.Context) error {
		m, err := migrations.Get(ctx, made.Name, metav1.GetOptions{})
		if err != nil {
			return c.errorf("ask how far Secrets are rewritten", err)
		}
		if m.Status.ResourceVersion != "" && !touched {
			if err := touch(ctx); err != nil {
				return poll.Stop(err)
			}
			touched = true
		}
		for _, condition := range m.Status.Conditions {
			if condition.Status != metav1.ConditionTrue {
				continue
			}
			switch svmv1.MigrationConditionType(condition.Type) {
			case svmv1.MigrationSucceeded:
				return nil
			case svmv1.MigrationFailed:
				return poll.Stop(fmt.Errorf("StorageVersionMigration %s: %s", made.Name, condition.Message))
			}
		}
		return fmt.Errorf("StorageVersionMigration %s has not ended", made.Name)
	})
}

const migrationPrefix = "haplane-secrets-"

// DropMigrations deletes what a haplane that was killed has left of MigrateSecrets.
func (c *Client) DropMigrations(ctx context.Context) error {
	migrations := c.typed.StoragemigrationV1().StorageVersionMigrations()
	list, err := migrations.List(ctx, metav1.ListOptions{})
	if apierrors.IsNotFound(err) { // there is no API for it
		return nil
	}
	if err != nil {
		return c.errorf("list StorageVersionMigrations", err)
	}
	for _, m := range list.Items {
		if !strings.HasPrefix(m.Name, migrationPrefix) {
			continue
		}
		if err := migrations.Delete(ctx, m.Name, metav1.DeleteOptions{}); err != nil && !apierrors.IsNotFound(err) {
			return c.errorf("delete StorageVersionMigration "+m.Name, err)
		}
	}
	return nil
}

// RewriteSecret reads a Secret and writes it as it is: where what is stored is not as it would be written, the
// API server stores it anew. One that somebody else writes or deletes meanwhile is read again.
func (c *Client) RewriteSecret(ctx context.Context, namespace, name string) error {
	secrets := c.typed.CoreV1().Secrets(namespace)
	err := poll.Until(ctx, 50*time.Millisecond, func(ctx context.Context) error {
		s, err := secrets.Get(ctx, name, metav1.GetOptions{})
		if err == nil {
			_, err = secrets.Update(ctx, s, metav1.UpdateOptions{FieldManager: FieldManager})
		}
		if err != nil && !apierrors.IsConflict(err) && !IsTransient(err) {
			return poll.Stop(err)
		}
		return err
	})
	if err != nil && !apierrors.IsNotFound(err) {
		return c.errorf("rewrite Secret "+namespace+"/"+name, err)
	}
	return nil
}
