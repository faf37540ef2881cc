package kubeapi

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes/fake"
	"k8s.io/client-go/rest"
)

func at(t *testing.T, url string) *Client {
	t.Helper()
	client, err := New(&rest.Config{Host: url})
	if err != nil {
		t.Fatal(err)
	}
	return client
}

func with(objects ...runtime.Object) *Client {
	typed := fake.NewClientset(objects...)
	return newClient("https://test:6443", typed, nil, typed.Discovery())
}

func TestReadyZ(t *testing.T) {
	tests := map[string]struct {
		code   int
		body   string
		failed []string
		err    string
	}{
		"ready": {200, "[+]ping ok\nreadyz check passed\n", nil, ""},
		"not ready": {
			500, "[+]ping ok\n[-]etcd failed: reason withheld\n[-]poststarthook/rbac/bootstrap-roles failed: reason withheld\nreadyz check failed\n",
			[]string{"etcd", "poststarthook/rbac/bootstrap-roles"}, "is not ready: failed checks: etcd, poststarthook/rbac/bootstrap-roles",
		},
		"refused":      {403, `{"kind":"Status","apiVersion":"v1","message":"no"}`, nil, "ask /readyz at http"},
		"not an API":   {502, "Bad Gateway", nil, "ask /readyz at http"},
		"retry, later": {503, "Retry", nil, "ask /readyz at http"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			requests := 0
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				requests++
				if r.URL.Path != "/readyz" {
					t.Errorf("asked %s", r.URL)
				}
				w.Header().Set("Retry-After", "1")
				w.WriteHeader(tt.code)
				_, _ = io.WriteString(w, tt.body)
			}))
			defer server.Close()
			err := at(t, server.URL).ReadyZ(t.Context())
			if tt.err == "" {
				if err != nil {
					t.Fatal(err)
				}
				return
			}
			if err == nil || !strings.Contains(err.Error(), tt.err) || !strings.Contains(err.Error(), server.URL) {
				t.Fatalf("error %v, want one with %q and the server", err, tt.err)
			}
			var notReady *NotReadyError
			if errors.As(err, &notReady) != (tt.failed != nil) {
				t.Fatalf("error of type %T", err)
			}
			if notReady != nil {
				if diff := cmp.Diff(tt.failed, notReady.Failed); diff != "" {
					t.Error("-want +got\n" + diff)
				}
			}
			if requests != 1 {
				t.Errorf("%d requests, want 1: whoever asks decides on another", requests)
			}
		})
	}
}

func TestRequestsEndWithTheContext(t *testing.T) {
	ended := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		select {
		case <-r.Context().Done():
		case <-ended:
		}
	}))
	defer server.Close()
	defer close(ended)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	client := at(t, server.URL)
	_, nodesErr := client.Nodes(ctx)
	_, applyErr := client.Apply(ctx, []byte("{apiVersion: v1, kind: ConfigMap, metadata: {name: a}}"))
	for _, err := range []error{client.ReadyZ(ctx), nodesErr, applyErr} {
		if err == nil || !strings.Contains(err.Error(), server.URL) {
			t.Errorf("error %v, want one that names the server", err)
		}
	}
}

func TestKubernetesEndpoints(t *testing.T) {
	port, no := int32(6443), false
	slice := func(name, service string, endpoints ...discoveryv1.Endpoint) *discoveryv1.EndpointSlice {
		return &discoveryv1.EndpointSlice{
			ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: name, Labels: map[string]string{discoveryv1.LabelServiceName: service}},
			Endpoints:  endpoints, Ports: []discoveryv1.EndpointPort{{Port: &port}},
		}
	}
	got, err := with(
		slice("kubernetes", "kubernetes", discoveryv1.Endpoint{Addresses: []string{"10.10.10.12"}},
			discoveryv1.Endpoint{Addresses: []string{"10.10.10.13"}, Conditions: discoveryv1.EndpointConditions{Ready: &no}}),
		slice("kubernetes-2", "kubernetes", discoveryv1.Endpoint{Addresses: []string{"10.10.10.11"}},
			discoveryv1.Endpoint{Addresses: []string{"10.10.10.12"}}, discoveryv1.Endpoint{Addresses: []string{"fd00::1"}}),
		slice("web", "web", discoveryv1.Endpoint{Addresses: []string{"10.244.0.7"}}),
	).KubernetesEndpoints(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"10.10.10.11:6443", "10.10.10.12:6443", "[fd00::1]:6443"}, got); diff != "" {
		t.Error("-want +got\n" + diff)
	}
}

