package collect

import (
	"encoding/pem"
	"net"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
)

func TestHungLimit(t *testing.T) {
	for timeout, want := range map[time.Duration]time.Duration{10 * time.Second: 3 * time.Second, time.Hour: 3 * time.Second, time.Second: time.Second} {
		if got := hungLimit(timeout); got != want {
			t.Errorf("of %s: %s, want %s", timeout, got, want)
		}
	}
}

// deaf accepts connections as the kernel of a stopped process does, and says nothing.
func deaf(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l.Addr().String()
}

// A server that hangs is found to, and the others are asked meanwhile.
func TestServersBesideOneThatHangs(t *testing.T) {
	s := httptest.NewTLSServer(&apiServer{})
	t.Cleanup(s.Close)
	answers, hangs := s.Listener.Addr().String(), deaf(t)
	out := Servers(t.Context(), &rest.Config{TLSClientConfig: rest.TLSClientConfig{Insecure: true}}, "", map[string]string{"a": hangs, "b": answers}, 200*time.Millisecond)
	if len(out) != 2 || out[0].Err != "no answer within 200ms" || len(out[0].Certificates) > 0 {
		t.Errorf("the one that hangs: %+v", out)
	}
	if out[1].Err != "" || len(out[1].Certificates) == 0 {
		t.Errorf("the other one: %+v", out[1])
	}
}

// One may hang after the handshake, too.
func TestServerThatSaysNothingButItsName(t *testing.T) {
	s := httptest.NewTLSServer(&apiServer{status: map[string]int{"*": hangs}})
	t.Cleanup(s.Close)
	ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw})
	config := &rest.Config{BearerToken: "x", TLSClientConfig: rest.TLSClientConfig{CAData: ca}}
	out := Servers(t.Context(), config, s.Listener.Addr().String(), nil, 200*time.Millisecond)
	if len(out) != 1 || out[0].VerifyErr != "" || len(out[0].Certificates) == 0 || out[0].Ready != nil || out[0].Err != "no answer within 200ms" {
		t.Errorf("%+v", out)
	}
}

// An API that says nothing at all is given up long before the timeout.
func TestAPIThatHangsIsNotWaitedFor(t *testing.T) {
	l := &listener{limit: 50 * time.Millisecond}
	config := &rest.Config{Host: "https://" + deaf(t), TLSClientConfig: rest.TLSClientConfig{Insecure: true}}
	config.Wrap(l.wrap)
	client, err := rest.HTTPClientFor(config)
	if err != nil {
		t.Fatal(err)
	}
	_, err = client.Get(config.Host + "/version")
	if kindOf(err) != silent || !strings.Contains(silent.tell(err, time.Hour), "no answer within 50ms") || !strings.Contains(silent.fix(look{}, "demo"), "says nothing") {
		t.Errorf("%v, kind %d", err, kindOf(err))
	}
}

// One that was given up is not asked again: each request would take as long once more.
func TestAPIThatHangsIsAskedOnce(t *testing.T) {
	server, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var accepted atomic.Int32
	var open []net.Conn // closed at the end only
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			c, err := server.Accept()
			if err != nil {
				return
			}
			accepted.Add(1)
			open = append(open, c)
		}
	}()
	config := &rest.Config{Host: "https://" + server.Addr().String(), TLSClientConfig: rest.TLSClientConfig{Insecure: true}}
	config.Wrap((&listener{limit: 50 * time.Millisecond}).wrap)
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	for range 3 { // each is two requests
		if _, err := serviceCIDRs(t.Context(), client); kindOf(err) != silent {
			t.Errorf("%v, kind %d", err, kindOf(err))
		}
	}
	_ = server.Close()
	<-done
	for _, c := range open {
		_ = c.Close()
	}
	if n := accepted.Load(); n != 1 {
		t.Errorf("%d connections, want 1", n)
	}
}

// One that answered is waited for, however slow it is with the rest.
func TestAPIThatAnswersIsWaitedFor(t *testing.T) {
	s := &apiServer{status: map[string]int{"/slow": hangs}, objects: map[string]any{"/version": "x"}}
	server := httptest.NewServer(s)
	t.Cleanup(server.Close)
	config := &rest.Config{Host: server.URL}
	config.Wrap((&listener{limit: time.Millisecond}).wrap)
	client, err := rest.HTTPClientFor(config)
	if err != nil {
		t.Fatal(err)
	}
	heard := false
	for !heard { // the first answer may itself take longer than the limit
		response, err := client.Get(config.Host + "/version")
		if heard = err == nil; heard {
			_ = response.Body.Close()
		}
	}
	client.Timeout = 100 * time.Millisecond
	if _, err = client.Get(config.Host + "/slow"); err == nil || kindOf(err) == silent {
		t.Errorf("%v, kind %d: want the client's own limit", err, kindOf(err))
	}
}
