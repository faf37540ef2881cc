package kubeapi

import (
	"encoding/json"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"
)

// An apiServer keeps what is applied, and raises the resource version of what changes.
// Its discovery knows ConfigMaps and Namespaces, and Widgets once they are installed.
type apiServer struct {
	t       *testing.T
	objects map[string]map[string]any
	version map[string]int
	widgets bool
	// The second apply of an object raises its version though nothing changes,
	// as managed fields do on a real server for a bare Namespace.
	writesOnSecond bool
	queries        []string
}

func (s *apiServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	var answer any
	switch path := r.URL.Path; {
	case path == "/api":
		answer = metav1.APIVersions{TypeMeta: metav1.TypeMeta{Kind: "APIVersions"}, Versions: []string{"v1"}}
	case path == "/apis":
		answer = s.groups()
	case path == "/api/v1":
		answer = resources("v1", metav1.APIResource{Name: "configmaps", Kind: "ConfigMap", Namespaced: true},
			metav1.APIResource{Name: "namespaces", Kind: "Namespace"})
	case path == "/apis/example.com/v1":
		answer = resources("example.com/v1", metav1.APIResource{Name: "widgets", Kind: "Widget", Namespaced: true})
	case r.Method == http.MethodPatch:
		answer = s.patch(r)
	case s.objects[path] != nil:
		answer = s.stored(path)
	default:
		w.WriteHeader(http.StatusNotFound)
		answer = metav1.Status{TypeMeta: metav1.TypeMeta{Kind: "Status", APIVersion: "v1"}, Reason: metav1.StatusReasonNotFound, Code: 404}
	}
	if err := json.NewEncoder(w).Encode(answer); err != nil {
		s.t.Error(err)
	}
}

func (s *apiServer) groups() metav1.APIGroupList {
	list := metav1.APIGroupList{TypeMeta: metav1.TypeMeta{Kind: "APIGroupList", APIVersion: "v1"}}
	if s.widgets {
		version := metav1.GroupVersionForDiscovery{GroupVersion: "example.com/v1", Version: "v1"}
		list.Groups = []metav1.APIGroup{{Name: "example.com", Versions: []metav1.GroupVersionForDiscovery{version}, PreferredVersion: version}}
	}
	return list
}

func resources(version string, all ...metav1.APIResource) metav1.APIResourceList {
	return metav1.APIResourceList{TypeMeta: metav1.TypeMeta{Kind: "APIResourceList", APIVersion: "v1"}, GroupVersion: version, APIResources: all}
}

func (s *apiServer) patch(r *http.Request) map[string]any {
	if got := r.Header.Get("Content-Type"); got != "application/apply-patch+yaml" {
		s.t.Errorf("content type %s", got)
	}
	s.queries = append(s.queries, r.URL.RawQuery)
	var object map[string]any
	if err := json.NewDecoder(r.Body).Decode(&object); err != nil {
		s.t.Error(err)
	}
	path := r.URL.Path
	if r.URL.Query().Get("dryRun") == "All" {
		defer func(objects map[string]map[string]any, version map[string]int) {
			s.objects, s.version = objects, version
		}(s.objects, s.version)
		s.objects, s.version = maps.Clone(s.objects), maps.Clone(s.version)
	}
	if s.writesOnSecond && s.objects[path] != nil && s.version[path] == 1 {
		s.version[path]++
	}
	if !cmp.Equal(s.objects[path], object) {
		s.objects[path] = object
		s.version[path]++
	}
	return s.stored(path)
}

func (s *apiServer) stored(path string) map[string]any {
	data, _ := json.Marshal(s.objects[path])
	var object map[string]any
	_ = json.Unmarshal(data, &object)
	object["metadata"].(map[string]any)["resourceVersion"] = strings.Repeat("1", s.version[path])
	return object
}

func newAPIServer(t *testing.T) (*apiServer, *Client) {
	s := &apiServer{t: t, objects: map[string]map[string]any{}, version: map[string]int{}}
	server := httptest.NewServer(s)
	t.Cleanup(server.Close)
	return s, at(t, server.URL)
}

const manifests = `# a comment alone is no object
---
apiVersion: v1
kind: Namespace
metadata: {name: team}
---
apiVersion: v1
kind: List
items:
- {apiVersion: v1, kind: ConfigMap, metadata: {name: a, namespace: team}, data: {k: "1"}}
- {apiVersion: v1, kind: ConfigMap, metadata: {name: b}, data: {k: "1"}}
---
`

