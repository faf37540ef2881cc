package render

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/haplane/haplane/internal/pki"
	"github.com/haplane/haplane/internal/topology"
	"github.com/haplane/haplane/spec"
)

func input(c *spec.Cluster, platform Platform) Input {
	in := Input{Topology: topology.New(c), Images: Images{Pause: "example/pause:v1", CoreDNS: "example/coredns:v1"},
		Platforms: map[string]Platform{},
		Keys: pki.Bundle{Pairs: map[string]pki.Pair{}, ServiceAccountKey: []byte("key of sa\n"),
			ServiceAccountPub: []byte("public key of sa\n"), EncryptionKey: []byte("0123456789abcdef0123456789abcdef")}}
	for _, row := range pki.Catalogue(in.Topology) {
		in.Keys.Pairs[row.Name] = pki.Pair{Cert: []byte("certificate " + row.Name + "\n"), Key: []byte("key of " + row.Name + "\n")}
	}
	for _, n := range in.Topology.Nodes {
		in.Platforms[n.Name] = platform
	}
	return in
}

func identity(id spec.Identity) *spec.Cluster {
	c := spec.Default("demo")
	c.Spec.Identity = id
	if id != spec.Shared {
		c.Spec.EndpointReconciler = spec.ReconcilerLease
	}
	return c
}

// Every file of every machine, one golden file per machine:
// UPDATE_GOLDEN=1 go test ./internal/render writes them.
func TestGolden(t *testing.T) {
	local := Platform{Container: true, CgroupV1: true}
	for _, id := range []spec.Identity{spec.Shared, spec.PerNode, spec.SharedCertificate} {
		in := input(identity(id), local)
		for name, m := range Render(in) {
			t.Run(string(id)+"/"+name, func(t *testing.T) {
				golden(t, filepath.Join("testdata", string(id), name+".golden"), text(m))
			})
		}
	}
	t.Run("host", func(t *testing.T) {
		m := Render(input(spec.Default("demo"), Platform{}))["worker-1"]
		golden(t, filepath.Join("testdata", "host", "worker-1.golden"), text(m))
	})
	for name, shape := range shapes {
		in := input(shape.cluster(), local)
		for _, node := range shape.nodes {
			t.Run(name+"/"+node, func(t *testing.T) {
				golden(t, filepath.Join("testdata", name, node+".golden"), text(Render(in)[node]))
			})
		}
	}
	t.Run("manifests", func(t *testing.T) {
		in := input(spec.Default("demo"), local)
		golden(t, filepath.Join("testdata", "manifests.golden"), string(RBAC())+"---\n"+string(CoreDNS(in)))
	})
}

