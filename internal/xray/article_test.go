package xray

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"

	"github.com/haplane/haplane/internal/xray/evidence"
	"github.com/haplane/haplane/internal/xray/evidence/evidencetest"
	"github.com/haplane/haplane/spec"
)

// setFlag gives a program on a machine a flag; "" takes it away.
func setFlag(machine, program, flag, value string) func(*evidence.Evidence) {
	return func(e *evidence.Evidence) {
		p := evidencetest.Program(e, machine, program)
		if value == "" {
			evidencetest.DropFlag(p, flag)
			return
		}
		evidencetest.SetFlag(p, flag, value)
	}
}

// setFlags gives a program a flag everywhere.
func setFlags(program, flag, value string) func(*evidence.Evidence) {
	return func(e *evidence.Evidence) { evidencetest.SetFlagEverywhere(e, program, flag, value) }
}

// all does several things.
func withServingNames(machine string, change func([]string) []string) func(*evidence.Evidence) {
	return func(e *evidence.Evidence) {
		evidencetest.Reissue(e, machine, evidencetest.ServingCert, func(r *evidencetest.Row) { r.Names = change(r.Names) })
	}
}

func add(name string) func([]string) []string {
	return func(names []string) []string { return append(names, name) }
}

func drop(name string) func([]string) []string {
	return func(names []string) []string { return without(names, []string{name}) }
}

// endpoints are both objects with addresses.
func endpoints(port int32, addresses ...string) func(*evidence.Evidence) {
	return func(e *evidence.Evidence) { e.API.Endpoints, e.API.Slices = evidencetest.Endpoints(port, addresses...) }
}

func withSlice(change func(*discoveryv1.EndpointSlice)) func(*evidence.Evidence) {
	return func(e *evidence.Evidence) { change(&e.API.Slices[0]) }
}

func apiOnly(of func() *evidence.Evidence) func() *evidence.Evidence {
	return func() *evidence.Evidence { return evidencetest.APIOnly(of()) }
}

func inFolder(of func() *evidence.Evidence) func() *evidence.Evidence {
	return func() *evidence.Evidence { return evidencetest.Folder(of()) }
}

func dead(name string) func(*evidence.Evidence) {
	return func(e *evidence.Evidence) { evidencetest.Fail(e, name) }
}

// twoKinds leaves one API server of one identity and one of another.
func twoKinds(e *evidence.Evidence) {
	setFlag("cp-1", server, "advertise-address", "10.10.10.11")(e)
	evidencetest.DropMachine(e, "cp-3")
}

// byName has clients reach the API by a name.
func byName(e *evidence.Evidence) {
	for _, m := range e.Machines[:4] {
		for path := range m.Kubeconfigs {
			if m.Kubeconfigs[path].Server == "https://"+evidencetest.Endpoint {
				evidencetest.SetServer(e, m.Name, path, "https://api.example.org:6443")
			}
		}
	}
}

const (
	server    = evidence.APIServer
	manager   = evidence.ControllerManager
	scheduler = evidence.Scheduler
)

var articleCases = slices.Concat(nameCases, namedCases, endpointCases, equalCases)

