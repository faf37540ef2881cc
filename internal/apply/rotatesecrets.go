package apply

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/haplane/haplane/internal/change"
	"github.com/haplane/haplane/internal/etcdapi"
	"github.com/haplane/haplane/internal/kubeapi"
	"github.com/haplane/haplane/internal/observed"
)

// secretsPrefix is where API servers store Secrets.
const secretsPrefix = "/registry/secrets/"

// migrationTimeout is how long the controller manager may take; what it leaves is written from here.
const migrationTimeout = time.Minute

// encryptedWith begins what was encrypted with a key: as apiserver/pkg/server/options/encryptionconfig has it.
func encryptedWith(name string) []byte { return []byte("k8s:enc:secretbox:v1:" + name + ":") }

// oldSecrets are the keys in etcd that the next encryption key has not written, and how many there are in all.
func (r *Runner) oldSecrets(ctx context.Context) (old []string, all int, err error) {
	next := r.Rotation.Next.Cert // its name
	err = r.withEtcd(ctx, "", func(client *etcdapi.Client, _ observed.Etcd) error {
		old, all, err = client.Unlike(ctx, secretsPrefix, encryptedWith(strings.TrimSpace(string(next))))
		return err
	})
	return old, all, err
}

func secretsRewritten(ctx context.Context, r *Runner) error {
	old, _, err := r.oldSecrets(ctx)
	if err != nil {
		return err
	}
	var what []string
	for _, key := range old {
		what = append(what, "etcd has "+key+" in what another key has written")
	}
	return blocked(what)
}

// rewriteSecrets has all Secrets written anew: by the controller manager where it can, and what is left
// of them one by one.
func rewriteSecrets(ctx context.Context, r *Runner, s change.Step) error {
	client, err := r.Cluster.API()
	if err != nil {
		return err
	}
	if err := client.DropMigrations(ctx); err != nil {
		return err
	}
	old, all, err := r.oldSecrets(ctx)
	if err != nil || len(old) == 0 {
		return err
	}
	rewrite := func(ctx context.Context, key string) error {
		namespace, name, ok := strings.Cut(strings.TrimPrefix(key, secretsPrefix), "/")
		if !ok {
			return fmt.Errorf("rewrite Secrets: %s in etcd is none", key)
		}
		return client.RewriteSecret(ctx, namespace, name)
	}
	began := time.Now()
	switch err := client.MigrateSecrets(ctx, migrationTimeout, func(ctx context.Context) error { return rewrite(ctx, old[0]) }); {
	case errors.Is(err, kubeapi.ErrNoMigration):
	case err != nil:
		r.detail(s, "the controller manager has not rewritten all Secrets: %v", err)
	default:
		r.detail(s, "a StorageVersionMigration took %.1f s", time.Since(began).Seconds())
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	left, _, err := r.oldSecrets(ctx)
	if err != nil {
		return err
	}
	for _, key := range left {
		if err := rewrite(ctx, key); err != nil {
			return err
		}
	}
	r.detail(s, "%d Secrets, %d of them with another key before, %d written one by one", all, len(old), len(left))
	return nil
}
