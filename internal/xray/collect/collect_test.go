package collect

import (
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/haplane/haplane/internal/xray"
	"github.com/haplane/haplane/spec"
)

// Servers that are known without the API are asked beside it: this API answers only when
// the load balancer was asked whether it is ready.
func TestServersAreAskedBesideTheAPI(t *testing.T) {
	asked := make(chan struct{})
	var once sync.Once
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/readyz" {
			once.Do(func() { close(asked) })
			return
		}
		select {
		case <-asked:
			http.NotFound(w, r)
		case <-r.Context().Done():
		}
	}))
	t.Cleanup(server.Close)
	address := netip.MustParseAddrPort(server.Listener.Addr().String())
	ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	kubeconfig := fmt.Sprintf(`apiVersion: v1
kind: Config
clusters: [{name: c, cluster: {server: %q, certificate-authority-data: %s}}]
users: [{name: u, user: {token: x}}]
contexts: [{name: c, context: {cluster: c, user: u}}]
current-context: c
`, server.URL, base64.StdEncoding.EncodeToString(ca))
	file := &spec.Cluster{Spec: spec.Spec{LoadBalancer: spec.LoadBalancer{Address: address.Addr().String(), Port: int(address.Port())}}}
	e := Collect(t.Context(), Options{Kubeconfig: &Kubeconfig{Content: []byte(kubeconfig), Name: "test"}, Timeout: 5 * time.Second,
		Expectation: xray.Expectation{Cluster: file}})
	for _, m := range e.Missing {
		if strings.Contains(m.Err, "no answer") {
			t.Errorf("%+v", m)
		}
	}
	if len(e.Servers) != 1 || e.Servers[0].Ready == nil || !*e.Servers[0].Ready {
		t.Errorf("servers %+v", e.Servers)
	}
}
