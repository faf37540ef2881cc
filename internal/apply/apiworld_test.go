package apply

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"

	"k8s.io/client-go/kubernetes/scheme"

	"github.com/haplane/haplane/internal/machine"
	"github.com/haplane/haplane/internal/pki"
	"github.com/haplane/haplane/internal/topology"
	"github.com/haplane/haplane/spec"
)

func readAll(cmd machine.Command) string {
	data, _ := io.ReadAll(cmd.Stdin)
	return string(data)
}

// An apiWorld is what the API servers of the world tell.
type apiWorld struct {
	cordoned  map[string]bool
	annotated map[string]bool   // those that haplane has noted as drained
	cordoner  map[string]string // who cordoned them last
	mute      map[string]bool   // Nodes whose kubelet tells nothing
	deleted   map[string]bool   // Nodes whose kubelet was not started again since
	pods      []corev1.Pod
	budget    *policyv1.PodDisruptionBudget // allows no eviction, where there is one
	leases    []string                      // that were deleted
	held      bool                          // by the policy that keeps API servers off the endpoints
	published string                        // the bundle of kube-system/extension-apiserver-authentication
	written   bool                          // there is an object of which only the write matters
	stale     map[string]string             // authorities that API servers have in memory still, by node: they publish them
	dns       appsv1.DeploymentStatus       // of CoreDNS
	dnsPods   []corev1.Pod                  // its pods
}

// begin serves the API behind the load balancer, and on each control-plane node.
func (a *apiWorld) begin(w *world, now *topology.Topology) {
	w.t.Helper()
	a.cordoned, a.annotated, a.deleted = map[string]bool{}, map[string]bool{}, map[string]bool{}
	a.cordoner, a.mute = map[string]string{}, map[string]bool{}
	a.dns = appsv1.DeploymentStatus{Replicas: 1, UpdatedReplicas: 1, AvailableReplicas: 1}
	for _, n := range w.all {
		if n.Role == spec.RoleControlPlane || n.Role == spec.RoleLoadBalancer {
			w.serve(n)
		}
	}
}

func (w *world) serve(n topology.Node) {
	w.t.Helper()
	pair := w.keys.Pairs[pki.APIServer]
	cert, err := tls.X509KeyPair(pair.Cert, pair.Key)
	if err != nil {
		w.t.Fatal(err)
	}
	config := &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12}
	config.GetConfigForClient = func(*tls.ClientHelloInfo) (*tls.Config, error) {
		w.mu.Lock()
		defer w.mu.Unlock()
		stale, is := w.api.stale[n.Name]
		if !is {
			return nil, nil
		}
		asks := config.Clone()
		asks.ClientAuth, asks.ClientCAs = tls.RequestClientCert, x509.NewCertPool()
		asks.ClientCAs.AppendCertsFromPEM([]byte(stale))
		return asks, nil
	}
	server := &http.Server{TLSConfig: config, Handler: http.HandlerFunc(func(out http.ResponseWriter, r *http.Request) {
		w.mu.Lock()
		defer w.mu.Unlock()
		if !w.serves(n) {
			http.Error(out, "[-]nothing runs here failed", http.StatusServiceUnavailable)
			return
		}
		if r.URL.Path == "/metrics" {
			fmt.Fprintf(out, "process_start_time_seconds %s\n", w.process(n))
			return
		}
		w.answer(out, r)
	})}
	serve := func(l net.Listener) error { return server.ServeTLS(l, "", "") }
	w.listen(netip.AddrPortFrom(n.Address, topology.APIServerPort).String(), serve, func() { _ = server.Close() })
}

// listen has a server answer on an address until the test ends. The next world uses the same address: it is free when
// Serve has returned, which for a server that is stopped before it began to serve is later than stop.
func (w *world) listen(address string, serve func(net.Listener) error, stop func()) {
	w.t.Helper()
	listener, err := net.Listen("tcp", address)
	if err != nil {
		w.t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = serve(listener)
	}()
	w.t.Cleanup(func() {
		stop()
		<-done
	})
}

// serves reports whether requests to a node's address come to an API server. The lock is held.
func (w *world) serves(n topology.Node) bool {
	if n.Role == spec.RoleControlPlane {
		return w.runs(n.Name, "kube-apiserver")
	}
	up := func(name string) bool {
		return w.runs(name, "kube-apiserver") && !w.drained[topology.HAProxyBackend+"/"+name]
	}
	return w.runs(n.Name, "haproxy") && slices.ContainsFunc(w.loaded, up) || slices.ContainsFunc(w.outside, up)
}

