package parse

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/haplane/haplane/internal/xray/evidence"
)

func TestNginx(t *testing.T) {
	want := &evidence.LoadBalancer{
		Kind: evidence.Nginx, Path: "/etc/nginx/nginx.conf", Frontends: []string{":6443", ":6443"},
		Backends: []evidence.Backend{
			{Name: "10.10.10.11:6443", Address: "10.10.10.11:6443", Checked: true},
			{Name: "10.10.10.12:6443", Address: "10.10.10.12:6443", Checked: true},
			{Name: "10.10.10.13:6443", Address: "10.10.10.13:6443", Checked: true},
		},
		ConnectTimeout: 2 * time.Second, ClientTimeout: 90 * time.Minute, ServerTimeout: 90 * time.Minute,
		Redispatch: true, Tries: 1, Limits: evidence.Limits{Workers: 1, WorkersByCPU: true, WorkerConnections: 4096}, Check: evidence.HealthCheck{Kind: "passive", Fall: 3},
	}
	if diff := cmp.Diff(want, Nginx("/etc/nginx/nginx.conf", testdata(t, "nginx.conf"))); diff != "" {
		t.Error(diff)
	}
}

// upstream is a stream block with an upstream of these servers.
func upstream(servers string, settings ...string) string {
	return "stream { " + strings.Join(settings, " ") + " upstream k { " + servers + " } server { listen 6443; proxy_pass k; } }"
}

func TestNginxBackends(t *testing.T) {
	const two = "server 10.0.0.1:6443; server 10.0.0.2:6443"
	passive := func(fall int) evidence.HealthCheck { return evidence.HealthCheck{Kind: "passive", Fall: fall} }
	first := evidence.Backend{Name: "10.0.0.1:6443", Address: "10.0.0.1:6443", Checked: true}
	second := evidence.Backend{Name: "10.0.0.2:6443", Address: "10.0.0.2:6443", Checked: true}
	with := func(b evidence.Backend, change func(*evidence.Backend)) evidence.Backend { change(&b); return b }
	for _, tt := range []struct {
		name, text string
		backends   []evidence.Backend
		check      evidence.HealthCheck
		redispatch bool
	}{
		{"by default", upstream(two + ";"), []evidence.Backend{first, second}, passive(1), true},
		{"one", upstream("server 10.0.0.1:6443;"), []evidence.Backend{first}, passive(1), false},
		{"a backup", upstream(two + " backup max_fails=9;"),
			[]evidence.Backend{first, with(second, func(b *evidence.Backend) { b.Backup = true })}, passive(1), true},
		{"down", upstream(two + " down;"), []evidence.Backend{first, with(second, func(b *evidence.Backend) { b.Status = "MAINT" })}, passive(1), true},
		{"one is not counted", upstream(two + " max_fails=0;"),
			[]evidence.Backend{first, with(second, func(b *evidence.Backend) { b.Checked = false })}, passive(1), true},
		{"none is counted", upstream("server 10.0.0.1:6443 max_fails=0;"),
			[]evidence.Backend{with(first, func(b *evidence.Backend) { b.Checked = false })}, evidence.HealthCheck{Kind: "none"}, false},
		{"no other is tried", upstream(two+";", "proxy_next_upstream off;"), []evidence.Backend{first, second}, passive(1), false},
		{"an address in the place of an upstream", "stream { server { listen 6443; proxy_pass 10.0.0.1:6443; } }",
			[]evidence.Backend{with(first, func(b *evidence.Backend) { b.Checked = false })}, evidence.HealthCheck{Kind: "none"}, false},
		{"an upstream that is not there", "stream { server { listen 6443; proxy_pass k; } }", nil, passive(0), false},
		{"an active check", "stream { upstream k { " + two + "; } server { listen 6443; proxy_pass k; health_check interval=1s fails=2 passes=3; } }",
			[]evidence.Backend{first, second}, evidence.HealthCheck{Kind: "tcp", Interval: time.Second, Fall: 2, Rise: 3}, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			lb := Nginx("", tt.text)
			if lb == nil {
				t.Fatal("no load balancer")
			}
			if diff := cmp.Diff(tt.backends, lb.Backends) + cmp.Diff(tt.check, lb.Check); diff != "" || lb.Redispatch != tt.redispatch {
				t.Error(diff, lb.Redispatch)
			}
		})
	}
}

func TestNginxSettings(t *testing.T) {
	for _, tt := range []struct {
		name, text       string
		timeout, connect time.Duration
		keepAlive        bool
	}{
		{"by default", upstream("server 10.0.0.1:6443;"), 10 * time.Minute, time.Minute, false},
		{"of the stream block", upstream("server 10.0.0.1:6443;", "proxy_timeout 5; proxy_connect_timeout 1500ms; proxy_socket_keepalive on;"), 5 * time.Second, 1500 * time.Millisecond, true},
		{"of the server first", "stream { proxy_timeout 5; server { listen 6443; proxy_timeout 1h; } }", time.Hour, time.Minute, false},
		{"of http", "http { proxy_timeout 5; } " + upstream("server 10.0.0.1:6443;"), 10 * time.Minute, time.Minute, false},
		{"two stream blocks", "stream { proxy_timeout 1m; } " + upstream("server 10.0.0.1:6443;"), time.Minute, time.Minute, false},
		{"nonsense", upstream("server 10.0.0.1:6443;", "proxy_timeout soon; proxy_connect_timeout;"), 10 * time.Minute, time.Minute, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			lb := Nginx("", tt.text)
			if lb == nil {
				t.Fatal("no load balancer")
			}
			if lb.ServerTimeout != tt.timeout || lb.ClientTimeout != tt.timeout || lb.ConnectTimeout != tt.connect || lb.KeepAlive != tt.keepAlive {
				t.Errorf("%+v", lb)
			}
		})
	}
}

