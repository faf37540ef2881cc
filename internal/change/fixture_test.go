package change

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/haplane/haplane/internal/fileset"
	"github.com/haplane/haplane/internal/observed"
	"github.com/haplane/haplane/internal/render"
	"github.com/haplane/haplane/internal/topology"
	"github.com/haplane/haplane/spec"
)

// wanted is the topology of nodes written as their names: cp-1, worker-2, etcd-1.
func wanted(t *testing.T, names ...string) *topology.Topology {
	t.Helper()
	return wantedOf(t, spec.Dedicated, names...)
}

// wantedOf is wanted with load balancers of a kind.
func wantedOf(t *testing.T, kind spec.BalancerKind, names ...string) *topology.Topology {
	t.Helper()
	c := &spec.Cluster{APIVersion: spec.APIVersion, Kind: spec.Kind}
	if c.Spec.LoadBalancer.Kind = kind; kind == spec.ExternalBalancer {
		c.Spec.LoadBalancer.Address = "10.20.0.5"
	}
	for _, name := range names {
		c.Spec.Nodes = append(c.Spec.Nodes, nodeOf(name))
	}
	spec.SetDefaults(c)
	if errs := spec.Validate(c); len(errs) > 0 {
		t.Fatal(errs)
	}
	return topology.New(c)
}

func nodeOf(name string) spec.Node {
	prefix, number, _ := strings.Cut(name, "-")
	role := map[string]spec.Role{"cp": spec.RoleControlPlane, "worker": spec.RoleWorker, "etcd": spec.RoleEtcd, "lb": spec.RoleLoadBalancer}[prefix]
	base := map[string]int{"cp": 11, "worker": 61, "etcd": 111, "lb": 3}[prefix]
	var n int
	fmt.Sscan(number, &n)
	return spec.Node{Name: name, Role: role, Address: fmt.Sprintf("10.10.10.%d", base+n-1)}
}

// pair is wanted with two load balancers, lb-1 at .4 and lb-2 at .5, that move .3 between them.
func pair(t *testing.T, names ...string) *topology.Topology {
	t.Helper()
	out := wanted(t, append(names, "lb-2", "lb-3")...)
	for i, n := range out.Nodes {
		if n.Role == spec.RoleLoadBalancer {
			out.Nodes[i].Name = map[string]string{"lb-2": "lb-1", "lb-3": "lb-2"}[n.Name]
		}
	}
	return out
}

// units are those that package render gives the roles, as far as they matter here.
var units = map[spec.Role][]string{
	spec.RoleControlPlane: {"etcd", "kube-apiserver", "kube-scheduler", "kubelet"},
	spec.RoleWorker:       {"kubelet"}, spec.RoleEtcd: {"etcd"}, spec.RoleLoadBalancer: {"haproxy"},
}

func desired(t *topology.Topology) map[string]render.Machine {
	out := map[string]render.Machine{}
	for _, n := range t.Nodes {
		m := render.Machine{Files: fileset.New(fileset.File{Path: "/etc/file", Mode: 0o644, Data: []byte("new")},
			fileset.File{Path: servingCertificate, Mode: 0o644, Data: []byte("certificate")})}
		programs := units[n.Role]
		if n.Role == spec.RoleLoadBalancer && t.Virtual {
			programs = append(slices.Clone(programs), "haplane-balancer", "keepalived")
			m.Files.Add(fileset.File{Path: render.ElectorateFile, Mode: 0o644, Data: []byte("voters")})
			m.Files.Add(fileset.File{Path: "/etc/keepalived", Mode: 0o644, Data: []byte(strings.Join(nodeNames(t.LoadBalancers()), " "))})
		}
		if n.Role == spec.RoleControlPlane && t.Balances(n) {
			programs = append(slices.Clone(programs), render.BalancerUnits...)
			for _, file := range []string{"/etc/haproxy/haproxy.cfg", "/etc/keepalived/keepalived.conf", render.ElectorateFile} {
				m.Files.Add(fileset.File{Path: file, Mode: 0o644, Data: []byte(strings.Join(nodeNames(t.LoadBalancers()), " "))})
			}
		}
		if t.BalancesLocally(n) {
			programs = append([]string{"haproxy"}, programs...)
			m.Files.Add(localConfig(nodeNames(t.ControlPlane())))
		}
		for _, u := range programs {
			if u == "etcd" && !t.HasEtcdMember(n) {
				continue
			}
			config := "new"
			if u == "kube-apiserver" && t.ExternalEtcd() {
				config = "asks machines of etcd's own"
			}
			m.Units = append(m.Units, render.Unit{Name: u, Config: config})
			m.Files.Add(fileset.File{Path: "/etc/systemd/system/" + u + ".service", Mode: 0o644, Data: []byte(config)})
		}
		m.Files.AddManifest("/etc/manifest")
		out[n.Name] = m
	}
	return out
}

