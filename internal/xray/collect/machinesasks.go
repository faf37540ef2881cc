package collect

import (
	"net"
	"net/netip"
	"slices"
	"strings"

	"github.com/haplane/haplane/internal/xray"
	"github.com/haplane/haplane/internal/xray/evidence"
)

// An ask is a request that a machine makes with curl.
type ask struct {
	request evidence.Request // to be completed by the answer
	trust   trust
	args    []string
}

// localServerName is the name in every API server's certificate.
const localServerName = "kubernetes.default"

// asks are the requests that tell what a machine reaches.
func (h *host) asks(serviceIP netip.Addr) []ask {
	var out []ask
	if node := h.program(evidence.Kubelet); node != nil && node.Running {
		trust := h.trustOfClients()
		if server := h.throughBalancer(); server != "" && trust.known() {
			out = append(out, ask{request: evidence.Request{Purpose: evidence.ThroughLoadBalancer, URL: server + "/readyz"}, trust: trust})
		}
		if serviceIP.IsValid() && trust.known() {
			out = append(out, ask{request: evidence.Request{Purpose: evidence.ThroughService,
				URL: "https://" + net.JoinHostPort(serviceIP.String(), "443") + "/readyz"}, trust: trust})
		}
	}
	if a := h.program(evidence.APIServer); a != nil && h.trustOfServers().known() {
		out = append(out, h.askLocal(a))
	}
	if a := h.program(evidence.HaplaneAgent); a != nil && a.Running {
		url := "http://" + a.FlagOr("listen", "127.0.0.1:10271") + "/healthz"
		out = append(out, ask{request: evidence.Request{Purpose: evidence.AgentHealth, URL: url}})
	}
	if p := h.program(evidence.HaplaneSnapshots); p != nil && p.Running {
		url := "http://" + p.FlagOr("listen", "127.0.0.1:10272") + "/healthz"
		out = append(out, ask{request: evidence.Request{Purpose: evidence.SnapshotHealth, URL: url}})
	}
	return out
}

func (h *host) program(name string) *located { return named(h.programs, name) }

// kubeconfigOf is the kubeconfig of a program, as far as it was read.
func (h *host) kubeconfigOf(p *located) (evidence.Kubeconfig, bool) {
	for _, s := range settings(p) {
		if s.name == "kubeconfig" {
			k, ok := h.machine.Kubeconfigs[s.value]
			return k, ok && k.Err == ""
		}
	}
	return evidence.Kubeconfig{}, false
}

// throughBalancer is the server that kubelet, kube-proxy and administrator use and
// that is not of this machine. One that is counts where a load balancer runs beside.
func (h *host) throughBalancer() string {
	var servers []string
	for _, name := range []string{evidence.Kubelet, evidence.KubeProxy} {
		if p := h.program(name); p != nil {
			if k, ok := h.kubeconfigOf(p); ok {
				servers = append(servers, k.Server)
			}
		}
	}
	servers = append(servers, h.machine.Kubeconfigs["/etc/kubernetes/admin.conf"].Server)
	servers = slices.DeleteFunc(servers, func(s string) bool { return xray.HostPort(s) == "" })
	if i := slices.IndexFunc(servers, func(s string) bool { return !h.isOwn(s) }); i >= 0 {
		return strings.TrimSuffix(servers[i], "/")
	}
	for _, server := range servers { // kubelets may ask the API server beside them
		if at, err := netip.ParseAddrPort(xray.HostPort(server)); err == nil && h.machine.LoadBalancer != nil && slices.Contains(h.machine.LoadBalancer.Frontends, at.String()) {
			return strings.TrimSuffix(server, "/")
		}
	}
	if len(servers) > 0 && h.machine.LoadBalancer != nil {
		return strings.TrimSuffix(servers[0], "/")
	}
	return ""
}

// isOwn tells a server on this machine itself.
func (h *host) isOwn(server string) bool {
	name, _, _ := net.SplitHostPort(xray.HostPort(server))
	a, err := netip.ParseAddr(name)
	if err != nil {
		return name == "localhost" || name == h.machine.Hostname
	}
	return a.IsLoopback() || slices.Contains(h.machine.Addresses, a)
}

// askLocal asks the API server under the name that all of them have.
func (h *host) askLocal(a *located) ask {
	address, port := a.FlagOr("bind-address", "0.0.0.0"), a.FlagOr("secure-port", "6443")
	if ip, err := netip.ParseAddr(address); err != nil || ip.IsUnspecified() {
		address = "127.0.0.1"
	}
	hostPort := net.JoinHostPort(address, port)
	return ask{
		request: evidence.Request{Purpose: evidence.LocalAPIServer, URL: "https://" + hostPort + "/readyz", ServerName: localServerName},
		trust:   h.trustOfServers(),
		args:    []string{"--connect-to", net.JoinHostPort(localServerName, port) + ":" + hostPort},
	}
}

// serviceIP is the first address of the service network of an API server: of its flag, else
// of what kube-apiserver takes without it.
func (h *host) serviceIP() netip.Addr {
	if a := h.program(evidence.APIServer); a != nil {
		for _, text := range append(a.List("service-cluster-ip-range"), "10.0.0.0/24") {
			if p, err := netip.ParsePrefix(text); err == nil {
				return p.Masked().Addr().Next()
			}
		}
	}
	return netip.Addr{}
}
