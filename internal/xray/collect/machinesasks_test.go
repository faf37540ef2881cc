package collect

import (
	"context"
	"encoding/pem"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/haplane/haplane/internal/xray/evidence"
	"github.com/haplane/haplane/internal/xray/evidence/evidencetest"
	"github.com/haplane/haplane/internal/xray/parse"
)

// asked makes requests with the curl of this host, in as many rounds as that takes.
func asked(t *testing.T, asks []ask) ([]evidence.Request, int) {
	t.Helper()
	if _, err := exec.LookPath("curl"); err != nil {
		t.Skip("curl is not installed")
	}
	v := &visit{files: newRemote(), script: newScript("/", "/proc"), talk: converse(t.Context(), &shell{name: "x", bin: t.TempDir()})}
	defer v.talk.end()
	v.asked = &questions{asks: asks, curl: true}
	v.asked.prepare()
	rounds := 0
	for v.again = true; v.again; rounds++ {
		if err := v.run(nil); err != nil {
			t.Fatal(err)
		}
	}
	h := newHost("x", evidence.Machines, newRemote())
	v.asked.answer(h)
	return h.machine.Requests, rounds
}

// The certificate of httptest is for example.com and 127.0.0.1.
func TestRequestsVerify(t *testing.T) {
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/readyz" {
			w.WriteHeader(http.StatusForbidden)
		}
		fmt.Fprintf(w, "[+]etcd ok\nreadyz check passed for %s", r.Host)
	}))
	defer server.Close()
	f := newTree(t)
	ca := string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}))
	f.write("ca.crt", 0o644, ca)
	f.write("other.crt", 0o644, parse.PEM([]evidence.Certificate{evidencetest.Issue(evidencetest.Row{CommonName: evidencetest.OtherCA})}))
	right, wrong := trust{path: filepath.Join(f.dir, "ca.crt")}, trust{path: filepath.Join(f.dir, "other.crt")}
	_, port, _ := net.SplitHostPort(server.Listener.Addr().String())
	to := func(path string) evidence.Request { return evidence.Request{URL: server.URL + path} }
	named := func(name string) ask {
		return ask{request: evidence.Request{URL: server.URL + "/readyz", ServerName: name}, trust: right,
			args: []string{"--connect-to", name + ":" + port + ":127.0.0.1:" + port}}
	}
	got, rounds := asked(t, []ask{
		{request: to("/readyz"), trust: right},
		{request: to("/readyz"), trust: wrong},
		{request: to("/denied"), trust: right},
		{request: evidence.Request{URL: "https://127.0.0.1:1/readyz"}, trust: right},
		named("example.com"), named("kubernetes.default"),
	})
	var said []string
	for _, r := range got {
		said = append(said, fmt.Sprintf("%d %t %s", r.Status, r.Took > 0, strings.SplitN(r.Err, ":", 2)[0]))
	}
	want := []string{"200 true ", "0 true SSL certificate problem", "403 true ",
		said[3], "200 true ", "0 true SSL"}
	if diff := cmp.Diff(want, said); diff != "" || !strings.Contains(got[3].Err, "connect") {
		t.Errorf("%s\n%+v", diff, got)
	}
	if rounds != 3 { // one after each that has no answer, but the last
		t.Errorf("%d rounds", rounds)
	}
	if want := "[+]etcd ok\nreadyz check passed for 127.0.0.1:" + port; got[0].Answer != want {
		t.Errorf("answer %q, want %q", got[0].Answer, want)
	}
	own := trust{pem: ca}
	got, rounds = asked(t, []ask{{request: to("/readyz"), trust: own}, {request: to("/denied"), trust: own}})
	if got[0].Status != 200 || got[0].Err != "" || got[1].Status != 403 || rounds != 1 {
		t.Errorf("with a CA that is in no file: %+v", got)
	}
}