func TestApply(t *testing.T) {
	server, client := newAPIServer(t)
	apply := func(text string, want ...Change) {
		t.Helper()
		got, err := client.Apply(t.Context(), []byte(text))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff([]Applied{
			{"Namespace", "", "team", want[0]}, {"ConfigMap", "team", "a", want[1]}, {"ConfigMap", "default", "b", want[2]},
		}, got); diff != "" {
			t.Error("-want +got\n" + diff)
		}
	}
	apply(manifests, Created, Created, Created)
	apply(manifests, Unchanged, Unchanged, Unchanged)
	apply(strings.Replace(manifests, `k: "1"`, `k: "2"`, 1), Unchanged, Configured, Unchanged)
	if server.objects["/api/v1/namespaces/default/configmaps/b"] == nil {
		t.Error("an object without a namespace is not in default")
	}
	for _, query := range server.queries {
		if !strings.Contains(query, "fieldManager=haplane") || !strings.Contains(query, "force=true") {
			t.Errorf("applied with %q", query)
		}
	}
}

func TestCompareChangesNothing(t *testing.T) {
	server, client := newAPIServer(t)
	if _, err := client.Apply(t.Context(), []byte(manifests)); err != nil {
		t.Fatal(err)
	}
	changed := strings.Replace(manifests, `k: "1"`, `k: "2"`, 1) + "{apiVersion: v1, kind: ConfigMap, metadata: {name: c}}"
	for range 2 { // the first left no trace
		got, err := client.Compare(t.Context(), []byte(changed))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff([]Applied{{"Namespace", "", "team", Unchanged}, {"ConfigMap", "team", "a", Configured},
			{"ConfigMap", "default", "b", Unchanged}, {"ConfigMap", "default", "c", Created}}, got); diff != "" {
			t.Error("-want +got\n" + diff)
		}
	}
	if len(server.objects) != 3 {
		t.Errorf("the server has %v", server.objects)
	}
}

func TestApplyOfTheSameIsUnchangedWhateverTheVersion(t *testing.T) {
	server, client := newAPIServer(t)
	server.writesOnSecond = true
	for _, want := range []Change{Created, Unchanged, Unchanged} {
		got, err := client.Apply(t.Context(), []byte("{apiVersion: v1, kind: Namespace, metadata: {name: team}}"))
		if err != nil || len(got) != 1 || got[0].Change != want {
			t.Errorf("applied %v, error %v, want %s", got, err, want)
		}
	}
	if server.version["/api/v1/namespaces/team"] != 2 {
		t.Error("the server did not write")
	}
}

func TestApplyFindsKindsThatCameLater(t *testing.T) {
	server, client := newAPIServer(t)
	widget, err := yaml.Marshal(map[string]any{"apiVersion": "example.com/v1", "kind": "Widget", "metadata": map[string]any{"name": "w"}})
	if err != nil {
		t.Fatal(err)
	}
	_, err = client.Apply(t.Context(), widget)
	if err == nil || !strings.Contains(err.Error(), "apply Widget w at http") || !strings.Contains(err.Error(), "no matches for kind") {
		t.Errorf("unknown kind: error %v", err)
	}
	server.widgets = true
	got, err := client.Apply(t.Context(), widget)
	if err != nil || len(got) != 1 || got[0].Change != Created {
		t.Errorf("applied %v, error %v", got, err)
	}
}

func TestApplyReadsAllBeforeItWrites(t *testing.T) {
	tests := map[string]struct{ last, want string }{
		"not yaml":    {"\t{", "read manifests: document 4"},
		"no name":     {"{apiVersion: v1, kind: ConfigMap}", "metadata.name are needed"},
		"not a map":   {"- 1", "read manifests: document 4"},
		"no kind":     {"{apiVersion: v1, metadata: {name: a}}", "kind"},
		"in the list": {"{apiVersion: v1, kind: List, items: [{kind: ConfigMap}]}", "are needed"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			server, client := newAPIServer(t)
			_, err := client.Apply(t.Context(), []byte(manifests+tt.last))
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v, want one with %q", err, tt.want)
			}
			if len(server.objects) != 0 {
				t.Errorf("applied %v", server.objects)
			}
		})
	}
}
