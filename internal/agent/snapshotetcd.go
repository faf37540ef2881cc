package agent

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	"go.etcd.io/etcd/client/v3/concurrency"

	"github.com/haplane/haplane/internal/etcdapi"
)

const (
	// snapshotLock is the key of etcd below which machines queue, under a lease: it goes with who had it.
	snapshotLock = "/haplane/snapshots/"
	// lockSeconds is how long the lock outlives a machine that died with it.
	lockSeconds = 15
	// lockWait bounds the wait for the others.
	lockWait = 5 * time.Minute
)

// etcd is the cluster, by way of the member on this machine.
type etcd struct {
	*etcdapi.Client
	endpoint string
}

// openEtcd reads the certificates as they are now.
func openEtcd(o SnapshotOptions) (storage, error) {
	pair, err := tls.LoadX509KeyPair(o.Cert, o.Key)
	if err != nil {
		return nil, fmt.Errorf("read the certificate for etcd: %w", err)
	}
	ca, err := os.ReadFile(o.CA)
	if err != nil {
		return nil, fmt.Errorf("read etcd's CA: %w", err)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(ca)
	client, err := etcdapi.Dial([]string{o.Endpoint}, &tls.Config{Certificates: []tls.Certificate{pair}, RootCAs: pool, MinVersion: tls.VersionTLS12})
	if err != nil {
		return nil, err
	}
	return &etcd{client, o.Endpoint}, nil
}

func (e *etcd) Survey(ctx context.Context) etcdapi.Survey {
	return e.Client.Survey(ctx, map[string]string{"this machine": e.endpoint})
}

// Alone holds a lock in etcd. Where etcd has no room, it takes no lock either, and a snapshot is wanted all the more.
func (e *etcd) Alone(ctx context.Context, fn func(context.Context) error) error {
	waiting, cancel := context.WithTimeout(ctx, lockWait)
	defer cancel()
	session, err := e.session(waiting)
	if errors.Is(err, rpctypes.ErrNoSpace) {
		return fn(ctx)
	}
	if err != nil {
		return fmt.Errorf("reach etcd at %s: %w", e.endpoint, err)
	}
	defer session.Close()
	lock := concurrency.NewMutex(session, snapshotLock)
	if err := lock.Lock(waiting); err != nil {
		return fmt.Errorf("wait for other machines that take a snapshot: %w", err)
	}
	holding, lose := context.WithCancelCause(ctx)
	defer lose(nil)
	go func() {
		select {
		case <-session.Done():
			lose(errors.New("the lock in etcd was lost"))
		case <-holding.Done():
		}
	}()
	err = fn(holding)
	if cause := context.Cause(holding); err != nil && cause != nil {
		err = errors.Join(cause, err)
	}
	return err
}

// session has a lease of its own. A member that does not answer is not waited for long.
func (e *etcd) session(ctx context.Context) (*concurrency.Session, error) {
	asking, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	lease, err := e.Etcd().Grant(asking, lockSeconds)
	if err != nil {
		return nil, err
	}
	return concurrency.NewSession(e.Etcd(), concurrency.WithLease(lease.ID), concurrency.WithTTL(lockSeconds))
}
