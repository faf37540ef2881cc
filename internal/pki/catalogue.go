// Package pki owns the keys and certificates of a cluster: a catalogue of
// certificates as rows, and how to issue, keep and verify them. It is pure: the
// time and the source of randomness are passed in, files are somebody else's.
package pki

import (
	"maps"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/haplane/haplane/internal/topology"
	"github.com/haplane/haplane/spec"
)

// Lifetimes. CAs outlive the machines; leaves are renewed every year.
const (
	year       = 365 * 24 * time.Hour
	caLifetime = 10 * year
)

// Names of the authorities, as rows and as file names below the PKI folder.
const (
	CA           = "ca"
	EtcdCA       = "etcd/ca"
	FrontProxyCA = "front-proxy-ca"
)

// Names of leaf certificates that others refer to.
const (
	APIServer              = "apiserver"
	APIServerKubeletClient = "apiserver-kubelet-client"
	APIServerEtcdClient    = "apiserver-etcd-client"
	FrontProxyClient       = "front-proxy-client"
	EtcdHealthcheckClient  = "etcd/healthcheck-client"
	SuperAdmin             = "super-admin"
	Admin                  = "admin"
	ControllerManager      = "controller-manager"
	Scheduler              = "scheduler"
	KubeProxy              = "kube-proxy"
	Flannel                = "flannel"
	Agent                  = "haplane-agent"
)

// AdminGroup is bound to cluster-admin; AgentUser and FlannelUser to what they need.
const (
	AdminGroup        = "haplane:cluster-admins"
	AgentUser         = "haplane-agent"
	FlannelUser       = "flannel"
	KubeletClientUser = "kube-apiserver-kubelet-client"
)

// OfMember are the certificates that a node has for its etcd member, by name.
func OfMember(node string) []string { return []string{EtcdServer(node), EtcdPeer(node)} }

// OfKubelet are the certificates that a node has for its kubelet, by name.
func OfKubelet(node string) []string { return []string{Kubelet(node), KubeletClient(node)} }

// EtcdServer, EtcdPeer, Kubelet and KubeletClient name the certificates of one node.
func EtcdServer(node string) string { return "etcd/server@" + node }

// EtcdPeer is the certificate with which members talk to each other.
func EtcdPeer(node string) string { return "etcd/peer@" + node }

// Kubelet is the serving certificate of a node's kubelet.
func Kubelet(node string) string { return "kubelet@" + node }

// KubeletClient is the identity of a node's kubelet towards the API.
func KubeletClient(node string) string { return "kubelet-client@" + node }

// AuthorityOf is the row that signs a certificate, by the name of that, which may be of a node that is still to come.
func AuthorityOf(leaf string) string {
	switch name, _, _ := strings.Cut(leaf, "@"); name + "@" {
	case APIServerEtcdClient + "@", EtcdHealthcheckClient + "@", EtcdServer(""), EtcdPeer(""):
		return EtcdCA
	case FrontProxyClient + "@":
		return FrontProxyCA
	}
	return CA
}

// Usage is what a certificate may be used for.
type Usage int

// The usages of certificates.
const (
	ForSigning Usage = iota // an authority
	ForServer
	ForClient
	ForBoth // etcd: a member is server and client of its peers and of itself
)

// A Row describes one certificate.
type Row struct {
	Name         string // unique; names the files as well
	CA           string // the row that signs; empty for an authority
	CommonName   string
	Organization []string
	Usage        Usage
	Addresses    []netip.Addr
	DNSNames     []string
	Lifetime     time.Duration
	External     bool // an authority whose key is elsewhere for good
	// Taken are the names and addresses of nodes and of what other certificates are for. Those that the row does not ask for
	// are somebody else's: whoever signs elsewhere must not put them in. Names of the machine that a client is on itself are nobody's.
	Taken []string
}

// names are all that the row asks for.
func (r Row) names() []string {
	out := slices.Clone(r.DNSNames)
	for _, a := range r.Addresses {
		out = append(out, a.String())
	}
	return out
}

// Asks reports whether two rows ask for the same, whoever signs it and however long it lasts.
func (r Row) Asks(o Row) bool {
	return r.CommonName == o.CommonName && r.Usage == o.Usage && slices.Equal(r.Organization, o.Organization) &&
		slices.Equal(r.DNSNames, o.DNSNames) && slices.Equal(r.Addresses, o.Addresses)
}