func TestNginxFindsTheServer(t *testing.T) {
	for _, tt := range []struct {
		name, text string
		want       []string // frontends
	}{
		{"nothing", "", nil},
		{"http only", "http { server { listen 6443; location / { proxy_pass http://10.0.0.1:6443; } } }", []string{":6443"}},
		{"http for a part of its paths", "http { server { listen 443; location /k8s/ { proxy_pass https://10.0.0.1:6443/; } } }", nil},
		{"http for something else", "http { server { listen 8081; location /healthz { return 200; } } server { listen 80; location / { proxy_pass http://app; } } }", nil},
		{"stream goes before http", "http { server { listen 443; location / { proxy_pass https://10.0.0.1:6443; } } } stream { server { listen 6443; proxy_pass 10.0.0.1:6443; } }", []string{":6443"}},
		{"other servers", "stream { server { listen 53 udp; proxy_pass 10.0.0.9:53; } }", nil},
		{"by its servers", "stream { server { listen 53; proxy_pass 10.0.0.9:53; } upstream a { server 10.0.0.1:6443; } server { listen 10.0.0.9:443; proxy_pass a; } }", []string{"10.0.0.9:443"}},
		{"by its name", "stream { upstream kube-apiserver { server cp-1:8443; } server { listen *:443; proxy_pass kube-apiserver; } }", []string{":443"}},
		{"the best", "stream { server { listen 6443; proxy_pass 10.0.0.9:53; } server { listen [::]:6443; proxy_pass 10.0.0.1:6443; } }", []string{":6443"}},
		{"a file that is cut off", "stream { server { listen 6443; proxy_pass 10.0.0.1:64", []string{":6443"}},
		{"in quotes, with comments", "stream { # }\n server { listen \"6443\"; # }\n proxy_pass '10.0.0.1:6443'; } }", []string{":6443"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var got []string
			if lb := Nginx("", tt.text); lb != nil {
				got = lb.Frontends
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestNginxNotes(t *testing.T) {
	got := Nginx("", "include /a;\nstream { include b; upstream k { include c; } server { listen 6443; include d; proxy_pass k; } }").Notes
	want := []string{"/a is included and was not read", "b is included and was not read", "d is included and was not read", "c is included and was not read"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	got = Nginx("", "stream { server { listen 6443; proxy_pass ${name}; } }").Notes
	if diff := cmp.Diff([]string{"servers depend on variables: proxy_pass ${name}"}, got); diff != "" {
		t.Error(diff)
	}
}

func TestNginxTime(t *testing.T) {
	for text, want := range map[string]time.Duration{"90": 90 * time.Second, "10m": 10 * time.Minute, "1h30m": 90 * time.Minute, "1h 30m": 90 * time.Minute,
		"500ms": 500 * time.Millisecond, "1d": 24 * time.Hour, "1w": 168 * time.Hour, "1M": 720 * time.Hour, "1y": 8760 * time.Hour, "0": 0,
		"": -1, "m": -1, "1x": -1, "-1s": -1, "99999999999": -1, "999y": -1, "1mm": -1} {
		if got := nginxTime(text, -1); got != want {
			t.Errorf("%q: %s, want %s", text, got, want)
		}
	}
}

func TestNginxIsBounded(t *testing.T) {
	many := strings.Repeat("server { listen 6443; proxy_pass k; } a;", 20000)
	lb := Nginx("", "stream { upstream k { "+strings.Repeat("server 10.0.0.1:6443;", 2000)+" } "+many+"}")
	if lb == nil || len(lb.Backends) != 2000 {
		t.Errorf("%+v", lb)
	}
	if lb := Nginx("", strings.Repeat("stream {", 100000)); lb != nil {
		t.Errorf("%+v", lb)
	}
}

func FuzzNginx(f *testing.F) {
	f.Add(testdata(f, "nginx.conf"))
	f.Add(upstream("server 10.0.0.1:6443 max_fails=-1 down backup;", "proxy_timeout 1y1y;", "include \"a b\";"))
	f.Add("stream{server{listen 6443;health_check;proxy_pass ${a};};}}{")
	f.Fuzz(func(t *testing.T, text string) {
		lb := Nginx("/x", text)
		if lb == nil {
			return
		}
		if lb.ServerTimeout < 0 || lb.ConnectTimeout < 0 || lb.Check.Interval < 0 || lb.Check.Kind == "" || lb.Kind != evidence.Nginx {
			t.Errorf("%+v", lb)
		}
		if len(lb.Backends) == 0 && len(lb.Frontends) == 0 && lb.Notes == nil && !nameOfAPI(text) {
			t.Errorf("nothing tells that %q balances API servers", text)
		}
	})
}
