package parse

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/haplane/haplane/internal/xray/evidence"
)

func TestHAProxyOfHaplane(t *testing.T) {
	got := HAProxy("/etc/haproxy/haproxy.cfg", golden(t, "shared/lb-1", "/etc/haproxy/haproxy.cfg"))
	want := HAProxyConfig{
		Backend: "kube-apiserver", Sockets: []string{"/run/haproxy/admin.sock"}, CAFiles: []string{"/etc/haproxy/kubernetes-ca.crt"},
		LoadBalancer: &evidence.LoadBalancer{
			Kind: evidence.HAProxy, Path: "/etc/haproxy/haproxy.cfg", Frontends: []string{":6443"},
			Backends: []evidence.Backend{
				{Name: "cp-1", Address: "10.10.10.11:6443", Checked: true},
				{Name: "cp-2", Address: "10.10.10.12:6443", Checked: true},
				{Name: "cp-3", Address: "10.10.10.13:6443", Checked: true},
			},
			ConnectTimeout: 250 * time.Millisecond, ClientTimeout: 5 * time.Hour, ServerTimeout: 5 * time.Hour,
			Redispatch: true, Tries: 1, Limits: evidence.Limits{Process: 9000}, TCPUserTimeout: 2 * time.Second, KeepAlive: true,
			Check: evidence.HealthCheck{Kind: "http", Method: "GET", Path: "/readyz", TLS: true, Verified: true, Name: "kubernetes.default",
				Expect: "! string [-]shutdown failed, status 200", Interval: 100 * time.Millisecond,
				Timeout: time.Second, Fall: 1, Rise: 1},
		},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if d := got.LoadBalancer.Check.Detection(); d != 100*time.Millisecond {
		t.Errorf("detection takes %s", d)
	}
}

func TestHAProxyFrontendsOfHaplane(t *testing.T) {
	for machine, want := range map[string][]string{"other/lb-1": {":6443", ":443"}, "dual-stack/lb-1": {":6443"}} {
		got := HAProxy("", golden(t, machine, "/etc/haproxy/haproxy.cfg")).LoadBalancer
		if diff := cmp.Diff(want, got.Frontends); diff != "" {
			t.Errorf("%s: %s", machine, diff)
		}
	}
}

// balancing is a configuration around a backend of API servers.
func balancing(lines ...string) string {
	return "defaults\n timeout client 1m\nfrontend api\n bind :6443\n default_backend apiserver\nbackend apiserver\n " + strings.Join(lines, "\n ") + "\n"
}

func TestHAProxyHealthCheck(t *testing.T) {
	check := func(kind string) evidence.HealthCheck {
		return evidence.HealthCheck{Kind: kind, Interval: 2 * time.Second, Fall: 3, Rise: 2}
	}
	http := func(path, expect string, tls bool) evidence.HealthCheck {
		c := check("http")
		c.Method, c.Path, c.Expect, c.TLS = "GET", path, expect, tls
		return c
	}
	asking := func(method string, c evidence.HealthCheck) evidence.HealthCheck {
		c.Method = method
		return c
	}
	verified := func(name string) evidence.HealthCheck {
		c := check("tcp")
		c.TLS, c.Verified, c.Name = true, true, name
		return c
	}
	of := func(option, replaces string, c evidence.HealthCheck) evidence.HealthCheck {
		c.Option, c.Replaces, c.TLS = option, replaces, option == "ssl-hello-chk"
		return c
	}
	loggedIn := func(c evidence.HealthCheck) evidence.HealthCheck {
		c.LogsIn = true
		return c
	}
	const ok = "status 2xx or 3xx"
	for _, tt := range []struct {
		name  string
		lines []string
		want  evidence.HealthCheck
	}{
		{"none", []string{"server a 10.0.0.1:6443"}, evidence.HealthCheck{Kind: "none"}},
		{"no server", nil, evidence.HealthCheck{Kind: "none"}},
		{"taken back", []string{"default-server check", "server a 10.0.0.1:6443 no-check"}, evidence.HealthCheck{Kind: "none"}},
		{"a connect", []string{"server a 10.0.0.1:6443 check"}, check("tcp")},
		{"the first that is checked", []string{"server a 10.0.0.1:6443", "server b 10.0.0.2:6443 check backup", "server c 10.0.0.3:6443 check"}, check("tcp")},
		{"times", []string{"timeout check 500", "server a 10.0.0.1:6443 check inter 1s fastinter 250 fall 5 rise 1"},
			evidence.HealthCheck{Kind: "tcp", Interval: time.Second, FastInterval: 250 * time.Millisecond, Timeout: 500 * time.Millisecond, Fall: 5, Rise: 1}},
		{"default-server comes before its servers only", []string{"default-server check inter 1s", "server a 10.0.0.1:6443", "default-server inter 9s"},
			evidence.HealthCheck{Kind: "tcp", Interval: time.Second, Fall: 3, Rise: 2}},
		{"default-server adds up", []string{"default-server check", "default-server inter 1s", "server a 10.0.0.1:6443"},
			evidence.HealthCheck{Kind: "tcp", Interval: time.Second, Fall: 3, Rise: 2}},
		{"OPTIONS", []string{"option httpchk", "server a 10.0.0.1:6443 check"}, asking("OPTIONS", http("/", ok, false))},
		{"a path", []string{"option httpchk /readyz", "server a 10.0.0.1:6443 check"}, asking("OPTIONS", http("/readyz", ok, false))},
		{"send has the method", []string{"option httpchk /healthz", "http-check send meth HEAD uri /readyz", "server a 10.0.0.1:6443 check"}, asking("HEAD", http("/readyz", ok, false))},
		{"a method and a path", []string{"option httpchk GET /healthz HTTP/1.1", "server a 10.0.0.1:6443 check check-ssl verify none"}, http("/healthz", ok, true)},
		{"send overrules", []string{"option httpchk GET /healthz", "http-check send uri /readyz", "server a 10.0.0.1:6443 check"}, http("/readyz", ok, false)},
		{"send only adds", []string{"option httpchk GET /readyz", "http-check send hdr Host x", "server a 10.0.0.1:6443 check"}, http("/readyz", ok, false)},
		{"expect", []string{"option httpchk GET /readyz", `http-check expect comment "a b" status 200`, "server a 10.0.0.1:6443 check"}, http("/readyz", "status 200", false)},
		{"expect not", []string{"option httpchk GET /readyz", `http-check expect ! rstatus ^5`, "server a 10.0.0.1:6443 check"}, http("/readyz", "! rstatus ^5", false)},
		{"rules of another kind", []string{"option httpchk GET /readyz", "tcp-check expect string x", "tcp-check connect ssl", "server a 10.0.0.1:6443 check"}, http("/readyz", ok, false)},
		{"the last kind counts", []string{"option httpchk GET /readyz", "option tcp-check", "server a 10.0.0.1:6443 check"}, of("", "httpchk", check("tcp"))},
		{"kubeadm's guide of 1.22", []string{"option httpchk GET /healthz", "http-check expect status 200", "option ssl-hello-chk", "server a 10.0.0.1:6443 check"},
			of("ssl-hello-chk", "httpchk", check("tcp"))},
		{"of a database", []string{"option mysql-check user haproxy", "server a 10.0.0.1:6443 check"}, of("mysql-check", "", check("tcp"))},
		{"ssl", []string{"server a 10.0.0.1:6443 check ssl verify required ca-file /ca.crt verifyhost x"}, verified("x")},
		{"ssl to another port", []string{"server a 10.0.0.1:6443 check ssl verify required ca-file /ca.crt port 8443"}, check("tcp")},
		{"ssl but not for checks", []string{"server a 10.0.0.1:6443 check ssl no-check-ssl ca-file /ca.crt"}, check("tcp")},
		{"verified by default", []string{"server a 10.0.0.1:6443 check check-ssl ca-file /ca.crt"}, verified("")},
		{"logged in", []string{"server a 10.0.0.1:6443 check check-ssl ca-file /ca.crt crt /client.pem"}, loggedIn(verified(""))},
		{"a certificate for sessions only", []string{"server a 10.0.0.1:6443 check ssl no-check-ssl ca-file /ca.crt crt /client.pem"}, check("tcp")},
		{"check-sni before verifyhost", []string{"server a 10.0.0.1:6443 check check-ssl ca-file /ca.crt verifyhost x check-sni y sni str(z)"}, verified("y")},
		{"sni is of sessions", []string{"server a 10.0.0.1:6443 check check-ssl ca-file /ca.crt sni str(z)"}, verified("")},
		{"connect ssl", []string{"option tcp-check", "tcp-check connect ssl sni x", "server a 10.0.0.1:6443 check ca-file /ca.crt"}, verified("x")},
		{"connect without", []string{"option tcp-check", "tcp-check connect port 1", "server a 10.0.0.1:6443 check check-ssl ca-file /ca.crt"}, check("tcp")},
		{"connect by default", []string{"option tcp-check", "tcp-check connect default", "server a 10.0.0.1:6443 check check-ssl ca-file /ca.crt"}, verified("")},
		{"words with values", []string{"server a 10.0.0.1:6443 cookie check id backup"}, evidence.HealthCheck{Kind: "none"}},
		{"a comment", []string{"server a 10.0.0.1:6443 # check"}, evidence.HealthCheck{Kind: "none"}},
		{"another is tracked", []string{"server a 10.0.0.1:6443 track checks/b", "backend checks", "server b 10.0.0.1:6443 check inter 1s"},
			evidence.HealthCheck{Kind: "tcp", Interval: time.Second, Fall: 3, Rise: 2}},
		{"they track each other", []string{"server a 10.0.0.1:6443 track b", "server b 10.0.0.1:6443 track a"}, evidence.HealthCheck{Kind: "none"}},
		{"nonsense", []string{"option httpchk GET", "http-check send uri", "http-check expect", "server a 10.0.0.1:6443 check inter -1 fall 0 rise x"},
			evidence.HealthCheck{Kind: "http", Method: "OPTIONS", Path: "GET", Expect: ok, Fall: 3, Rise: 2}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := HAProxy("", balancing(tt.lines...)).LoadBalancer
			if got == nil {
				t.Fatal("no load balancer")
			}
			if diff := cmp.Diff(tt.want, got.Check); diff != "" {
				t.Error(diff)
			}
		})
	}
	unverified := HAProxy("", "global\n ssl-server-verify none\n"+balancing("server a 10.0.0.1:6443 check ssl ca-file /ca.crt")).LoadBalancer.Check
	if !unverified.TLS || unverified.Verified {
		t.Errorf("%+v", unverified)
	}
}