// Elsewhere reports whether a certificate is signed by an authority whose key is elsewhere for good.
func Elsewhere(rows []Row, name string) bool {
	authority := func(of string) bool {
		return slices.ContainsFunc(rows, func(r Row) bool { return r.Name == of && r.External })
	}
	return slices.ContainsFunc(rows, func(r Row) bool { return r.Name == name && r.CA != "" && authority(r.CA) })
}

// Catalogue lists every certificate of a cluster, authorities first.
func Catalogue(t *topology.Topology) []Row {
	external := func(name string) bool { return slices.Contains(t.ExternalCA, name) }
	rows := []Row{
		{Name: CA, CommonName: "kubernetes", Lifetime: caLifetime, External: external(spec.CA)},
		{Name: EtcdCA, CommonName: "etcd-ca", Lifetime: caLifetime, External: external(spec.EtcdCA)},
		{Name: FrontProxyCA, CommonName: "front-proxy-ca", Lifetime: caLifetime, External: external(spec.FrontProxyCA)},

		{Name: APIServer, CA: AuthorityOf(APIServer), CommonName: "kube-apiserver", Usage: ForServer,
			Addresses: t.ServingAddresses(), DNSNames: t.ServingNames(), Lifetime: year},
		client(APIServerKubeletClient, KubeletClientUser),
		client(APIServerEtcdClient, "kube-apiserver-etcd-client"),
		client(FrontProxyClient, "front-proxy-client"),
		client(EtcdHealthcheckClient, "etcd-healthcheck-client"),

		client(SuperAdmin, "kubernetes-super-admin", "system:masters"),
		client(Admin, "kubernetes-admin", AdminGroup),
		client(ControllerManager, "system:kube-controller-manager"),
		client(Scheduler, "system:kube-scheduler"),
		client(KubeProxy, "system:kube-proxy"),
		client(Flannel, FlannelUser),
		client(Agent, AgentUser),
	}
	for _, n := range t.EtcdMembers() {
		rows = append(rows, etcdMember(EtcdServer(n.Name), n), etcdMember(EtcdPeer(n.Name), n))
	}
	for _, n := range t.KubeletNodes() {
		rows = append(rows,
			client(KubeletClient(n.Name), "system:node:"+n.Name, "system:nodes"),
			Row{Name: Kubelet(n.Name), CA: AuthorityOf(Kubelet(n.Name)), CommonName: n.Name, Usage: ForServer,
				Addresses: n.Addresses, DNSNames: []string{n.Name}, Lifetime: year})
	}
	var taken []string
	for _, n := range t.Nodes {
		taken = append(taken, Row{DNSNames: []string{n.Name}, Addresses: n.Addresses}.names()...)
	}
	return taking(rows, taken)
}

// taking has each row know what the others are for, beside names that are somebody's already.
func taking(rows []Row, taken []string) []Row {
	in := map[string]int{}
	for _, name := range taken {
		in[name] += len(rows) + 1 // whichever rows have it
	}
	for _, r := range rows {
		for _, name := range r.names() {
			in[name]++
		}
	}
	all := slices.DeleteFunc(slices.Sorted(maps.Keys(in)), loopback)
	for i := range rows {
		rows[i].Taken = all
		own := rows[i].names()
		alone := func(name string) bool { return in[name] == 1 && slices.Contains(own, name) }
		if slices.ContainsFunc(own, alone) {
			rows[i].Taken = slices.DeleteFunc(slices.Clone(all), alone)
		}
	}
	return rows
}

// loopback reports whether a name is of the machine on which it is asked for.
func loopback(name string) bool {
	a, err := netip.ParseAddr(name)
	return name == "localhost" || err == nil && a.IsLoopback()
}

func client(name, user string, groups ...string) Row {
	return Row{Name: name, CA: AuthorityOf(name), CommonName: user, Organization: groups, Usage: ForClient, Lifetime: year}
}

func etcdMember(name string, n topology.Node) Row {
	return Row{Name: name, CA: AuthorityOf(name), CommonName: n.Name, Usage: ForBoth,
		Addresses: append(slices.Clone(n.Addresses), netip.AddrFrom4([4]byte{127, 0, 0, 1})),
		DNSNames:  []string{n.Name, "localhost"}, Lifetime: year}
}
