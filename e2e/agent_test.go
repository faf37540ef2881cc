//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/util/retry"
)

// damages are what may happen to the endpoints of default/kubernetes.
var damages = []struct {
	name string
	do   func(context.Context, kubernetes.Interface) error
}{
	{"endpoints-deleted", func(ctx context.Context, k kubernetes.Interface) error {
		return k.CoreV1().Endpoints("default").Delete(ctx, "kubernetes", metav1.DeleteOptions{})
	}},
	{"endpoints-wrong-address", changeEndpoints(func(e *corev1.Endpoints) { e.Subsets[0].Addresses[0].IP = "192.0.2.1" })},
	{"endpoints-another-address", changeEndpoints(func(e *corev1.Endpoints) {
		e.Subsets[0].Addresses = append(e.Subsets[0].Addresses, corev1.EndpointAddress{IP: "192.0.2.1"})
	})},
	{"endpoints-emptied", changeEndpoints(func(e *corev1.Endpoints) { e.Subsets = nil })},
	{"endpoints-without-label", changeEndpoints(func(e *corev1.Endpoints) { e.Labels = nil })},
	{"slice-deleted", func(ctx context.Context, k kubernetes.Interface) error {
		return k.DiscoveryV1().EndpointSlices("default").Delete(ctx, "kubernetes", metav1.DeleteOptions{})
	}},
	{"slice-wrong-address", changeSlice(func(s *discoveryv1.EndpointSlice) { s.Endpoints[0].Addresses[0] = "192.0.2.1" })},
	{"slice-another-endpoint", changeSlice(func(s *discoveryv1.EndpointSlice) {
		s.Endpoints = append(s.Endpoints, discoveryv1.Endpoint{Addresses: []string{"192.0.2.1"}})
	})},
	{"slice-not-ready", changeSlice(func(s *discoveryv1.EndpointSlice) { s.Endpoints[0].Conditions.Ready = new(false) })},
	{"slice-without-label", changeSlice(func(s *discoveryv1.EndpointSlice) { s.Labels = nil })},
	{"another-slice", func(ctx context.Context, k kubernetes.Interface) error {
		_, err := k.DiscoveryV1().EndpointSlices("default").Create(ctx, &discoveryv1.EndpointSlice{
			ObjectMeta:  metav1.ObjectMeta{Name: "kubernetes-stray", Labels: map[string]string{discoveryv1.LabelServiceName: "kubernetes"}},
			AddressType: discoveryv1.AddressTypeIPv4,
			Endpoints:   []discoveryv1.Endpoint{{Addresses: []string{"192.0.2.1"}}},
		}, metav1.CreateOptions{})
		return err
	}},
}

func changeEndpoints(change func(*corev1.Endpoints)) func(context.Context, kubernetes.Interface) error {
	return func(ctx context.Context, k kubernetes.Interface) error {
		return retry.RetryOnConflict(retry.DefaultRetry, func() error {
			e, err := k.CoreV1().Endpoints("default").Get(ctx, "kubernetes", metav1.GetOptions{})
			if err != nil {
				return err
			}
			change(e)
			_, err = k.CoreV1().Endpoints("default").Update(ctx, e, metav1.UpdateOptions{})
			return err
		})
	}
}

func changeSlice(change func(*discoveryv1.EndpointSlice)) func(context.Context, kubernetes.Interface) error {
	return func(ctx context.Context, k kubernetes.Interface) error {
		return retry.RetryOnConflict(retry.DefaultRetry, func() error {
			s, err := k.DiscoveryV1().EndpointSlices("default").Get(ctx, "kubernetes", metav1.GetOptions{})
			if err != nil {
				return err
			}
			change(s)
			_, err = k.DiscoveryV1().EndpointSlices("default").Update(ctx, s, metav1.UpdateOptions{})
			return err
		})
	}
}

