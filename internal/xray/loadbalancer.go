package xray

import (
	"fmt"
	"slices"

	"github.com/haplane/haplane/internal/xray/evidence"
)

var (
	fromConfiguration = []evidence.Way{evidence.Machines, evidence.Folder}
	fromMachines      = []evidence.Way{evidence.Machines}
)

var loadBalancerChecks = []Check{
	{
		ID: "lb-backends", Subject: LoadBalancer, Title: "The load balancer has each API server exactly once, and nothing else",
		Why:    "An API server that is missing carries no load and saves nobody when the others fail. An address that is none of them takes connections that nobody answers, or that a stranger does.",
		Source: "https://kubernetes.io/docs/setup/production-environment/tools/kubeadm/high-availability/#create-load-balancer-for-kube-apiserver",
		Fix:    "Give the load balancer's backend one server for each control-plane node, without backup, and reload it.",
		Needs:  fromConfiguration, Run: lbBackends,
	},
	{
		ID: "lb-listens", Subject: LoadBalancer, Title: "The load balancer listens where kubeconfigs lead",
		Why:    "A load balancer that listens on another port, on loopback alone or on another address is right in all else, and refuses every client.",
		Source: "https://docs.haproxy.org/2.8/configuration.html#4.2-bind",
		Fix:    "Let the frontend's bind (nginx: listen) have the port of the kubeconfigs, on all addresses or on the one that moves; that on a machine that does not have the address now needs net.ipv4.ip_nonlocal_bind=1.",
		Needs:  fromConfiguration, Run: lbListens,
	},
	{
		ID: "lb-tls-passthrough", Subject: LoadBalancer, Title: "TLS passes the load balancer as it is",
		Why:    "API servers speak TLS only, and know kubelets, controllers and administrators by their client certificates. A load balancer that reads HTTP cannot take a TLS session; one that takes TLS apart leaves the client certificates behind, so that all of these come as nobody.",
		Source: "https://docs.haproxy.org/2.8/configuration.html#4.2-mode",
		Fix:    "HAProxy: mode tcp in the frontend and the backend, without ssl on bind and without ssl and send-proxy on servers (check-ssl is for checks alone). nginx: stream {} in the place of http {}, without proxy_ssl and proxy_protocol.",
		Needs:  fromConfiguration, Run: lbPassthrough,
	},
	{
		ID: "lb-health-check", Subject: LoadBalancer, Title: "The load balancer asks each API server for /readyz over verified TLS",
		Why:    "Only /readyz tells that an API server is stopping: /healthz and /livez stay green until it no longer listens, and a port that accepts says nothing at all. Unverified, whatever answers on the address counts as an API server.",
		Source: "https://kubernetes.io/docs/reference/using-api/health-checks/",
		Fix:    "HAProxy: option httpchk GET /readyz (/healthz before Kubernetes 1.16), http-check expect status 200, and on the servers: check check-ssl verify required ca-file CA; where API servers take no anonymous requests, crt CLIENT as well. Try it with haproxy -c before you reload.",
		Needs:  fromConfiguration, Run: lbHealthCheck,
	},
	{
		ID: "lb-detection-time", Subject: LoadBalancer, Title: "The load balancer notices a stopping API server before it stops listening",
		Why:    "An API server that gets SIGTERM is unready at once and serves on for --shutdown-delay-duration. A load balancer that notices later than that sends new connections to a port that is closed.",
		Source: "https://kubernetes.io/docs/reference/command-line-tools-reference/kube-apiserver/",
		Fix:    "Set --shutdown-delay-duration of kube-apiserver (1.16 and later) to well above interval times fall of the health check, or check more often.",
		Needs:  fromConfiguration, Run: lbDetectionTime,
	},
	{
		ID: "lb-dead-sessions", Subject: LoadBalancer, Title: "Connections to a dead API server are ended",
		Why:    "A machine that vanishes ends no connection. Clients wait on theirs until something gives up: client-go's pings after 45 s, other clients after the kernel's 15 minutes.",
		Source: "https://docs.haproxy.org/2.8/configuration.html#5.2-on-marked-down",
		Fix:    "HAProxy: on-marked-down shutdown-sessions on the servers, or tcp-ut 30s or less.",
		Needs:  fromConfiguration, Run: lbDeadSessions,
	},
	{
		ID: "lb-idle-timeout", Subject: LoadBalancer, Title: "Idle timeouts of the load balancer outlast a watch",
		Why:    "A watch may be silent until the API server ends it, after up to twice its --min-request-timeout (1800 s). client-go keeps its connections busy with a ping after 30 s of silence; other clients, and kubectl exec over an upgraded connection, do not.",
		Source: "https://kubernetes.io/docs/reference/command-line-tools-reference/kube-apiserver/",
		Fix:    "HAProxy: timeout client and timeout server (or timeout tunnel) of an hour at least; nginx: proxy_timeout.",
		Needs:  fromConfiguration, Run: lbIdleTimeout,
	},
	{
		ID: "lb-connect-timeout", Subject: LoadBalancer, Title: "A client that meets a dead API server is sent to another before it gives up",
		Why:    "The load balancer takes a connection before it has one to a server. A client then waits 10 s for the TLS handshake (client-go) and gives up, while the load balancer may still try a machine that is gone. It meets it again with its next try, until health checks have taken it out; nodes that write no status for 40 s are NotReady.",
		Source: "https://github.com/kubernetes/client-go/blob/master/transport/cache.go",
		Fix:    "HAProxy: timeout connect of 5s or less, option redispatch, and check on the servers. nginx: proxy_connect_timeout of 5s or less (60 s without it), and several servers in the upstream.",
		Needs:  fromConfiguration, Run: lbConnectTimeout,
	},
	{
		ID: "lb-limits", Subject: LoadBalancer, Title: "The load balancer takes as many connections as the cluster has",
		Why:    "Each node keeps several connections to the API for good: those of its kubelet, of kube-proxy, of agents for networks, storage and logs, and in the shared identity those of its pods. After a fault all come anew while the old ones are not yet gone. What is above a limit waits or is refused. By our own rule 10 for each node and 100 beside are enough, and fewer than 4 for each node cannot be.",
		Source: "https://docs.haproxy.org/2.8/configuration.html#3.2-maxconn",
		Fix:    "HAProxy: leave out maxconn, or set it far above what is needed, in global, in the frontend and on the servers; see that the unit's LimitNOFILE is more than twice as much. nginx: worker_connections (a session takes two), worker_rlimit_nofile; no max_conns and limit_conn for the API.",
		Needs:  fromConfiguration, Run: lbLimits,
	},
	{
		ID: "lb-certificate", Subject: LoadBalancer, Title: "Through the load balancer the certificate verifies for its address",
		Why:    "Clients verify the name that they connect to. A serving certificate without the load balancer's address turns all of them away, or makes them skip verification.",
		Source: "https://kubernetes.io/docs/setup/best-practices/certificates/",
		Fix:    "Reissue the serving certificates of the API servers with the load balancer's address and names.",
		Needs:  []evidence.Way{evidence.Machines, evidence.API}, Run: lbCertificate,
	},
	{
		ID: "lb-from-every-node", Subject: LoadBalancer, Title: "Every node reaches the API through the load balancer",
		Why:    "A node that cannot is NotReady as soon as its kubelet reconnects. The classic case is a load balancer that does not send a control-plane node's connection back to that node (no hairpin).",
		Source: "https://kubernetes.io/docs/setup/production-environment/tools/kubeadm/high-availability/",
		Fix:    "Look at routes, packet filters and hairpin mode between the node and the load balancer.",
		Needs:  fromMachines, Run: lbFromEveryNode,
	},
	{
		ID: "lb-address-moves", Subject: LoadBalancer, Title: "What moves the load balancer's address is configured alike on each machine, passwords not compared, and for that address",
		Why:    "keepalived that is installed moves nothing by itself. Where router IDs, peers or authentication differ, no machine hears the other, and both have the address: clients reach now one, now the other, or none. Where the load balancer is not tracked, its machine keeps the address when it has died. kube-vip moves an address among the machines that it is on.",
		Source: "https://www.keepalived.org/manpage.html",
		Fix:    "keepalived: one vrrp_instance with the address that clients use on each machine, with the same virtual_router_id, authentication and advert_int, each other in unicast_peer if there is one, and a track_script that asks the load balancer. kube-vip: the same manifest on each control-plane node, with cp_enable, vip_arp and vip_leaderelection.",
		Needs:  []evidence.Way{evidence.Machines, evidence.Folder, evidence.API}, Run: lbAddressMoves,
	},
	{
		ID: "lb-address-held", Subject: LoadBalancer, Title: "Just one machine has the address that moves",
		Why:    "Where two machines have it, which one a client reaches is chance, and changes under open connections; where none has it, nobody reaches the API through it. VRRP lets both have it for as long as they do not hear each other.",
		Source: "https://www.rfc-editor.org/rfc/rfc9568",
		Fix:    "Look at keepalived's log on the machines that are named, and whether each receives the other's adverts (IP protocol 112). An address that is configured for the interface as well is not keepalived's to take away: remove it there.",
		Needs:  fromMachines, Run: lbAddressHeld,
	},
	{
		ID: "lb-single-point", Subject: LoadBalancer, Title: "The load balancer is more than one machine",
		Why:    "However many API servers there are, kubelets, users and, in the shared identity, pods reach them through the load balancer: without it the control plane is up and out of reach.",
		Source: "https://github.com/kubernetes/kubeadm/blob/main/docs/ha-considerations.md",
		Fix:    "Run a second load balancer and let keepalived (VRRP) move the address, or put one on each node.",
		Needs:  []evidence.Way{evidence.Machines, evidence.Folder, evidence.API}, Run: lbSinglePoint,
	},
}

