package apply

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/haplane/haplane/internal/access"
	"github.com/haplane/haplane/internal/change"
	"github.com/haplane/haplane/internal/kubeapi"
	"github.com/haplane/haplane/internal/pki"
	"github.com/haplane/haplane/internal/poll"
	"github.com/haplane/haplane/internal/render"
	"github.com/haplane/haplane/internal/topology"
	"github.com/haplane/haplane/spec"
)

// muteTime is what a kubelet that tells nothing gets to come back before the drain of its node goes on without.
const muteTime = 30 * time.Second

// drainNode moves the pods of a node elsewhere, as their budgets allow it. Those of one whose kubelet tells nothing never end:
// where it does not come back they are not waited for, and go with their Node where that goes.
func drainNode(ctx context.Context, r *Runner, s change.Step) error {
	client, err := r.Cluster.API()
	if err != nil {
		return err
	}
	options := kubeapi.DrainOptions{Timeout: r.DrainTimeout, Force: r.Force, Expendable: r.Expendable, Stays: !r.losesNode(s.Node), Mute: muteTime, Report: func(text string) { r.detail(s, "%s", text) }}
	err = r.unlessStopped(ctx, func(ctx context.Context) error { return client.Drain(ctx, s.Node, options) })
	var mute *kubeapi.MuteError
	if errors.As(err, &mute) && !errors.Is(err, context.Canceled) {
		r.notice(s, "its kubelet tells nothing: %d pods there would never end, and are not waited for", len(mute.Pods))
		return nil
	}
	if apierrors.IsNotFound(err) { // it has no Node any more, or never had one
		return nil
	}
	return err
}

// losesNode reports whether the change deletes a Node.
func (r *Runner) losesNode(name string) bool {
	return slices.ContainsFunc(r.steps, func(s change.Step) bool { return s.Verb == change.DeleteNode && s.Node == name })
}

// uncordonNode lets pods come to a node that was to leave, and stays.
func uncordonNode(ctx context.Context, r *Runner, s change.Step) error {
	client, err := r.Cluster.API()
	if err != nil {
		return err
	}
	kept, err := client.Uncordon(ctx, s.Node)
	if kept != "" {
		r.notice(s, "stays cordoned: %s", kept)
	}
	return err
}

// deleteNode deletes the Node, and the Leases by which it and its API server said that
// they were alive: those of a machine that died would stay. It goes on after errors that pass: beside it a load balancer may leave.
func deleteNode(ctx context.Context, r *Runner, s change.Step) error {
	client, err := r.Cluster.API()
	if err != nil {
		return err
	}
	deletes := []func(context.Context, string) error{client.DeleteNode, client.DeleteNodeLease}
	if r.node(s).Role == spec.RoleControlPlane && len(s.Units) == 0 { // else its API server stays
		deletes = append(deletes, client.DeleteAPIServerLease)
	}
	return r.until(ctx, s.Node, readyTimeout, func(ctx context.Context) error {
		for _, one := range deletes {
			if err := one(ctx, s.Node); err != nil && !kubeapi.IsTransient(err) {
				return poll.Stop(err)
			} else if err != nil {
				return err
			}
		}
		return nil
	})
}

// nodeReady waits until the node is Ready, and labels it: kubelets may not do that
// themselves. A Node of an earlier machine of that name was deleted before.
func nodeReady(ctx context.Context, r *Runner, s change.Step) error {
	n := r.node(s)
	client, err := r.Cluster.API()
	if err != nil {
		return err
	}
	err = r.waitForUnit(ctx, n, []string{"kubelet", "containerd"}, func(ctx context.Context) error {
		nodes, err := r.nodes.list(ctx, client)
		if err != nil {
			return err
		}
		if err := r.keepCordon(ctx, client, s, nodes); err != nil {
			return err
		}
		return r.ready(nodes, n.Name)
	})
	if err != nil || n.Role != spec.RoleControlPlane {
		return err
	}
	return r.apply(ctx, client, []byte(render.NodeLabels(n)))
}

// keepCordon cordons a Node that is registered anew, if the one before it was cordoned by somebody else than haplane: before it
// is Ready, and a pod can come.
func (r *Runner) keepCordon(ctx context.Context, client *kubeapi.Client, s change.Step, nodes []kubeapi.Node) error {
	i := slices.IndexFunc(nodes, func(n kubeapi.Node) bool { return n.Name == s.Node })
	if i < 0 || nodes[i].Unschedulable || !slices.Contains(r.Cordoned, s.Node) {
		return nil
	}
	r.detail(s, "is cordoned, as it was before it was made anew")
	return client.Cordon(ctx, s.Node)
}

// A nodeList is what the API said of all nodes last: who waits for one of many does not ask
// for that one alone.
type nodeList struct {
	mu    sync.Mutex
	at    time.Time
	nodes []kubeapi.Node
	err   error
}

