package agent

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/kubernetes/fake"
	clienttesting "k8s.io/client-go/testing"
)

func TestObjectsAddressType(t *testing.T) {
	tests := map[string]discoveryv1.AddressType{
		"10.10.10.3:6443":          discoveryv1.AddressTypeIPv4,
		"[::ffff:10.10.10.3]:6443": discoveryv1.AddressTypeIPv4,
		"[fd00::3]:6443":           discoveryv1.AddressTypeIPv6,
	}
	for endpoint, want := range tests {
		at := netip.MustParseAddrPort(endpoint)
		endpoints, slice := Objects(at)
		if slice.AddressType != want {
			t.Errorf("%s: address type %s, want %s", endpoint, slice.AddressType, want)
		}
		if ip := endpoints.Subsets[0].Addresses[0].IP; ip != at.Addr().Unmap().String() || slice.Endpoints[0].Addresses[0] != ip {
			t.Errorf("%s: addresses %s and %v", endpoint, ip, slice.Endpoints[0].Addresses)
		}
	}
}

// An agent on a node: its own objects to write, the cluster's Lease to share.
type testAgent struct {
	objects *fake.Clientset
	url     string
	stop    func() error
}

func startAgent(t *testing.T, node string, leases *fake.Clientset) *testAgent {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	a := &testAgent{objects: fake.NewClientset(), url: "http://" + listener.Addr().String()}
	o := Options{NodeName: node, Endpoint: lb, Log: slog.New(slog.DiscardHandler)}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- o.run(ctx, a.objects, leases, listener) }()
	var stopped bool
	a.stop = func() error {
		cancel()
		if stopped {
			return nil
		}
		stopped = true
		return <-done
	}
	t.Cleanup(func() { _ = a.stop() })
	return a
}

func (a *testAgent) get(ctx context.Context, path string) (string, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, a.url+path, nil)
	if err != nil {
		return "", err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if response.StatusCode != http.StatusOK {
		return "", fmt.Errorf("%s: %s", path, response.Status)
	}
	return string(body), err
}

func (a *testAgent) awaitHealth(t *testing.T, what string, ok func(Health) bool) {
	t.Helper()
	await(t, func(ctx context.Context) error {
		body, err := a.get(ctx, "/healthz")
		if err != nil {
			return err
		}
		var health Health
		if err := json.Unmarshal([]byte(body), &health); err != nil {
			return err
		}
		if !ok(health) {
			return errors.New("not " + what + ": " + body)
		}
		return nil
	})
}

func TestOnlyTheLeaderWrites(t *testing.T) {
	leases := fake.NewClientset()
	first := startAgent(t, "cp-1", leases)
	first.awaitHealth(t, "leading", func(h Health) bool { return h.OK && h.Leader && h.Holder == "cp-1" && h.LastSync != nil })
	second := startAgent(t, "cp-2", leases)
	second.awaitHealth(t, "following", func(h Health) bool { return h.OK && !h.Leader && h.Holder == "cp-1" })
	if got := second.objects.Actions(); len(got) != 0 {
		t.Errorf("the follower did %v", got)
	}
	if got := writes(first.objects); !slices.Equal(got, []string{"create endpoints", "create endpointslices"}) {
		t.Errorf("the leader wrote %v", got)
	}
	metrics, err := first.get(t.Context(), "/metrics")
	must(t, err)
	for _, want := range []string{
		"haplane_agent_leader 1\n", `haplane_agent_repairs_total{object="endpoints"} 1`,
		`haplane_agent_repairs_total{object="endpointslice"} 1`, "haplane_agent_errors_total 0\n", "haplane_agent_last_sync_timestamp_seconds 1",
	} {
		if !strings.Contains(metrics, want) {
			t.Errorf("metrics lack %q", want)
		}
	}

	// A stop releases the Lease: the other need not wait until it ends.
	must(t, first.stop())
	lease, err := leases.CoordinationV1().Leases("kube-system").Get(t.Context(), LeaseName, metav1.GetOptions{})
	must(t, err)
	if holder := lease.Spec.HolderIdentity; holder != nil && *holder == "cp-1" {
		t.Error("the Lease was not released")
	}
	second.awaitHealth(t, "leading", func(h Health) bool { return h.Leader && h.LastSync != nil })
	if got := writes(second.objects); len(got) != 2 {
		t.Errorf("the new leader wrote %v", got)
	}
}