// A node asks through the load balancer where its own programs do, or, where these ask the API server beside them, its administrators.
func TestWhereTheLoadBalancerIsAsked(t *testing.T) {
	const virtual, own = "https://10.10.10.3:6443", "https://10.10.10.11:6443"
	beside := &evidence.LoadBalancer{Frontends: []string{"10.10.10.3:6443"}}
	for name, test := range map[string]struct {
		kubelet, admin string
		addresses      []string
		balancer       *evidence.LoadBalancer
		want           string
	}{
		"its kubelet does":                     {virtual, virtual, []string{"10.10.10.11"}, nil, virtual},
		"its kubelet asks beside":              {own, virtual, []string{"10.10.10.11"}, nil, virtual},
		"all ask beside":                       {own, own, []string{"10.10.10.11"}, nil, ""},
		"a load balancer without the address":  {own, virtual, []string{"10.10.10.11"}, beside, virtual},
		"a load balancer that has the address": {own, virtual, []string{"10.10.10.11", "10.10.10.3"}, beside, virtual},
		"a load balancer on all addresses":     {own, own, []string{"10.10.10.11"}, &evidence.LoadBalancer{Frontends: []string{":6443"}}, own},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHost("cp-1", evidence.Machines, newRemote())
			h.programs = []located{{Program: evidence.Program{Name: evidence.Kubelet, Running: true, Argv: []string{"kubelet", "--kubeconfig=/etc/kubernetes/kubelet.conf"}}}}
			h.machine.Kubeconfigs["/etc/kubernetes/kubelet.conf"] = evidence.Kubeconfig{Server: test.kubelet}
			h.machine.Kubeconfigs["/etc/kubernetes/admin.conf"] = evidence.Kubeconfig{Server: test.admin}
			h.machine.LoadBalancer = test.balancer
			for _, a := range test.addresses {
				h.machine.Addresses = append(h.machine.Addresses, netip.MustParseAddr(a))
			}
			if got := h.throughBalancer(); got != test.want {
				t.Errorf("%q, want %q", got, test.want)
			}
		})
	}
}

func TestRepliesBelongToTheirRequests(t *testing.T) {
	for name, test := range map[string]struct {
		text string
		want []reply
	}{
		"nothing": {"", nil},
		"answered and refused": {"ok\n@status 200 0.5\n@status 000 0\n@errors\ncurl: (7) refused",
			[]reply{{body: "ok", status: 200, took: 500 * time.Millisecond}, {err: "refused"}}},
		"cut off":  {"ok\n@status 200 0\nhalf of", []reply{{body: "ok", status: 200}}},
		"old curl": {"@errors\ncurl: option --connect-to: is unknown\ncurl: try --help", []reply{{err: "option --connect-to: is unknown"}}},
		"two": {"@status 000 2\n@status 403 1\n@status x y\n@errors\ncurl: (60) a\nMore\ncurl: (28) b",
			[]reply{{err: "a", took: 2 * time.Second}, {status: 403, took: time.Second}, {err: "b"}}},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(test.want, replies(test.text), cmp.AllowUnexported(reply{})); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestEtcdThatDoesNotAnswerWell(t *testing.T) {
	const status = `{"header":{"cluster_id":"1","member_id":"2"},"version":"3.7.1","leader":"2","dbSize":"10"}`
	const members = `{"members":[{"ID":"2","name":"a"}]}`
	for name, test := range map[string]struct {
		answers []reply
		err     string
		healthy bool
		health  string
	}{
		"nothing":   {nil, "no answer in time", false, ""},
		"refused":   {[]reply{{err: "refused"}}, "refused", false, ""},
		"no quorum": {[]reply{{body: status, status: 200}, {body: members, status: 200}, {status: 200}, {err: "timed out"}}, "", false, "timed out"},
		"unhealthy": {[]reply{{body: status, status: 200}, {body: members, status: 200}, {status: 404}, {body: `{"health":"false","reason":"RAFT NO LEADER"}`, status: 503}}, "", false, "RAFT NO LEADER"},
		"denied":    {[]reply{{body: `{"error":"permission denied"}`, status: 403}}, "HTTP 403: permission denied", false, ""},
		"healthy":   {[]reply{{body: status, status: 200}, {body: members, status: 200}, {status: 200}, {body: `{"health":"true"}`, status: 200}}, "", true, ""},
		"no list":   {[]reply{{body: status, status: 200}}, "no answer in time", false, ""},
	} {
		t.Run(name, func(t *testing.T) {
			e := etcdAsk{endpoint: "https://127.0.0.1:2379"}.evidence(test.answers)
			healthy := e.Healthy != nil && *e.Healthy
			if e.Err != test.err || healthy != test.healthy || e.Health != test.health || (e.Healthy == nil) != (test.err != "") {
				t.Errorf("%+v", e)
			}
		})
	}
}

func TestServiceNetworkWaitsForTheFirstThatKnows(t *testing.T) {
	known := netip.MustParseAddr("10.96.0.1")
	n := newServiceNetwork(3) // one of which hangs
	n.tell(netip.Addr{})
	if got := n.wait(t.Context(), time.Millisecond); got.IsValid() {
		t.Errorf("nobody knows, and it is %s", got)
	}
	n.tell(known)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if got := n.wait(ctx, time.Minute); got != known {
		t.Errorf("got %s", got)
	}
	n.tell(netip.MustParseAddr("10.0.0.1")) // too late, and no panic
	nobody := newServiceNetwork(1)
	nobody.tell(netip.Addr{})
	if got := nobody.wait(ctx, time.Minute); got.IsValid() || ctx.Err() != nil {
		t.Errorf("got %s, %v", got, ctx.Err())
	}
}
