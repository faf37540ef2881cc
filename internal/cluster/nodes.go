package cluster

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/haplane/haplane/internal/apply"
	"github.com/haplane/haplane/internal/kubeapi"
	"github.com/haplane/haplane/internal/poll"
	"github.com/haplane/haplane/internal/render"
	"github.com/haplane/haplane/internal/topology"
)

func applyManifests(ctx context.Context, e *env) error {
	client, err := e.api()
	if err != nil {
		return err
	}
	for _, manifest := range e.manifests() {
		if err := e.apply(ctx, client, manifest); err != nil {
			return err
		}
	}
	return nil
}

// apply goes on after errors that pass: an API server that ends while the load
// balancer still has it, say. What was applied before one is unchanged the next time.
func (e *env) apply(ctx context.Context, client *kubeapi.Client, manifest []byte) error {
	ctx, cancel := context.WithTimeout(ctx, apiTimeout)
	defer cancel()
	return e.until(ctx, "", func(ctx context.Context) error {
		changed, err := client.Apply(ctx, manifest)
		e.addApplied(changed)
		if err != nil && !kubeapi.IsTransient(err) {
			return poll.Stop(err)
		}
		return err
	})
}

func (e *env) manifests() [][]byte { return [][]byte{render.RBAC(), render.CoreDNS(e.input())} }

// nodesStarted looks at the units that need the API.
func nodesStarted(ctx context.Context, e *env) (bool, error) { return e.planned(ctx, isNodeUnit) }

func startNodes(ctx context.Context, e *env) error { return e.execute(ctx) }

// waitForNodes waits until all nodes are there and ready, and labels those of
// the control plane: kubelets may not do that themselves.
func waitForNodes(ctx context.Context, e *env) error {
	client, err := e.api()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, nodesTimeout)
	defer cancel()
	var late *apply.UnitError
	err = e.until(ctx, "", func(ctx context.Context) error {
		return bounded(ctx, func(ctx context.Context) error {
			nodes, err := client.Nodes(ctx)
			if err != nil {
				return err
			}
			late, err = e.lateNodes(nodes)
			return err
		})
	})
	switch {
	case errors.Is(err, errMachineOff):
		n, _ := e.topology.Node(late.Node)
		return e.withConsole(n, fmt.Errorf("%s: %w", n.Name, err))
	case err != nil && late != nil:
		return &apply.UnitError{Node: late.Node, Unit: late.Unit, Err: err}
	case err != nil:
		return err
	}
	return e.labelNodes(ctx, client)
}

// lateNodes tells what is waited for on each node. It returns the first that is not
// ready, and all reasons in one error, which stops the wait where none can come to an end.
func (e *env) lateNodes(nodes []kubeapi.Node) (first *apply.UnitError, err error) {
	var reasons []string
	for _, n := range e.topology.KubeletNodes() {
		reason := e.notReady(n, nodes)
		e.waiting(n.Name, reason)
		if reason == "" {
			continue
		}
		late := &apply.UnitError{Node: n.Name, Unit: "kubelet"}
		if e.isOff(n) {
			return late, poll.Stop(errMachineOff)
		}
		if first == nil {
			first = late
		}
		reasons = append(reasons, n.Name+" "+reason)
	}
	if first == nil {
		return nil, nil
	}
	return first, errors.New(strings.Join(reasons, "; "))
}

// notReady says why a node is not ready, or nothing. The API has a node for ready
// for 40 s after its machine went off: what was said before this run started the
// machine says nothing of it.
func (e *env) notReady(n topology.Node, nodes []kubeapi.Node) string {
	i := slices.IndexFunc(nodes, func(o kubeapi.Node) bool { return o.Name == n.Name })
	switch {
	case i < 0:
		return "has not registered"
	case nodes[i].Reported.Before(e.started[n.Name].Truncate(time.Second)): // whole seconds, as the API has them
		return "has not reported since its machine was started"
	case !nodes[i].Ready:
		return "is not ready: " + nodes[i].Reason
	}
	return ""
}

// addApplied tells of the objects that were not as they should be.
func (e *env) addApplied(objects []kubeapi.Applied) {
	for _, o := range objects {
		if o.Change != kubeapi.Unchanged {
			e.changes.add(fmt.Sprintf("%s %s %s", o.Change, o.Kind, o.Name))
		}
	}
}

func (e *env) labelNodes(ctx context.Context, client *kubeapi.Client) error {
	return e.apply(ctx, client, nodeLabels(e.topology))
}

// nodeLabels are those of the nodes of the control plane that have a kubelet.
func nodeLabels(t *topology.Topology) []byte {
	var nodes []topology.Node
	for _, n := range t.ControlPlane() {
		if t.RunsKubelet(n) {
			nodes = append(nodes, n)
		}
	}
	return render.NodeLabels(nodes...)
}
func waitForDNS(ctx context.Context, e *env) error {
	client, err := e.api()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, nodesTimeout)
	defer cancel()
	return e.until(ctx, "", func(ctx context.Context) error {
		return bounded(ctx, func(ctx context.Context) error {
			if err := client.DeploymentAvailable(ctx, "kube-system", "coredns"); err != nil {
				return err
			}
			since := func(node string) time.Time { return e.started[node].Truncate(time.Second) } // as the API has times
			return client.PodsRun(ctx, "kube-system", "k8s-app=kube-dns", since)
		})
	})
}
