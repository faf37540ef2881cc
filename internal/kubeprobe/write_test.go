package kubeprobe

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// An apiServer keeps ConfigMaps as an API server does, as far as the lane uses it.
type apiServer struct {
	mu   sync.Mutex
	maps map[string]*corev1.ConfigMap
	got  []string
}

const mapsPath = "/api/v1/namespaces/kube-system/configmaps"

func (a *apiServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	a.mu.Lock()
	defer a.mu.Unlock()
	name := strings.TrimPrefix(strings.TrimPrefix(r.URL.Path, mapsPath), "/")
	a.got = append(a.got, strings.TrimSpace(r.Method+" "+name))
	selector := r.URL.Query().Get("labelSelector")
	switch r.Method {
	case http.MethodGet:
		list := corev1.ConfigMapList{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "ConfigMapList"}}
		for _, m := range a.maps {
			if selector == Label || selector == Label+"="+m.Labels[Label] {
				list.Items = append(list.Items, *m)
			}
		}
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(list)
	case http.MethodDelete:
		for n, m := range a.maps {
			if n == name || name == "" && selector == Label+"="+m.Labels[Label] {
				delete(a.maps, n)
			}
		}
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(metav1.Status{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Status"}, Status: "Success"})
	case http.MethodPost:
		var m corev1.ConfigMap
		_ = json.NewDecoder(r.Body).Decode(&m)
		if a.maps[m.Name] != nil {
			w.WriteHeader(http.StatusConflict)
			return
		}
		m.CreationTimestamp = metav1.Now()
		a.maps[m.Name] = &m
		w.WriteHeader(http.StatusCreated)
	case http.MethodPatch:
		m := a.maps[name]
		if m == nil || r.Header.Get("Content-Type") != "application/merge-patch+json" {
			w.WriteHeader(http.StatusNotFound)
			return
		}
		var patch corev1.ConfigMap
		_ = json.NewDecoder(r.Body).Decode(&patch)
		for key := range patch.Data {
			m.Data[key] = ""
		}
	}
}

func TestWriter(t *testing.T) {
	old := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "haplane-probe-killed-0", Labels: map[string]string{Label: "killed"}}}
	old.CreationTimestamp = metav1.NewTime(time.Now().Add(-LeftOver - time.Minute))
	other := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "haplane-probe-other-0", Labels: map[string]string{Label: "other"}}}
	other.CreationTimestamp = metav1.Now()
	api := &apiServer{maps: map[string]*corev1.ConfigMap{old.Name: old, other.Name: other}}
	config, _ := serve(t, api.ServeHTTP)
	target := ForConfig(config, nil)
	target.run = "me"
	lanes, err := target.Lanes(Write)
	if err != nil {
		t.Fatal(err)
	}
	w := lanes[0].Writes
	for _, key := range []string{"w1", "w2", "w9", "w401"} {
		if err := w.Write(t.Context(), key); err != nil {
			t.Fatal(err)
		}
	}
	want := []string{"PATCH haplane-probe-me-1", "POST", "PATCH haplane-probe-me-2", "POST", "PATCH haplane-probe-me-1", "PATCH haplane-probe-me-9", "POST"}
	if d := cmp.Diff(want, api.got); d != "" {
		t.Errorf("requests (-want +got):\n%s", d)
	}
	stored, err := w.Stored(t.Context())
	slices.Sort(stored)
	if d := cmp.Diff([]string{"w1", "w2", "w401", "w9"}, stored); d != "" || err != nil {
		t.Errorf("%v; stored (-want +got):\n%s", err, d)
	}
	for range 2 {
		if err := w.Remove(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if len(api.maps) != 1 || api.maps[other.Name] == nil {
		t.Errorf("left are %v, want that of a run that may go on", api.maps)
	}
}
