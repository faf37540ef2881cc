//go:build e2e

package e2e

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/haplane/haplane/e2e/rig"
)

// waitHealthy waits until `haplane status` shows nothing wrong.
func (c *cluster) waitHealthy(t *testing.T) time.Duration {
	t.Helper()
	return wait(t, 90*time.Second, "everything to be well", func(ctx context.Context) error {
		s, err := c.Status(ctx)
		if err != nil {
			return err
		}
		return errors.Join(c.problems(s)...)
	})
}

// problems are all ways in which a cluster is not as it should be.
func (c *cluster) problems(s rig.Status) []error {
	var errs []error
	expect := func(ok bool, format string, args ...any) {
		if !ok {
			errs = append(errs, fmt.Errorf(format, args...))
		}
	}
	var nodes, servers, members, leading []string
	for _, n := range s.Nodes {
		nodes = append(nodes, n.Name)
		expect(is(n.Ready, true), "node %s is not ready", n.Name)
		expect(n.Role == roleOf(n.Name), "node %s has role %q", n.Name, n.Role)
	}
	for _, a := range s.APIServers {
		servers = append(servers, a.Node)
		expect(is(a.Ready, true), "API server of %s is not ready", a.Node)
	}
	for _, m := range s.Etcd.Members {
		members = append(members, m.Name)
		expect(is(m.Healthy, true) && is(m.Learner, false), "etcd member %s is not healthy, or a learner", m.Name)
		if is(m.Leader, true) {
			leading = append(leading, m.Name)
		}
	}
	expect(same(nodes, allNodes), "nodes are %v", nodes)
	expect(same(servers, controlPlane), "API servers are on %v", servers)
	expect(same(members, controlPlane), "etcd members are %v", members)
	expect(len(leading) == 1, "leaders of etcd are %v", leading)
	for _, name := range []string{"kube-controller-manager", "kube-scheduler"} {
		expect(onControlPlane(s.Leaders[name]), "leader of %s is %q", name, s.Leaders[name])
	}
	expect(same(s.KubernetesServiceEndpoints, []string{c.endpoint()}), "endpoints of default/kubernetes are %v", s.KubernetesServiceEndpoints)
	return append(errs, backendProblems(s)...)
}

func backendProblems(s rig.Status) []error {
	var errs []error
	if len(s.LoadBalancers) != 1 {
		return []error{fmt.Errorf("%d load balancers", len(s.LoadBalancers))}
	}
	var backends []string
	for _, b := range s.LoadBalancers[0].Backends {
		backends = append(backends, b.Node)
		if !is(b.Up, true) {
			errs = append(errs, fmt.Errorf("backend %s is not up", b.Node))
		}
	}
	if !same(backends, controlPlane) {
		errs = append(errs, fmt.Errorf("backends are %v", backends))
	}
	return errs
}

// is is false for a field that is not there.
func is(field *bool, value bool) bool { return field != nil && *field == value }

func same(got, want []string) bool {
	return slices.Equal(slices.Sorted(slices.Values(got)), slices.Sorted(slices.Values(want)))
}

func roleOf(node string) string {
	return map[string]string{"lb-1": "load-balancer", "worker-1": "worker"}[node] + map[bool]string{true: "control-plane"}[slices.Contains(controlPlane, node)]
}

// onControlPlane reports whether a holder of a lease is on a control-plane node:
// upstream's programs add a random part to their host's name.
func onControlPlane(holder string) bool {
	return slices.ContainsFunc(controlPlane, func(n string) bool { return len(holder) >= len(n) && holder[:len(n)] == n })
}
