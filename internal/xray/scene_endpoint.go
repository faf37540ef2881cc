package xray

import (
	"maps"
	"net"
	"net/netip"
	"net/url"
	"strings"

	"github.com/haplane/haplane/internal/xray/evidence"
	"github.com/haplane/haplane/spec"
)

// endpoint takes the cluster file's word, else that of most kubeconfigs of nodes,
// else that of the kubeconfig in use.
func (s *Scene) endpoint() (hostPort, source string) {
	if c := s.Expect.Cluster; c != nil && c.Spec.LoadBalancer.Address != "" {
		a, err := netip.ParseAddr(spec.Split(c.Spec.LoadBalancer.Address)[0])
		if err == nil {
			return netip.AddrPortFrom(a, uint16(c.Spec.LoadBalancer.Port)).String(), "cluster file"
		}
	}
	if len(s.rivals()) > 0 {
		return "", ""
	}
	abroad, home := s.votes()
	if shared := s.unowned(abroad); len(shared) > 0 && len(s.ControlPlane()) > 1 && !s.Used(evidence.Machines, evidence.API) {
		abroad = shared // in files alone: kubelets that all lead to one master of several do not make it the load balancer
	}
	if best, where := abroad.most(); best != "" {
		return best, where
	}
	if s.API != nil && HostPort(s.API.Server) != "" && !loopback(HostPort(s.API.Server)) {
		return HostPort(s.API.Server), "kubeconfig"
	}
	return home.most() // a cluster of one node, which is its own endpoint
}

// A poll is host:port with the kubeconfigs that name it.
type poll map[string][]string

func (p poll) most() (best, where string) {
	for hostPort, kubeconfigs := range p {
		n := len(kubeconfigs) - len(p[best])
		if best == "" || n > 0 || n == 0 && hostPort < best {
			best = hostPort
		}
	}
	if best == "" {
		return "", ""
	}
	return best, p[best][0]
}

// unowned leaves of a poll what stays on no machine of the control plane.
func (s *Scene) unowned(p poll) poll {
	out := maps.Clone(p)
	maps.DeleteFunc(out, func(hostPort string, _ []string) bool { return s.owner(hostPort) != nil })
	return out
}

// rivals are two addresses of which nothing tells which one clients use: in files without any
// API server most nodes lead to one and administrators to the other. Either may be a
// master's own.
func (s *Scene) rivals() []string {
	if len(s.ControlPlane()) > 0 || s.Used(evidence.Machines, evidence.API) {
		return nil
	}
	nodes, admins := poll{}, poll{}
	count := func(in poll, m *evidence.Machine, files []string) {
		for _, p := range files {
			if hostPort := HostPort(m.Kubeconfigs[p].Server); hostPort != "" && !loopback(hostPort) && !s.isHome(m, hostPort) {
				in[hostPort] = append(in[hostPort], m.Name+":"+p)
			}
		}
	}
	for _, m := range s.Machines {
		count(nodes, m, kubeconfigsOf(m, evidence.Kubelet, evidence.KubeProxy))
		count(admins, m, adminConfigs(m))
	}
	ofNodes, _ := nodes.most()
	ofAdmins, _ := admins.most()
	if ofNodes == ofAdmins || ofAdmins == "" || len(nodes[ofNodes]) < 2 { // one alone is that node's affair
		return nil
	}
	return sorted([]string{ofNodes, ofAdmins})
}

// votes asks the kubeconfigs of kubelets, kube-proxies and the administrator. Those
// that lead to their own machine do not count: kubeadm has the kubelet of a
// control-plane node use its own API server.
func (s *Scene) votes() (abroad, home poll) {
	abroad, home = poll{}, poll{}
	advertisers := map[string]*evidence.Machine{}
	for _, m := range s.Machines {
		for _, p := range append(kubeconfigsOf(m, evidence.Kubelet, evidence.KubeProxy), adminConfigs(m)...) {
			hostPort := HostPort(m.Kubeconfigs[p].Server)
			if _, known := advertisers[hostPort]; !known {
				advertisers[hostPort] = s.advertiser(hostPort)
			}
			switch where := m.Name + ":" + p; {
			case hostPort == "" || loopback(hostPort):
			case s.isHome(m, hostPort) || advertisers[hostPort] == m:
				home[hostPort] = append(home[hostPort], where)
			default:
				abroad[hostPort] = append(abroad[hostPort], where)
			}
		}
	}
	return abroad, home
}

// HostPort is the host and port of a URL, the port 443 where it has none of its own.
func HostPort(server string) string {
	u, err := url.Parse(server)
	if err != nil || u.Hostname() == "" {
		return ""
	}
	port := u.Port()
	if port == "" {
		port = "443"
	}
	host := u.Hostname()
	if a, err := netip.ParseAddr(host); err == nil {
		host = a.Unmap().String()
	}
	return net.JoinHostPort(host, port)
}

// host is the host of host:port, without brackets.
func host(hostPort string) string {
	i := strings.LastIndex(hostPort, ":")
	if i < 0 {
		return hostPort
	}
	return strings.Trim(hostPort[:i], "[]")
}

func loopback(hostPort string) bool {
	h := host(hostPort)
	a, err := netip.ParseAddr(h)
	return h == "localhost" || err == nil && a.IsLoopback()
}
