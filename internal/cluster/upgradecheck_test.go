package cluster

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/haplane/haplane/internal/pki"
	"github.com/haplane/haplane/internal/topology"
	"github.com/haplane/haplane/spec"
)

// Each API server is asked which APIs clients have asked it for, with haplane's certificate, and one that does not tell stands in the way too; on
// the way back nobody is asked.
func TestClientsThatAskForRemovedAPIs(t *testing.T) {
	s := keyed(t)
	l := asked(t, s, Request{Wanted: opened(t).Request().Wanted, Upgrade: &Upgrade{From: "v1.36.3", To: "v1.37.2"}})
	if err := l.loadKeys(); err != nil {
		t.Fatal(err)
	}
	const metric = "apiserver_requested_deprecated_apis{group=%q,removed_release=%q,resource=%q,subresource=\"\",version=\"v1beta1\"} 1\n"
	answers := []func(http.ResponseWriter){
		func(w http.ResponseWriter) {
			fmt.Fprintf(w, metric, "networking.k8s.io", "1.37", "servicecidrs")
			fmt.Fprintf(w, metric, "coordination.k8s.io", "1.39", "leasecandidates")
		},
		func(w http.ResponseWriter) { fmt.Fprintf(w, metric, "", "", "endpoints") },
	}
	pair := l.keys.Pairs[pki.APIServer]
	serves := must[tls.Certificate](t)(tls.X509KeyPair(pair.Cert, pair.Key))
	clients := x509.NewCertPool()
	clients.AppendCertsFromPEM(l.keys.Trusted(pki.CA))
	var addresses []netip.Addr
	for i := range answers { // at the port that API servers have
		at := netip.AddrFrom4([4]byte{127, 77, 13, byte(i + 1)})
		listener, err := net.Listen("tcp", netip.AddrPortFrom(at, topology.APIServerPort).String())
		if err != nil {
			t.Fatal(err)
		}
		server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path != "/metrics" || r.TLS.PeerCertificates[0].Subject.CommonName == "" {
				t.Errorf("asked for %s", r.URL)
			}
			answers[i](w)
		}))
		server.Listener.Close()
		server.Listener, server.TLS = listener, &tls.Config{Certificates: []tls.Certificate{serves}, ClientCAs: clients, ClientAuth: tls.RequireAndVerifyClientCert}
		server.StartTLS()
		defer server.Close()
		addresses = append(addresses, at)
	}
	for i, n := range l.topology.Nodes {
		if n.Role == spec.RoleControlPlane {
			l.topology.Nodes[i].Address, addresses = addresses[0], addresses[1:]
		}
	}
	removed := "clients have asked cp-1 for servicecidrs.v1beta1.networking.k8s.io, which v1.37 does not have any more; it forgets that when its kube-apiserver is restarted"
	if diff := cmp.Diff([]string{removed}, l.checkAPIs(t.Context())); diff != "" {
		t.Error(diff)
	}
	answers[1] = func(w http.ResponseWriter) { w.WriteHeader(http.StatusForbidden) }
	got := l.checkAPIs(t.Context())
	if len(got) != 2 || got[0] != removed || !strings.HasPrefix(got[1], "which APIs clients ask for is not known: cp-2: read metrics") {
		t.Errorf("one does not tell: %q", got)
	}
	l.Upgrade.Down = true
	if got := l.checkAPIs(t.Context()); got != nil {
		t.Errorf("on the way back: %q", got)
	}
}
