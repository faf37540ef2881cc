package parse

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/haplane/haplane/internal/xray/evidence"
)

func TestHAProxyPassing(t *testing.T) {
	const servers = " server a 10.0.0.1:6443\n server b 10.0.0.2:6443\n"
	tests := []struct {
		name, text          string
		http, ends, adds, p []string
	}{
		{name: "tcp by default", text: "listen api\n bind :6443\n" + servers},
		{name: "Debian's defaults", text: "defaults\n mode http\n option httplog\nlisten api\n bind :6443\n" + servers, http: []string{"listen api (by its defaults)"}},
		{name: "its own mode", text: "defaults\n mode http\nlisten api\n mode tcp\n bind :6443\n" + servers},
		{name: "kubeadm's guide", text: "defaults\n mode http\nfrontend f\n bind :6443\n mode tcp\n default_backend api\nbackend api\n mode tcp\n" + servers},
		{name: "only the frontend", text: "defaults\n mode http\nfrontend f\n bind :6443\n default_backend api\nbackend api\n mode tcp\n" + servers, http: []string{"frontend f (by its defaults)"}},
		{name: "only the backend", text: "frontend f\n bind :6443\n default_backend api\nbackend api\n mode http\n" + servers, http: []string{"backend api"}},
		{name: "defaults of another name", text: "defaults web\n mode http\ndefaults l4\n mode tcp\nlisten api from l4\n bind :6443\n" + servers},
		{name: "TLS ends", text: "listen api\n bind :6443 ssl crt /a.pem\n bind :443\n" + servers, ends: []string{":6443"}},
		{name: "TLS in TLS", text: "listen api\n bind :6443\n server a 10.0.0.1:6443 ssl verify none\n", adds: []string{"a"}},
		{name: "a PROXY header", text: "listen api\n bind :6443\n default-server send-proxy-v2\n server a 10.0.0.1:6443\n server b 10.0.0.2:6443 no-send-proxy-v2\n", p: []string{"a"}},
		{name: "a dashboard beside", text: "listen api\n bind :6443\n" + servers + "listen stats\n mode http\n bind :9000\n stats enable\n"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			lb := HAProxy("", tt.text).LoadBalancer
			if diff := cmp.Diff([][]string{tt.http, tt.ends, tt.adds, tt.p}, [][]string{lb.HTTPMode, lb.EndsTLS, lb.AddsTLS, lb.SendsProxy}); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestNginxPassing(t *testing.T) {
	const servers = "upstream k { server 10.0.0.1:6443; } "
	tests := []struct {
		name, text          string
		http, ends, adds, p []string
	}{
		{name: "stream", text: "stream { " + servers + "server { listen 6443; proxy_pass k; } }"},
		{name: "TLS ends", text: "stream { " + servers + "server { listen 6443 ssl; proxy_pass k; proxy_ssl on; } }", ends: []string{":6443"}, adds: []string{"10.0.0.1:6443"}},
		{name: "TLS in TLS", text: "stream { proxy_ssl on; " + servers + "server { listen 6443; proxy_pass k; } }", adds: []string{"10.0.0.1:6443"}},
		{name: "a PROXY header", text: "stream { " + servers + "server { listen 6443; proxy_pass k; proxy_protocol on; } }", p: []string{"10.0.0.1:6443"}},
		{name: "http", text: "http { " + servers + "server { listen 6443 ssl; location / { proxy_pass https://k; } } }", http: []string{"http {}"}, ends: []string{":6443"}, adds: []string{"10.0.0.1:6443"}},
		{name: "http without TLS", text: "http { server { listen 6443; location / { proxy_pass http://10.0.0.1:6443/; } } }", http: []string{"http {}"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			lb := Nginx("", tt.text)
			if lb == nil {
				t.Fatal("no load balancer")
			}
			if diff := cmp.Diff([][]string{tt.http, tt.ends, tt.adds, tt.p}, [][]string{lb.HTTPMode, lb.EndsTLS, lb.AddsTLS, lb.SendsProxy}); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// k0s's example, and variants that people make of it.
func TestHAProxyOfK0s(t *testing.T) {
	front := func(name, port, backend string) string {
		return "frontend " + name + "\n bind :" + port + "\n mode tcp\n default_backend " + backend + "\n"
	}
	back := func(name, port string) string {
		return "backend " + name + "\n mode tcp\n server a 10.0.0.1" + port + " check check-ssl verify none\n server b 10.0.0.2" + port + " check check-ssl verify none\n"
	}
	const stats = "listen stats\n bind *:9000\n mode http\n stats enable\n stats uri /\n"
	each := front("kubeAPI", "6443", "kubeAPI_backend") + front("konnectivity", "8132", "konnectivity_backend") + front("controllerJoinAPI", "9443", "controllerJoinAPI_backend")
	one := strings.NewReplacer("kubeAPI_backend", "k0s", "konnectivity_backend", "k0s", "controllerJoinAPI_backend", "k0s").Replace(each)
	for name, tt := range map[string]struct {
		text string
		want []string
	}{
		"the example":            {each + back("kubeAPI_backend", ":6443") + back("konnectivity_backend", ":8132") + back("controllerJoinAPI_backend", ":9443") + stats, []string{"10.0.0.1:6443", "10.0.0.2:6443"}},
		"servers without ports":  {each + back("kubeAPI_backend", "") + back("konnectivity_backend", "") + back("controllerJoinAPI_backend", "") + stats, []string{"10.0.0.1:6443", "10.0.0.2:6443"}},
		"one backend":            {one + back("k0s", "") + stats, []string{"10.0.0.1:6443", "10.0.0.2:6443"}},
		"one backend, no offset": {one + back("k0s", ":+0") + stats, []string{"10.0.0.1:6443", "10.0.0.2:6443"}},
		"no frontend is on 6443": {strings.ReplaceAll(one, ":6443", ":443") + back("k0s", ":+6000") + stats, []string{"10.0.0.1:6443", "10.0.0.2:6443"}},
		"nothing tells the port": {front("one", "443", "kubernetes") + front("two", "8443", "kubernetes") + back("kubernetes", ""), []string{"10.0.0.1", "10.0.0.2"}},
	} {
		t.Run(name, func(t *testing.T) {
			var got []string
			for _, b := range HAProxy("", tt.text).LoadBalancer.Backends {
				got = append(got, b.Address)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestHAProxyTries(t *testing.T) {
	const two = "server a 10.0.0.1:6443\n server b 10.0.0.2:6443"
	for name, tt := range map[string]struct {
		lines string
		want  int
	}{
		"by default":         {two, 4},
		"round robin":        {"option redispatch\n " + two, 1},
		"nowhere else to go": {"option redispatch\n server a 10.0.0.1:6443", 3},
		"the last retry":     {"option redispatch\n balance leastconn\n retries 5\n " + two, 5},
		"each retry":         {"option redispatch 1\n balance leastconn\n " + two, 1},
		"off":                {"option redispatch 0\n " + two, 4},
		"no retry":           {"retries 0\n option redispatch\n " + two, 1},
	} {
		t.Run(name, func(t *testing.T) {
			if got := HAProxy("", balancing(tt.lines)).LoadBalancer.Tries; got != tt.want {
				t.Errorf("%d tries, want %d", got, tt.want)
			}
		})
	}
}

func TestLimits(t *testing.T) {
	haproxy := HAProxy("", "global\n maxconn 4000\n maxconnrate 90\ndefaults\n maxconn 3000\n rate-limit sessions 70\nfrontend f\n bind :6443\n default_backend api\nfrontend g\n maxconn 100\n bind :6444\n default_backend api\n"+
		"backend api\n default-server maxconn 50\n server a 10.0.0.1:6443\n").LoadBalancer
	if diff := cmp.Diff(evidence.Limits{Process: 4000, Frontend: 100, PerSecond: 70}, haproxy.Limits); diff != "" || haproxy.Backends[0].MaxConn != 50 {
		t.Error(diff, haproxy.Backends)
	}
	nginx := Nginx("", "worker_processes 2; worker_rlimit_nofile 100; events { worker_connections 64; } stream { limit_conn a 7; upstream k { server 10.0.0.1:6443 max_conns=5; } server { listen 6443; proxy_pass k; } }")
	want := evidence.Limits{PerClient: 7, Workers: 2, WorkerConnections: 64, WorkerFiles: 100}
	if diff := cmp.Diff(want, nginx.Limits); diff != "" || nginx.Backends[0].MaxConn != 5 {
		t.Error(diff, nginx.Backends)
	}
}

// Limits of files and of binds, and servers that get nothing.
func TestHAProxyLimits(t *testing.T) {
	for text, want := range map[string]evidence.Limits{
		"global\n ulimit-n 64\n":                                     {Files: 64},
		"frontend f\n bind :6443 maxconn 8\n":                        {Frontend: 8},
		"frontend f\n bind :6443 maxconn 8\n bind :7443 maxconn 4\n": {Frontend: 12},
		"frontend f\n bind :6443 maxconn 8\n bind :7443\n":           {},
		"frontend f\n bind :6443\n bind :7443 maxconn 8\n":           {},
		"frontend f\n maxconn 5\n bind :6443 maxconn 8\n":            {Frontend: 5},
		"frontend g\n bind :80 maxconn 1\nfrontend f\n bind :6443\n": {},
	} {
		if !strings.Contains(text, "frontend") {
			text += "frontend f\n bind :6443\n"
		}
		lb := HAProxy("", text+" default_backend api\nbackend api\n server a 10.0.0.1:6443 weight 0\n server b 10.0.0.2:6443 weight 1\n").LoadBalancer
		if lb.Limits != want || lb.Backends[0].Status != "MAINT" || lb.Backends[0].Detail != "weight 0" || lb.Backends[1].Status != "" {
			t.Errorf("%q: %+v, %+v", text, lb.Limits, lb.Backends)
		}
	}
}

// A server without a port has that of the client: of several frontends, the API servers' one counts.
func TestHAProxyOfSeveralPorts(t *testing.T) {
	for binds, want := range map[string]string{
		"bind :6443\n bind :8132\n":     "10.0.0.1:6443",
		"bind :9443,:8132,:6443\n":      "10.0.0.1:6443",
		"bind :6443-6445\n":             "10.0.0.1:6443",
		"bind :8443\n":                  "10.0.0.1:8443",
		"bind :8443\n bind :8132\n":     "10.0.0.1",
		"bind :1-65535\n":               "10.0.0.1:1-65535",
		"bind 10.0.0.9:443,:6443 tfo\n": "10.0.0.1:6443",
	} {
		lb := HAProxy("", "frontend f\n "+binds+" default_backend kube-apiserver\nbackend kube-apiserver\n server a 10.0.0.1\n").LoadBalancer
		if lb == nil || lb.Backends[0].Address != want {
			t.Errorf("%q: %+v, want %s", binds, lb, want)
		}
	}
}