// A balancer is a load balancer on a machine that was looked at.
type balancer struct {
	*evidence.LoadBalancer
	machine *evidence.Machine
}

func (b balancer) at() at { return at{b.machine.Name, b.Path} }

func (s *Scene) balancers() []balancer {
	var out []balancer
	for _, m := range s.Machines {
		if m.LoadBalancer != nil {
			out = append(out, balancer{m.LoadBalancer, m})
		}
	}
	return out
}

// configured looks at each load balancer's configuration. Where none was seen, it
// says why.
func (s *Scene) configured(look func(balancer) []Finding) []Finding {
	var out []Finding
	for _, b := range s.balancers() {
		if b.Err == evidence.NotInCopy {
			out = append(out, b.at().skip("its configuration is %s", b.Err))
			continue
		}
		if b.Err != "" {
			out = append(out, b.at().unseen("its configuration: "+b.Err))
			continue
		}
		out = append(out, look(b)...)
	}
	if len(s.unled()) == 0 {
		return append(out, s.unseenBalancer()...)
	}
	return out
}

func (s *Scene) unseenBalancer() []Finding {
	if s.Endpoint == "" || !s.Used(fromConfiguration...) {
		return nil // the check's own reason is better
	}
	if m := s.machineOf(s.Endpoint); m != nil && slices.Contains(s.ControlPlane(), m) {
		return []Finding{at{source: s.EndpointSource}.skip("clients reach the API at %s, which is %s itself: no load balancer was seen", s.Endpoint, m.Name)}
	}
	if s.somebodyElses() {
		return []Finding{at{source: s.EndpointSource}.skip("the load balancer %s is somebody else's by the cluster file, and was not looked into", s.Endpoint)}
	}
	return []Finding{at{source: s.EndpointSource}.skip("the load balancer %s is on no machine that was looked at", s.Endpoint)}
}

// missingBalancers are machines that the cluster file wants to balance and that
// were looked into without finding a load balancer.
func (s *Scene) missingBalancers() []Finding {
	var out []Finding
	for _, name := range slices.Concat(s.expectedBalancers(), s.expectedLocals()) {
		if m := s.Machine(name); m != nil && lookedInto(m) && m.LoadBalancer == nil {
			out = append(out, at{name, "cluster file"}.fail("a load balancer", "none was found, running or not"))
		}
	}
	return out
}

// lookedInto tells a machine of which something was seen from one that did not answer.
func lookedInto(m *evidence.Machine) bool {
	return m.Way != evidence.API && (m.Hostname != "" || len(m.Programs) > 0 || len(m.Files) > 0)
}

// orPass is the findings, or a pass where there is nothing to find.
func orPass(found []Finding, a at, observed string, args ...any) []Finding {
	if len(found) == 0 {
		return []Finding{a.pass("%s", fmt.Sprintf(observed, args...))}
	}
	return found
}
