package kubeprobe

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
	"k8s.io/client-go/rest"

	"github.com/haplane/haplane/internal/probe"
)

// readPath is an object that is always there: it is read from etcd, by quorum.
const readPath = "/api/v1/namespaces/default"

// newConnections makes a connection for each request.
func newConnections(config *tls.Config) *http.Transport {
	return &http.Transport{TLSClientConfig: config, DisableKeepAlives: true}
}

// client-go's, for a connection of HTTP/2 that is silent.
const idleBeforePing, pingTimeout = 30 * time.Second, 15 * time.Second

// reusedConnection keeps one connection of HTTP/2, and leaves it as client-go does.
func reusedConnection(config *tls.Config) *http.Transport {
	return http2(config, idleBeforePing, pingTimeout)
}

// watchedConnection is one that is left when the machine at the other end has gone, if it is made by dialWatched. Its pings are for
// what may be in between and acknowledges in its place; they fail no request before the limit of its own.
func watchedConnection(config *tls.Config) *http.Transport {
	return http2(config, time.Second, probe.DefaultTimeout)
}

// goneAfter is how long what was sent may stay without acknowledgement.
const goneAfter = 2 * time.Second

// dialWatched makes connections that the kernel ends when the other machine's acknowledges nothing any more (tcp(7), TCP_USER_TIMEOUT).
// A ping would be answered, and the answer read, by processes: one that gets no CPU for a second would leave a connection on which all is well.
func dialWatched(ctx context.Context, network, address string) (net.Conn, error) {
	d := net.Dialer{Control: func(_, _ string, c syscall.RawConn) error {
		var failed error
		err := c.Control(func(fd uintptr) {
			failed = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, int(goneAfter.Milliseconds()))
		})
		return errors.Join(err, failed)
	}}
	return d.DialContext(ctx, network, address)
}

func http2(config *tls.Config, idle, ping time.Duration) *http.Transport {
	config.NextProtos = []string{"h2"}
	return &http.Transport{TLSClientConfig: config, ForceAttemptHTTP2: true,
		HTTP2: &http.HTTP2Config{SendPingTimeout: idle, PingTimeout: ping}}
}

// httpClient sends over the kind of connection, with the config's credentials.
func httpClient(config *rest.Config, kind func(*tls.Config) *http.Transport) (*http.Client, error) {
	verified, err := rest.TLSConfigFor(config)
	if err != nil {
		return nil, err
	}
	if verified == nil {
		verified = &tls.Config{MinVersion: tls.VersionTLS12}
	}
	transport := kind(verified.Clone())
	transport.Proxy, transport.DialContext = http.ProxyFromEnvironment, config.Dial
	if config.Proxy != nil {
		transport.Proxy = config.Proxy
	}
	wrapped, err := rest.HTTPWrappersForConfig(config, transport)
	return &http.Client{Transport: wrapped}, err
}

func (t *Target) reads(name string, kind func(*tls.Config) *http.Transport) (probe.Lane, error) {
	client, err := httpClient(t.config, kind)
	if err != nil {
		return probe.Lane{}, err
	}
	url, _, err := rest.DefaultServerUrlFor(t.config)
	if err != nil {
		return probe.Lane{}, err
	}
	target := url.JoinPath(readPath).String()
	return probe.Lane{Name: name, Close: client.CloseIdleConnections, Send: func(ctx context.Context) error {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, target, nil)
		if err != nil {
			return err
		}
		return send(client, request)
	}}, nil
}

func send(client *http.Client, request *http.Request) error {
	response, err := client.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if _, err := io.Copy(io.Discard, response.Body); err != nil {
		return fmt.Errorf("read answer: %w", err)
	}
	return verdict(response)
}

// verdict tells what an answer is worth. One that names a time to come again is no
// failure: client-go sends the request again then.
func verdict(r *http.Response) error {
	if r.StatusCode < 300 {
		return nil
	}
	seconds, err := strconv.Atoi(r.Header.Get("Retry-After"))
	if err == nil && (r.StatusCode == http.StatusTooManyRequests || r.StatusCode >= 500) {
		return probe.Deferred{After: time.Duration(seconds) * time.Second}
	}
	return &statusError{r.StatusCode, r.Status}
}

type statusError struct {
	code int
	text string
}

func (e *statusError) Error() string { return "status " + e.text }