// process tells the API server that answers at a node's address from the others. A load balancer of somebody else's takes
// those that run by turns. The lock is held.
func (w *world) process(n topology.Node) string {
	if n.Role == spec.RoleControlPlane {
		return n.Name
	}
	for {
		w.turn++
		if name := w.outside[w.turn%len(w.outside)]; w.runs(name, "kube-apiserver") {
			return name
		}
	}
}

func (w *world) answer(out http.ResponseWriter, r *http.Request) {
	parts := strings.Split(strings.Trim(r.URL.Path, "/"), "/")
	last := parts[len(parts)-1]
	send := func(v any) {
		out.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(out).Encode(v)
	}
	fail := func(err *apierrors.StatusError) {
		out.Header().Set("Content-Type", "application/json")
		out.WriteHeader(int(err.ErrStatus.Code))
		_ = json.NewEncoder(out).Encode(err.ErrStatus)
	}
	switch {
	case last == "readyz":
	case r.Method == http.MethodGet && last == "nodes":
		send(w.kubernetesNodes())
	case strings.Contains(r.URL.Path, "/nodes/"):
		if !slices.ContainsFunc(w.kubernetesNodes().Items, func(n corev1.Node) bool { return n.Name == last }) {
			fail(apierrors.NewNotFound(schema.GroupResource{Resource: "nodes"}, last))
			return
		}
		switch r.Method {
		case http.MethodDelete:
			w.api.deleted[last], w.api.cordoned[last], w.api.annotated[last] = true, false, false
		case http.MethodPatch:
			body, _ := io.ReadAll(r.Body)
			w.api.cordoned[last] = strings.Contains(string(body), `"unschedulable":true`)
			w.api.annotated[last] = strings.Contains(string(body), `"haplane.local/drained":"true"`)
			w.api.cordoner[last] = r.URL.Query().Get("fieldManager")
		}
		send(w.kubernetesNode(last))
	case last == "pods" && r.URL.Query().Get("labelSelector") == dnsPods:
		send(corev1.PodList{TypeMeta: metav1.TypeMeta{Kind: "PodList", APIVersion: "v1"}, Items: w.api.dnsPods})
	case last == "pods":
		node := strings.TrimPrefix(r.URL.Query().Get("fieldSelector"), "spec.nodeName=")
		list := corev1.PodList{TypeMeta: metav1.TypeMeta{Kind: "PodList", APIVersion: "v1"}}
		for _, p := range w.api.pods {
			if p.Spec.NodeName == node {
				list.Items = append(list.Items, p)
			}
		}
		send(list)
	case r.Method == http.MethodGet && last == "coredns":
		wanted := w.api.dns.Replicas
		send(appsv1.Deployment{TypeMeta: metav1.TypeMeta{Kind: "Deployment", APIVersion: "apps/v1"}, Spec: appsv1.DeploymentSpec{Replicas: &wanted}, Status: w.api.dns})
	case last == "eviction":
		name := parts[len(parts)-2]
		if w.api.budget != nil {
			refused := apierrors.NewTooManyRequests("Cannot evict pod as it would violate the pod's disruption budget.", 0)
			refused.ErrStatus.Details.Causes = []metav1.StatusCause{{Type: policyv1.DisruptionBudgetCause}}
			fail(refused)
			return
		}
		w.api.pods = slices.DeleteFunc(w.api.pods, func(p corev1.Pod) bool { return p.Name == name })
		send(metav1.Status{TypeMeta: metav1.TypeMeta{Kind: "Status", APIVersion: "v1"}, Status: metav1.StatusSuccess})
	case last == "poddisruptionbudgets":
		list := policyv1.PodDisruptionBudgetList{TypeMeta: metav1.TypeMeta{Kind: "PodDisruptionBudgetList", APIVersion: "policy/v1"}}
		if w.api.budget != nil {
			list.Items = append(list.Items, *w.api.budget)
		}
		send(list)
	case last == "secrets":
		send(corev1.SecretList{TypeMeta: metav1.TypeMeta{Kind: "SecretList", APIVersion: "v1"}})
	case r.Method == http.MethodGet && last == "leases": // of API servers
		send(map[string]any{"kind": "LeaseList", "apiVersion": "coordination.k8s.io/v1", "items": []any{}})
	case r.Method == http.MethodDelete && parts[len(parts)-2] == "leases":
		w.api.leases = append(w.api.leases, last)
		send(metav1.Status{TypeMeta: metav1.TypeMeta{Kind: "Status", APIVersion: "v1"}, Status: metav1.StatusSuccess})
	case r.Method == http.MethodDelete && strings.Contains(r.URL.Path, "/validatingadmissionpolic"):
		w.api.held = false
		send(metav1.Status{TypeMeta: metav1.TypeMeta{Kind: "Status", APIVersion: "v1"}, Status: metav1.StatusSuccess})
	case last == "extension-apiserver-authentication":
		var m corev1.ConfigMap
		if r.Method == http.MethodPut {
			body, _ := io.ReadAll(r.Body) // as JSON or in Kubernetes' own form
			if _, _, err := scheme.Codecs.UniversalDeserializer().Decode(body, nil, &m); err != nil {
				w.t.Error(err)
			}
			w.api.published = m.Data["client-ca-file"]
			for _, stale := range w.api.stale {
				w.api.published += stale
			}
		}
		send(corev1.ConfigMap{TypeMeta: metav1.TypeMeta{Kind: "ConfigMap", APIVersion: "v1"}, ObjectMeta: metav1.ObjectMeta{Name: last}, Data: map[string]string{"client-ca-file": w.api.published}})
	case strings.Contains(r.URL.Path, "/configmaps"): // that are written to see whether it can be done
		switch is := apierrors.NewAlreadyExists(schema.GroupResource{Resource: "configmaps"}, writtenObject); {
		case r.Method == http.MethodPost && w.api.written:
			fail(is)
			return
		case r.Method == http.MethodDelete && last != writtenObject:
			w.t.Errorf("the API is asked for %s %s", r.Method, r.URL)
		}
		w.api.written = r.Method == http.MethodPost
		send(corev1.ConfigMap{TypeMeta: metav1.TypeMeta{Kind: "ConfigMap", APIVersion: "v1"}, ObjectMeta: metav1.ObjectMeta{Name: "written"}})
	default:
		w.t.Errorf("the API is asked for %s %s", r.Method, r.URL)
		http.NotFound(out, r)
	}
}

