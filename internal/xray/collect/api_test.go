package collect

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	kubeversion "k8s.io/apimachinery/pkg/version"
	"k8s.io/client-go/rest"

	"github.com/haplane/haplane/internal/xray/evidence"
)

// An apiServer answers paths with objects, or as a test wants.
type apiServer struct {
	objects map[string]any
	status  map[string]int // of paths that go wrong; hangs for ever
	ahead   time.Duration
}

const hangs = -1

func (s *apiServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Date", time.Now().Add(s.ahead).UTC().Format(http.TimeFormat))
	status := s.status[r.URL.Path]
	if status == 0 {
		status = s.status["*"]
	}
	object, known := s.objects[r.URL.Path]
	switch {
	case status == hangs:
		<-r.Context().Done()
		return
	case status == 0 && known:
		_ = json.NewEncoder(w).Encode(object)
		return
	case status == 0:
		status = http.StatusNotFound
	}
	reason := map[int]metav1.StatusReason{401: metav1.StatusReasonUnauthorized, 403: metav1.StatusReasonForbidden, 404: metav1.StatusReasonNotFound}[status]
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(metav1.Status{TypeMeta: metav1.TypeMeta{Kind: "Status", APIVersion: "v1"}, Status: "Failure",
		Reason: reason, Code: int32(status), Message: "no " + r.URL.Path + " for you"})
}

const (
	nodesPath     = "/api/v1/nodes"
	leasesPath    = "/apis/coordination.k8s.io/v1/namespaces/kube-system/leases"
	cidrsPath     = "/apis/networking.k8s.io/v1/servicecidrs"
	endpointsPath = "/api/v1/namespaces/default/endpoints/kubernetes"
	kubeadmPath   = "/api/v1/namespaces/kube-system/configmaps/kubeadm-config"
)

func newServer(t *testing.T) (*apiServer, *rest.Config) {
	s := &apiServer{status: map[string]int{}, objects: map[string]any{
		"/version": kubeversion.Info{GitVersion: "v1.37.2"},
		nodesPath: corev1.NodeList{TypeMeta: metav1.TypeMeta{Kind: "NodeList", APIVersion: "v1"},
			Items: []corev1.Node{{ObjectMeta: metav1.ObjectMeta{Name: "cp-1"}}}},
		"/api/v1/namespaces/kube-system/pods": corev1.PodList{TypeMeta: metav1.TypeMeta{Kind: "PodList", APIVersion: "v1"}},
		leasesPath: coordinationv1.LeaseList{TypeMeta: metav1.TypeMeta{Kind: "LeaseList", APIVersion: "coordination.k8s.io/v1"},
			Items: []coordinationv1.Lease{{ObjectMeta: metav1.ObjectMeta{Name: "kube-scheduler"}}}},
		"/api/v1/namespaces/default/services/kubernetes": corev1.Service{TypeMeta: metav1.TypeMeta{Kind: "Service", APIVersion: "v1"},
			Spec: corev1.ServiceSpec{ClusterIP: "10.96.0.1"}},
		endpointsPath: corev1.Endpoints{TypeMeta: metav1.TypeMeta{Kind: "Endpoints", APIVersion: "v1"},
			Subsets: []corev1.EndpointSubset{{Addresses: []corev1.EndpointAddress{{IP: "10.10.10.3"}}}}},
		"/apis/discovery.k8s.io/v1/namespaces/default/endpointslices": discoveryv1.EndpointSliceList{
			TypeMeta: metav1.TypeMeta{Kind: "EndpointSliceList", APIVersion: "discovery.k8s.io/v1"}},
		cidrsPath: networkingv1.ServiceCIDRList{TypeMeta: metav1.TypeMeta{Kind: "ServiceCIDRList", APIVersion: "networking.k8s.io/v1"},
			Items: []networkingv1.ServiceCIDR{
				{ObjectMeta: metav1.ObjectMeta{Name: "added"}, Spec: networkingv1.ServiceCIDRSpec{CIDRs: []string{"10.200.0.0/16"}}},
				{ObjectMeta: metav1.ObjectMeta{Name: "kubernetes"}, Spec: networkingv1.ServiceCIDRSpec{CIDRs: []string{"10.96.0.0/12"}}}}},
	}}
	server := httptest.NewServer(s)
	t.Cleanup(server.Close)
	return s, &rest.Config{Host: server.URL}
}

func TestAPIReadsEverything(t *testing.T) {
	s, config := newServer(t)
	s.ahead = time.Hour
	got, missing := API(t.Context(), config, "demo", time.Minute)
	if len(missing) > 0 {
		t.Errorf("missing %v", missing)
	}
	if got.Server != config.Host || got.Context != "demo" || got.Version != "v1.37.2" || len(got.Nodes) != 1 || len(got.Leases) != 1 ||
		got.Service.Spec.ClusterIP != "10.96.0.1" || got.Endpoints.Subsets[0].Addresses[0].IP != "10.10.10.3" {
		t.Errorf("got %+v", got)
	}
	if got.Pods == nil || got.Slices == nil || len(got.Pods)+len(got.Slices) != 0 {
		t.Errorf("empty lists are %v and %v, want empty and not nil", got.Pods, got.Slices)
	}
	if d := cmp.Diff([]string{"10.96.0.0/12", "10.200.0.0/16"}, got.ServiceCIDRs); d != "" {
		t.Error("service networks, that of the kubernetes Service first: ", d)
	}
	if got.Ahead.Round(time.Second) < time.Hour-2*time.Second || got.Ahead > time.Hour+2*time.Second {
		t.Errorf("ahead by %s, want an hour", got.Ahead)
	}
	if since := time.Since(got.ReadAt); since < 0 || since > time.Minute {
		t.Errorf("read %s ago", since)
	}
}

