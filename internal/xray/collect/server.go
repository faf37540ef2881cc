package collect

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/http"
	"net/url"
	"os"
	"slices"
	"sync"
	"time"

	"k8s.io/client-go/rest"

	"github.com/haplane/haplane/internal/xray/evidence"
)

// nodeServerName is the name in the certificate of every API server, whatever its
// node is called.
const nodeServerName = "kubernetes.default"

// Servers asks the load balancer and API servers, all at once: a handshake with
// each, and with those whose certificate verifies, what they say of themselves. The
// configuration brings the CA and the credentials; one without credentials is
// good for handshakes only. Endpoint and addresses of nodes are host:port; endpoint
// may be "". A server behind a proxy is left out. Those that were asked already are
// not asked again: they may have been known by another name. One that says nothing for
// hungAfter is given up, or for the timeout if that is shorter.
func Servers(ctx context.Context, config *rest.Config, endpoint string, nodes map[string]string, timeout time.Duration, asked ...evidence.Server) []evidence.Server {
	var targets []target
	if endpoint != "" {
		targets = append(targets, target{"", endpoint, endpointName(config, endpoint)})
	}
	for _, name := range slices.Sorted(maps.Keys(nodes)) {
		targets = append(targets, target{name, nodes[name], nodeServerName})
	}
	targets = slices.DeleteFunc(targets, func(t target) bool { return behindProxy(config, t.address) })
	out := make([]evidence.Server, len(targets))
	roots, err := rootsOf(config)
	var group sync.WaitGroup
	for i, t := range targets {
		if j := slices.IndexFunc(asked, t.is); j >= 0 {
			out[i] = asked[j]
			out[i].Node = t.node
			continue
		}
		group.Go(func() { out[i] = t.ask(ctx, config, roots, err, hungLimit(timeout)) })
	}
	group.Wait()
	return out
}

// A target is a server to ask.
type target struct{ node, address, serverName string }

func (t target) is(s evidence.Server) bool {
	return s.Address == t.address && s.ServerName == t.serverName
}

// endpointName is what the certificate behind the endpoint is verified for: the
// host, unless the kubeconfig that leads there has another name.
func endpointName(config *rest.Config, endpoint string) string {
	u, err := url.Parse(config.Host)
	if name := config.ServerName; err == nil && name != "" && u.Host == endpoint {
		return name
	}
	host, _, _ := net.SplitHostPort(endpoint)
	return host
}

func behindProxy(config *rest.Config, address string) bool {
	find := config.Proxy
	if find == nil {
		find = http.ProxyFromEnvironment
	}
	proxy, err := find(&http.Request{URL: &url.URL{Scheme: "https", Host: address}})
	return err == nil && proxy != nil
}

// rootsOf is the CA of a configuration: nil for the host's own, or where it says
// that nothing is to be verified.
func rootsOf(config *rest.Config) (*x509.CertPool, error) {
	data := config.CAData
	if len(data) == 0 && config.CAFile != "" {
		var err error
		if data, err = os.ReadFile(config.CAFile); err != nil {
			return nil, fmt.Errorf("read CA: %w", err)
		}
	}
	if len(data) == 0 {
		return nil, nil
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(data) {
		return nil, errors.New("read CA: no certificate in it")
	}
	return roots, nil
}

func (t target) ask(ctx context.Context, config *rest.Config, roots *x509.CertPool, rootsErr error, limit time.Duration) evidence.Server {
	out := evidence.Server{Node: t.node, Address: t.address, ServerName: t.serverName}
	chain, err := t.handshake(ctx, limit)
	for _, c := range chain {
		out.Certificates = append(out.Certificates, evidence.Certificate{Certificate: c})
	}
	if err != nil {
		out.Err = plain(err)
		return out
	}
	if config.Insecure && roots == nil {
		return out // no CA is known, so nothing is verified, and nothing is sent
	}
	if err := errors.Join(rootsErr, verify(chain, roots, t.serverName)); err != nil {
		out.VerifyErr = plain(err)
		return out
	}
	if hasCredentials(config) {
		t.talk(ctx, config, &out, limit)
	}
	return out
}
