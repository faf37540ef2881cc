// Package agent is the service behind `haplane agent`: it approves the certificates that
// kubelets ask for to serve, and in the shared identity it owns the endpoints of
// default/kubernetes, which no API server writes there.
// One agent runs on every control-plane node; the one that holds the Lease writes.
package agent

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"time"

	"github.com/go-logr/logr"
	"golang.org/x/sync/errgroup"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/klog/v2"
)

// Options say where the agent runs and what it keeps.
type Options struct {
	Kubeconfig string         // path; points at the API server of the agent's own node
	NodeName   string         // the agent's name in the Lease, unique in the cluster
	Endpoint   netip.AddrPort // the load balancer, the only endpoint of default/kubernetes; zero where API servers write those
	Listen     string         // loopback address and port for /healthz and /metrics
	Log        *slog.Logger   // nil for slog's default
}

// Run approves requests and keeps default/kubernetes right until ctx ends, and then releases the Lease
// and returns nil. An API server that cannot be reached is no error, it is waited
// for; a bad option, kubeconfig or listen address is one, at once.
func Run(ctx context.Context, o Options) error {
	if err := o.check(); err != nil {
		return err
	}
	config, err := clientcmd.BuildConfigFromFlags("", o.Kubeconfig)
	if err != nil {
		return fmt.Errorf("read kubeconfig %s: %w", o.Kubeconfig, err)
	}
	client, leases, err := clients(config)
	if err != nil {
		return fmt.Errorf("make a client of kubeconfig %s: %w", o.Kubeconfig, err)
	}
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", o.Listen)
	if err != nil {
		return err
	}
	o.Log.Info("agent started", "node", o.NodeName, "server", config.Host, "endpoint", o.Endpoint, "listen", listener.Addr())
	return o.run(ctx, client, leases, listener)
}

func (o *Options) check() error {
	if o.Log == nil {
		o.Log = slog.Default()
	}
	if o.NodeName == "" {
		return errors.New("agent: no node name")
	}
	// The API server refuses these as endpoints; saying so beats retrying for ever.
	addr := o.Endpoint.Addr()
	if o.keeps() && (!o.Endpoint.IsValid() || o.Endpoint.Port() == 0 || addr.Zone() != "" ||
		addr.IsUnspecified() || addr.IsLoopback() || addr.IsMulticast() || addr.IsLinkLocalUnicast()) {
		return fmt.Errorf("agent: endpoint %s: an address and port that pods can reach is needed", o.Endpoint)
	}
	listen, err := netip.ParseAddrPort(o.Listen)
	if err != nil {
		return fmt.Errorf("agent: listen address: %w", err)
	}
	if !listen.Addr().IsLoopback() {
		return fmt.Errorf("agent: listen address %s is not a loopback address", o.Listen)
	}
	return nil
}

// keeps reports whether endpoints are the agent's to keep.
func (o *Options) keeps() bool { return o.Endpoint != netip.AddrPort{} }

// clients returns one client for the objects and one for the Lease.
func clients(config *rest.Config) (client, leases kubernetes.Interface, err error) {
	config = rest.CopyConfig(config)
	config.UserAgent = ManagedBy
	// core/v1 Endpoints is deprecated, and every answer says so. Writing it is this
	// program's purpose: older clients read it, and no API server writes it here.
	config.WarningHandler = rest.NoWarnings{}
	// A round of repair is three to eight requests; at the default of 5 a second, damage
	// that comes in a row would wait its turn. It still bounds a fight with another writer.
	config.QPS, config.Burst = 50, 100
	if client, err = kubernetes.NewForConfig(config); err != nil {
		return nil, nil, err
	}
	// An API server that hangs must not cost the whole renew deadline. Only the
	// Lease's client has a timeout: it would cut watches too.
	config = rest.CopyConfig(config)
	config.Timeout = renewDeadline / 2
	leases, err = kubernetes.NewForConfig(config)
	return client, leases, err
}

func (o *Options) run(ctx context.Context, client, leases kubernetes.Interface, listener net.Listener) error {
	// client-go logs through the logger in its context.
	ctx = klog.NewContext(ctx, logr.FromSlogHandler(o.Log.Handler()))
	status := newStatus(o.NodeName)
	e := election{
		client: leases, identity: o.NodeName, status: status,
		leaseDuration: leaseDuration, renewDeadline: renewDeadline, period: retryPeriod,
	}
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return serve(ctx, listener, status.handler()) })
	group.Go(func() error { return e.run(ctx, func(ctx context.Context) { o.work(ctx, client, status) }) })
	return group.Wait()
}

// work is what the agent that leads does, until ctx ends.
func (o *Options) work(ctx context.Context, client kubernetes.Interface, status *status) {
	var all sync.WaitGroup
	defer all.Wait()
	a := &approver{client: client, status: status, log: o.Log}
	all.Go(func() { a.run(ctx) })
	if !o.keeps() {
		return
	}
	endpoints, slice := Objects(o.Endpoint)
	k := &keeper{client: client, endpoints: endpoints, slice: slice, status: status, log: o.Log, resync: resync}
	k.run(ctx)
}

// serve answers until ctx ends.
func serve(ctx context.Context, listener net.Listener, handler http.Handler) error {
	server := &http.Server{Handler: handler, ReadHeaderTimeout: 5 * time.Second}
	stop := context.AfterFunc(ctx, func() { _ = server.Close() })
	defer stop()
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve %s: %w", listener.Addr(), err)
	}
	return nil
}
