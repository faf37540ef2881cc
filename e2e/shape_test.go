//go:build e2e

package e2e

import (
	"cmp"
	"crypto/x509"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/haplane/haplane/internal/kubeapi"
	"github.com/haplane/haplane/internal/topology"
	"github.com/haplane/haplane/spec"
)

// checkShape looks at what the identity comes to on every control-plane node, and
// at the members of etcd.
func (c *cluster) checkShape(t *testing.T, topo *topology.Topology) {
	t.Helper()
	roots := c.roots(t)
	for _, n := range topo.ControlPlane() {
		c.checkServing(t, topo, netip.AddrPortFrom(n.Address, topology.APIServerPort), roots)
		c.checkArguments(t, topo, n)
		c.checkEndpointsAt(t, topo, n)
	}
	for _, port := range topo.LBPorts {
		c.checkServing(t, topo, netip.AddrPortFrom(topo.LoadBalancer.Addr(), port), roots)
	}
	c.checkMembers(t, topo)
}

// checkServing looks at the certificate behind an address. It verifies under every
// name of the load balancer, and under the one for clients of a single API server.
func (c *cluster) checkServing(t *testing.T, topo *topology.Topology, at netip.AddrPort, roots *x509.CertPool) {
	t.Helper()
	for _, name := range append([]string{topology.KubernetesName}, topo.LBNames...) {
		cert := presented(t, at.String(), name, roots)
		if got, want := addressesOf(cert), texts(topo.ServingAddresses()); !same(got, want) {
			t.Errorf("%s: addresses in the certificate are %v, want %v", at, got, want)
		}
		if got, want := cert.DNSNames, topo.ServingNames(); !same(got, want) {
			t.Errorf("%s: names in the certificate are %v, want %v", at, got, want)
		}
	}
}

func (c *cluster) checkArguments(t *testing.T, topo *topology.Topology, n topology.Node) {
	t.Helper()
	for unit, wanted := range map[string][]string{
		"kube-apiserver": {"--advertise-address=" + topo.AdvertiseAddress(n).String(),
			"--endpoint-reconciler-type=" + string(topo.Reconciler), "--etcd-servers=" + etcdServers(topo)},
		"kube-scheduler":          {"--leader-elect=true"},
		"kube-controller-manager": {"--leader-elect=true"},
	} {
		args := c.arguments(t, n.Name, unit)
		for _, arg := range wanted {
			if !slices.Contains(args, arg) {
				t.Errorf("%s: %s runs without %s: %v", n.Name, unit, arg, args)
			}
		}
	}
}

// etcdServers is what an API server has to use: the member beside it, or all.
func etcdServers(topo *topology.Topology) string {
	var urls []string
	for _, n := range topo.Nodes {
		if n.Role == spec.RoleEtcd {
			urls = append(urls, "https://"+netip.AddrPortFrom(n.Address, 2379).String())
		}
	}
	return cmp.Or(strings.Join(urls, ","), "https://127.0.0.1:2379")
}

// checkEndpointsAt asks a node's own API server for the endpoints of default/kubernetes.
func (c *cluster) checkEndpointsAt(t *testing.T, topo *topology.Topology, n topology.Node) {
	t.Helper()
	api, err := kubeapi.New(c.config(t, "--node", n.Name))
	if err != nil {
		t.Fatal(err)
	}
	got, err := api.KubernetesEndpoints(background(t))
	if want := texts(topo.KubernetesEndpoints()); err != nil || !same(got, want) {
		t.Errorf("%s: endpoints of default/kubernetes are %v, %v; want %v", n.Name, got, err, want)
	}
}

func (c *cluster) checkMembers(t *testing.T, topo *topology.Topology) {
	t.Helper()
	status, err := c.Status(background(t))
	if err != nil {
		t.Fatal(err)
	}
	var members, wanted []string
	for _, m := range status.Etcd.Members {
		members = append(members, m.Name)
		want(t, "etcd member "+m.Name+" is healthy", is(m.Healthy, true), true)
	}
	for _, n := range topo.EtcdMembers() {
		wanted = append(wanted, n.Name)
	}
	if !same(members, wanted) {
		t.Errorf("etcd members are %v, want %v", members, wanted)
	}
}

func addressesOf(cert *x509.Certificate) []string {
	var out []string
	for _, ip := range cert.IPAddresses {
		a, _ := netip.AddrFromSlice(ip)
		out = append(out, a.Unmap().String())
	}
	return out
}

func texts[T interface{ String() string }](values []T) []string {
	var out []string
	for _, v := range values {
		out = append(out, v.String())
	}
	return out
}
