package apply

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/haplane/haplane/internal/access"
	"github.com/haplane/haplane/internal/change"
	"github.com/haplane/haplane/internal/etcdapi"
	"github.com/haplane/haplane/internal/kubeapi"
	"github.com/haplane/haplane/internal/observed"
	"github.com/haplane/haplane/internal/pki"
	"github.com/haplane/haplane/internal/topology"
	"github.com/haplane/haplane/spec"
)

// endpointsTimeout bounds what becomes of endpoints: API servers look at theirs every 10 s, and a key
// of one that was killed ends after 15 s.
const endpointsTimeout = 45 * time.Second

// holdEndpoints keeps all API servers off the endpoints of default/kubernetes, and sees on
// each one that it does.
func holdEndpoints(ctx context.Context, r *Runner, s change.Step) error {
	if err := r.onAPIServer(ctx, func(ctx context.Context, client *kubeapi.Client) error { return client.HoldKubernetesEndpoints(ctx) }); err != nil {
		return err
	}
	return r.until(ctx, "", endpointsTimeout, func(ctx context.Context) error {
		return r.onReady(ctx, func(ctx context.Context, client *kubeapi.Client) error { return client.KubernetesEndpointsHeld(ctx) })
	})
}

// setEndpoints writes the endpoints that the step has. While they are held, and where no API server
// writes them, they are haplane agent's.
func setEndpoints(ctx context.Context, r *Runner, s change.Step) error {
	var want []netip.AddrPort
	for _, e := range s.Endpoints {
		want = append(want, netip.MustParseAddrPort(e))
	}
	owner := pki.AgentUser
	if s.ID == change.SetEndpoints && !r.Cluster.Topology.OwnsEndpoints() {
		owner = ""
		if err := r.reconciled(ctx, s.Endpoints); err != nil {
			return err
		}
	}
	err := r.onAPIServer(ctx, func(ctx context.Context, client *kubeapi.Client) error {
		return client.SetKubernetesEndpoints(ctx, want, owner)
	})
	if err != nil {
		return err
	}
	return r.endpointsAre(ctx, s.Endpoints)
}

// reconciled waits until those API servers, and no others, have said in etcd that they are endpoints: this
// is what they write as soon as they may. Keys of addresses that are no longer theirs end by themselves.
func (r *Runner) reconciled(ctx context.Context, endpoints []string) error {
	var want []string
	for _, e := range endpoints {
		want = append(want, netip.MustParseAddrPort(e).Addr().String())
	}
	slices.Sort(want)
	prefix := cmp.Or(r.Cluster.Topology.ExtraArgs["kube-apiserver"]["etcd-prefix"], "/registry")
	return r.until(ctx, "", endpointsTimeout, func(ctx context.Context) error {
		return r.withEtcd(ctx, "", func(etcd *etcdapi.Client, _ observed.Etcd) error {
			have, err := etcd.MasterLeases(ctx, prefix)
			if err == nil && !slices.Equal(have, want) {
				err = fmt.Errorf("API servers have said that they are endpoints: %s; wanted are %s", cmp.Or(strings.Join(have, ", "), "none"), strings.Join(want, ", "))
			}
			return err
		})
	})
}

// endpointsAre waits until the endpoints are these, as kube-proxy has them.
func (r *Runner) endpointsAre(ctx context.Context, want []string) error {
	want = slices.Sorted(slices.Values(want))
	return r.until(ctx, "", endpointsTimeout, func(ctx context.Context) error {
		return r.onAPIServer(ctx, func(ctx context.Context, client *kubeapi.Client) error {
			have, err := client.KubernetesEndpoints(ctx)
			if err == nil && !slices.Equal(have, want) {
				err = fmt.Errorf("the endpoints of default/kubernetes are %s; wanted are %s", cmp.Or(strings.Join(have, ", "), "none"), strings.Join(want, ", "))
			}
			return err
		})
	})
}

// releaseEndpoints lets API servers write the endpoints again: those that do agree with what they are, where the step says that.
func releaseEndpoints(ctx context.Context, r *Runner, s change.Step) error {
	err := r.onAPIServer(ctx, func(ctx context.Context, client *kubeapi.Client) error { return client.ReleaseKubernetesEndpoints(ctx) })
	if err != nil || len(s.Endpoints) == 0 {
		return err
	}
	return r.endpointsAre(ctx, s.Endpoints)
}

// onReady calls fn with a client of each API server that is ready, past the load balancer; one at least has to be.
func (r *Runner) onReady(ctx context.Context, fn func(context.Context, *kubeapi.Client) error) error {
	var errs []error
	asked := 0
	for _, n := range r.controlPlane() {
		if r.Cluster.Ready(ctx, n) != nil {
			continue
		}
		asked++
		errs = append(errs, r.onOne(ctx, n, fn))
	}
	if asked == 0 {
		return errors.New("no API server is ready")
	}
	return errors.Join(errs...)
}

// onAPIServer calls fn with a client of API servers, past the load balancer, until one has done it.
func (r *Runner) onAPIServer(ctx context.Context, fn func(context.Context, *kubeapi.Client) error) error {
	return r.until(ctx, "", endpointsTimeout, func(ctx context.Context) error {
		var errs []error
		for _, n := range r.controlPlane() {
			err := r.onOne(ctx, n, fn)
			if err == nil {
				return nil
			}
			errs = append(errs, err)
		}
		return errors.Join(errs...)
	})
}

func (r *Runner) onOne(ctx context.Context, n topology.Node, fn func(context.Context, *kubeapi.Client) error) error {
	client, err := r.Cluster.APIOf(n)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, access.RequestTimeout)
	defer cancel()
	return fn(ctx, client)
}

// controlPlane are the nodes with an API server, those that leave too, by name.
func (r *Runner) controlPlane() []topology.Node {
	var out []topology.Node
	for _, n := range r.Nodes {
		if n.Role == spec.RoleControlPlane {
			out = append(out, n)
		}
	}
	slices.SortFunc(out, func(a, b topology.Node) int { return cmp.Compare(a.Name, b.Name) })
	return out
}