func TestLeaderLeases(t *testing.T) {
	holder, seconds, renewed := "cp-1_abc", int32(15), metav1.NewMicroTime(time.Unix(1700000000, 0))
	got, err := with(&coordinationv1.Lease{
		ObjectMeta: metav1.ObjectMeta{Namespace: "kube-system", Name: "kube-scheduler"},
		Spec:       coordinationv1.LeaseSpec{HolderIdentity: &holder, LeaseDurationSeconds: &seconds, RenewTime: &renewed},
	}).LeaderLeases(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]Lease{"kube-scheduler": {Holder: holder, Renewed: renewed.Time, Duration: 15 * time.Second}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error("-want +got\n" + diff)
	}
}

func TestPodsRun(t *testing.T) {
	began := time.Date(2026, 11, 28, 1, 0, 0, 0, time.UTC)
	pod := func(phase corev1.PodPhase, since time.Time) *corev1.Pod {
		status := corev1.ContainerStatus{Name: "coredns", Ready: true}
		if !since.IsZero() {
			status.State.Running = &corev1.ContainerStateRunning{StartedAt: metav1.NewTime(since)}
		}
		return &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "kube-system", Name: "coredns-1", Labels: map[string]string{"k8s-app": "kube-dns"}},
			Spec: corev1.PodSpec{NodeName: "cp-1"}, Status: corev1.PodStatus{Phase: phase, ContainerStatuses: []corev1.ContainerStatus{status}}}
	}
	unbegun := pod(corev1.PodPending, time.Time{})
	unbegun.Status.ContainerStatuses = nil
	pulls := pod(corev1.PodPending, time.Time{})
	pulls.Status.ContainerStatuses[0].State.Waiting = &corev1.ContainerStateWaiting{Reason: "ImagePullBackOff"}
	if err := with(pulls).PodsRun(t.Context(), "kube-system", "k8s-app=kube-dns", func(string) time.Time { return began }); err == nil ||
		!strings.HasSuffix(err.Error(), "container coredns does not run yet on cp-1: ImagePullBackOff") {
		t.Errorf("one that lacks its image: %v", err)
	}
	for name, tt := range map[string]struct {
		pod *corev1.Pod
		ok  bool
	}{
		"runs":                        {pod(corev1.PodRunning, began), true},
		"ran before the machine went": {pod(corev1.PodRunning, began.Add(-time.Second)), false},
		"has ended":                   {pod(corev1.PodRunning, time.Time{}), false},
		"has not begun":               {unbegun, false},
		"failed, and is replaced":     {pod(corev1.PodFailed, time.Time{}), true},
	} {
		err := with(tt.pod).PodsRun(t.Context(), "kube-system", "k8s-app=kube-dns", func(string) time.Time { return began })
		if (err == nil) != tt.ok {
			t.Errorf("%s: error %v", name, err)
		}
	}
}

func TestDeploymentAvailable(t *testing.T) {
	tests := map[string]struct {
		status appsv1.DeploymentStatus
		want   string // "" when available
	}{
		"available":       {appsv1.DeploymentStatus{ObservedGeneration: 2, Replicas: 2, UpdatedReplicas: 2, AvailableReplicas: 2}, ""},
		"one down":        {appsv1.DeploymentStatus{ObservedGeneration: 2, Replicas: 2, UpdatedReplicas: 2, AvailableReplicas: 1}, "2 of 2 replicas updated, 1 available"},
		"old ones left":   {appsv1.DeploymentStatus{ObservedGeneration: 2, Replicas: 3, UpdatedReplicas: 2, AvailableReplicas: 2}, "2 of 2"},
		"not yet updated": {appsv1.DeploymentStatus{ObservedGeneration: 2, Replicas: 2, UpdatedReplicas: 1, AvailableReplicas: 2}, "1 of 2 replicas updated"},
		"not yet seen":    {appsv1.DeploymentStatus{ObservedGeneration: 1, Replicas: 2, UpdatedReplicas: 2, AvailableReplicas: 2}, "wait for deployment"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			replicas := int32(2)
			err := with(&appsv1.Deployment{
				ObjectMeta: metav1.ObjectMeta{Namespace: "kube-system", Name: "coredns", Generation: 2},
				Spec:       appsv1.DeploymentSpec{Replicas: &replicas}, Status: tt.status,
			}).DeploymentAvailable(t.Context(), "kube-system", "coredns")
			if (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v, want %q", err, tt.want)
			}
		})
	}
	err := with().DeploymentAvailable(t.Context(), "kube-system", "coredns")
	if err == nil || !strings.Contains(err.Error(), "get deployment kube-system/coredns at https://test:6443") {
		t.Errorf("missing deployment: error %v", err)
	}
}