var nameCases = []checkCase{
	{check: "serving-cert-names", name: "a node's address", status: Fail, node: "cp-2", says: "10.10.10.12 of cp-2", change: withServingNames("cp-2", add("10.10.10.12"))},
	{check: "serving-cert-names", name: "no service address", status: Fail, node: "cp-3", says: "lacks 10.96.0.1", change: withServingNames("cp-3", drop("10.96.0.1"))},
	{check: "serving-cert-names", name: "a node's own is missing", of: healthy(spec.PerNode), status: Fail, node: "cp-1", says: "lacks 10.10.10.11", change: withServingNames("cp-1", drop("10.10.10.11"))},
	{check: "serving-cert-names", name: "no name of the Service", status: Fail, node: "cp-3", says: "lacks kubernetes.default.svc", change: withServingNames("cp-3", drop("kubernetes.default.svc"))},
	{check: "serving-cert-names", name: "no name that is customary", status: Warn, node: "cp-3", says: "lacks localhost, kubernetes.default.svc.cluster.local, by which nobody", change: changes(withServingNames("cp-3", drop("localhost")), withServingNames("cp-3", drop("kubernetes.default.svc.cluster.local")))},
	{check: "serving-cert-names", name: "a customary one that somebody uses", status: Fail, node: "cp-3", says: "lacks localhost", change: changes(pointTo("cp-3", evidencetest.AdminConf, "localhost:6443"), withServingNames("cp-3", drop("localhost")))},
	{check: "serving-cert-names", name: "a scheduler asks the API server beside it", of: healthy(spec.PerNode), status: Fail, node: "cp-3", says: "lacks 127.0.0.1", change: changes(
		pointTo("cp-3", evidencetest.SchedulerConf, "127.0.0.1:6443"), withServingNames("cp-3", drop("127.0.0.1")))},
	{check: "serving-cert-names", name: "a scheduler asks it by another name", of: healthy(spec.PerNode), status: Pass, change: changes(
		pointTo("cp-3", evidencetest.SchedulerConf, "127.0.0.1:6443"), withServingNames("cp-3", drop("127.0.0.1")), func(e *evidence.Evidence) {
			for path, k := range evidencetest.Machine(e, "cp-3").Kubeconfigs {
				if loopback(HostPort(k.Server)) {
					k.ServerName = "kubernetes.default"
					evidencetest.Machine(e, "cp-3").Kubeconfigs[path] = k
				}
			}
		})},
	{check: "serving-cert-names", name: "an address of nobody", status: Warn, node: "cp-1", says: "10.10.10.99", change: withServingNames("cp-1", add("10.10.10.99"))},
	{check: "serving-cert-names", name: "garbage", of: inFolder(healthy(spec.Shared)), status: Error, node: "cp-1", says: "malformed", change: func(e *evidence.Evidence) {
		evidencetest.Machine(e, "cp-1").Certificates[evidencetest.ServingCert] = []evidence.Certificate{{Err: "malformed certificate"}}
	}},

	{check: "advertise-address", name: "its own in shared", status: Fail, node: "cp-2", says: "--advertise-address=10.10.10.3", change: setFlag("cp-2", server, "advertise-address", "10.10.10.12")},
	{check: "advertise-address", name: "another node's", of: healthy(spec.PerNode), status: Fail, node: "cp-2", says: "10.10.10.11", change: setFlag("cp-2", server, "advertise-address", "10.10.10.11")},
	{check: "advertise-address", name: "no address", status: Fail, node: "cp-1", says: "an IP address", change: setFlag("cp-1", server, "advertise-address", "lb.example.org")},
	{check: "advertise-address", name: "a variable of a manifest", of: inFolder(evidencetest.Kubeadm), status: Skip, node: "cp-1", says: "does not show in files", change: setFlag("cp-1", server, "advertise-address", "${HOST_IP}")},
	{check: "advertise-address", name: "none, as is the default", of: evidencetest.Kubeadm, status: Pass, says: "default route", change: setFlag("cp-1", server, "advertise-address", "")},

	{check: "leader-elect-flags", name: "off", status: Fail, node: "cp-3", says: "--leader-elect=false", change: setFlag("cp-3", scheduler, "leader-elect", "false")},
	{check: "leader-elect-flags", name: "off in the configuration", status: Fail, node: "cp-1", says: "leaderElection.leaderElect: false", change: changes(setFlag("cp-1", scheduler, "leader-elect", ""), func(e *evidence.Evidence) {
		evidencetest.Program(e, "cp-1", scheduler).Config = map[string]any{"leaderElection": map[string]any{"leaderElect": false}}
	})},
	{check: "leader-elect-flags", name: "not set", status: Pass, says: "the default is true", change: setFlag("cp-1", scheduler, "leader-elect", "")},
}