func TestHAProxyServers(t *testing.T) {
	for _, tt := range []struct {
		name string
		bind string
		line string
		want evidence.Backend
	}{
		{"IPv6", ":6443", "server a [fd00::1]:6443", evidence.Backend{Name: "a", Address: "[fd00::1]:6443"}},
		{"IPv6 without brackets", ":6443", "server a fd00::1:6443", evidence.Backend{Name: "a", Address: "[fd00::1]:6443"}},
		{"a family", ":6443", "server a ipv4@cp-1.example:6443", evidence.Backend{Name: "a", Address: "cp-1.example:6443"}},
		{"the client's port", ":6443", "server a 10.0.0.1", evidence.Backend{Name: "a", Address: "10.0.0.1:6443"}},
		{"the client's port with IPv6", ":6443", "server a [fd00::1]", evidence.Backend{Name: "a", Address: "[fd00::1]:6443"}},
		{"an offset", ":443", "server a 10.0.0.1:+6000", evidence.Backend{Name: "a", Address: "10.0.0.1:6443"}},
		{"of several ports", ":443,:8443", "server a 10.0.0.1", evidence.Backend{Name: "a", Address: "10.0.0.1"}},
		{"a socket", ":6443", "server a unix@/run/a.sock", evidence.Backend{Name: "a", Address: "unix@/run/a.sock"}},
		{"a template", ":6443", "server-template a 3 cp.example:6443 check", evidence.Backend{Name: "a", Address: "cp.example:6443", Checked: true}},
		{"disabled", ":6443", "server a 10.0.0.1:6443 disabled", evidence.Backend{Name: "a", Address: "10.0.0.1:6443", Status: "MAINT"}},
		{"enabled again", ":6443", "server a 10.0.0.1:6443 disabled enabled backup", evidence.Backend{Name: "a", Address: "10.0.0.1:6443", Backup: true}},
		{"in quotes", ":6443", `server "a b" '10.0.0.1:6443'`, evidence.Backend{Name: "a b", Address: "10.0.0.1:6443"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := HAProxy("", "listen apiserver\n bind "+tt.bind+"\n "+tt.line+"\n").LoadBalancer
			if diff := cmp.Diff([]evidence.Backend{tt.want}, got.Backends); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestHAProxyBinds(t *testing.T) {
	for bind, want := range map[string][]string{
		":6443": {":6443"}, "*:6443": {":6443"}, "0.0.0.0:6443": {":6443"}, "[::]:6443": {":6443"}, ":::6443": {":6443"}, "10.0.0.1:6443,ipv6@[fd00::1]:6443": {"10.0.0.1:6443", "[fd00::1]:6443"},
		"/run/a.sock": nil, "unix@/run/a:1": nil, "fd@3": nil, "abns@x:1": nil,
	} {
		if diff := cmp.Diff(want, bindAddresses(bind)); diff != "" {
			t.Errorf("%s: %s", bind, diff)
		}
	}
}

func TestHAProxySessions(t *testing.T) {
	const cut = " on-marked-down shutdown-sessions"
	for _, tt := range []struct {
		name  string
		lines []string
		want  bool
	}{
		{"all", []string{"server a 10.0.0.1:6443 check" + cut, "server b 10.0.0.2:6443 check" + cut}, true},
		{"not all", []string{"server a 10.0.0.1:6443 check" + cut, "server b 10.0.0.2:6443 check"}, false},
		{"but the backup", []string{"server a 10.0.0.1:6443 check" + cut, "server b 10.0.0.2:6443 backup"}, true},
		{"backups only", []string{"server a 10.0.0.1:6443 check backup", "server b 10.0.0.2:6443 check backup" + cut}, false},
		{"something else", []string{"server a 10.0.0.1:6443 check on-marked-up shutdown-backup-sessions"}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := HAProxy("", balancing(tt.lines...)).LoadBalancer.CutDeadSessions; got != tt.want {
				t.Error(got)
			}
		})
	}
}

func TestHAProxyDefaults(t *testing.T) {
	const servers = " server a 10.0.0.1:6443 check\n"
	type found struct {
		Server, Client, Tunnel time.Duration
		Path, Expect           string
		Redispatch, KeepAlive  bool
	}
	for _, tt := range []struct {
		name, text string
		want       found
	}{
		{"the last before it", "defaults\n timeout server 1s\n option redispatch\ndefaults\n timeout server 2s\nlisten apiserver\n" + servers, found{Server: 2 * time.Second}},
		{"by name", "defaults a\n timeout server 1s\n timeout tunnel 1h\ndefaults b\n timeout server 2s\nlisten apiserver from a\n" + servers, found{Server: time.Second, Tunnel: time.Hour}},
		{"of other defaults", "defaults a\n timeout client 1s\n timeout server 1s\ndefaults b from a\n timeout server 2m\nlisten apiserver from b\n" + servers, found{Client: time.Second, Server: 2 * time.Minute}},
		{"without a name", "defaults from x\n timeout client 3\nlisten apiserver\n" + servers, found{Client: 3 * time.Millisecond}},
		{"not there", "defaults a\n timeout client 3\nlisten apiserver from x\n" + servers, found{}},
		{"its own first", "defaults\n timeout server 1s\n option tcpka\n option redispatch\nlisten apiserver\n timeout server 1d\n no option tcpka\n" + servers, found{Server: 24 * time.Hour, Redispatch: true}},
		{"rules of the defaults", "defaults\n option httpchk GET /readyz\n http-check expect status 200\nlisten apiserver\n http-check disable-on-404\n" + servers, found{Path: "/readyz", Expect: "status 200"}},
		{"rules of its own", "defaults\n option httpchk GET /readyz\n http-check expect status 207\nlisten apiserver\n http-check send uri /livez\n" + servers, found{Path: "/livez", Expect: "status 2xx or 3xx"}},
		{"a request of its own", "defaults\n option httpchk GET /readyz\n http-check expect status 207\nlisten apiserver\n option httpchk GET /healthz\n" + servers, found{Path: "/healthz", Expect: "status 2xx or 3xx"}},
		{"a rule before its request", "defaults\n http-check expect status 207\nlisten apiserver\n http-check expect status 200\n option httpchk GET /healthz\n" + servers, found{Path: "/healthz", Expect: "status 200"}},
		{"no second try", "defaults\n option redispatch\n retries 0\nlisten apiserver\n" + servers, found{}},
		{"redispatch never", "defaults\n option redispatch 0\nlisten apiserver\n" + servers, found{}},
		{"old names", "listen apiserver\n clitimeout 1s\n srvtimeout 2s\n option srvtcpka\n" + servers, found{Client: time.Second, Server: 2 * time.Second, KeepAlive: true}},
		{"the shorter of two frontends", "frontend a\n timeout client 2s\n default_backend apiserver\nfrontend b\n timeout client 1s\n use_backend apiserver if x\nfrontend c\n timeout client 1ms\nbackend apiserver\n" + servers, found{Client: time.Second}},
		{"a frontend that is off", "frontend a\n disabled\n timeout client 2s\n default_backend apiserver\nbackend apiserver\n" + servers, found{}},
		{"other sections", "listen apiserver\n" + servers + "resolvers r\n timeout server 1s\nuserlist u\n timeout server 1s\n", found{}},
		{"no time", "listen apiserver\n timeout server\n timeout client soon\n" + servers, found{}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			lb := HAProxy("", tt.text).LoadBalancer
			if lb == nil {
				t.Fatal("no load balancer")
			}
			got := found{lb.ServerTimeout, lb.ClientTimeout, lb.TunnelTimeout, lb.Check.Path, lb.Check.Expect, lb.Redispatch, lb.KeepAlive}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestHAProxyFindsTheBackend(t *testing.T) {
	web := "frontend web\n bind :443\n default_backend web\nbackend web\n option httpchk GET /healthz/x\n server w 10.0.0.9:8443 check\n"
	for _, tt := range []struct{ name, text, want string }{
		{"nothing", "", ""},
		{"no servers", "frontend kube-apiserver\n bind :6443\n", ""},
		{"only others", "listen stats\n bind :9000\n server s 10.0.0.1:80\n", ""},
		{"by its check and port", "backend web\n server w 10.0.0.9:6443\nbackend api\n option httpchk GET /readyz?verbose\n server a 10.0.0.1:6443 check\n", "api"},
		{"by the port of its frontend", "listen web\n bind :443\n server w 10.0.0.9:443\nfrontend f\n bind :6443\n default_backend b\nbackend b\n server a 10.0.0.1:443\n", "b"},
		{"by its name", "backend Kubernetes-masters\n server a 10.0.0.1:8443\n", "Kubernetes-masters"},
		{"by its servers' names", "backend b\n server kube-apiserver-1 10.0.0.1:8443\n", "b"},
		{"an empty one by its name", "backend kube-apiserver\n", "kube-apiserver"},
		{"one that is off", "listen apiserver\n disabled\n bind :6443\n server a 10.0.0.1:6443\n", ""},
		{"one that was only off by default", "defaults\n disabled\nlisten apiserver\n enabled\n server a 10.0.0.1:6443\n", "apiserver"},
		{"among others", web + balancing("server a 10.0.0.1:6443 check"), "apiserver"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := HAProxy("", tt.text)
			if got.Backend != tt.want || (got.LoadBalancer == nil) != (tt.want == "") {
				t.Errorf("%q, %+v", got.Backend, got.LoadBalancer)
			}
		})
	}
}

func TestHAProxyFiles(t *testing.T) {
	got := HAProxy("", "global\n stats socket unix@/run/a.sock level admin\n stats socket ipv4@127.0.0.1:9999\n ca-base /etc/ssl\nglobal\n stats socket /run/b.sock\n"+
		balancing("stats socket /no", "server a 10.0.0.1:6443 check ssl ca-file k8s/ca.crt", "server b 10.0.0.2:6443 ca-file /other.crt", "server c 10.0.0.3:6443 ca-file @system-ca", "server d 10.0.0.3:6443 ca-file k8s/ca.crt"))
	if diff := cmp.Diff([]string{"/run/a.sock", "/run/b.sock"}, got.Sockets); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"/etc/ssl/k8s/ca.crt", "/other.crt"}, got.CAFiles); diff != "" {
		t.Error(diff)
	}
	if notes := HAProxy("", balancing("option external-check", "server a 10.0.0.1:6443 check")).LoadBalancer.Notes; len(notes) != 1 {
		t.Errorf("%q", notes)
	}
}

func TestHAProxyTime(t *testing.T) {
	for text, want := range map[string]time.Duration{"500": 500 * time.Millisecond, "500us": 500 * time.Microsecond, "2s": 2 * time.Second, "3m": 3 * time.Minute,
		"4h": 4 * time.Hour, "1d": 24 * time.Hour, "": 0, "s": 0, "-1s": 0, "1.5s": 0, "5 s": 0, "5S": 0, "9223372036854775807d": Forever, "99999999999999999999": 0} {
		if got := haproxyTime(text); got != want {
			t.Errorf("%q: %s, want %s", text, got, want)
		}
	}
}

// A file that is made to take long ends all the same.
func TestHAProxyIsBounded(t *testing.T) {
	text := "defaults\n" + strings.Repeat(" http-check expect status 200\n default-server check no-check inter 1s\n", 20000) +
		strings.Repeat("frontend f\n use_backend b if x\nbackend b\n server a 10.0.0.1:6443 track a\n", 20000)
	if got := HAProxy("", text).LoadBalancer; got == nil || len(got.Backends) != 1 {
		t.Errorf("%+v", got)
	}
}

func FuzzHAProxy(f *testing.F) {
	f.Add(golden(f, "shared/lb-1", "/etc/haproxy/haproxy.cfg"))
	f.Add(balancing("option httpchk", "http-check connect ssl sni x", "server a fd00::1:+1 check track b inter 9d", "server-template a 1 b c", "option redispatch 0"))
	f.Add("defaults x from x\ndefaults from\nfrontend from from\nbackend\nlisten l from x\n bind ,[::]:,\n server \"\\")
	f.Fuzz(func(t *testing.T, text string) {
		got := HAProxy("/x", text)
		lb := got.LoadBalancer
		if lb == nil {
			return
		}
		for _, d := range []time.Duration{lb.ClientTimeout, lb.ServerTimeout, lb.Check.Interval, lb.Check.FastInterval, lb.TCPUserTimeout} {
			if d < 0 {
				t.Errorf("a time of %s", d)
			}
		}
		if c := lb.Check; c.Verified && !c.TLS || c.Kind == "" || c.Fall < 0 || (c.Kind == "http") != (c.Path != "" || c.Expect != "") {
			t.Errorf("%+v", c)
		}
		if len(lb.Backends) > strings.Count(text, "server") {
			t.Errorf("%d servers of %q", len(lb.Backends), text)
		}
	})
}
