package balancers

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/haplane/haplane/internal/poll"
	"github.com/haplane/haplane/internal/probe"
)

// newLane asks over a new connection each time.
func newLane(o Options, b *balancer) probe.Lane {
	transport := &http.Transport{TLSClientConfig: o.TLS.Clone(), DisableKeepAlives: true}
	return probe.Lane{Name: b.name + " new", Rate: newRate, Send: sender(transport, b, o.Path)}
}

// openLane asks over one connection, which leads to the server at first. A client
// that loses its connection makes another one through the same load balancer.
func openLane(ctx context.Context, o Options, b *balancer, s Server) (probe.Lane, error) {
	transport, err := reach(ctx, o, b, s)
	if err != nil {
		return probe.Lane{}, fmt.Errorf("reach %s through the load balancer of %s: %w", s.Name, b.name, err)
	}
	return probe.Lane{Name: b.name + " open " + s.Name, Rate: openRate, Send: sender(transport, b, o.Path),
		Close: transport.CloseIdleConnections}, nil
}

// reachTime is enough for nginx to try a server again, and for kubeadm's checks to rise.
const reachTime = 40 * time.Second

// kept connections are more than held watches can make the difference between two servers.
const kept = 4 * held

// reach makes connections until one leads to the server. Others are kept meanwhile: a
// balancer that counts connections then takes another server.
func reach(ctx context.Context, o Options, b *balancer, s Server) (*http.Transport, error) {
	ctx, cancel := context.WithTimeout(ctx, reachTime)
	defer cancel()
	var others []*http.Transport
	defer func() {
		for _, t := range others {
			t.CloseIdleConnections()
		}
	}()
	var found *http.Transport
	err := poll.Until(ctx, 20*time.Millisecond, func(ctx context.Context) error {
		transport := &http.Transport{TLSClientConfig: o.TLS.Clone(), ForceAttemptHTTP2: true}
		at, err := serverAt(ctx, transport, b.listen)
		if err == nil && at == s.Address.String() {
			found = transport
			return nil
		}
		if others = append(others, transport); len(others) > kept { // a server that comes back meanwhile has the fewest, once these are gone
			others[0].CloseIdleConnections()
			others = others[1:]
		}
		if err == nil {
			err = fmt.Errorf("a connection led to %s", at)
		}
		return err
	})
	return found, err
}

// serverAt asks which API server a connection leads to: each tells the address that it advertises.
func serverAt(ctx context.Context, transport *http.Transport, listen string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	var versions metav1.APIVersions
	err := get(ctx, &http.Client{Transport: transport}, "https://"+listen+"/api", func(body io.Reader) error {
		return json.NewDecoder(body).Decode(&versions)
	})
	if err != nil {
		return "", err
	}
	if len(versions.ServerAddressByClientCIDRs) == 0 {
		return "", errors.New("/api tells no address")
	}
	return versions.ServerAddressByClientCIDRs[0].ServerAddress, nil
}

// tellApart is an error unless each server advertises its own address.
func tellApart(ctx context.Context, o Options) error {
	for _, s := range o.Servers {
		transport := &http.Transport{TLSClientConfig: o.TLS.Clone(), DisableKeepAlives: true}
		at, err := serverAt(ctx, transport, s.Address.String())
		if err == nil && at != s.Address.String() {
			err = fmt.Errorf("it advertises %s", at)
		}
		if err != nil {
			return fmt.Errorf("ask %s who it is: %w", s.Name, err)
		}
	}
	return nil
}

func sender(transport *http.Transport, b *balancer, path string) func(context.Context) error {
	client, url := &http.Client{Transport: transport}, "https://"+b.listen+path
	return func(ctx context.Context) error {
		err := get(ctx, client, url, func(body io.Reader) error {
			_, err := io.Copy(io.Discard, body)
			return err
		})
		if errors.Is(err, errDeferred) {
			return nil // an answer, which the load balancer has brought
		}
		return err
	}
}

// errDeferred is the answer of an API server that stops, on connections that it had:
// clients of Kubernetes come again after five seconds, by themselves.
var errDeferred = errors.New("told to come again later")

// get reads an answer to its end.
func get(ctx context.Context, client *http.Client, url string, read func(io.Reader) error) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	response, err := client.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode == http.StatusTooManyRequests && response.Header.Get("Retry-After") != "" {
		return errDeferred
	}
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("status %s", response.Status)
	}
	return read(response.Body)
}
