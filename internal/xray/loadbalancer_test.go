package xray

import (
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/haplane/haplane/internal/xray/evidence"
	"github.com/haplane/haplane/internal/xray/evidence/evidencetest"
	"github.com/haplane/haplane/spec"
)

// byScript has cp-2's API server started by a script, so that its name alone is seen.
func byScript(e *evidence.Evidence) {
	evidencetest.DropProgram(e, "cp-2", evidence.APIServer)
	evidencetest.Machine(e, "cp-2").Unrecognised = []evidence.Unrecognised{{Source: "/x", Like: evidence.APIServer}}
}

// withLB breaks lb-1.
func withLB(change func(*evidence.LoadBalancer)) func(*evidence.Evidence) {
	return func(e *evidence.Evidence) { change(evidencetest.Machine(e, "lb-1").LoadBalancer) }
}

func withCheck(change func(*evidence.HealthCheck)) func(*evidence.Evidence) {
	return withLB(func(lb *evidence.LoadBalancer) { change(&lb.Check) })
}

// nginx is lb-1 with nginx stream.
func nginx(e *evidence.Evidence) {
	lb := evidencetest.Machine(e, "lb-1").LoadBalancer
	*lb = evidence.LoadBalancer{Kind: evidence.Nginx, Path: "/etc/nginx/nginx.conf", Frontends: lb.Frontends, Backends: lb.Backends[:3],
		Check: evidence.HealthCheck{Kind: "passive", Fall: 1, Interval: 10 * time.Second}, Redispatch: true}
}

// secondLB adds lb-2, a copy of lb-1, and programs to both.
func secondLB(programs ...string) func(*evidence.Evidence) {
	return func(e *evidence.Evidence) {
		first := evidencetest.Machine(e, "lb-1")
		second := *first
		second.Name, second.Hostname, second.Addresses = "lb-2", "lb-2", []netip.Addr{netip.MustParseAddr("10.10.10.4")}
		e.Machines = append(e.Machines, &second)
		for _, name := range programs {
			first.Programs = append(first.Programs, evidence.Program{Name: name, Running: true})
			second.Programs = slices.Clone(first.Programs)
		}
		if slices.Contains(programs, evidence.KeepalivedProgram) {
			first.Keepalived, second.Keepalived = keepalived(101), keepalived(100)
		}
	}
}

// keepalived is a configuration that moves the load balancer's address.
func keepalived(priority int) *evidence.Keepalived {
	return &evidence.Keepalived{Path: "/etc/keepalived/keepalived.conf", Instances: []evidence.VRRP{{Name: "VI_1", Interface: "eth0", RouterID: 51, Priority: priority,
		Version: 2, Interval: time.Second, Auth: "PASS", Addresses: []netip.Addr{netip.MustParseAddr(evidencetest.LoadBalancerAddress)}, Tracks: []evidence.Track{{Name: "haproxy", Weight: -2}}}}}
}

