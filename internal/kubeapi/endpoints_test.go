package kubeapi

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes/fake"
	"k8s.io/client-go/rest"
)

func addresses(texts ...string) []netip.AddrPort {
	var out []netip.AddrPort
	for _, one := range texts {
		out = append(out, netip.MustParseAddrPort(one))
	}
	return out
}

// Whatever was there, both objects are right after one write each, and stay without another.
func TestSetKubernetesEndpoints(t *testing.T) {
	balancer, slice := KubernetesObjects(addresses("10.10.10.3:8443"), "haplane-agent")
	six, sixSlice := KubernetesObjects(addresses("[fd00::3]:6443"), "")
	tests := map[string]struct {
		endpoints *corev1.Endpoints
		slice     *discoveryv1.EndpointSlice
		owner     string
		writes    string
	}{
		"nothing there":          {nil, nil, "", "create create"},
		"the load balancer's":    {balancer, slice, "", "update update"},
		"of another family":      {six, sixSlice, "haplane-agent", "update delete create"},
		"the slice is missing":   {balancer, nil, "", "update create"},
		"endpoints were removed": {&corev1.Endpoints{ObjectMeta: balancer.ObjectMeta}, slice, "", "update update"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			client := with()
			typed := client.typed.(*fake.Clientset)
			if test.endpoints != nil {
				_ = typed.Tracker().Add(test.endpoints.DeepCopy())
			}
			if test.slice != nil {
				_ = typed.Tracker().Add(test.slice.DeepCopy())
			}
			nodes := addresses("10.10.10.11:6443", "10.10.10.12:6443")
			for range 2 {
				if err := client.SetKubernetesEndpoints(t.Context(), nodes, test.owner); err != nil {
					t.Fatal(err)
				}
			}
			var writes []string
			for _, a := range typed.Actions() {
				if a.GetVerb() != "get" {
					writes = append(writes, a.GetVerb())
				}
			}
			if got := strings.Join(writes, " "); got != test.writes {
				t.Errorf("writes %s, want %s", got, test.writes)
			}
			got, err := client.KubernetesEndpoints(t.Context())
			if err != nil || strings.Join(got, " ") != "10.10.10.11:6443 10.10.10.12:6443" {
				t.Errorf("endpoints %v, %v", got, err)
			}
			now, _ := typed.DiscoveryV1().EndpointSlices("default").Get(t.Context(), "kubernetes", metav1.GetOptions{})
			if owner := now.Labels[discoveryv1.LabelManagedBy]; owner != test.owner {
				t.Errorf("the slice is %q's", owner)
			}
		})
	}
}

// Held is what an API server says to a write by an API server, which is tried and never done.
func TestKubernetesEndpointsHeld(t *testing.T) {
	tests := map[string]struct {
		code    int
		message string
		want    string // of the error; "" is held
	}{
		"held":          {403, "ValidatingAdmissionPolicy '" + holdName + "' with binding '" + holdName + "' denied request", ""},
		"not yet":       {200, "", "it would let an API server write them"},
		"other trouble": {500, "etcdserver: request timed out", "request timed out"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Content-Type", "application/json")
				e := corev1.Endpoints{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Endpoints"}, ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "kubernetes"}}
				if r.Method == http.MethodGet || test.code == 200 {
					_ = json.NewEncoder(w).Encode(e)
				}
				if r.Method == http.MethodGet {
					return
				}
				if r.URL.Query().Get("dryRun") != "All" || r.Header.Get("Impersonate-User") != apiServerUser {
					t.Errorf("%s %s by %s", r.Method, r.URL, r.Header.Get("Impersonate-User"))
				}
				if test.code != 200 {
					w.WriteHeader(test.code)
					_ = json.NewEncoder(w).Encode(metav1.Status{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Status"}, Status: "Failure", Message: test.message, Code: int32(test.code)})
				}
			}))
			defer server.Close()
			client, err := New(&rest.Config{Host: server.URL})
			if err != nil {
				t.Fatal(err)
			}
			err = client.KubernetesEndpointsHeld(t.Context())
			if test.want == "" && err != nil || test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)) {
				t.Errorf("error %v, want %q", err, test.want)
			}
		})
	}
}

// The policy is what the API takes for one, and removing it twice is no error.
func TestHoldIsRead(t *testing.T) {
	objects, err := decode([]byte(hold))
	if err != nil || len(objects) != 2 || objects[0].GetKind() != "ValidatingAdmissionPolicy" || objects[1].GetKind() != "ValidatingAdmissionPolicyBinding" {
		t.Errorf("%v, %v", objects, err)
	}
	for range 2 {
		if err := with().ReleaseKubernetesEndpoints(t.Context()); err != nil {
			t.Error(err)
		}
	}
}
