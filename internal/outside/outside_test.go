package outside

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/haplane/haplane/internal/fileset"
	"github.com/haplane/haplane/internal/machine"
)

// findings looks through all places, and returns the checks that failed with what they said.
func (c *testCluster) findings() map[string]string {
	c.t.Helper()
	out := map[string]string{}
	for _, place := range c.out.Places {
		v, err := c.out.Look(c.t.Context(), place, c.nodes())
		if err != nil {
			c.t.Fatal(err)
		}
		for _, err := range c.out.Findings(v, c.nodes()) {
			var f *Finding
			if !errors.As(err, &f) {
				c.t.Fatalf("%v is no finding", err)
			}
			out[f.Check] = err.Error()
		}
	}
	return out
}

func TestLook(t *testing.T) {
	other := newAuthority(t, "F5")
	for _, test := range []struct {
		name  string
		proxy func(*testCluster) *proxy
		check string // the one that fails; none
		says  []string
	}{
		{name: "right", proxy: func(c *testCluster) *proxy { return &proxy{servers: c.servers, readyz: true} }},
		{"one missing", func(c *testCluster) *proxy { return &proxy{servers: c.servers[:2]} }, HasAll,
			[]string{"none led to cp-3", "of 30 new connections", "cp-1: 15, cp-2: 15", "add cp-3 127.0.0.1:"}},
		{"always the same", func(c *testCluster) *proxy { return &proxy{servers: c.servers[:1]} }, HasAll, []string{"none led to cp-2, cp-3", "not by the client's address"}},
		{"ends TLS with a certificate of its own", func(c *testCluster) *proxy {
			return &proxy{servers: c.servers, terminate: new(other.pair("lb.example.com")), client: &tls.Config{InsecureSkipVerify: true}}
		}, PassesTLS, []string{"CN=lb.example.com, issued by CN=F5", "ends TLS itself, and asks an API server on its own behalf"}},
		{"ends TLS with the cluster's certificate", func(c *testCluster) *proxy {
			return &proxy{servers: c.servers, terminate: new(c.ca.pair("kube-apiserver")), client: &tls.Config{InsecureSkipVerify: true}}
		}, PassesTLS, []string{"answered 403 Forbidden: it did not get the client's certificate"}},
		{"another cluster's", func(c *testCluster) *proxy {
			return &proxy{servers: []*apiServer{(&testCluster{t: t, ca: other}).apiServer("1")}}
		}, PassesTLS, []string{"issued by CN=F5"}},
		{"a server too many", func(c *testCluster) *proxy {
			return &proxy{servers: append(slices.Clone(c.servers), c.apiServer("1.5e+09"))}
		}, OursAlone, []string{"none of cp-1, cp-2, cp-3"}},
		{"nobody behind it", func(c *testCluster) *proxy { return &proxy{} }, Answers, []string{"of 4 connections", "none got through: the connection was closed", "cp-3 127.0.0.1:"}},
		{"some fail", func(c *testCluster) *proxy { return &proxy{servers: c.servers, odd: true} }, OnlyReady, []string{"new connections", "failed: the connection was closed without an answer"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := newCluster(t, 3)
			c.before(test.proxy(c))
			got := c.findings()
			for _, part := range test.says {
				if !strings.Contains(got[test.check], part) {
					t.Errorf("%s lacks %q: %q", test.check, part, got[test.check])
				}
			}
			if want := min(1, len(test.check)); len(got) != want || test.check != "" && got[test.check] == "" {
				t.Errorf("failed: %v, want %q alone", got, test.check)
			}
		})
	}
}

// Where strangers end the look, nobody knows who is missing.
func TestStrangersBeforeOthers(t *testing.T) {
	c := newCluster(t, 2)
	c.before(&proxy{servers: []*apiServer{c.apiServer("1.5e+09")}})
	if got := c.findings(); len(got) != 1 || !strings.Contains(got[OursAlone], "none of cp-1, cp-2") {
		t.Errorf("findings are %v", got)
	}
}

func TestLookAtEachPlace(t *testing.T) {
	c := newCluster(t, 2)
	c.before(&proxy{servers: c.servers})
	second := c.before(&proxy{})
	if got := c.findings(); len(got) != 1 || !strings.Contains(got[Answers], second.String()) {
		t.Errorf("findings are %v", got)
	}
}