var loadBalancerCases = []checkCase{
	{check: "lb-backends", name: "healthy", status: Pass, says: "cp-3 (10.10.10.13:6443)"},
	{check: "lb-backends", name: "one is missing", status: Fail, node: "lb-1", says: "cp-3", change: withLB(func(lb *evidence.LoadBalancer) {
		lb.Backends = slices.Delete(lb.Backends, 2, 3)
	})},
	{check: "lb-backends", name: "one is gone altogether", status: Fail, node: "lb-1", says: "10.10.10.11:6443, 10.10.10.12:6443", change: withLB(func(lb *evidence.LoadBalancer) {
		lb.Backends = lb.Backends[:2]
	})},
	{check: "lb-backends", name: "a stale one", status: Fail, node: "lb-1", says: "10.10.10.14:6443", change: withLB(func(lb *evidence.LoadBalancer) {
		lb.Backends = append(lb.Backends, evidence.Backend{Name: "cp-4", Address: "10.10.10.14:6443", Checked: true})
	})},
	{check: "lb-backends", name: "a worker is one", status: Fail, node: "lb-1", says: "which is worker-1", change: withLB(func(lb *evidence.LoadBalancer) {
		lb.Backends = append(lb.Backends, evidence.Backend{Name: "w", Address: "10.10.10.21:6443", Checked: true})
	})},
	{check: "lb-backends", name: "another port", status: Fail, node: "lb-1", says: "10.10.10.12:6444", change: withLB(func(lb *evidence.LoadBalancer) {
		lb.Backends[1].Address = "10.10.10.12:6444"
	})},
	{check: "lb-backends", name: "one twice", status: Warn, node: "lb-1", says: "2: cp-1, again", change: withLB(func(lb *evidence.LoadBalancer) {
		lb.Backends = append(lb.Backends, evidence.Backend{Name: "again", Address: "10.10.10.11:6443", Checked: true})
	})},
	{check: "lb-backends", name: "one listens on loopback", of: inFolder(healthy(spec.PerNode)), status: Fail, node: "lb-1", says: "is cp-2, and it listens on 127.0.0.1 only", change: setFlag("cp-2", server, "bind-address", "127.0.0.1")},
	{check: "lb-backends", name: "all listen on loopback", of: inFolder(healthy(spec.PerNode)), status: Fail, node: "lb-1", says: "is cp-3, and it listens on ::1 only", change: setFlags(server, "bind-address", "::1")},
	{check: "lb-backends", name: "one listens on another address", of: inFolder(healthy(spec.PerNode)), status: Fail, node: "lb-1", says: "it listens on 192.168.9.9 only", change: setFlag("cp-2", server, "bind-address", "192.168.9.9")},
	{check: "lb-backends", name: "one listens on the address that is asked", of: inFolder(healthy(spec.PerNode)), status: Pass, change: setFlag("cp-2", server, "bind-address", "10.10.10.12")},
	{check: "lb-backends", name: "all listen on all addresses", of: inFolder(healthy(spec.PerNode)), status: Pass, change: setFlags(server, "bind-address", "::")},
	{check: "lb-backends", name: "one without weight", status: Fail, node: "lb-1", says: "disabled in the configuration: cp-2 weight 0", change: withLB(func(lb *evidence.LoadBalancer) {
		lb.Backends[1].Status, lb.Backends[1].Detail = "MAINT", "weight 0"
	})},

	{check: "lb-listens", name: "healthy", status: Pass, says: "10.10.10.3:6443"},
	{check: "lb-listens", name: "another port", status: Fail, node: "lb-1", says: "listens at :443", change: listeningAt(":443")},
	{check: "lb-listens", name: "loopback", status: Fail, node: "lb-1", says: "127.0.0.1:6443", change: listeningAt("127.0.0.1:6443")},
	{check: "lb-listens", name: "another address", status: Fail, node: "lb-1", says: "10.10.10.99:6443", change: listeningAt("10.10.10.99:6443")},
	{check: "lb-listens", name: "its address", status: Pass, change: listeningAt("10.10.10.3:6443")},
	{check: "lb-listens", name: "a name", status: Pass, change: listeningAt("api.example.org:6443")},
	{check: "lb-listens", name: "something listens there", status: Pass, change: withLB(func(lb *evidence.LoadBalancer) { lb.Frontends = []string{":443"} })},
	{check: "lb-listens", name: "behind somebody else's address", status: Skip, says: "not known to come to lb-1", change: changes(listeningAt(":443"), func(e *evidence.Evidence) {
		evidencetest.Machine(e, "lb-1").Addresses = []netip.Addr{netip.MustParseAddr("10.10.10.99")}
	})},
	{check: "lb-listens", name: "at an address that is not known", status: Warn, node: "lb-1", says: "only if something before it", change: changes(listeningAt(":443"), func(e *evidence.Evidence) {
		evidencetest.Machine(e, "lb-1").Addresses = nil
	})},
	{check: "lb-listens", name: "for its own machine", status: Skip, says: "not known to come to lb-1", change: changes(listeningAt("127.0.0.1:6443"), func(e *evidence.Evidence) {
		evidencetest.Machine(e, "lb-1").Addresses = nil
	})},
	{check: "lb-listens", name: "the API server's own port", status: Skip, says: "the API server on lb-1 itself", change: changes(listeningAt(":8443"), func(e *evidence.Evidence) {
		m := evidencetest.Machine(e, "lb-1")
		m.Programs = append(m.Programs, *evidencetest.Program(e, "cp-1", evidence.APIServer))
	})},

	{check: "lb-backends", name: "by names", status: Pass, change: withLB(func(lb *evidence.LoadBalancer) {
		lb.Backends = []evidence.Backend{{Name: "a", Address: "cp-1:6443"}, {Name: "b", Address: "cp-2:6443"}, {Name: "c", Address: "cp-3:6443"}}
	})},
	{check: "lb-backends", name: "by a name that is not known", status: Skip, says: "cp-3", change: withLB(func(lb *evidence.LoadBalancer) {
		lb.Backends[2].Address = "api.example.org:6443"
	})},
	{check: "lb-backends", name: "an API server that a script starts", of: folderShared, status: Skip, node: "lb-1", says: "server cp-2 is 10.10.10.12:6443: whether an API server is there was not seen", change: byScript},
	{check: "lb-single-point", name: "beside a web server whose configuration is not in the copy, which is not warned of", of: folderShared, status: Warn, node: "lb-1", says: "this one does not take over", change: func(e *evidence.Evidence) {
		evidencetest.Machine(e, "worker-1").LoadBalancer = &evidence.LoadBalancer{Kind: evidence.Nginx, Path: "/etc/nginx/nginx.conf", Err: evidence.NotInCopy}
	}},
	{check: "lb-single-point", name: "a configuration that is not in the copy", of: folderShared, status: Skip, node: "lb-1", says: "its configuration is not in the copy", change: withLB(func(lb *evidence.LoadBalancer) { lb.Err = evidence.NotInCopy })},
	{check: "lb-backends", name: "one is down", status: Fail, node: "lb-1", says: "L7STS/500", change: withLB(func(lb *evidence.LoadBalancer) {
		lb.State[1].Status, lb.State[1].Detail = "DOWN", "L7STS/500"
	})},
	{check: "lb-backends", name: "one is down since just now", status: Warn, node: "lb-1", says: "L6TOUT", change: withLB(func(lb *evidence.LoadBalancer) {
		lb.State[1].Status, lb.State[1].Detail, lb.State[1].Just = "DOWN", "L6TOUT", true
	})},
	{check: "lb-backends", name: "one is in maintenance", status: Warn, node: "lb-1", says: "MAINT", change: withLB(func(lb *evidence.LoadBalancer) { lb.State[1].Status = "MAINT" })},
	{check: "lb-backends", name: "a control-plane node died", status: Fail, node: "lb-1", says: "L4TOUT", change: func(e *evidence.Evidence) { evidencetest.Fail(e, "cp-3") }},
	{check: "lb-backends", name: "its configuration cannot be read", status: Error, node: "lb-1", says: "permission denied", change: withLB(func(lb *evidence.LoadBalancer) { lb.Err = "permission denied" })},
	{check: "lb-backends", name: "somebody else's load balancer", of: evidencetest.Kubeadm, status: Skip, says: "10.10.10.3:6443 is on no machine"},

	{check: "lb-health-check", name: "healthy", status: Pass, says: "GET /readyz over TLS, verified for kubernetes.default"},
	{check: "lb-health-check", name: "healthz", status: Fail, node: "lb-1", says: "stays green", change: withCheck(func(c *evidence.HealthCheck) { c.Path = "/healthz" })},
	{check: "lb-health-check", name: "healthz of API servers that stop at once", status: Warn, node: "lb-1", says: "stays green", change: changes(withCheck(func(c *evidence.HealthCheck) { c.Path = "/healthz" }),
		setFlags(server, "shutdown-delay-duration", "0s"))},
	{check: "lb-health-check", name: "options", status: Fail, node: "lb-1", says: "OPTIONS /readyz over TLS", change: withCheck(func(c *evidence.HealthCheck) { c.Method = "OPTIONS" })},
	{check: "lb-health-check", name: "livez", status: Fail, node: "lb-1", says: "stays green", change: withCheck(func(c *evidence.HealthCheck) { c.Path = "/livez" })},
	{check: "lb-health-check", name: "version", status: Fail, node: "lb-1", says: "readiness", change: withCheck(func(c *evidence.HealthCheck) { c.Path = "/version" })},
	{check: "lb-health-check", name: "readyz without a check of etcd", status: Pass, change: withCheck(func(c *evidence.HealthCheck) { c.Path = "/readyz?exclude=etcd" })},
	{check: "lb-health-check", name: "401 expected", status: Fail, node: "lb-1", says: "not ready, too", change: withCheck(func(c *evidence.HealthCheck) { c.Expect = "status 401" })},
	{check: "lb-health-check", name: "a connect", status: Fail, node: "lb-1", says: "a connect only", change: withCheck(func(c *evidence.HealthCheck) { c.Kind = "tcp" })},
	{check: "lb-health-check", name: "a handshake", status: Fail, node: "lb-1", says: "with a TLS handshake, unverified: it succeeds while", change: withCheck(func(c *evidence.HealthCheck) { c.Kind, c.Verified = "tcp", false })},
	{check: "lb-health-check", name: "a hello of SSLv3", status: Fail, node: "lb-1", says: "an alert included", change: withCheck(func(c *evidence.HealthCheck) { c.Kind, c.Option = "tcp", "ssl-hello-chk" })},
	{check: "lb-health-check", name: "a hello in the place of a request", status: Fail, node: "lb-1", says: "makes option httpchk void", change: withCheck(func(c *evidence.HealthCheck) {
		c.Kind, c.Option, c.Replaces = "tcp", "ssl-hello-chk", "httpchk"
	})},
	{check: "lb-health-check", name: "as of a database", status: Fail, node: "lb-1", says: "option mysql-check: API servers do not speak that", change: withCheck(func(c *evidence.HealthCheck) { c.Kind, c.Option = "tcp", "mysql-check" })},
	{check: "lb-health-check", name: "a command", status: Skip, says: "what it looks at is not known", change: withCheck(func(c *evidence.HealthCheck) { c.Kind, c.Option = "tcp", "external-check" })},
	{check: "lb-health-check", name: "none", status: Fail, node: "lb-1", says: "no health check", change: withCheck(func(c *evidence.HealthCheck) { c.Kind = "none" })},
	{check: "lb-health-check", name: "plain http", status: Fail, node: "lb-1", says: "TLS only", change: withCheck(func(c *evidence.HealthCheck) { c.TLS = false })},
	{check: "lb-health-check", name: "unverified", status: Warn, node: "lb-1", says: "unverified", change: withCheck(func(c *evidence.HealthCheck) { c.Verified = false })},
	{check: "lb-health-check", name: "one server is not checked", status: Fail, node: "lb-1", says: "server cp-2", change: withLB(func(lb *evidence.LoadBalancer) { lb.Backends[1].Checked = false })},
	{check: "lb-health-check", name: "no anonymous requests", status: Fail, node: "lb-1", says: "cp-1, cp-2, cp-3 with --anonymous-auth=false answers 401", change: func(e *evidence.Evidence) {
		evidencetest.SetFlagEverywhere(e, evidence.APIServer, "anonymous-auth", "false")
	}},
	{check: "lb-health-check", name: "no anonymous requests, and it logs in", of: evidencetest.K0s, status: Pass},
	{check: "lb-health-check", name: "nginx", status: Warn, node: "lb-1", says: "real connections", change: nginx},

	{check: "lb-backends", name: "a disabled one", status: Fail, node: "lb-1", says: "disabled in the configuration: cp-2", change: withLB(func(lb *evidence.LoadBalancer) {
		for i := range lb.Backends {
			if b := &lb.Backends[i]; b.Name == "cp-2" {
				b.Status = "MAINT"
			}
		}
	})},
	{check: "lb-detection-time", name: "healthy", status: Pass, says: "above 600ms"},
	{check: "lb-detection-time", name: "the delay is too short", status: Fail, node: "cp-2", says: "500ms", change: func(e *evidence.Evidence) {
		evidencetest.SetFlag(evidencetest.Program(e, "cp-2", evidence.APIServer), "shutdown-delay-duration", "500ms")
	}},
	{check: "lb-detection-time", name: "checks are rare", status: Fail, node: "lb-1", says: "up to 6s", change: withCheck(func(c *evidence.HealthCheck) {
		c.Interval, c.FastInterval, c.Fall = 2*time.Second, 0, 3
	})},
	{check: "lb-detection-time", name: "no delay", status: Warn, node: "cp-1", says: "no shutdown delay", change: func(e *evidence.Evidence) {
		evidencetest.DropFlag(evidencetest.Program(e, "cp-1", evidence.APIServer), "shutdown-delay-duration")
	}},
	{check: "lb-detection-time", name: "a delay that is none", status: Error, node: "cp-1", says: "soon", change: func(e *evidence.Evidence) {
		evidencetest.SetFlag(evidencetest.Program(e, "cp-1", evidence.APIServer), "shutdown-delay-duration", "soon")
	}},
	{check: "lb-detection-time", name: "a check that shows no stop", status: Warn, node: "lb-1", says: "/healthz", change: withCheck(func(c *evidence.HealthCheck) { c.Path = "/healthz" })},
	{check: "lb-detection-time", name: "nginx", status: Warn, node: "lb-1", says: "real connections", change: nginx},

	{check: "lb-dead-sessions", name: "healthy", status: Pass},
	{check: "lb-dead-sessions", name: "they stay", status: Warn, node: "lb-1", says: "45s", change: withLB(func(lb *evidence.LoadBalancer) { lb.CutDeadSessions, lb.TCPUserTimeout = false, 0 })},
	{check: "lb-dead-sessions", name: "they end by TCP", status: Pass, says: "2s", change: withLB(func(lb *evidence.LoadBalancer) { lb.CutDeadSessions = false })},
	{check: "lb-dead-sessions", name: "nginx", status: Warn, node: "lb-1", says: "nginx stream cannot", change: nginx},

	{check: "lb-idle-timeout", name: "healthy", status: Pass, says: "5h0m0s"},
	{check: "lb-idle-timeout", name: "20 seconds", status: Fail, node: "lb-1", says: "pings", change: withLB(func(lb *evidence.LoadBalancer) { lb.ServerTimeout = 20 * time.Second })},
	{check: "lb-idle-timeout", name: "35 seconds, as kubeadm's guide has it", status: Warn, node: "lb-1", change: withLB(func(lb *evidence.LoadBalancer) { lb.ClientTimeout = 35 * time.Second })},
	{check: "lb-idle-timeout", name: "a tunnel's timeout goes first", status: Pass, says: "tunnel 24h", change: withLB(func(lb *evidence.LoadBalancer) { lb.ClientTimeout, lb.TunnelTimeout = time.Minute, 24*time.Hour })},
	{check: "lb-idle-timeout", name: "watches may be longer", status: Warn, node: "lb-1", says: "6h", change: func(e *evidence.Evidence) {
		evidencetest.SetFlagEverywhere(e, evidence.APIServer, "min-request-timeout", "10800")
	}},
	{check: "lb-idle-timeout", name: "nginx without proxy_timeout", status: Warn, node: "lb-1", says: "10m0s", change: nginx},

	{check: "lb-certificate", name: "healthy", status: Pass, says: "10.10.10.3"},
	{check: "lb-certificate", name: "kubeadm", of: evidencetest.Kubeadm, status: Pass},
	{check: "lb-certificate", name: "its name is missing", status: Fail, says: "the name 10.10.10.3", change: func(e *evidence.Evidence) {
		evidencetest.Reissue(e, "", evidencetest.ServingCert, func(r *evidencetest.Row) { r.Names = slices.Delete(r.Names, 0, 1) })
	}},
	{check: "lb-certificate", name: "it does not verify", status: Fail, says: "unknown authority", change: func(e *evidence.Evidence) {
		evidencetest.Server(e, "").VerifyErr = "x509: certificate signed by unknown authority"
	}},
	{check: "lb-certificate", name: "nobody answers", status: Error, says: "refused", change: func(e *evidence.Evidence) {
		*evidencetest.Server(e, "") = evidence.Server{Address: evidencetest.Endpoint, Err: "connection refused"}
	}},

	{check: "lb-from-every-node", name: "healthy", status: Pass},
	{check: "lb-from-every-node", name: "no hairpin", status: Fail, node: "cp-1", says: "i/o timeout", change: func(e *evidence.Evidence) {
		*evidencetest.Request(e, "cp-1", evidence.ThroughLoadBalancer) = evidence.Request{Purpose: evidence.ThroughLoadBalancer, URL: "https://x/readyz", Err: "i/o timeout"}
	}},
	{check: "lb-from-every-node", name: "not ready", status: Fail, node: "worker-1", says: "500", change: func(e *evidence.Evidence) {
		evidencetest.Request(e, "worker-1", evidence.ThroughLoadBalancer).Status = 500
	}},
	{check: "lb-from-every-node", name: "anonymous requests are off", status: Pass, says: "401", change: func(e *evidence.Evidence) {
		evidencetest.Request(e, "worker-1", evidence.ThroughLoadBalancer).Status = 401
	}},
	{check: "lb-from-every-node", name: "one was not asked", status: Skip, change: func(e *evidence.Evidence) { evidencetest.Machine(e, "worker-1").Requests = nil }},

	{check: "lb-single-point", name: "one", status: Warn, node: "lb-1", says: "lb-1 alone"},
	{check: "lb-single-point", name: "two with keepalived", status: Pass, says: "lb-1, lb-2, the address moved by keepalived", change: secondLB("keepalived")},
	{check: "lb-single-point", name: "two and nothing that moves the address", status: Warn, node: "lb-1,lb-2", change: secondLB()},
	{check: "lb-single-point", name: "one seen of several", status: Warn, node: "lb-1", says: "no other was looked at", change: func(e *evidence.Evidence) {
		secondLB("keepalived")(e)
		evidencetest.DropMachine(e, "lb-2")
	}},
	{check: "lb-single-point", name: "one on each node", status: Pass, says: "each node", change: func(e *evidence.Evidence) {
		lb := evidencetest.Machine(e, "lb-1").LoadBalancer
		evidencetest.DropMachine(e, "lb-1")
		lb.Frontends = []string{"127.0.0.1:7443"}
		for _, m := range e.Machines {
			m.LoadBalancer = lb
			evidencetest.SetServer(e, m.Name, evidencetest.KubeletConf, "https://127.0.0.1:7443")
		}
	}},
	{check: "lb-single-point", name: "somebody else's", of: evidencetest.Kubeadm, status: Skip, says: "from outside"},
	{check: "lb-single-point", name: "no load balancer at all", of: evidencetest.Kubeadm, status: Warn, says: "is cp-1", change: toFirstNode},
	{check: "lb-single-point", name: "an address that kube-vip moves", of: evidencetest.Kubeadm, status: Pass, says: "kube-vip", change: func(e *evidence.Evidence) {
		toFirstNode(e)
		withKubeVIP(e, "10.10.10.11", "cp-1", "cp-2")
	}},
}