var endpointCases = []checkCase{
	{check: "kubernetes-service-endpoints", name: "shared", status: Pass, says: "10.10.10.3:6443"},
	{check: "kubernetes-service-endpoints", name: "each node", of: healthy(spec.PerNode), status: Pass, says: "10.10.10.11:6443, 10.10.10.12:6443, 10.10.10.13:6443"},
	{check: "kubernetes-service-endpoints", name: "k0s with an external address", of: evidencetest.K0s, status: Pass, says: "10.10.10.3:6443"},
	{check: "kubernetes-service-endpoints", name: "k0s, and another one", of: evidencetest.K0s, status: Fail, says: "has 10.10.10.4:6443", change: endpoints(6443, "10.10.10.3", "10.10.10.4")},
	{check: "kubernetes-service-endpoints", name: "none", status: Fail, says: "no endpoint", change: endpoints(6443)},
	{check: "kubernetes-service-endpoints", name: "a node's in shared", status: Fail, says: "lacks 10.10.10.3:6443", change: endpoints(6443, "10.10.10.11")},
	{check: "kubernetes-service-endpoints", name: "another port", status: Fail, says: "10.10.10.3:443", change: endpoints(443, "10.10.10.3")},
	{check: "kubernetes-service-endpoints", name: "another name of the port", status: Fail, says: `port "api" instead of "https"`, change: withSlice(func(s *discoveryv1.EndpointSlice) { s.Ports[0].Name = new("api") })},
	{check: "kubernetes-service-endpoints", name: "one too many in the slice", status: Fail, says: "has 10.10.10.12:6443", change: withSlice(func(s *discoveryv1.EndpointSlice) {
		s.Endpoints = append(s.Endpoints, discoveryv1.Endpoint{Addresses: []string{"10.10.10.12"}})
	})},
	{check: "kubernetes-service-endpoints", name: "the two kinds disagree", status: Fail, says: "what the Endpoints have", of: healthy(spec.PerNode), change: withSlice(func(s *discoveryv1.EndpointSlice) { s.Endpoints = s.Endpoints[:2] })},
	{check: "kubernetes-service-endpoints", name: "no slice", status: Fail, says: "no endpoint", change: func(e *evidence.Evidence) { e.API.Slices = []discoveryv1.EndpointSlice{} }},
	{check: "kubernetes-service-endpoints", name: "slices were not read", status: Pass, change: func(e *evidence.Evidence) { e.API.Slices = nil }},
	{check: "kubernetes-service-endpoints", name: "not ready", of: healthy(spec.PerNode), status: Fail, says: "not ready: 10.10.10.12:6443", change: withSlice(func(s *discoveryv1.EndpointSlice) { s.Endpoints[1].Conditions.Ready = new(false) })},
	{check: "kubernetes-service-endpoints", name: "not ready in Endpoints", of: healthy(spec.PerNode), status: Fail, says: "not ready: 10.10.10.13:6443", change: func(e *evidence.Evidence) {
		subset := &e.API.Endpoints.Subsets[0]
		subset.NotReadyAddresses, subset.Addresses = []corev1.EndpointAddress{subset.Addresses[2]}, subset.Addresses[:2]
	}},
	{check: "kubernetes-service-endpoints", name: "one is missing", of: healthy(spec.SharedCertificate), status: Fail, says: "lacks 10.10.10.12:6443", change: endpoints(6443, "10.10.10.11", "10.10.10.13")},
	{check: "kubernetes-service-endpoints", name: "one leads nowhere", of: healthy(spec.PerNode), status: Fail, says: "has 10.10.10.14:6443", change: endpoints(6443, "10.10.10.11", "10.10.10.12", "10.10.10.13", "10.10.10.14")},
	{check: "kubernetes-service-endpoints", name: "a node died", of: healthy(spec.PerNode), status: Fail, says: "API server of cp-3 does not answer", change: dead("cp-3")},
	{check: "kubernetes-service-endpoints", name: "a node died and is taken out", of: healthy(spec.PerNode), status: Pass, change: changes(dead("cp-3"), endpoints(6443, "10.10.10.11", "10.10.10.12"))},
	{check: "kubernetes-service-endpoints", name: "one that only we cannot reach", of: healthy(spec.PerNode), status: Pass, change: func(e *evidence.Evidence) {
		*evidencetest.Server(e, "cp-3") = evidence.Server{Node: "cp-3", Address: "10.10.10.13:6443", Err: "i/o timeout"}
	}},
	{check: "kubernetes-service-endpoints", name: "API only", of: apiOnly(evidencetest.Kubeadm), status: Pass, says: "10.10.10.13:6443"},
	{check: "kubernetes-service-endpoints", name: "API only, one is missing", of: apiOnly(evidencetest.Kubeadm), status: Fail, says: "lacks 10.10.10.13:6443", change: endpoints(6443, "10.10.10.11", "10.10.10.12")},
	{check: "kubernetes-service-endpoints", name: "API only, one is not ready", of: apiOnly(evidencetest.Kubeadm), status: Pass, change: changes(endpoints(6443, "10.10.10.11", "10.10.10.12"), func(e *evidence.Evidence) {
		evidencetest.Program(e, "cp-3", server).Running = false
	})},
	{check: "kubernetes-service-endpoints", name: "API only, one too many", of: apiOnly(evidencetest.Kubeadm), status: Fail, says: "has 10.10.10.14:6443", change: endpoints(6443, "10.10.10.11", "10.10.10.12", "10.10.10.13", "10.10.10.14")},
	{check: "kubernetes-service-endpoints", name: "the control plane is not known", of: apiOnly(healthy(spec.SharedCertificate)), expect: Expectation{Identity: spec.SharedCertificate}, status: Skip, says: "is not known", change: func(e *evidence.Evidence) {
		e.API.Nodes = nil
	}},
	{check: "kubernetes-service-endpoints", name: "no identity in common", status: Skip, says: "is not known", change: twoKinds},
	{check: "kubernetes-service-endpoints", name: "none and no identity in common", status: Fail, says: "one at least", change: changes(twoKinds, endpoints(6443))},
	{check: "kubernetes-service-endpoints", name: "perhaps of a node that was not named", of: healthy(spec.PerNode), status: Warn, says: "has 10.10.10.13:6443", change: func(e *evidence.Evidence) {
		evidencetest.DropMachine(e, "cp-3")
		e.API.Nodes = nil
	}},
	{check: "kubernetes-service-endpoints", name: "no address", status: Fail, says: "has lb.example.org:6443", change: withSlice(func(s *discoveryv1.EndpointSlice) {
		s.AddressType, s.Endpoints[0].Addresses = discoveryv1.AddressTypeFQDN, []string{"lb.example.org"}
	})},
	{check: "kubernetes-service-endpoints", name: "a load balancer with a name", status: Pass, says: "10.10.10.3:6443", change: byName},
	{check: "kubernetes-service-endpoints", name: "a name and no address of it", of: apiOnly(healthy(spec.Shared)), expect: Expectation{Identity: spec.Shared}, status: Skip, says: "is not known", change: func(e *evidence.Evidence) {
		e.API.Server = "https://api.example.org:6443"
	}},
}