// A server whose process cannot be told from another's is one with it.
func TestServersThatStartedAtOnce(t *testing.T) {
	c := newCluster(t, 3)
	c.servers[1].process = c.servers[0].process
	c.before(&proxy{servers: c.servers})
	if got := c.findings(); len(got) != 0 {
		t.Error(got)
	}
}

// What does not answer past the load balancer may answer through it: it is no stranger there, and is not missed.
func TestServerThatIsSilentPastTheLoadBalancer(t *testing.T) {
	c := newCluster(t, 3)
	place := c.before(&proxy{servers: c.servers})
	c.out.Servers[2].Address = netip.MustParseAddrPort("127.0.0.1:1")
	v, err := c.out.Look(t.Context(), place, []string{"cp-1", "cp-2"})
	if found := c.out.Findings(v, []string{"cp-1", "cp-2"}); err != nil || len(found) > 0 || v.Answered["cp-1"] == 0 || v.Answered["cp-2"] == 0 {
		t.Errorf("%v, %v: %+v", err, found, v)
	}
	if v, err := c.out.Look(t.Context(), place, c.nodes()); err == nil || v.Tries > 0 || !strings.Contains(err.Error(), "cp-3, past the load balancer: ") {
		t.Errorf("%v: %+v", err, v)
	}
}

// The cluster's certificate is nobody else's, whatever is wrong with it.
func TestCertificateWithoutTheAddress(t *testing.T) {
	c := newCluster(t, 1)
	_, err := c.out.ask(t.Context(), c.servers[0].address, "127.0.0.9")
	var terminated *TerminatedError
	if err == nil || errors.As(err, &terminated) || !strings.Contains(err.Error(), "not 127.0.0.9") {
		t.Errorf("error is %v", err)
	}
}

func TestStranger(t *testing.T) {
	other := newAuthority(t, "somebody")
	for _, test := range []struct {
		name  string
		proxy func(*testCluster) *proxy
		want  string
	}{
		{"nobody yet", func(*testCluster) *proxy { return &proxy{} }, ""},
		{"this cluster", func(c *testCluster) *proxy { return &proxy{servers: c.servers} }, ""},
		{"somebody", func(*testCluster) *proxy {
			return &proxy{servers: []*apiServer{(&testCluster{t: t, ca: other}).apiServer("1")}}
		}, "issued by CN=somebody"},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := newCluster(t, 1)
			c.before(test.proxy(c))
			switch err := c.out.Stranger(t.Context()); {
			case test.want == "" && err != nil:
				t.Error(err)
			case test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)):
				t.Errorf("error is %v, want %q", err, test.want)
			}
		})
	}
}

func TestDepart(t *testing.T) {
	const delay = 1500 * time.Millisecond
	for _, test := range []struct {
		name            string
		readyz, another bool
		check           string
		warns           bool
	}{
		{"asks /readyz", true, true, "", false},
		{"asks whether the port is open", false, true, "", true},
		{"and tries nobody else", false, false, LetsStop, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			var d Departure
			for range 3 { // one connection may be on its way to the port when that closes
				c := newCluster(t, 3)
				c.before(&proxy{servers: c.servers, readyz: test.readyz, another: test.another})
				var err error
				if d, err = c.out.Depart(t.Context(), "cp-2", c.servers[1].stop(delay)); err != nil {
					t.Fatal(err)
				}
				if !test.another || d.failed() != 1 {
					break
				}
			}
			if d.Tries < 10 {
				t.Errorf("%d connections only", d.Tries)
			}
			failures, warning := d.Findings(delay)
			var f *Finding
			if test.check != "" && (len(failures) != 1 || !errors.As(failures[0], &f) || f.Check != test.check) || test.check == "" && len(failures) > 0 {
				t.Errorf("failures are %v, want %q", failures, test.check)
			}
			if (warning != "") != test.warns {
				t.Errorf("warning is %q; reached for %s", warning, d.Reached)
			}
		})
	}
}