// shapes are clusters that differ from the default one, with the nodes that show how.
var shapes = map[string]struct {
	cluster func() *spec.Cluster
	nodes   []string
}{
	"external-etcd": {func() *spec.Cluster {
		c := &spec.Cluster{}
		for role, n := range map[spec.Role]int{spec.RoleControlPlane: 3, spec.RoleEtcd: 3, spec.RoleWorker: 1} {
			for range n {
				c.Spec.Nodes = append(c.Spec.Nodes, spec.Node{Role: role})
			}
		}
		slices.SortStableFunc(c.Spec.Nodes, func(a, b spec.Node) int { return strings.Compare(string(a.Role), string(b.Role)) })
		spec.SetDefaults(c)
		return c
	}, []string{"cp-1", "etcd-2"}},
	"dual-stack": {func() *spec.Cluster {
		c := &spec.Cluster{}
		c.Spec.Network.MachineCIDR = "10.10.10.0/24,fd00:10:10:10::/64"
		spec.SetDefaults(c)
		return c
	}, []string{"cp-1", "lb-1"}},
	"pair":            {func() *spec.Cluster { return balanced("10.10.10.0/24", 2) }, []string{"cp-1", "lb-1", "lb-2"}},
	"pair-dual-stack": {func() *spec.Cluster { return balanced("10.10.10.0/24,fd00:10:10:10::/64", 2) }, []string{"lb-2"}},
	"pair-ipv6":       {func() *spec.Cluster { return balanced("fd00:10:10:10::/64", 2) }, []string{"lb-1"}},
	"pair-of-one": {func() *spec.Cluster {
		c := balanced("10.10.10.0/24", 2)
		c.Spec.Nodes = slices.DeleteFunc(c.Spec.Nodes, func(n spec.Node) bool { return n.Name == "lb-2" })
		return c
	}, []string{"lb-1"}},
	"on-control-plane":                   {func() *spec.Cluster { return onControlPlane("10.10.10.0/24", spec.Shared) }, []string{"cp-1", "cp-2", "worker-1"}},
	"on-control-plane-perNode":           {func() *spec.Cluster { return onControlPlane("10.10.10.0/24", spec.PerNode) }, []string{"cp-1"}},
	"on-control-plane-sharedCertificate": {func() *spec.Cluster { return onControlPlane("10.10.10.0/24", spec.SharedCertificate) }, []string{"cp-1"}},
	"on-control-plane-ipv6":              {func() *spec.Cluster { return onControlPlane("fd00:10:10:10::/64", spec.Shared) }, []string{"cp-1"}},
	"on-control-plane-dual-stack":        {func() *spec.Cluster { return onControlPlane("10.10.10.0/24,fd00:10:10:10::/64", spec.Shared) }, []string{"cp-2"}},
	"external-balancer":                  {func() *spec.Cluster { return somebodyElses(identity(spec.Shared), "10.20.0.5") }, []string{"cp-1", "worker-1"}},
	"external-balancer-per-node":         {func() *spec.Cluster { return somebodyElses(identity(spec.PerNode), "10.20.0.5") }, []string{"cp-1"}},
	"external-balancer-dual-stack": {func() *spec.Cluster {
		c := &spec.Cluster{}
		c.Spec.Network.MachineCIDR = "10.10.10.0/24,fd00:10:10:10::/64"
		return somebodyElses(c, "10.20.0.5,fd00:20::5")
	}, []string{"cp-1"}},
	"node-local":                   {func() *spec.Cluster { return nodeLocal(identity(spec.Shared)) }, []string{"cp-1", "lb-1", "worker-1"}},
	"node-local-perNode":           {func() *spec.Cluster { return nodeLocal(identity(spec.PerNode)) }, []string{"worker-1"}},
	"node-local-sharedCertificate": {func() *spec.Cluster { return nodeLocal(identity(spec.SharedCertificate)) }, []string{"worker-1"}},
	"node-local-pair-ipv6":         {func() *spec.Cluster { return nodeLocal(balanced("fd00:10:10:10::/64", 2)) }, []string{"worker-1"}},
	"node-local-on-control-plane": {func() *spec.Cluster {
		return nodeLocal(onControlPlane("10.10.10.0/24,fd00:10:10:10::/64", spec.Shared))
	}, []string{"cp-1", "worker-1"}},
	"node-local-external": {func() *spec.Cluster { return nodeLocal(somebodyElses(identity(spec.Shared), "10.20.0.5")) }, []string{"worker-1"}},
	"snapshots": {func() *spec.Cluster {
		c := identity(spec.PerNode)
		c.Spec.Etcd.Snapshots = spec.EtcdSnapshots{Schedule: "0 */6 * * *", Recipients: []string{"age1..."}}
		spec.SetDefaults(c)
		return c
	}, []string{"cp-1"}},
	"other": {func() *spec.Cluster {
		c := &spec.Cluster{}
		c.Spec.ControlPlane.Kubelet = new(false)
		c.Spec.LoadBalancer = spec.LoadBalancer{AdditionalPorts: []int{443}, DNSNames: []string{"api.example.com"}}
		c.Spec.ExtraArgs = map[string]map[string]string{"kube-apiserver": {"audit-log-maxage": "60", "tracing": `a "b" $c 5%`}}
		spec.SetDefaults(c)
		return c
	}, []string{"cp-1", "lb-1"}},
}