// eachOwn gives the instances of a program on the three nodes a flag with something of their own.
func eachOwn(program, flag, format string, own ...string) func(*evidence.Evidence) {
	return func(e *evidence.Evidence) {
		for i, text := range own {
			setFlag(fmt.Sprintf("cp-%d", i+1), program, flag, fmt.Sprintf(format, text))(e)
		}
	}
}

func fullNames(e *evidence.Evidence) {
	for _, m := range e.Machines {
		m.Hostname += ".example.org"
	}
}

var equalCases = []checkCase{
	{check: "equal-on-all-nodes", name: "healthy", status: Pass, says: "kube-apiserver: 28 settings, the same on cp-1, cp-2, cp-3"},
	{check: "equal-on-all-nodes", name: "a flag differs", status: Warn, node: "cp-3", says: "kube-apiserver goaway-chance: 0.001, as on cp-1", change: setFlag("cp-3", server, "goaway-chance", "0")},
	{check: "equal-on-all-nodes", name: "a flag is missing", status: Warn, node: "cp-1", says: "not set", change: setFlag("cp-1", server, "audit-policy-file", "")},
	{check: "equal-on-all-nodes", name: "a flag of one alone", status: Warn, node: "cp-2", says: "kube-controller-manager node-monitor-grace-period: not set", change: setFlag("cp-2", manager, "node-monitor-grace-period", "20s")},
	{check: "equal-on-all-nodes", name: "a configuration differs", status: Warn, node: "cp-2", says: "parallelism: 16", change: func(e *evidence.Evidence) {
		for i, name := range []string{"cp-1", "cp-2", "cp-3"} {
			evidencetest.Program(e, name, scheduler).Config = map[string]any{"parallelism": 16 + 16*(i%2), "leaderElection": map[string]any{"leaderElect": i > 0}}
		}
	}},
	{check: "equal-on-all-nodes", name: "nested settings in a line", status: Warn, node: "cp-2", says: `{"kubeconfig":"/x"}`, change: func(e *evidence.Evidence) {
		evidencetest.Program(e, "cp-2", scheduler).Config = map[string]any{"clientConnection": map[string]any{"kubeconfig": "/x"}}
	}},
	{check: "equal-on-all-nodes", name: "a configuration without a setting", status: Pass, change: func(e *evidence.Evidence) {
		evidencetest.Program(e, "cp-2", scheduler).Config = map[string]any{"apiVersion": "kubescheduler.config.k8s.io/v1", "kind": "KubeSchedulerConfiguration"}
	}},
	{check: "equal-on-all-nodes", name: "etcd's quota differs", status: Warn, node: "cp-2", says: "etcd quota-backend-bytes", change: setFlag("cp-2", evidence.EtcdServer, "quota-backend-bytes", "1")},
	{check: "equal-on-all-nodes", name: "each listens on its own address", status: Pass, change: changes(setFlag("cp-1", server, "bind-address", "10.10.10.11"),
		setFlag("cp-2", server, "bind-address", "10.10.10.12"), setFlag("cp-3", server, "bind-address", "10.10.10.13"))},
	{check: "equal-on-all-nodes", name: "the load balancer's address is on one of them now", status: Pass, change: changes(balancerOn("cp-1"), setFlags(server, "service-account-issuer", "https://10.10.10.3:6443"))},
	{check: "equal-on-all-nodes", name: "one listens on another's address", status: Warn, node: "cp-2", says: "10.10.10.1", change: changes(setFlag("cp-1", server, "bind-address", "10.10.10.11"),
		setFlag("cp-2", server, "bind-address", "10.10.10.1"), setFlag("cp-3", server, "bind-address", "10.10.10.13"))},
	{check: "equal-on-all-nodes", name: "a list in another order", status: Pass, change: changes(setFlags(server, "enable-admission-plugins", "NodeRestriction,AlwaysPullImages"),
		setFlag("cp-2", server, "enable-admission-plugins", "AlwaysPullImages,NodeRestriction"))},
	{check: "equal-on-all-nodes", name: "an order that matters", status: Warn, node: "cp-2", says: "RBAC,Node", change: setFlag("cp-2", server, "authorization-mode", "RBAC,Node")},
	{check: "equal-on-all-nodes", name: "what others judge", status: Pass, change: changes(setFlag("cp-1", server, "feature-gates", "A=true"), setFlag("cp-2", server, "advertise-address", "10.10.10.12"), setFlag("cp-3", server, "v", "4"),
		setFlag("cp-2", scheduler, "leader-elect", "false"))},
	{check: "equal-on-all-nodes", name: "files with the node's name", status: Pass, change: eachOwn(server, "etcd-certfile", "/etc/ssl/etcd/ssl/node-%s.pem", "cp-1", "cp-2", "cp-3")},
	{check: "equal-on-all-nodes", name: "files with the node's address", status: Pass, change: eachOwn(server, "etcd-keyfile", "/p/etcd-ip-%s.key", "10-10-10-11", "10-10-10-12", "10-10-10-13")},
	{check: "equal-on-all-nodes", name: "files with the short name", status: Pass, change: changes(fullNames, eachOwn(server, "tls-cert-file", "/p/%s.pem", "cp-1", "cp-2", "cp-3"))},
	{check: "equal-on-all-nodes", name: "files with the full name", status: Pass, change: changes(fullNames, eachOwn(server, "tls-cert-file", "/p/%s.pem", "cp-1.example.org", "cp-2.example.org", "cp-3.example.org"))},
	{check: "equal-on-all-nodes", name: "files with etcd's name", status: Pass, change: changes(eachOwn(evidence.EtcdServer, "name", "%s", "infra0", "infra1", "infra2"),
		eachOwn(evidence.EtcdServer, "cert-file", "/p/%s.pem", "infra0", "infra1", "infra2"))},
	{check: "equal-on-all-nodes", name: "a file of another node", status: Warn, node: "cp-1", says: "/p/(own name).pem, as on cp-2 | /p/cp-2.pem", change: eachOwn(server, "tls-cert-file", "/p/%s.pem", "cp-2", "cp-2", "cp-3")},
	{check: "equal-on-all-nodes", name: "one file of one node for all", status: Pass, change: setFlags(server, "tls-cert-file", "/p/cp-1.pem")},
	{check: "equal-on-all-nodes", name: "a node whose name is a common word", status: Pass, change: func(e *evidence.Evidence) {
		evidencetest.Machine(e, "cp-1").Hostname = "etcd"
	}},
	{check: "equal-on-all-nodes", name: "a member's folder is its own", status: Pass, change: eachOwn(evidence.EtcdServer, "data-dir", "/disk%s/etcd", "1", "2", "3")},
	{check: "equal-on-all-nodes", name: "underscores", status: Pass, change: func(e *evidence.Evidence) {
		p := evidencetest.Program(e, "cp-2", server)
		evidencetest.DropFlag(p, "audit-policy-file")
		p.Argv = append(p.Argv, "--audit_policy_file", "/etc/kubernetes/audit-policy.yaml", "--etcd_servers=https://127.0.0.1:2379")
		evidencetest.DropFlag(p, "etcd-servers")
	}},
	{check: "equal-on-all-nodes", name: "a default that is said", status: Pass, change: setFlag("cp-2", scheduler, "secure-port", "10259")},
	{check: "equal-on-all-nodes", name: "a default in another form", status: Pass, change: changes(setFlag("cp-2", server, "request-timeout", "60s"), setFlag("cp-2", manager, "profiling", "False"))},
	{check: "equal-on-all-nodes", name: "another than the default", status: Warn, node: "cp-2", says: "kube-scheduler secure-port: 10259 (the default), as on cp-1 | 10260", change: setFlag("cp-2", scheduler, "secure-port", "10260")},
	{check: "equal-on-all-nodes", name: "variables of etcd differ", status: Warn, node: "cp-2", says: "etcd heartbeat-interval: 100 (the default), as on cp-1 | 500", change: withEtcd("cp-2", func(p *evidence.Program) {
		p.Variables = map[string]string{"heartbeat-interval": "500"}
	})},
	{check: "equal-on-all-nodes", name: "one node", status: Skip, says: "here only", change: func(e *evidence.Evidence) {
		evidencetest.DropMachine(e, "cp-2")
		evidencetest.DropMachine(e, "cp-3")
	}},
}

