package xray

import (
	"testing"
	"time"

	"github.com/haplane/haplane/internal/xray/evidence"
	"github.com/haplane/haplane/internal/xray/evidence/evidencetest"
	"github.com/haplane/haplane/spec"
)

// passThroughCases are about what becomes of sessions, and of how many.
var passThroughCases = []checkCase{
	{check: "lb-tls-passthrough", name: "healthy", status: Pass},
	{check: "lb-tls-passthrough", name: "nginx stream", status: Pass, change: nginx},
	{check: "lb-tls-passthrough", name: "Debian's defaults", status: Fail, node: "lb-1", says: "listen api (by its defaults)", change: withLB(func(lb *evidence.LoadBalancer) { lb.HTTPMode = []string{"listen api (by its defaults)"} })},
	{check: "lb-tls-passthrough", name: "the frontend alone", status: Fail, node: "lb-1", says: "does not start", change: withLB(func(lb *evidence.LoadBalancer) { lb.HTTPMode = []string{"frontend api"} })},
	{check: "lb-tls-passthrough", name: "the backend alone", status: Fail, node: "lb-1", says: "no TLS session passes", change: withLB(func(lb *evidence.LoadBalancer) { lb.HTTPMode = []string{"backend api"} })},
	{check: "lb-tls-passthrough", name: "TLS ends", status: Fail, node: "lb-1", says: "client certificates", change: withLB(func(lb *evidence.LoadBalancer) {
		lb.HTTPMode, lb.EndsTLS, lb.AddsTLS = []string{"frontend api", "backend api"}, lb.Frontends, []string{"cp-1"}
	})},
	{check: "lb-tls-passthrough", name: "TLS ends for good", status: Fail, node: "lb-1", says: "go on without", change: withLB(func(lb *evidence.LoadBalancer) { lb.EndsTLS = lb.Frontends })},
	{check: "lb-tls-passthrough", name: "TLS in TLS", status: Fail, node: "lb-1", says: "another TLS session to cp-1", change: withLB(func(lb *evidence.LoadBalancer) { lb.AddsTLS = []string{"cp-1"} })},
	{check: "lb-tls-passthrough", name: "a PROXY header", status: Fail, node: "lb-1", says: "PROXY", change: withLB(func(lb *evidence.LoadBalancer) { lb.SendsProxy = []string{"cp-1"} })},
	{check: "lb-tls-passthrough", name: "nginx http", status: Fail, node: "lb-1", says: "stream {}", change: func(e *evidence.Evidence) {
		nginx(e)
		evidencetest.Machine(e, "lb-1").LoadBalancer.HTTPMode = []string{"http {}"}
	}},

	{check: "lb-connect-timeout", name: "healthy", status: Pass, says: "timeout connect 250ms"},
	{check: "lb-connect-timeout", name: "a minute", status: Warn, node: "lb-1", says: "timeout connect 1m0s", change: withLB(func(lb *evidence.LoadBalancer) { lb.ConnectTimeout = time.Minute })},
	{check: "lb-connect-timeout", name: "none", status: Warn, node: "lb-1", says: "the kernel's 2m7s", change: withLB(func(lb *evidence.LoadBalancer) { lb.ConnectTimeout = 0 })},
	{check: "lb-connect-timeout", name: "many tries", status: Warn, node: "lb-1", says: "to another after 25s", change: withLB(func(lb *evidence.LoadBalancer) {
		lb.ConnectTimeout, lb.Tries, lb.Check.Interval, lb.Check.FastInterval = 5*time.Second, 5, 30*time.Second, 0
	})},
	{check: "lb-connect-timeout", name: "many tries, and checks are quick", status: Pass, says: "up to 1.1s", change: withLB(func(lb *evidence.LoadBalancer) { lb.ConnectTimeout, lb.Tries = 5*time.Second, 5 })},
	{check: "lb-connect-timeout", name: "OpenShift's: no redispatch", status: Pass, says: "sent to no other", change: withLB(func(lb *evidence.LoadBalancer) {
		lb.ConnectTimeout, lb.Tries, lb.Redispatch, lb.Check.Interval, lb.Check.FastInterval, lb.Check.Fall = 10*time.Second, 4, false, 5*time.Second, 0, 3
	})},
	{check: "lb-connect-timeout", name: "no redispatch, and no health check", status: Fail, node: "lb-1", says: "no health check takes the server out", change: withLB(func(lb *evidence.LoadBalancer) {
		lb.Redispatch, lb.Check = false, evidence.HealthCheck{Kind: "none"}
	})},
	{check: "lb-connect-timeout", name: "no redispatch, and rare checks", status: Warn, node: "lb-1", says: "up to 4m0s", change: withLB(func(lb *evidence.LoadBalancer) {
		lb.Redispatch, lb.Check.Interval, lb.Check.FastInterval, lb.Check.Fall, lb.Check.Timeout = false, time.Minute, 0, 3, 0
	})},
	{check: "lb-connect-timeout", name: "nginx by default", status: Warn, node: "lb-1", says: "proxy_connect_timeout 1m0s, the default", change: nginx},
	{check: "lb-connect-timeout", name: "nginx as Kubespray has it", status: Pass, says: "proxy_connect_timeout 1s", change: func(e *evidence.Evidence) {
		nginx(e)
		evidencetest.Machine(e, "lb-1").LoadBalancer.ConnectTimeout = time.Second
	}},
	{check: "lb-connect-timeout", name: "nginx that tries no other", status: Fail, node: "lb-1", says: "no other", change: func(e *evidence.Evidence) {
		nginx(e)
		evidencetest.Machine(e, "lb-1").LoadBalancer.Redispatch = false
	}},
	{check: "lb-connect-timeout", name: "one server", status: Skip, says: "no other to go to", change: withLB(func(lb *evidence.LoadBalancer) { lb.Backends = lb.Backends[:1] })},

	{check: "lb-limits", name: "none", status: Pass, says: "no limit"},
	{check: "lb-limits", name: "enough", status: Pass, says: "9000", change: withLB(func(lb *evidence.LoadBalancer) { lb.Limits.Process = 9000 })},
	{check: "lb-limits", name: "fewer than nodes need", status: Fail, node: "lb-1", says: "maxconn of global: 15 connections", change: withLB(func(lb *evidence.LoadBalancer) { lb.Limits.Process = 15 })},
	{check: "lb-limits", name: "no room", status: Warn, node: "lb-1", says: "maxconn of the frontend: 100", change: withLB(func(lb *evidence.LoadBalancer) { lb.Limits.Frontend = 100 })},
	{check: "lb-limits", name: "what is left when a server is down", status: Fail, node: "lb-1", says: "when one of them is down: 10", change: withLB(func(lb *evidence.LoadBalancer) {
		for i := range lb.Backends {
			lb.Backends[i].MaxConn = 5
		}
	})},
	{check: "lb-limits", name: "one server without a limit", status: Pass, change: withLB(func(lb *evidence.LoadBalancer) { lb.Backends[0].MaxConn = 1 })},
	{check: "lb-limits", name: "fewer than API servers of which no kubelet was seen need", status: Fail, node: "lb-1", says: "maxconn of global: 11 connections", change: func(e *evidence.Evidence) {
		evidencetest.Machine(e, "lb-1").LoadBalancer.Limits.Process = 11
		for _, name := range []string{"cp-1", "cp-2", "cp-3", "worker-1"} {
			evidencetest.DropProgram(e, name, evidence.Kubelet)
		}
		e.API = nil
	}},
	{check: "lb-limits", name: "a few each second", status: Warn, node: "lb-1", says: "it takes 5 a second", change: withLB(func(lb *evidence.LoadBalancer) { lb.Limits.PerSecond = 5 })},
	{check: "lb-limits", name: "ulimit-n", status: Fail, node: "lb-1", says: "ulimit-n 12 of global", change: withLB(func(lb *evidence.LoadBalancer) { lb.Limits.Files = 12 })},
	{check: "lb-limits", name: "files of root", status: Pass, change: fileLimits(9000, "1024", "")},
	{check: "lb-limits", name: "files of another", status: Fail, node: "lb-1", says: "do not start", change: fileLimits(9000, "1024:4096", "haproxy")},
	{check: "lb-limits", name: "files enough", status: Pass, change: fileLimits(9000, "32768", "haproxy")},
	{check: "lb-limits", name: "files without maxconn", status: Warn, node: "lb-1", says: "LimitNOFILE=128", change: fileLimits(0, "128", "")},
	{check: "lb-limits", name: "nginx's workers", status: Fail, node: "lb-1", says: "worker_connections 10", change: nginxWith(evidence.Limits{Workers: 1, WorkerConnections: 10})},
	{check: "lb-limits", name: "workers for each CPU", status: Pass, says: "384", change: nginxWith(evidence.Limits{Workers: 1, WorkersByCPU: true, WorkerConnections: 768})},
	{check: "lb-limits", name: "few for each CPU", status: Warn, node: "lb-1", says: "in each worker", change: nginxWith(evidence.Limits{Workers: 1, WorkersByCPU: true, WorkerConnections: 10})},
	{check: "lb-limits", name: "files of a worker", status: Fail, node: "lb-1", says: "12 files", change: nginxWith(evidence.Limits{Workers: 2, WorkerConnections: 16384, WorkerFiles: 12})},
	{check: "lb-limits", name: "of each client", status: Fail, node: "lb-1", says: "limit_conn", change: nginxWith(evidence.Limits{PerClient: 2})},
}

