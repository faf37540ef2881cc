//go:build e2e

package agent

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/haplane/haplane/internal/poll"
)

// The real thing: etcd, an API server without endpoint reconciler, and agents as
// processes of their own whose permissions are Rules and nothing else.

// childEnv makes this process an agent: kubeconfig,node,listen.
const childEnv = "HAPLANE_TEST_AGENT"

func TestMain(m *testing.M) {
	if child := os.Getenv(childEnv); child != "" {
		f := strings.Split(child, ",")
		log := slog.New(slog.NewTextHandler(os.Stderr, nil))
		err := Run(context.Background(), Options{Kubeconfig: f[0], NodeName: f[1], Endpoint: lb, Listen: f[2], Log: log})
		fmt.Fprintln(os.Stderr, "agent ended:", err)
		os.Exit(1)
	}
	os.Exit(m.Run())
}

func TestRealAPIServer(t *testing.T) {
	c := startControl(t)
	c.grant()
	agents := map[string]*exec.Cmd{}
	for _, node := range []string{"cp-1", "cp-2", "cp-3"} {
		agents[node] = c.startAgent(node)
	}
	t.Logf("first sync %s after the agents' start", c.untilRight())
	c.repairs(t)

	t.Run("api server restarts", func(t *testing.T) {
		for _, signal := range []syscall.Signal{syscall.SIGTERM, syscall.SIGKILL} {
			stopped := time.Now()
			c.stopAPI(signal)
			c.deleteInEtcd("/registry/services/endpoints/default/kubernetes", "/registry/endpointslices/default/kubernetes")
			c.startAPI()
			ready := time.Now()
			t.Logf("%s: API server ready again %s later, both objects right %s after that", signal, ready.Sub(stopped), c.untilRight())
		}
		c.repairs(t)
	})

	t.Run("leader killed", func(t *testing.T) {
		leader := c.leader()
		kill(agents[leader], syscall.SIGKILL)
		start := time.Now()
		must(t, c.delete(t.Context(), "endpoints"))
		took := c.untilRight()
		t.Logf("%s killed, objects right after %s, %s leads after %s", leader, took, c.leader(), time.Since(start))
		agents[leader] = c.startAgent(leader)
	})

	t.Run("controller manager", func(t *testing.T) {
		c.startManager()
		c.repairs(t)
	})

	t.Run("idle", func(t *testing.T) {
		before := c.settled(3 * time.Second)
		<-time.After(2*resync + time.Second) // two resyncs must pass
		after, err := c.versions(t.Context())
		must(t, err)
		if after != before {
			t.Errorf("written to while all was right: %s, then %s", before, after)
		}
	})
}

// repairs corrupts the objects in every way that the API server accepts. An object that is not there is waited for: the
// controller manager takes away a slice that claimed to be its own when it gets to it, which can be in a later test.
func (c *control) repairs(t *testing.T) {
	for _, tt := range corruptions {
		t.Run(tt.name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
			defer cancel()
			must(t, poll.Until(ctx, 2*time.Millisecond, func(ctx context.Context) error { return c.corrupt(ctx, t, tt.name) }))
			t.Logf("right again after %s", c.untilRight().Round(time.Millisecond))
		})
	}
}