// localConfig is what a worker's own load balancer goes by.
func localConfig(backends []string) fileset.File {
	return fileset.File{Path: "/etc/haproxy/haproxy.cfg", Mode: 0o644, Data: []byte(strings.Join(backends, " "))}
}

// healthy is a cluster of a topology that lacks nothing, and its record.
func healthy(t *topology.Topology) Input {
	in := Input{Wanted: t, Desired: desired(t), Observed: observed.State{APISeen: true, Machines: map[string]observed.Machine{},
		APIServers: map[string]observed.APIServer{}, Balancers: map[string]observed.Balancer{}, Nodes: map[string]observed.Node{}}}
	in.Observed.Etcd = observed.Etcd{Seen: true, Quorum: true}
	for _, n := range t.Nodes {
		in.Record = append(in.Record, Node{Node: n, State: Active})
		m := observed.Machine{Made: true, Running: true, Reachable: true, Files: map[string]fileset.State{}, Units: map[string]observed.Unit{}}
		for path, f := range in.Desired[n.Name].Files {
			m.Files[path] = fileset.State{Mode: f.Mode, Owner: "root", Sum: f.Sum()}
		}
		for _, u := range in.Desired[n.Name].Units {
			m.Units[u.Name] = observed.Unit{Active: true, Config: u.Config}
		}
		m.Manifest = string(in.Desired[n.Name].Files["/etc/manifest"].Data)
		in.Observed.Machines[n.Name] = m
		if t.RunsKubelet(n) {
			in.Observed.Nodes[n.Name] = observed.Node{Ready: true}
		}
		if n.Role == spec.RoleControlPlane {
			in.Observed.APIServers[n.Name] = observed.APIServer{Ready: true}
		}
	}
	for i, n := range t.EtcdMembers() {
		in.Observed.Etcd.Members = append(in.Observed.Etcd.Members, observed.Member{ID: uint64(i + 1), Name: n.Name,
			PeerURLs: []string{n.EtcdPeerURL()}, Healthy: true, Leader: i == 0})
	}
	return in
}

// become is what makes a healthy cluster of some nodes one of others.
func become(t *testing.T, from, to []string) Input {
	t.Helper()
	return becomeOf(t, spec.Dedicated, from, to)
}

func becomeOf(t *testing.T, kind spec.BalancerKind, from, to []string) Input {
	t.Helper()
	in, next := healthy(wantedOf(t, kind, from...)), wantedOf(t, kind, to...)
	in.Wanted, in.Desired = next, desired(next)
	return in
}

// becomeLocal is becomeOf where workers had, or are to have, load balancers of their own.
func becomeLocal(t *testing.T, kind spec.BalancerKind, from, to []string, had, have bool) Input {
	t.Helper()
	was, next := wantedOf(t, kind, from...), wantedOf(t, kind, to...)
	was.NodeLocal, next.NodeLocal = had, have
	in := healthy(was)
	in.Wanted, in.Desired = next, desired(next)
	return in
}

// dies takes a machine's power and all that ran there.
func dies(in *Input, node string, gone bool) {
	in.Observed.Machines[node] = observed.Machine{Made: !gone}
	in.Observed.APIServers[node] = observed.APIServer{Error: "no route"}
	for i := range in.Observed.Etcd.Members {
		if m := &in.Observed.Etcd.Members[i]; m.Name == node {
			m.Healthy, m.Leader, m.Error = false, false, "no route"
		}
	}
}

// ids are the steps of a plan in their order.
func ids(c *Change) []string {
	var out []string
	for _, s := range c.Steps {
		out = append(out, s.ID)
	}
	return out
}

// before fails the test unless every step is planned, and comes before the next.
func before(t *testing.T, c *Change, order ...string) {
	t.Helper()
	for i, one := range order {
		if _, ok := c.Step(one); !ok {
			t.Fatalf("no step %s in\n%s", one, strings.Join(ids(c), "\n"))
		}
		if i > 0 && !reaches(c, one, order[i-1]) {
			t.Errorf("%s does not wait for %s", one, order[i-1])
		}
	}
}

// reaches reports whether a step waits for another one, directly or not.
func reaches(c *Change, from, to string) bool {
	seen := map[string]bool{} // ways to a step are many
	var walk func(step string) bool
	walk = func(step string) bool {
		s, _ := c.Step(step)
		return slices.ContainsFunc(s.Needs, func(need string) bool {
			if need == to || seen[need] {
				return need == to
			}
			seen[need] = true
			return walk(need)
		})
	}
	return walk(from)
}
