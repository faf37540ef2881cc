package kubeapi

import (
	"context"
	"crypto/tls"
	"encoding/pem"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func TestServingCertificates(t *testing.T) {
	server := httptest.NewUnstartedServer(http.NotFoundHandler())
	server.TLS = &tls.Config{ClientAuth: tls.RequireAnyClientCert} // as etcd asks for one
	server.StartTLS()
	defer server.Close()
	address := server.Listener.Addr().String()
	ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	tests := map[string]struct {
		address, name string
		ca            []byte
		err           string
	}{
		"its address":    {address, "", ca, ""},
		"its name":       {address, "example.com", ca, ""},
		"another name":   {address, "kubernetes.test", ca, "not kubernetes.test"},
		"no CA":          {address, "", nil, "no CA certificate"},
		"nobody":         {"127.0.0.1:1", "", ca, "ask 127.0.0.1:1 for its certificate"},
		"no such port":   {"127.0.0.1", "", ca, "missing port"},
		"not TLS":        {plain(t), "", ca, "ask 127.0.0.1:"},
		"not PEM at all": {address, "", []byte("x"), "no CA certificate"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := ServingCertificates(t.Context(), tt.address, tt.name, tt.ca)
			if (err == nil) != (tt.err == "") || err != nil && !strings.Contains(err.Error(), tt.err) {
				t.Fatalf("error %v, want one with %q", err, tt.err)
			}
			if err == nil && (len(got) != 1 || !got[0].Equal(server.Certificate())) {
				t.Errorf("certificates %v", got)
			}
		})
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := ServingCertificates(ctx, address, "", ca); err == nil {
		t.Error("a context that has ended ends nothing")
	}
}

// plain is where HTTP without TLS is served.
func plain(t *testing.T) string {
	server := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(server.Close)
	return server.Listener.Addr().String()
}