// corrupt does to the real objects what the corruption of the name does to the fake's.
func (c *control) corrupt(ctx context.Context, t *testing.T, name string) error {
	slices, endpoints := c.client.DiscoveryV1().EndpointSlices("default"), c.client.CoreV1().Endpoints("default")
	patch := map[string]string{
		"endpoints wrong address":       `[{"op":"replace","path":"/subsets/0/addresses/0/ip","value":"10.10.10.11"}]`,
		"endpoints extra address":       `[{"op":"add","path":"/subsets/0/addresses/-","value":{"ip":"10.10.10.12"}}]`,
		"endpoints not ready":           `[{"op":"move","from":"/subsets/0/addresses","path":"/subsets/0/notReadyAddresses"}]`,
		"endpoints blanked":             `[{"op":"remove","path":"/subsets"}]`,
		"endpoints wrong port name":     `[{"op":"replace","path":"/subsets/0/ports/0/name","value":"http"}]`,
		"endpoints without label":       `[{"op":"remove","path":"/metadata/labels"}]`,
		"slice wrong address":           `[{"op":"replace","path":"/endpoints/0/addresses/0","value":"10.10.10.11"}]`,
		"slice extra address":           `[{"op":"add","path":"/endpoints/-","value":{"addresses":["10.10.10.12"]}}]`,
		"slice not ready":               `[{"op":"replace","path":"/endpoints/0/conditions/ready","value":false}]`,
		"slice blanked":                 `[{"op":"replace","path":"/endpoints","value":[]}]`,
		"slice wrong port":              `[{"op":"replace","path":"/ports/0/port","value":443}]`,
		"slice without service label":   `[{"op":"remove","path":"/metadata/labels/kubernetes.io~1service-name"}]`,
		"slice claimed by a controller": `[{"op":"replace","path":"/metadata/labels/endpointslice.kubernetes.io~1managed-by","value":"endpointslicemirroring-controller.k8s.io"}]`,
	}[name]
	var err error
	switch {
	case name == "slice of the other address type":
		_, other := Objects(lb)
		other.AddressType, other.Endpoints[0].Addresses = discoveryv1.AddressTypeIPv6, []string{"fd00::3"}
		if err = slices.Delete(ctx, "kubernetes", metav1.DeleteOptions{}); err != nil {
			break
		}
		if _, err := slices.Create(ctx, other, metav1.CreateOptions{}); err != nil {
			t.Log("the agent's slice was there first")
		}
	case name == "stray slice":
		_, stray := Objects(lb)
		stray.Name, stray.Endpoints[0].Addresses = "kubernetes-x7k2p", []string{"10.10.10.13"}
		_, err = slices.Create(ctx, stray, metav1.CreateOptions{})
	case strings.HasSuffix(name, "deleted"):
		err = c.delete(ctx, strings.Fields(name)[0])
	case patch == "":
		t.Fatalf("no such corruption: %s", name)
	case strings.HasPrefix(name, "slice"):
		_, err = slices.Patch(ctx, "kubernetes", "application/json-patch+json", []byte(patch), metav1.PatchOptions{})
	default:
		_, err = endpoints.Patch(ctx, "kubernetes", "application/json-patch+json", []byte(patch), metav1.PatchOptions{})
	}
	return err
}

func (c *control) delete(ctx context.Context, object string) error {
	if object == "slice" {
		return c.client.DiscoveryV1().EndpointSlices("default").Delete(ctx, "kubernetes", metav1.DeleteOptions{})
	}
	return c.client.CoreV1().Endpoints("default").Delete(ctx, "kubernetes", metav1.DeleteOptions{})
}

// untilRight waits until both objects are what they have to be, and nothing else claims to be.
func (c *control) untilRight() time.Duration {
	c.t.Helper()
	start := time.Now()
	ctx, cancel := context.WithTimeout(c.t.Context(), 30*time.Second)
	defer cancel()
	must(c.t, poll.Until(ctx, 2*time.Millisecond, func(ctx context.Context) error {
		endpoints, err := c.client.CoreV1().Endpoints("default").Get(ctx, "kubernetes", metav1.GetOptions{})
		if err != nil {
			return err
		}
		slices, err := c.client.DiscoveryV1().EndpointSlices("default").List(ctx, metav1.ListOptions{})
		if err != nil {
			return err
		}
		return c.isRight(endpoints, slices.Items)
	}))
	return time.Since(start)
}

func (c *control) isRight(endpoints *corev1.Endpoints, slices []discoveryv1.EndpointSlice) error {
	wantEndpoints, wantSlice := Objects(lb)
	if fmt.Sprint(endpoints.Labels, endpoints.Subsets) != fmt.Sprint(wantEndpoints.Labels, wantEndpoints.Subsets) {
		return fmt.Errorf("endpoints: %s", describeEndpoints(endpoints))
	}
	if len(slices) != 1 {
		return fmt.Errorf("%d slices", len(slices))
	}
	if got, want := describeSlice(&slices[0]), describeSlice(wantSlice); got != want || *slices[0].Ports[0].Port != int32(lb.Port()) {
		return fmt.Errorf("slice: %s", got)
	}
	return nil
}

func (c *control) versions(ctx context.Context) (string, error) {
	endpoints, err := c.client.CoreV1().Endpoints("default").Get(ctx, "kubernetes", metav1.GetOptions{})
	if err != nil {
		return "", err
	}
	slice, err := c.client.DiscoveryV1().EndpointSlices("default").Get(ctx, "kubernetes", metav1.GetOptions{})
	if err != nil {
		return "", err
	}
	return endpoints.ResourceVersion + " " + slice.ResourceVersion, nil
}

// settled waits until nobody has written for that long: what the controller manager still had to do is over then.
func (c *control) settled(quiet time.Duration) string {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(c.t.Context(), 30*time.Second)
	defer cancel()
	var before string
	must(c.t, poll.Until(ctx, quiet, func(ctx context.Context) error {
		after, err := c.versions(ctx)
		if err == nil && after != before {
			before, err = after, fmt.Errorf("written to: %s", after)
		}
		return err
	}))
	return before
}

func (c *control) leader() string {
	lease, err := c.client.CoordinationV1().Leases("kube-system").Get(c.t.Context(), LeaseName, metav1.GetOptions{})
	must(c.t, err)
	return *lease.Spec.HolderIdentity
}