// A leader whose Lease another has taken ends its term, and stands again when that one is gone.
func TestLosingTheLeaseIsNoExit(t *testing.T) {
	leases := fake.NewClientset()
	var taken atomic.Bool
	leases.PrependReactor("update", "leases", func(clienttesting.Action) (bool, runtime.Object, error) {
		return taken.Load(), nil, apierrors.NewConflict(schema.GroupResource{Resource: "leases"}, LeaseName, errors.New("modified"))
	})
	e := election{
		client: leases, identity: "cp-1", status: newStatus("cp-1"),
		leaseDuration: time.Second, renewDeadline: 300 * time.Millisecond, period: 30 * time.Millisecond,
	}
	var terms, working atomic.Int32
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		done <- e.run(ctx, func(ctx context.Context) {
			terms.Add(1)
			working.Add(1)
			defer working.Add(-1)
			<-ctx.Done()
		})
	}()
	awaitTerm := func(number, inOffice int32) {
		t.Helper()
		await(t, func(context.Context) error {
			if terms.Load() != number || working.Load() != inOffice || e.status.now().Leader != (inOffice == 1) {
				return fmt.Errorf("%d terms, %d working, leader %t", terms.Load(), working.Load(), e.status.now().Leader)
			}
			return nil
		})
	}
	awaitTerm(1, 1)
	client := leases.CoordinationV1().Leases("kube-system")
	lease, err := client.Get(t.Context(), LeaseName, metav1.GetOptions{})
	must(t, err)
	other, duration, now := "cp-2", int32(1), metav1.NewMicroTime(time.Now())
	lease.Spec.HolderIdentity, lease.Spec.LeaseDurationSeconds, lease.Spec.RenewTime = &other, &duration, &now
	taken.Store(true) // first, so that no renewal of cp-1 gets over it
	must(t, leases.Tracker().Update(coordinationv1.SchemeGroupVersion.WithResource("leases"), lease, "kube-system"))
	awaitTerm(1, 0)
	await(t, func(context.Context) error {
		if holder := e.status.now().Holder; holder != "cp-2" {
			return fmt.Errorf("the holder is %q", holder)
		}
		return nil
	})
	taken.Store(false)
	awaitTerm(2, 1)
	cancel()
	must(t, <-done)
	if working.Load() != 0 {
		t.Error("run returned before its work did")
	}
}

func TestOptionsAreChecked(t *testing.T) {
	good := Options{NodeName: "cp-1", Endpoint: lb, Listen: "127.0.0.1:10270", Kubeconfig: t.TempDir() + "/missing"}
	tests := map[string]struct {
		change func(*Options)
		want   string
	}{
		"no kubeconfig":      {func(*Options) {}, "read kubeconfig"},
		"no node name":       {func(o *Options) { o.NodeName = "" }, "no node name"},
		"no address":         {func(o *Options) { o.Endpoint = netip.AddrPortFrom(netip.Addr{}, 6443) }, "pods can reach"},
		"no port":            {func(o *Options) { o.Endpoint = netip.AddrPortFrom(lb.Addr(), 0) }, "pods can reach"},
		"loopback endpoint":  {func(o *Options) { o.Endpoint = netip.MustParseAddrPort("127.0.0.1:6443") }, "pods can reach"},
		"listens to all":     {func(o *Options) { o.Listen = "0.0.0.0:10270" }, "not a loopback address"},
		"listens to no port": {func(o *Options) { o.Listen = "127.0.0.1" }, "listen address"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			o := good
			tt.change(&o)
			if err := Run(t.Context(), o); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v, want one with %q", err, tt.want)
			}
		})
	}
}

// TestRulesAreMinimal lists what the repairs need: a wider rule has to be argued for here.
func TestRulesAreMinimal(t *testing.T) {
	everywhere, inDefault, kubeSystem := Rules()
	var got []string
	for _, r := range slices.Concat(everywhere, inDefault, kubeSystem) {
		got = append(got, line(r))
	}
	want := []string{
		"certificates.k8s.io certificatesigningrequests *: list",
		"certificates.k8s.io certificatesigningrequests/approval *: update",
		"certificates.k8s.io signers kubernetes.io/kubelet-serving: approve",
		"endpoints kubernetes: get list watch update",
		"endpoints *: create",
		"discovery.k8s.io endpointslices kubernetes: get update",
		"discovery.k8s.io endpointslices *: list watch create delete",
		"coordination.k8s.io leases haplane-agent: get update",
		"coordination.k8s.io leases *: create",
		"configmaps haplane-kubelets: get",
	}
	if !slices.Equal(got, want) {
		t.Errorf("rules\n%s", strings.Join(got, "\n"))
	}
}

func line(r rbacv1.PolicyRule) string {
	name := "*"
	if len(r.ResourceNames) > 0 {
		name = strings.Join(r.ResourceNames, ",")
	}
	return strings.TrimSpace(r.APIGroups[0]+" "+r.Resources[0]+" "+name) + ": " + strings.Join(r.Verbs, " ")
}