func TestAPIKeepsWhatItCouldRead(t *testing.T) {
	for name, c := range map[string]struct {
		path   string
		status int
		want   evidence.Missing
	}{
		"forbidden": {leasesPath, 403, evidence.Missing{Source: "leases of kube-system at ", Err: "no " + leasesPath + " for you",
			Fix: "Give the user of context demo the right to list of leases.coordination.k8s.io in kube-system"}},
		"hangs": {leasesPath, hangs, evidence.Missing{Source: "leases of kube-system at ", Err: "no answer within 300ms", Fix: "Find out why"}},
		"fails": {nodesPath, 500, evidence.Missing{Source: "nodes at ", Err: "for you", Fix: "kubectl --context demo get --raw /readyz"}},
	} {
		t.Run(name, func(t *testing.T) {
			s, config := newServer(t)
			s.status[c.path] = c.status
			got, missing := API(t.Context(), config, "demo", 300*time.Millisecond)
			if len(missing) != 1 || !strings.Contains(missing[0].Source, c.want.Source+config.Host) || missing[0].Way != evidence.API ||
				!strings.Contains(missing[0].Err, c.want.Err) || !strings.Contains(missing[0].Fix, c.want.Fix) {
				t.Errorf("missing %+v", missing)
			}
			if (got.Leases == nil) != (c.path == leasesPath) || (got.Nodes == nil) != (c.path == nodesPath) || got.Endpoints == nil || got.Version == "" {
				t.Errorf("got %+v", got)
			}
		})
	}
}

func TestAPIThatIsNotThereIsToldOnce(t *testing.T) {
	for name, c := range map[string]struct {
		status    int
		err, want string
	}{
		"hangs":          {hangs, "no answer within", "--timeout"},
		"no credentials": {401, "provide credentials", "Renew the credentials of context demo"},
		"refused":        {0, "refused", "reachable from here"},
	} {
		t.Run(name, func(t *testing.T) {
			s, config := newServer(t)
			s.status["*"] = c.status
			if c.status == 0 {
				config.Host = "https://127.0.0.1:1"
			}
			_, missing := API(t.Context(), config, "demo", 300*time.Millisecond)
			if len(missing) != 1 || missing[0].Source != config.Host || !strings.Contains(missing[0].Err, c.err) || !strings.Contains(missing[0].Fix, c.want) {
				t.Errorf("missing %+v", missing)
			}
		})
	}
}

func TestServiceNetworkOfOlderClusters(t *testing.T) {
	s, config := newServer(t)
	delete(s.objects, cidrsPath)
	if got, missing := API(t.Context(), config, "demo", time.Minute); got.ServiceCIDRs != nil || len(missing) > 0 {
		t.Errorf("nothing tells: %v, missing %v", got.ServiceCIDRs, missing)
	}
	s.objects[kubeadmPath] = corev1.ConfigMap{TypeMeta: metav1.TypeMeta{Kind: "ConfigMap", APIVersion: "v1"},
		Data: map[string]string{"ClusterConfiguration": "networking:\n  serviceSubnet: 10.96.0.0/16,fd00::/112\n"}}
	got, missing := API(t.Context(), config, "demo", time.Minute)
	if d := cmp.Diff([]string{"10.96.0.0/16", "fd00::/112"}, got.ServiceCIDRs); d != "" || len(missing) > 0 {
		t.Errorf("%s, missing %v", d, missing)
	}
	s.status[cidrsPath], s.status[kubeadmPath] = 403, 403
	if _, missing := API(t.Context(), config, "demo", time.Minute); len(missing) != 1 || !strings.Contains(missing[0].Source, "servicecidrs") {
		t.Errorf("missing %v", missing)
	}
}

func TestObjectsThatDoNotExistAreSeenToBeEmpty(t *testing.T) {
	s, config := newServer(t)
	delete(s.objects, endpointsPath)
	got, missing := API(t.Context(), config, "demo", time.Minute)
	if len(missing) > 0 || got.Endpoints == nil || got.Endpoints.Name != "kubernetes" || len(got.Endpoints.Subsets) != 0 {
		t.Errorf("endpoints %v, missing %v", got.Endpoints, missing)
	}
}

func TestAPIWithBadCertificates(t *testing.T) {
	_, missing := API(t.Context(), &rest.Config{Host: "https://127.0.0.1:1", TLSClientConfig: rest.TLSClientConfig{CAData: []byte("garbage")}}, "demo", time.Second)
	if len(missing) != 1 || missing[0].Source != "kubeconfig, context demo" || missing[0].Err == "" {
		t.Errorf("missing %+v", missing)
	}
}