func (l *nodeList) list(ctx context.Context, client *kubeapi.Client) ([]kubeapi.Node, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if time.Since(l.at) >= pollEvery {
		l.nodes, l.err = client.Nodes(ctx)
		l.at = time.Now()
	}
	return l.nodes, l.err
}

// ready says why a node is not, or nil. The API has a node for ready for 40 s after its
// machine went off: what was said before this run started the machine says nothing of it.
func (r *Runner) ready(nodes []kubeapi.Node, name string) error {
	for _, n := range nodes {
		if started, ok := r.started.Load(name); ok && n.Name == name && n.Reported.Before(started.(time.Time).Truncate(time.Second)) { // whole seconds, as the API has them
			return errors.New("has not reported since its machine was started")
		}
		if n.Name == name && !n.Ready {
			return fmt.Errorf("is not ready: %s", n.Reason)
		}
		if n.Name == name {
			return nil
		}
	}
	return errors.New("has not registered")
}

// dnsReady waits for the pods of CoreDNS: those that began before their machine did, as
// this run started it, have ended with it. In an upgrade all are to be of one version, and to serve as before.
func dnsReady(ctx context.Context, r *Runner, _ change.Step) error {
	client, err := r.Cluster.API()
	if err != nil {
		return err
	}
	since := func(node string) time.Time {
		started, _ := r.started.Load(node)
		at, _ := started.(time.Time)
		return at.Truncate(time.Second) // as the API has times
	}
	return r.until(ctx, "", readyTimeout, func(ctx context.Context) error {
		ctx, cancel := context.WithTimeout(ctx, access.RequestTimeout)
		defer cancel()
		if r.Upgrades {
			return r.dnsServes(ctx, client, true)
		}
		if err := client.DeploymentAvailable(ctx, "kube-system", "coredns"); err != nil {
			return err
		}
		return client.PodsRun(ctx, "kube-system", dnsPods, since)
	})
}

func applyManifests(ctx context.Context, r *Runner, _ change.Step) error {
	client, err := r.Cluster.API()
	if err != nil {
		return err
	}
	for _, m := range r.Manifests {
		if err := r.apply(ctx, client, m); err != nil {
			return err
		}
	}
	return nil
}

// takenTimeout is for an address of a Service that a request which was cut off has: after a minute Kubernetes takes it back.
const takenTimeout = 90 * time.Second

// apply goes on after errors that pass.
func (r *Runner) apply(ctx context.Context, client *kubeapi.Client, manifest []byte) error {
	began := time.Now()
	return r.until(ctx, "", readyTimeout, func(ctx context.Context) error {
		_, err := client.Apply(ctx, manifest)
		if err != nil && !kubeapi.IsTransient(err) && !(kubeapi.IsAddressTaken(err) && time.Since(began) < takenTimeout) {
			return poll.Stop(err)
		}
		return err
	})
}

// A served is a certificate as its server shows it, and what it is verified by.
type served struct {
	row, ca, name string
	port          uint16
}

// serves are the certificates that the programs of a node serve.
func serves(unit string, n topology.Node) served {
	return map[string]served{
		"kube-apiserver": {pki.APIServer, pki.CA, topology.KubernetesName, topology.APIServerPort},
		"etcd":           {pki.EtcdServer(n.Name), pki.EtcdCA, n.Name, topology.EtcdClientPort},
	}[unit]
}

// serveCertificate waits until the programs of the step serve the certificates that were written:
// they read them again by themselves.
func serveCertificate(ctx context.Context, r *Runner, s change.Step) error {
	for _, unit := range s.Units {
		if err := r.servesWritten(ctx, s, serves(unit, r.node(s))); err != nil {
			return fmt.Errorf("%s: %w", unit, err)
		}
	}
	return nil
}

func (r *Runner) servesWritten(ctx context.Context, s change.Step, is served) error {
	n, keys := r.node(s), r.Cluster.Keys
	if s.Last {
		keys = r.LastKeys
	}
	want := keys.FileOf(is.row)
	address := netip.AddrPortFrom(n.Address, is.port).String()
	return r.until(ctx, n.Name, readyTimeout, func(ctx context.Context) error {
		ctx, cancel := context.WithTimeout(ctx, access.RequestTimeout)
		defer cancel()
		got, err := kubeapi.ServingCertificates(ctx, address, is.name, r.Cluster.Keys.Trusted(is.ca))
		if err == nil && !pki.Shows(got, want) {
			err = fmt.Errorf("serves certificate %x still and %d behind it, not %s and %d", got[0].SerialNumber, len(got)-1, pki.Serial(keys, is.row), len(pki.Blocks(want))-1)
		}
		return err
	})
}