// fileLimits gives HAProxy a maxconn, and its unit a limit of files and a user.
func fileLimits(maxconn int, files, user string) func(*evidence.Evidence) {
	return func(e *evidence.Evidence) {
		evidencetest.Machine(e, "lb-1").LoadBalancer.Limits.Process = maxconn
		settings := evidencetest.Program(e, "lb-1", evidence.HAProxy).Unit.Settings
		settings["LimitNOFILE"], settings["User"] = files, user
	}
}

func nginxWith(limits evidence.Limits) func(*evidence.Evidence) {
	return func(e *evidence.Evidence) {
		nginx(e)
		evidencetest.Machine(e, "lb-1").LoadBalancer.Limits = limits
	}
}

// A server without a port has that of the client, which is not always known.
func TestBackendsWithoutAPort(t *testing.T) {
	e := evidencetest.Healthy(spec.Shared)
	lb := evidencetest.Machine(e, "lb-1").LoadBalancer
	for i := range lb.Backends {
		lb.Backends[i].Address = host(lb.Backends[i].Address)
	}
	findings := lbBackends(NewScene(e, Expectation{}))
	if err := (checkCase{status: Skip, says: "not known of all"}).judge(findings); err != nil {
		t.Errorf("%v\n%s", err, show(findings))
	}
}
