package xray

import (
	"slices"

	corev1 "k8s.io/api/core/v1"

	"github.com/haplane/haplane/internal/xray/evidence"
)

// A Picture is the cluster as it was seen, for drawing.
type Picture struct {
	Endpoint         string                `json:"endpoint,omitempty"` // host:port under which clients reach the API
	ServiceIP        string                `json:"serviceIP,omitempty"`
	ServiceEndpoints []string              `json:"serviceEndpoints,omitempty"` // nil where they were not seen
	LoadBalancers    []PictureLoadBalancer `json:"loadBalancers,omitempty"`
	APIServers       []PictureAPIServer    `json:"apiServers,omitempty"`
	EtcdMembers      []PictureEtcdMember   `json:"etcdMembers,omitempty"`
	Leaders          map[string]string     `json:"leaders,omitempty"` // lease to the node that holds it
	Nodes            []PictureNode         `json:"nodes,omitempty"`
}

// A PictureLoadBalancer is one machine that balances.
type PictureLoadBalancer struct {
	Node      string   `json:"node"`
	Kind      string   `json:"kind"`
	Frontends []string `json:"frontends,omitempty"`
	Backends  []string `json:"backends,omitempty"` // host:port
	Down      []string `json:"down,omitempty"`     // of those, what it sends nothing to
	Local     bool     `json:"local,omitempty"`    // for its own machine and the pods there alone, beside others for all
}

// A PictureAPIServer is one API server.
type PictureAPIServer struct {
	Node        string   `json:"node"`
	Addresses   []string `json:"addresses,omitempty"`
	Advertised  string   `json:"advertised,omitempty"`
	Names       []string `json:"names,omitempty"` // of its serving certificate
	Fingerprint string   `json:"fingerprint,omitempty"`
	EtcdServers []string `json:"etcdServers,omitempty"`
	Version     string   `json:"version,omitempty"`
	Ready       *bool    `json:"ready,omitempty"`   // as the verdict counts it; nil where it was not seen
	Elected     []string `json:"elected,omitempty"` // programs that elect a leader and were seen beside it
}

// A PictureEtcdMember is one of the member list, or a machine that runs one.
type PictureEtcdMember struct {
	Name    string `json:"name"`
	Node    string `json:"node,omitempty"` // "": no machine that was looked at
	Leader  bool   `json:"leader"`
	Learner bool   `json:"learner"`
	Version string `json:"version,omitempty"`
	Healthy *bool  `json:"healthy,omitempty"` // nil where it did not answer
	// ClientURLs are where it answers, by the member list.
	ClientURLs []string `json:"clientURLs,omitempty"`
}

// A PictureNode is a node of the cluster, or a machine with a kubelet.
type PictureNode struct {
	Name         string `json:"name"`
	ControlPlane bool   `json:"controlPlane"`
	Server       string `json:"server,omitempty"` // of its kubelet
	Ready        *bool  `json:"ready,omitempty"`
}

func (s *Scene) picture() Picture {
	p := Picture{Endpoint: s.Endpoint, ServiceEndpoints: s.endpointAddresses(), EtcdMembers: s.pictureEtcd(), Nodes: s.pictureNodes(), Leaders: s.pictureLeaders()}
	if s.API != nil && s.API.Endpoints != nil && p.ServiceEndpoints == nil {
		p.ServiceEndpoints = []string{}
	}
	if s.ServiceIP.IsValid() {
		p.ServiceIP = s.ServiceIP.String()
	}
	for _, b := range s.balancers() {
		one := pictureLoadBalancer(b.machine.Name, b.LoadBalancer)
		one.Local = s.led(b)
		p.LoadBalancers = append(p.LoadBalancers, one)
	}
	for _, m := range s.ControlPlane() {
		p.APIServers = append(p.APIServers, s.pictureAPIServer(m))
	}
	return p
}

func pictureLoadBalancer(node string, lb *evidence.LoadBalancer) PictureLoadBalancer {
	out := PictureLoadBalancer{Node: node, Kind: lb.Kind, Frontends: lb.Frontends}
	for _, b := range lb.Backends {
		if !slices.Contains(out.Backends, b.Address) {
			out.Backends = append(out.Backends, b.Address)
		}
	}
	for _, b := range lb.State {
		if !b.Up() && !b.Backup {
			out.Down = append(out.Down, b.Address)
		}
	}
	return out
}

func (s *Scene) pictureAPIServer(m *evidence.Machine) PictureAPIServer {
	out := PictureAPIServer{Node: m.Name}
	for _, a := range m.Addresses {
		out.Addresses = append(out.Addresses, a.String())
	}
	if a := m.Program(evidence.APIServer); a != nil {
		out.Advertised, out.EtcdServers, out.Version = a.FlagOr("advertise-address", ""), a.List("etcd-servers"), a.Version
		cert := s.servingCertificate(Instance{a, m})
		out.Names, out.Fingerprint = cert.Names(), cert.Fingerprint()
	}
	for _, name := range elected {
		if m.Program(name) != nil {
			out.Elected = append(out.Elected, name)
		}
	}
	if server := s.Server(m.Name); server != nil && server.Version != "" {
		out.Version = server.Version
	}
	if standing, _ := s.counts(m.Name, failedOn(oneStore(s))); standing != notSeen {
		out.Ready = new(standing == serves)
	}
	return out
}

// pictureLeaders names leaders as their machines are named.
func (s *Scene) pictureLeaders() map[string]string {
	out := s.leaders()
	for lease, name := range out {
		if m := s.Machine(name); m != nil {
			out[lease] = m.Name
		}
	}
	return out
}

func (s *Scene) pictureEtcd() []PictureEtcdMember {
	var out []PictureEtcdMember
	for _, member := range s.etcdMembers() {
		one := PictureEtcdMember{Name: member.Name, Learner: member.Learner, ClientURLs: member.ClientURLs}
		for _, m := range s.Machines {
			if m.Etcd != nil && m.Etcd.Err == "" && m.Etcd.ID == member.ID {
				one.Node, one.Version, one.Healthy, one.Leader = m.Name, m.Etcd.Version, m.Etcd.Healthy, m.Etcd.Leader == member.ID
			}
		}
		out = append(out, one)
	}
	return out
}

// etcdMembers is the list of members that counts.
func (s *Scene) etcdMembers() []evidence.EtcdMember {
	teller, ok := s.etcdTeller()
	if !ok {
		return nil
	}
	return teller.Members
}

func (s *Scene) pictureNodes() []PictureNode {
	var out []PictureNode
	if s.API != nil {
		for _, n := range s.API.Nodes {
			if s.MachineOf(n) == nil {
				out = append(out, PictureNode{Name: n.Name, ControlPlane: IsControlPlane(n), Ready: new(isReady(n))})
			}
		}
	}
	for _, m := range s.Machines {
		n := s.NodeOf(m)
		if n == nil && m.Program(evidence.Kubelet) == nil {
			continue
		}
		one := PictureNode{Name: m.Name, ControlPlane: slices.Contains(s.ControlPlane(), m)}
		if n != nil {
			one.Ready = new(isReady(*n))
		}
		for _, path := range kubeconfigsOf(m, evidence.Kubelet) {
			one.Server = m.Kubeconfigs[path].Server
		}
		out = append(out, one)
	}
	return out
}

func isReady(n corev1.Node) bool {
	return slices.ContainsFunc(n.Status.Conditions, func(c corev1.NodeCondition) bool {
		return c.Type == corev1.NodeReady && c.Status == corev1.ConditionTrue
	})
}
