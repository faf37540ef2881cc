package agent

import (
	"context"
	"errors"
	"log/slog"
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus/testutil"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/kubernetes/fake"
	clienttesting "k8s.io/client-go/testing"

	"github.com/haplane/haplane/internal/poll"
)

var lb = netip.MustParseAddrPort("10.10.10.3:6443")

func newKeeper(client *fake.Clientset) *keeper {
	endpoints, slice := Objects(lb)
	return &keeper{
		client: client, endpoints: endpoints, slice: slice,
		status: newStatus("cp-1"), log: slog.New(slog.DiscardHandler), resync: time.Hour,
	}
}

// right is a cluster where nothing has to be done.
func right() *fake.Clientset {
	endpoints, slice := Objects(lb)
	return fake.NewClientset(endpoints, slice)
}

func writes(client *fake.Clientset) []string {
	var found []string
	for _, action := range client.Actions() {
		if verb := action.GetVerb(); verb != "get" && verb != "list" && verb != "watch" {
			found = append(found, verb+" "+action.GetResource().Resource)
		}
	}
	return found
}

// state is what matters of default/kubernetes: contents without metadata of the server.
type state struct {
	Labels  map[string]string
	Subsets []corev1.EndpointSubset
	Slices  []discoveryv1.EndpointSlice
}