// That connections led to another one, from which it cannot be told, is no reason to warn.
func TestDepartOfOneThatStartedWithAnother(t *testing.T) {
	const delay = 1500 * time.Millisecond
	c := newCluster(t, 3)
	c.servers[1].process = c.servers[0].process
	c.before(&proxy{servers: c.servers, readyz: true, another: true})
	d, err := c.out.Depart(t.Context(), "cp-2", c.servers[1].stop(delay))
	if err != nil {
		t.Fatal(err)
	}
	if failures, warning := d.Findings(delay); len(failures) > 0 || warning != "" {
		t.Errorf("failures are %v, warning is %q; reached for %s", failures, warning, d.Reached)
	}
}

func TestIdle(t *testing.T) {
	const least = 600 * time.Millisecond
	for _, test := range []struct {
		name  string
		after time.Duration
		fails bool
	}{{"kept", 0, false}, {"long enough", 5 * time.Second, false}, {"ended", 200 * time.Millisecond, true}} {
		t.Run(test.name, func(t *testing.T) {
			c := newCluster(t, 1)
			c.before(&proxy{servers: c.servers, idle: test.after})
			idle, err := c.out.idle(t.Context(), least)
			var f *Finding
			switch {
			case !test.fails && (err != nil || idle < least):
				t.Errorf("idle for %s: %v", idle, err)
			case test.fails && (!errors.As(err, &f) || f.Check != KeepsIdle || idle >= least || idle < test.after/2):
				t.Errorf("idle for %s: %v", idle, err)
			}
		})
	}
}

// here runs commands on this host in place of a node's machine.
type here struct{ name string }

func (h here) Name() string                            { return h.name }
func (here) Upload(context.Context, fileset.Set) error { return errors.New("nothing is written") }
func (here) Stat(context.Context, []string) (map[string]fileset.State, error) {
	return nil, errors.New("nothing is read")
}
func (here) Run(ctx context.Context, c machine.Command) (machine.Result, error) {
	cmd := exec.CommandContext(ctx, c.Argv[0], c.Argv[1:]...)
	cmd.Stdin = c.Stdin
	out, err := cmd.Output()
	return machine.Result{Stdout: string(out)}, err
}

func TestFromNode(t *testing.T) {
	if _, err := exec.LookPath("curl"); err != nil {
		t.Skip("needs curl")
	}
	for _, test := range []struct {
		name  string
		proxy func(*testCluster) *proxy
		says  []string
	}{
		{"right", func(c *testCluster) *proxy { return &proxy{servers: c.servers} }, nil},
		{"some are lost", func(c *testCluster) *proxy { return &proxy{servers: c.servers, odd: true} }, []string{
			FromNodes + ": from cp-2 12 of 24 new connections to 127.0.0.1:", "let it lead a connection from cp-2 to 127.0.0.1:"}},
		{"one is not ready", func(c *testCluster) *proxy {
			c.servers[0].unready.Store(true)
			return &proxy{servers: c.servers[:1]}
		}, []string{"24 of 24", "500"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := newCluster(t, 3)
			c.before(test.proxy(c))
			f, err := c.out.FromNode(t.Context(), here{"cp-2"}, c.ca.pem())
			if err != nil {
				t.Fatal(err)
			}
			if (f != nil) != (test.says != nil) {
				t.Fatalf("finding is %v", f)
			}
			for _, part := range test.says {
				if !strings.Contains(f.Error(), part) {
					t.Errorf("%q lacks %q", f, part)
				}
			}
		})
	}
}

func TestPlain(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	c := newCluster(t, 1)
	_, err = c.out.ask(t.Context(), l.Addr().String(), "127.0.0.1")
	if err == nil || strings.Contains(err.Error(), l.Addr().String()) || !strings.Contains(err.Error(), "refused") {
		t.Errorf("error is %v", err)
	}
}

func TestSettings(t *testing.T) {
	c := newCluster(t, 2)
	place := c.before(&proxy{})
	got := strings.Join(c.out.Settings(10*time.Second), "\n")
	for _, part := range []string{"listen on " + place.String(), "cp-1 " + c.servers[0].address, "cp-2 " + c.servers[1].address, "GET /readyz", "out after 3 failures", "less than 10s", "2 s of silence", delayField, fmt.Sprint(wantedIdle)} {
		if !strings.Contains(got, part) {
			t.Errorf("lacks %q:\n%s", part, got)
		}
	}
}