// onControlPlane is a cluster whose control-plane nodes are the load balancers.
func onControlPlane(network string, identity spec.Identity) *spec.Cluster {
	c := &spec.Cluster{}
	c.Spec.Network.MachineCIDR, c.Spec.Identity, c.Spec.LoadBalancer.Kind = network, identity, spec.OnControlPlane
	spec.SetDefaults(c)
	return c
}

// nodeLocal is a cluster whose workers have load balancers of their own too, at a second port as well.
func nodeLocal(c *spec.Cluster) *spec.Cluster {
	c.Spec.LoadBalancer.NodeLocal, c.Spec.LoadBalancer.AdditionalPorts = true, []int{8443}
	return c
}

// somebodyElses is a cluster behind a load balancer at an address that is not haplane's to configure.
func somebodyElses(c *spec.Cluster, address string) *spec.Cluster {
	c.Spec.LoadBalancer = spec.LoadBalancer{Kind: spec.ExternalBalancer, Address: address}
	c.Spec.Nodes = nil
	spec.SetDefaults(c)
	return c
}

// An API server is not killed before what it was told to serve on for has passed, and what is under way then.
func TestTimeToStopFollowsTheDelay(t *testing.T) {
	c := identity(spec.Shared)
	c.Spec.ExtraArgs = map[string]map[string]string{"kube-apiserver": {"shutdown-delay-duration": "1m10s"}}
	unit := string(Render(input(c, Platform{}))["cp-1"].Files[topology.UnitDir+"/kube-apiserver.service"].Data)
	if !strings.Contains(unit, "TimeoutStopSec=157\n") || strings.Count(unit, "--shutdown-delay-duration=") != 1 || !strings.Contains(unit, "--shutdown-delay-duration=1m10s") {
		t.Error(unit)
	}
}

// What control-plane nodes have of the load balancer is told by itself: it is all that others' coming and going changes there.
func TestLoadBalancerOfControlPlaneNodesIsAPart(t *testing.T) {
	before := onControlPlane("10.10.10.0/24", spec.Shared)
	after := onControlPlane("10.10.10.0/24", spec.Shared)
	after.Spec.Nodes = append(after.Spec.Nodes, spec.Node{Role: spec.RoleControlPlane, Name: "cp-4", Address: "10.10.10.14"})
	old, next := Render(input(before, Platform{}))["cp-1"], Render(input(after, Platform{}))["cp-1"]
	delete(old.Files, EtcdJoinPath) // it stays as it was when the member began
	delete(next.Files, EtcdJoinPath)
	if diff := cmp.Diff(next.Files, old.WithBalancer(next).Files); diff != "" {
		t.Errorf("differs beside the load balancer:\n%s", diff)
	}
	if diff := cmp.Diff(next.Units, old.WithBalancer(next).Units); diff != "" {
		t.Errorf("units differ beside the load balancer:\n%s", diff)
	}
	part := next.Balancer()
	if len(part.Units) != len(BalancerUnits) || cmp.Equal(part.Files, old.Balancer().Files) {
		t.Errorf("the part has %v and %v", part.Units, part.Files.Paths())
	}
}

// balanced is a cluster with several load balancers.
func balanced(network string, balancers int) *spec.Cluster {
	c := &spec.Cluster{}
	c.Spec.Network.MachineCIDR = network
	c.Spec.Nodes = []spec.Node{{Role: spec.RoleControlPlane}, {Role: spec.RoleWorker}}
	for range balancers {
		c.Spec.Nodes = append(c.Spec.Nodes, spec.Node{Role: spec.RoleLoadBalancer})
	}
	spec.SetDefaults(c)
	return c
}