func observe(ctx context.Context, t *testing.T, client *fake.Clientset) state {
	t.Helper()
	endpoints, err := client.CoreV1().Endpoints("default").Get(ctx, "kubernetes", metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		endpoints = &corev1.Endpoints{}
	} else if err != nil {
		t.Fatal(err)
	}
	slices, err := client.DiscoveryV1().EndpointSlices("default").List(ctx, metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	s := state{Labels: endpoints.Labels, Subsets: endpoints.Subsets}
	for _, slice := range slices.Items {
		slice.TypeMeta = metav1.TypeMeta{} // the fake sets it or not
		slice.ObjectMeta = metav1.ObjectMeta{Name: slice.Name, Labels: slice.Labels}
		s.Slices = append(s.Slices, slice)
	}
	return s
}

type corruption struct {
	name    string
	corrupt func(*testing.T, *fake.Clientset)
	writes  []string
}

var corruptions = []corruption{
	{"endpoints deleted", func(t *testing.T, c *fake.Clientset) {
		must(t, c.CoreV1().Endpoints("default").Delete(t.Context(), "kubernetes", metav1.DeleteOptions{}))
	}, []string{"create endpoints"}},
	{"endpoints wrong address", onEndpoints(func(e *corev1.Endpoints) { e.Subsets[0].Addresses[0].IP = "10.10.10.11" }), []string{"update endpoints"}},
	{"endpoints extra address", onEndpoints(func(e *corev1.Endpoints) {
		e.Subsets[0].Addresses = append(e.Subsets[0].Addresses, corev1.EndpointAddress{IP: "10.10.10.12"})
	}), []string{"update endpoints"}},
	{"endpoints not ready", onEndpoints(func(e *corev1.Endpoints) {
		s := &e.Subsets[0]
		s.Addresses, s.NotReadyAddresses = nil, s.Addresses
	}), []string{"update endpoints"}},
	{"endpoints blanked", onEndpoints(func(e *corev1.Endpoints) { e.Subsets = nil }), []string{"update endpoints"}},
	{"endpoints wrong port name", onEndpoints(func(e *corev1.Endpoints) { e.Subsets[0].Ports[0].Name = "http" }), []string{"update endpoints"}},
	{"endpoints without label", onEndpoints(func(e *corev1.Endpoints) { e.Labels = nil }), []string{"update endpoints"}},
	{"slice deleted", func(t *testing.T, c *fake.Clientset) {
		must(t, c.DiscoveryV1().EndpointSlices("default").Delete(t.Context(), "kubernetes", metav1.DeleteOptions{}))
	}, []string{"create endpointslices"}},
	{"slice wrong address", onSlice(func(s *discoveryv1.EndpointSlice) { s.Endpoints[0].Addresses = []string{"10.10.10.11"} }), []string{"update endpointslices"}},
	{"slice extra address", onSlice(func(s *discoveryv1.EndpointSlice) {
		s.Endpoints = append(s.Endpoints, discoveryv1.Endpoint{Addresses: []string{"10.10.10.12"}})
	}), []string{"update endpointslices"}},
	{"slice not ready", onSlice(func(s *discoveryv1.EndpointSlice) { *s.Endpoints[0].Conditions.Ready = false }), []string{"update endpointslices"}},
	{"slice blanked", onSlice(func(s *discoveryv1.EndpointSlice) { s.Endpoints = nil }), []string{"update endpointslices"}},
	{"slice wrong port", onSlice(func(s *discoveryv1.EndpointSlice) { *s.Ports[0].Port = 443 }), []string{"update endpointslices"}},
	{"slice without service label", onSlice(func(s *discoveryv1.EndpointSlice) { delete(s.Labels, discoveryv1.LabelServiceName) }), []string{"update endpointslices"}},
	{"slice claimed by a controller", onSlice(func(s *discoveryv1.EndpointSlice) {
		s.Labels[discoveryv1.LabelManagedBy] = "endpointslicemirroring-controller.k8s.io"
	}), []string{"update endpointslices"}},
	{"slice of the other address type", onSlice(func(s *discoveryv1.EndpointSlice) {
		s.AddressType, s.Endpoints[0].Addresses = discoveryv1.AddressTypeIPv6, []string{"fd00::3"}
	}), []string{"delete endpointslices", "create endpointslices"}},
	{"stray slice", func(t *testing.T, c *fake.Clientset) {
		_, stray := Objects(netip.MustParseAddrPort("10.10.10.13:6443"))
		stray.Name = "kubernetes-x7k2p"
		_, err := c.DiscoveryV1().EndpointSlices("default").Create(t.Context(), stray, metav1.CreateOptions{})
		must(t, err)
	}, []string{"delete endpointslices"}},
}

func onEndpoints(change func(*corev1.Endpoints)) func(*testing.T, *fake.Clientset) {
	return func(t *testing.T, c *fake.Clientset) {
		endpoints, _ := Objects(lb)
		change(endpoints)
		_, err := c.CoreV1().Endpoints("default").Update(t.Context(), endpoints, metav1.UpdateOptions{})
		must(t, err)
	}
}

func onSlice(change func(*discoveryv1.EndpointSlice)) func(*testing.T, *fake.Clientset) {
	return func(t *testing.T, c *fake.Clientset) {
		_, slice := Objects(lb)
		change(slice)
		_, err := c.DiscoveryV1().EndpointSlices("default").Update(t.Context(), slice, metav1.UpdateOptions{})
		must(t, err)
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestRepair(t *testing.T) {
	for _, tt := range corruptions {
		t.Run(tt.name, func(t *testing.T) {
			client := right()
			want := observe(t.Context(), t, client)
			tt.corrupt(t, client)
			if cmp.Equal(want, observe(t.Context(), t, client)) {
				t.Fatal("the corruption corrupts nothing")
			}
			client.ClearActions()
			k := newKeeper(client)
			must(t, k.repair(t.Context()))
			if diff := cmp.Diff(tt.writes, writes(client)); diff != "" {
				t.Error("writes: -want +got\n" + diff)
			}
			if diff := cmp.Diff(want, observe(t.Context(), t, client)); diff != "" {
				t.Error("-want +got\n" + diff)
			}
			counted := testutil.ToFloat64(k.status.repairs.WithLabelValues("endpoints")) +
				testutil.ToFloat64(k.status.repairs.WithLabelValues("endpointslice"))
			if counted != float64(len(tt.writes)) {
				t.Errorf("counted %v repairs, want %d", counted, len(tt.writes))
			}
		})
	}
}

func TestRepairFromNothing(t *testing.T) {
	client := fake.NewClientset()
	must(t, newKeeper(client).repair(t.Context()))
	if diff := cmp.Diff(observe(t.Context(), t, right()), observe(t.Context(), t, client)); diff != "" {
		t.Error("-want +got\n" + diff)
	}
}

func TestNothingIsWrittenWhenAllIsRight(t *testing.T) {
	client := right()
	// What others add beside ours is theirs.
	endpoints, _ := Objects(lb)
	endpoints.Labels["example.com/team"] = "a"
	endpoints.Annotations = map[string]string{"example.com/note": "b"}
	_, err := client.CoreV1().Endpoints("default").Update(t.Context(), endpoints, metav1.UpdateOptions{})
	must(t, err)
	_, other := Objects(lb)
	other.Name, other.Labels = "web-1", map[string]string{discoveryv1.LabelServiceName: "web"}
	_, err = client.DiscoveryV1().EndpointSlices("default").Create(t.Context(), other, metav1.CreateOptions{})
	must(t, err)
	client.ClearActions()
	must(t, newKeeper(client).repair(t.Context()))
	if got := writes(client); got != nil {
		t.Errorf("wrote %v", got)
	}
}

// TestRun corrupts under a running keeper: the watches alone bring the repair, the resync is an hour off.
func TestRun(t *testing.T) {
	client := right()
	want := observe(t.Context(), t, client)
	start(t, newKeeper(client))
	for _, tt := range corruptions {
		t.Run(tt.name, func(t *testing.T) {
			tt.corrupt(t, client)
			await(t, func(ctx context.Context) error {
				if diff := cmp.Diff(want, observe(ctx, t, client)); diff != "" {
					return errors.New("-want +got\n" + diff)
				}
				return nil
			})
		})
	}
}

func TestRunRetries(t *testing.T) {
	conflict := apierrors.NewConflict(schema.GroupResource{Resource: "endpoints"}, "kubernetes", errors.New("modified"))
	refused := errors.New("connection refused")
	tests := map[string]struct {
		verb string
		err  error
	}{"conflict": {"update", conflict}, "unreachable": {"*", refused}}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			client := right()
			want := observe(t.Context(), t, client)
			onEndpoints(func(e *corev1.Endpoints) { e.Subsets = nil })(t, client)
			failures := 3
			client.PrependReactor(tt.verb, "endpoints", func(clienttesting.Action) (bool, runtime.Object, error) {
				failures--
				return failures >= 0, nil, tt.err
			})
			k := newKeeper(client)
			start(t, k)
			await(t, func(context.Context) error {
				if k.status.now().LastSync == nil {
					return errors.New("not synced")
				}
				return nil
			})
			if diff := cmp.Diff(want, observe(t.Context(), t, client)); diff != "" {
				t.Error("-want +got\n" + diff)
			}
			if got := testutil.ToFloat64(k.status.errors); got == 0 {
				t.Error("no error was counted")
			}
		})
	}
}

func TestRunResyncs(t *testing.T) {
	client := right()
	k := newKeeper(client)
	k.resync = 20 * time.Millisecond
	want := observe(t.Context(), t, client)
	// Watches that never tell anything.
	client.PrependWatchReactor("*", func(clienttesting.Action) (bool, watch.Interface, error) {
		return true, watch.NewFake(), nil
	})
	start(t, k)
	onSlice(func(s *discoveryv1.EndpointSlice) { s.Endpoints = nil })(t, client)
	await(t, func(ctx context.Context) error {
		if diff := cmp.Diff(want, observe(ctx, t, client)); diff != "" {
			return errors.New("-want +got\n" + diff)
		}
		return nil
	})
}

// start runs the keeper until the test ends.
func start(t *testing.T, k *keeper) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		k.run(ctx)
	}()
	t.Cleanup(func() {
		cancel()
		<-done
	})
}

func await(t *testing.T, fn func(context.Context) error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if err := poll.Until(ctx, 5*time.Millisecond, fn); err != nil {
		t.Fatal(err)
	}
}
