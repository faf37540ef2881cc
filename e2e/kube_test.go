//go:build e2e

package e2e

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"net/http"
	"testing"
	"time"

	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
)

// config is how `haplane kubeconfig --raw` lets a client in, with further flags.
func (c *cluster) config(t *testing.T, flags ...string) *rest.Config {
	t.Helper()
	args := append([]string{"kubeconfig", "--cluster", c.Name, "--raw"}, flags...)
	text := must(t, 0, c.Run(background(t), args...)).Stdout
	return parseConfig(t, []byte(text))
}

func parseConfig(t *testing.T, kubeconfig []byte) *rest.Config {
	t.Helper()
	config, err := clientcmd.RESTConfigFromKubeConfig(kubeconfig)
	if err != nil {
		t.Fatalf("read kubeconfig: %v", err)
	}
	config.WarningHandlerWithContext = rest.NoWarnings{} // Endpoints are looked at on purpose
	config.Timeout = 10 * time.Second
	return config
}

func clientOf(t *testing.T, config *rest.Config) *kubernetes.Clientset {
	t.Helper()
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	return client
}

// client is the administrator's, through the load balancer.
func (c *cluster) client(t *testing.T) *kubernetes.Clientset {
	t.Helper()
	return clientOf(t, c.config(t))
}

// clients are the administrator's at each API server, by node.
func (c *cluster) clients(t *testing.T) map[string]*kubernetes.Clientset {
	t.Helper()
	out := map[string]*kubernetes.Clientset{}
	for _, node := range controlPlane {
		out[node] = clientOf(t, c.config(t, "--node", node))
	}
	return out
}

// roots is the cluster's certificate authority.
func (c *cluster) roots(t *testing.T) *x509.CertPool {
	t.Helper()
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(c.config(t).CAData) {
		t.Fatal("the kubeconfig has no certificate authority")
	}
	return pool
}

// get sends a request without any credentials and returns the status.
func get(ctx context.Context, config *tls.Config, url string) (int, error) {
	client := http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{TLSClientConfig: config, DisableKeepAlives: true}}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return 0, err
	}
	response, err := client.Do(request)
	if err != nil {
		return 0, err
	}
	return response.StatusCode, response.Body.Close()
}