// kubernetesNodes are those whose kubelets have registered.
func (w *world) kubernetesNodes() corev1.NodeList {
	list := corev1.NodeList{TypeMeta: metav1.TypeMeta{Kind: "NodeList", APIVersion: "v1"}}
	for _, n := range w.all {
		if n.Role != spec.RoleWorker || w.hosts[n.Name] == nil || w.api.deleted[n.Name] {
			continue
		}
		ready := corev1.ConditionFalse
		if w.runs(n.Name, "kubelet") {
			ready = corev1.ConditionTrue
		}
		node := w.kubernetesNode(n.Name)
		if !w.api.mute[n.Name] {
			node.Status.Conditions = []corev1.NodeCondition{{Type: corev1.NodeReady, Status: ready}}
		}
		list.Items = append(list.Items, node)
	}
	return list
}

func (w *world) kubernetesNode(name string) corev1.Node {
	n := corev1.Node{TypeMeta: metav1.TypeMeta{Kind: "Node", APIVersion: "v1"}, ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: corev1.NodeSpec{Unschedulable: w.api.cordoned[name]}}
	if w.api.annotated[name] {
		n.Annotations = map[string]string{"haplane.local/drained": "true"}
	}
	if w.api.cordoned[name] {
		n.ManagedFields = []metav1.ManagedFieldsEntry{{Manager: w.api.cordoner[name], FieldsV1: &metav1.FieldsV1{Raw: []byte(`{"f:spec":{"f:unschedulable":{}}}`)}}}
	}
	if w.api.mute[name] {
		n.Status.Conditions = []corev1.NodeCondition{{Type: corev1.NodeReady, Status: corev1.ConditionUnknown, Reason: "NodeStatusUnknown"}}
	}
	return n
}

// pod is one of a Deployment on a node.
func pod(name, node string) corev1.Pod {
	controller := true
	return corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: name, UID: types.UID(name), Labels: map[string]string{"app": "web"},
		OwnerReferences: []metav1.OwnerReference{{Kind: "ReplicaSet", Name: "web", Controller: &controller}}}, Spec: corev1.PodSpec{NodeName: node}}
}