// checkAgent damages default/kubernetes in every way and waits for the repair.
func (c *cluster) checkAgent(t *testing.T) {
	client := c.client(t)
	for _, damage := range damages {
		t.Run(damage.name, func(t *testing.T) {
			before := c.repairs(t)
			if err := damage.do(background(t), client); err != nil {
				t.Fatal(err)
			}
			t.Logf("right again after %s", ms(c.waitRepaired(t, client)))
			if after := c.repairs(t); after <= before {
				t.Errorf("the agents count %v repairs, %v before: was there any damage?", after, before)
			}
		})
	}
	t.Run("healthz", c.checkAgentHealth)
	t.Run("leader-killed", c.checkAgentTakeover)
}

// waitRepaired waits until everything about default/kubernetes is right.
func (c *cluster) waitRepaired(t *testing.T, client kubernetes.Interface) time.Duration {
	t.Helper()
	return wait(t, 30*time.Second, "the repair", func(ctx context.Context) error {
		endpoints, err := client.CoreV1().Endpoints("default").Get(ctx, "kubernetes", metav1.GetOptions{})
		if err != nil {
			return err
		}
		if err := c.endpointsWrong(endpoints); err != nil {
			return err
		}
		list, err := client.DiscoveryV1().EndpointSlices("default").List(ctx, metav1.ListOptions{LabelSelector: "kubernetes.io/service-name=kubernetes"})
		if err != nil {
			return err
		}
		return c.slicesWrong(list.Items)
	})
}

const agentURL = "http://127.0.0.1:10271"

// repairs is the sum of the repairs of all agents.
func (c *cluster) repairs(t *testing.T) float64 {
	t.Helper()
	var sum float64
	for _, node := range controlPlane {
		for line := range strings.Lines(c.on(t, node, "curl --silent --fail "+agentURL+"/metrics | grep ^haplane_agent_repairs_total")) {
			var n float64
			if _, err := fmt.Sscan(line[strings.LastIndex(line, " ")+1:], &n); err != nil {
				t.Fatalf("%s: %v: %s", node, err, line)
			}
			sum += n
		}
	}
	return sum
}

// leadingAgent is the node whose agent holds the Lease.
func leadingAgent(ctx context.Context, client kubernetes.Interface) (string, error) {
	lease, err := client.CoordinationV1().Leases("kube-system").Get(ctx, "haplane-agent", metav1.GetOptions{})
	if err != nil {
		return "", err
	}
	if lease.Spec.HolderIdentity == nil || !slices.Contains(controlPlane, *lease.Spec.HolderIdentity) {
		return "", fmt.Errorf("the Lease's holder is %v", lease.Spec.HolderIdentity)
	}
	return *lease.Spec.HolderIdentity, nil
}

// checkAgentHealth asks each agent who leads; all have to agree with the Lease.
func (c *cluster) checkAgentHealth(t *testing.T) {
	leader, err := leadingAgent(background(t), c.client(t))
	if err != nil {
		t.Fatal(err)
	}
	for _, node := range controlPlane {
		health := c.on(t, node, "curl --silent --fail "+agentURL+"/healthz")
		contains(t, "health of the agent of "+node, health, `"ok":true`, fmt.Sprintf(`"node":%q`, node),
			fmt.Sprintf(`"leader":%t`, node == leader), fmt.Sprintf(`"holder":%q`, leader))
	}
}

// checkAgentTakeover kills the leading agent and damages the endpoints while
// nobody leads.
func (c *cluster) checkAgentTakeover(t *testing.T) {
	ctx, client := background(t), c.client(t)
	old, err := leadingAgent(ctx, client)
	if err != nil {
		t.Fatal(err)
	}
	c.on(t, old, "systemctl kill --signal=KILL haplane-agent; systemctl stop haplane-agent")
	defer c.on(t, old, "systemctl start haplane-agent")
	if err := changeEndpoints(func(e *corev1.Endpoints) { e.Subsets = nil })(ctx, client); err != nil {
		t.Fatal(err)
	}
	took := c.waitRepaired(t, client)
	leader, err := leadingAgent(ctx, client)
	if err != nil || leader == old {
		t.Errorf("the leader is %s, %v; it was %s, whose agent is dead", leader, err, old)
	}
	t.Logf("agent of %s killed, that of %s put the endpoints right %s after the damage", old, leader, ms(took))
}