// listeningAt has lb-1 listen there alone.
func listeningAt(frontend string) func(*evidence.Evidence) {
	return func(e *evidence.Evidence) {
		m := evidencetest.Machine(e, "lb-1")
		m.LoadBalancer.Frontends, m.Listening = []string{frontend}, nil
	}
}

// withKubeVIP has kube-vip move an address between machines.
func withKubeVIP(e *evidence.Evidence, address string, machines ...string) {
	for _, name := range machines {
		m := evidencetest.Machine(e, name)
		m.Programs = append(m.Programs, evidence.Program{Name: evidence.KubeVIP, Running: true, From: evidence.FromManifest, Where: "/etc/kubernetes/manifests/kube-vip.yaml", Argv: []string{"/kube-vip", "manager"},
			Variables: map[string]string{"address": address, "port": "6443", "vip_arp": "true", "cp_enable": "true", "vip_leaderelection": "true", "vip_interface": "eth0"}})
	}
}

// toFirstNode has all kubelets talk to cp-1.
func toFirstNode(e *evidence.Evidence) {
	for _, m := range e.Machines {
		evidencetest.SetServer(e, m.Name, evidencetest.KubeletConf, "https://10.10.10.11:6443")
	}
}

// The cluster file knows nodes of which nothing was seen.
func TestBackendsOfTheClusterFile(t *testing.T) {
	cluster := &spec.Cluster{Spec: spec.Spec{Nodes: []spec.Node{
		{Name: "cp-4", Role: spec.RoleControlPlane, Address: "10.10.10.14"}, {Name: "lb-2", Role: spec.RoleLoadBalancer, Address: "10.10.10.4"}}}}
	e := evidencetest.Healthy(spec.Shared)
	second := *evidencetest.Machine(e, "lb-1")
	second.Name, second.LoadBalancer = "lb-2", nil
	e.Machines = append(e.Machines, &second)
	s := NewScene(e, Expectation{Cluster: cluster})
	findings := lbBackends(s)
	for _, want := range []checkCase{{status: Fail, node: "lb-1,lb-2", says: "cp-4 (10.10.10.14:6443)"}, {status: Fail, node: "lb-1,lb-2", says: "none was found"}} {
		if err := want.judge(findings); err != nil {
			t.Errorf("%v\n%s", err, show(findings))
		}
	}
}