func text(m Machine) string {
	var w strings.Builder
	for _, p := range m.Files.Paths() {
		f := m.Files[p]
		fmt.Fprintf(&w, "==> %s %04o %s\n%s\n", p, f.Mode, f.OwnerName(), f.Data)
	}
	return w.String()
}

func golden(t *testing.T, file, got string) {
	t.Helper()
	if os.Getenv("UPDATE_GOLDEN") != "" {
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (UPDATE_GOLDEN=1 writes it anew):\n%s", file, diff)
	}
}

// Every example renders, the large ones too: each node gets units, and each member of
// etcd knows all others.
func TestExamplesRender(t *testing.T) {
	files, err := filepath.Glob("../../examples/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			data, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			c, err := spec.Parse(file, data)
			if err != nil {
				t.Fatal(err)
			}
			in := input(c, Platform{})
			machines := Render(in)
			for _, n := range in.Topology.Nodes {
				if len(machines[n.Name].Units) == 0 {
					t.Errorf("%s has no units", n.Name)
				}
			}
			for _, n := range in.Topology.EtcdMembers() {
				unit := string(machines[n.Name].Files[EtcdJoinPath].Data)
				for _, other := range in.Topology.EtcdMembers() {
					if !strings.Contains(unit, other.Name+"="+other.EtcdPeerURL()) {
						t.Errorf("%s does not know %s:\n%s", n.Name, other.Name, unit)
					}
				}
			}
		})
	}
}

// closed are files without a secret that nobody but root reads all the same, as the CIS benchmark wants it.
var closed = []string{"/etc/systemd/system/kubelet.service", "/var/lib/kubelet/config.yaml", "/var/lib/kube-proxy/config.conf"}

func TestKeysAreForTheirOwnerOnly(t *testing.T) {
	for name, m := range Render(input(spec.Default("demo"), Platform{})) {
		for p, f := range m.Files {
			secret := strings.Contains(string(f.Data), "key of ") || strings.Contains(string(f.Data), "client-key-data") ||
				strings.HasSuffix(p, "encryption.yaml") || p == ManifestPath
			if strings.Contains(string(f.Data), "public key") {
				secret = false
			}
			if shut := secret || slices.Contains(closed, p); secret != f.Secret() || shut != (f.Mode&0o077 == 0) || f.OwnerName() != "root" {
				t.Errorf("%s: %s is %04o %s", name, p, f.Mode, f.OwnerName())
			}
		}
	}
}

func TestOnlyTheControlPlaneHasItsKeys(t *testing.T) {
	machines := Render(input(spec.Default("demo"), Platform{}))
	for _, name := range []string{"worker-1", "lb-1"} {
		for p, f := range machines[name].Files {
			for _, row := range []string{pki.CA, pki.EtcdCA, pki.APIServer, pki.SuperAdmin, pki.Admin, "sa"} {
				if string(f.Data) == "key of "+row+"\n" {
					t.Errorf("%s has the key of %s in %s", name, row, p)
				}
			}
		}
	}
	for name, m := range machines {
		for p, f := range m.Files {
			if strings.Contains(string(f.Data), "key of "+pki.SuperAdmin) || string(f.Data) == "key of "+pki.EtcdCA+"\n" {
				t.Errorf("%s has what must stay with the operator in %s", name, p)
			}
		}
	}
}

// What differs between the identities is what the design says, and no more.
func TestIdentitiesDifferInFlagsOfTheAPIServerOnly(t *testing.T) {
	shared := Render(input(identity(spec.Shared), Platform{}))["cp-1"].Files
	certificate := Render(input(identity(spec.SharedCertificate), Platform{}))["cp-1"].Files
	var differ []string
	for _, p := range shared.Paths() {
		if shared[p].Sum() != certificate[p].Sum() {
			differ = append(differ, p)
		}
	}
	want := []string{"/etc/systemd/system/haplane-agent.service", "/etc/systemd/system/kube-apiserver.service"}
	if diff := cmp.Diff(want, differ); diff != "" {
		t.Error(diff)
	}
}
