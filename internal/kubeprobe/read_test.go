package kubeprobe

import (
	"context"
	"encoding/pem"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"k8s.io/client-go/rest"

	"github.com/haplane/haplane/internal/probe"
)

// serve starts a server of TLS and HTTP/2, and returns the way in and the number of its connections.
func serve(t *testing.T, handler http.HandlerFunc) (*rest.Config, *atomic.Int64) {
	t.Helper()
	return serveOn(t, handler, func(l net.Listener) net.Listener { return l })
}

func serveOn(t *testing.T, handler http.HandlerFunc, on func(net.Listener) net.Listener) (*rest.Config, *atomic.Int64) {
	t.Helper()
	var connections atomic.Int64
	server := httptest.NewUnstartedServer(handler)
	server.Listener = on(server.Listener)
	server.EnableHTTP2 = true
	server.Config.ConnState = func(_ net.Conn, s http.ConnState) {
		if s == http.StateNew {
			connections.Add(1)
		}
	}
	server.StartTLS()
	t.Cleanup(server.Close)
	ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	return &rest.Config{Host: server.URL, TLSClientConfig: rest.TLSClientConfig{CAData: ca}, BearerToken: "secret"}, &connections
}

func TestReads(t *testing.T) {
	for name, test := range map[string]struct {
		connections int64
		protocol    string
	}{LBNew: {5, "HTTP/1.1"}, LBReused: {1, "HTTP/2.0"}} {
		t.Run(name, func(t *testing.T) {
			config, connections := serve(t, func(w http.ResponseWriter, r *http.Request) {
				if r.Proto != test.protocol || r.URL.Path != readPath || r.Header.Get("Authorization") != "Bearer secret" {
					t.Errorf("%s %s, authorized by %q", r.Proto, r.URL.Path, r.Header.Get("Authorization"))
				}
			})
			lanes, err := ForConfig(config, nil).Lanes(name)
			if err != nil {
				t.Fatal(err)
			}
			for range 5 {
				if err := lanes[0].Send(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
			lanes[0].Close()
			if got := connections.Load(); got != test.connections {
				t.Errorf("%d connections, want %d", got, test.connections)
			}
		})
	}
}

func TestVerdict(t *testing.T) {
	for name, test := range map[string]struct {
		status int
		after  string
		want   error
	}{
		"well":                          {200, "", nil},
		"deferred":                      {429, "2", probe.Deferred{After: 2 * time.Second}},
		"unavailable, with Retry-After": {503, "1", probe.Deferred{After: time.Second}},
		"too many":                      {429, "", errors.New("status 429 Too Many Requests")},
		"broken":                        {500, "", errors.New("status 500 Internal Server Error")},
		"forbidden":                     {403, "1", errors.New("status 403 Forbidden")},
	} {
		t.Run(name, func(t *testing.T) {
			config, _ := serve(t, func(w http.ResponseWriter, _ *http.Request) {
				if test.after != "" {
					w.Header().Set("Retry-After", test.after)
				}
				w.WriteHeader(test.status)
			})
			lanes, err := ForConfig(config, nil).Lanes(LBNew)
			if err != nil {
				t.Fatal(err)
			}
			err = lanes[0].Send(t.Context())
			if (err == nil) != (test.want == nil) || err != nil && err.Error() != test.want.Error() {
				t.Errorf("%v, want %v", err, test.want)
			}
		})
	}
}

func TestLanes(t *testing.T) {
	target := ForConfig(&rest.Config{Host: "https://10.10.10.3:6443"}, map[string]string{"cp-2": "https://10.10.10.12:6443", "cp-1": "https://10.10.10.11:6443"})
	lanes, err := target.Lanes(Kinds...)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, l := range lanes {
		names = append(names, l.Name)
	}
	if d := cmp.Diff([]string{"lb-new", "lb-reused", "direct-cp-1", "direct-cp-2", "write", "watch", "in-cluster", "worker"}, names); d != "" {
		t.Error(d)
	}
	if _, err := target.Lanes("lb-old"); err == nil || !strings.Contains(err.Error(), "there is no such lane") {
		t.Errorf("unknown lane: %v", err)
	}
}

// pipes is a listener whose connections are made in memory, so that the time of a
// test is the bubble's.
type pipes struct {
	conns chan net.Conn
	done  chan struct{}
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.done:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error { close(p.done); return nil }

func (p *pipes) Addr() net.Addr { return &net.TCPAddr{} }

func (p *pipes) dial(context.Context, string, string) (net.Conn, error) {
	client, server := net.Pipe()
	p.conns <- server
	return client, nil
}

// A server that is refused, answers 500 and hangs at known times: what the lane tells
// of it is right to one period of the schedule.
func TestScriptedOutages(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		during := func(from, to int) bool {
			at := time.Since(began)
			return at >= time.Duration(from)*time.Second && at < time.Duration(to)*time.Second
		}
		p := &pipes{make(chan net.Conn), make(chan struct{})}
		server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			switch {
			case during(3, 4):
				w.WriteHeader(http.StatusInternalServerError)
			case during(5, 6):
				<-r.Context().Done()
			}
		})}
		go func() { _ = server.Serve(p) }()
		config := &rest.Config{Host: "http://in-memory", Dial: func(ctx context.Context, network, address string) (net.Conn, error) {
			if during(1, 2) {
				return nil, errors.New("connection refused")
			}
			return p.dial(ctx, network, address)
		}}
		lanes, err := ForConfig(config, nil).Lanes(LBNew)
		if err != nil {
			t.Fatal(err)
		}
		s, err := probe.Start(t.Context(), lanes, probe.Options{Timeout: 500 * time.Millisecond})
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(7*time.Second - time.Millisecond)
		l := s.Stop().Lanes[0]
		_ = server.Close()
		type interval struct {
			From, To time.Duration
			Failed   int
		}
		var got []interval
		for _, o := range l.Outages {
			got = append(got, interval{o.Start.Sub(began), o.End.Sub(began), o.Failed})
		}
		want := []interval{{time.Second, 2 * time.Second, 50}, {3 * time.Second, 4 * time.Second, 50}, {5 * time.Second, 6 * time.Second, 50}}
		if d := cmp.Diff(want, got); d != "" || l.Requests != 350 || l.Failed != 150 || l.LongestGap != 1020 {
			t.Errorf("%d requests, %d failed, longest gap %v (-want +got):\n%s", l.Requests, l.Failed, l.LongestGap, d)
		}
	})
}