// An endpoint that is there and not ready is not missing as well.
func TestNotReadyIsNotMissing(t *testing.T) {
	e := evidencetest.Healthy(spec.PerNode)
	e.API.Slices[0].Endpoints[1].Conditions.Ready = new(false)
	for _, f := range kubernetesServiceEndpoints(NewScene(e, Expectation{})) {
		if strings.Contains(f.Observed, "lacks") {
			t.Error(show([]Finding{f}))
		}
	}
}

func TestReplaceWord(t *testing.T) {
	for _, c := range []struct{ text, word, want string }{
		{"https://10.0.0.1:2379,https://10.0.0.11:2379", "10.0.0.1", "https://X:2379,https://10.0.0.11:2379"},
		{"110.0.0.1", "10.0.0.1", "110.0.0.1"},
		{"1.10.0.0.1", "10.0.0.1", "1.10.0.0.1"},
		{"10.0.0.1.2", "10.0.0.1", "10.0.0.1.2"},
		{"10.0.0.1", "10.0.0.1", "X"},
		{"cp-1=a,cp-12=b,my-cp-1=c,cp-1", "cp-1", "X=a,cp-12=b,my-cp-1=c,X"},
		{"/etc/ssl/node-cp-1-key.pem,/var/lib/etcd/CP-1.etcd", "cp-1", "/etc/ssl/node-X-key.pem,/var/lib/etcd/X.etcd"},
		{"[fd00::1]:6443", "fd00::1", "[X]:6443"},
		{"fd00::11", "fd00::1", "fd00::11"},
		{"", "cp-1", ""},
		{"cp-1", "", "cp-1"},
	} {
		if got := replaceWords(c.text, []word{{"my-cp-1", ""}, {c.word, "X"}}); got != c.want {
			t.Errorf("replaceWords(%q, %q) = %q, want %q", c.text, c.word, got, c.want)
		}
	}
}
