package spec

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// settled reads a file with its defaults, whatever validation says of it.
func settled(t *testing.T, file string, known Known) *Cluster {
	t.Helper()
	c, _, errs := decode([]byte(head+file), false)
	if len(errs) > 0 {
		t.Fatal(errs)
	}
	SetDefaultsFor(c, known)
	return c
}

// Of the other kinds no machine balances the load and nothing else.
func TestDefaultsOfKinds(t *testing.T) {
	nodes := []Node{{"cp-1", RoleControlPlane, "10.10.10.11"}, {"cp-2", RoleControlPlane, "10.10.10.12"},
		{"cp-3", RoleControlPlane, "10.10.10.13"}, {"worker-1", RoleWorker, "10.10.10.21"}}
	dual := []Node{{"cp-1", RoleControlPlane, "10.9.0.11,fd00::11"}}
	tests := map[string]struct {
		spec    string
		known   Known
		address string
		virtual bool
		want    []Node
	}{
		"none is written": {"{}", Known{}, "10.10.10.3", false, append(append([]Node{}, nodes...), Node{"lb-1", RoleLoadBalancer, "10.10.10.3"})},
		"dedicated": {"{loadBalancer: {kind: dedicated}}", Known{}, "10.10.10.3", false,
			append(append([]Node{}, nodes...), Node{"lb-1", RoleLoadBalancer, "10.10.10.3"})},
		"control-plane nodes": {"{loadBalancer: {kind: controlPlane}}", Known{}, "10.10.10.3", true, nodes},
		"control-plane nodes of two families": {"{loadBalancer: {kind: controlPlane}, network: {machineCIDR: '10.9.0.0/24,fd00::/64'}, nodes: [{role: control-plane}]}", Known{},
			"10.9.0.3,fd00::3", true, dual},
		"a node has the third address": {"{loadBalancer: {kind: controlPlane}, nodes: [{role: control-plane, address: 10.10.10.3}]}", Known{},
			"10.10.10.4", true, []Node{{"cp-1", RoleControlPlane, "10.10.10.3"}}},
		"clients know another address": {"{loadBalancer: {kind: controlPlane}}", Known{nodes, "10.10.10.9"}, "10.10.10.9", true, nodes},
		"an external one":              {"{loadBalancer: {kind: external, address: 192.0.2.7}}", Known{}, "192.0.2.7", false, nodes},
		"an external one is nowhere":   {"{loadBalancer: {kind: external}}", Known{nodes, "192.0.2.7"}, "", false, nodes},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			s := settled(t, "spec: "+test.spec, test.known).Spec
			if diff := cmp.Diff(test.want, s.Nodes); diff != "" {
				t.Error(diff)
			}
			if s.LoadBalancer.Address != test.address || s.Virtual() != test.virtual {
				t.Errorf("address %q, virtual %t", s.LoadBalancer.Address, s.Virtual())
			}
		})
	}
}

func TestKindsThatCannotWork(t *testing.T) {
	for name, test := range map[string]struct {
		spec string
		want []string
	}{
		"no kind":                       {"loadBalancer: {kind: cloud}", []string{`spec.loadBalancer.kind: Invalid value: "cloud": must be "dedicated" or "controlPlane" or "external"`}},
		"empty":                         {"loadBalancer: {kind: ''}", []string{`spec.loadBalancer.kind: Invalid value: "": is empty; leave the field out for its default`}},
		"no text":                       {"loadBalancer: {kind: 3}", []string{`spec.loadBalancer.kind: Invalid value: 3: must be a string, and YAML reads it as a number: write "dedicated" or`}},
		"workers' own that are neither": {"loadBalancer: {nodeLocal: 'yes'}", []string{`spec.loadBalancer.nodeLocal: Invalid value: "yes": must be true or false, without quotes`}},
		"workers' own of some":          {"loadBalancer: {nodeLocal: [worker-1]}", []string{`spec.loadBalancer.nodeLocal: Invalid value: a list: must be true or false, without quotes`}},
		"a load balancer beside control-plane nodes": {"loadBalancer: {kind: controlPlane}\n  nodes: [{role: control-plane}, {role: load-balancer}]", []string{
			`spec.nodes[1].role: Invalid value: "load-balancer": with spec.loadBalancer.kind "controlPlane" the control-plane nodes balance the load themselves; remove this node; a new cluster may have it without kind`}},
		"a load balancer beside an external one": {"loadBalancer: {kind: external, address: 192.0.2.7}\n  nodes: [{role: control-plane}, {role: load-balancer}]", []string{
			`with spec.loadBalancer.kind "external" the load balancer is none of haplane's; remove this node`}},
		"the address of a control-plane node": {"loadBalancer: {kind: controlPlane, address: 10.10.10.11}\n  nodes: [{role: control-plane, address: 10.10.10.11}]", []string{
			"spec.loadBalancer.address: Invalid value: \"10.10.10.11\": node cp-1 has this address; the load balancers move one that no machine has"}},
		"ports of control-plane nodes": {"loadBalancer: {kind: controlPlane, port: 10250, additionalPorts: [443, 22, 30443]}", []string{
			"spec.loadBalancer.additionalPorts[1]: Invalid value: 22: is the port of sshd", "spec.loadBalancer.port: Invalid value: 10250: is the port of kubelet",
			"spec.loadBalancer.additionalPorts[2]: Invalid value: 30443: is one of those that kube-proxy takes"}},
		"an address outside that would move": {"loadBalancer: {kind: controlPlane, address: 10.10.11.3}", []string{"is outside of spec.network.machineCIDR"}},
		"an external one without an address": {"loadBalancer: {kind: external}", []string{`spec.loadBalancer.address: Required value: where clients reach the load balancer of kind "external": an IP address such as`}},
		"an external one that is a name":     {"loadBalancer: {kind: external, address: lb.example.com}", []string{"spec.loadBalancer.address: Invalid value: \"lb.example.com\": must be an IP address"}},
		"an external one of another family":  {"loadBalancer: {kind: external, address: '2001:db8::7'}", []string{"must be an address of each family of spec.network.machineCIDR (10.10.10.0/24)"}},
		"an external one of one family more": {"loadBalancer: {kind: external, address: '192.0.2.7,2001:db8::7'}", []string{"must be an address of each family"}},
		"an external one that is a Service":  {"loadBalancer: {kind: external, address: 10.96.0.5}", []string{"spec.loadBalancer.address: Invalid value: \"10.96.0.5\": is in spec.network.serviceCIDR (10.96.0.0/12)"}},
		"an external one that is a pod":      {"loadBalancer: {kind: external, address: '10.10.10.9,fd00:10:244::5'}\n  network: {machineCIDR: '10.10.10.0/24,fd00:10:10:10::/64'}", []string{"is in spec.network.podCIDR ("}},
		"an external one that is the host":   {"loadBalancer: {kind: external, address: 10.10.10.1}", []string{"is the host's own on the bridge"}},
		"an external one that is a node": {"loadBalancer: {kind: external, address: 10.10.10.11}\n  nodes: [{role: control-plane, address: 10.10.10.11}]", []string{
			"node cp-1 has this address; an external load balancer has one of its own"}},
		"no room for a node": {"loadBalancer: {kind: controlPlane}\n  network: {machineCIDR: 10.9.0.0/28}\n  nodes: [{role: control-plane}" + strings.Repeat(", {role: worker}", 12) + "]",
			[]string{"nodes do not fit, the load balancer among them"}},
	} {
		t.Run(name, func(t *testing.T) {
			expect(t, problems(t, head+"spec:\n  "+test.spec+"\n"), test.want...)
		})
	}
}

// Control-plane nodes that balance are as many as it takes for a majority, also where etcd is elsewhere.
func TestMajorityOfControlPlaneNodesThatBalance(t *testing.T) {
	const etcd = ", {role: etcd}, {role: etcd}, {role: etcd}"
	const warning = "spec.nodes: 2 control-plane nodes say by a majority which of them has the address that moves, and tolerate 0 failures, as many as 1 would: use an odd number"
	for name, test := range map[string]struct {
		spec string
		want bool
	}{
		"two, and etcd elsewhere": {"{loadBalancer: {kind: controlPlane}, nodes: [{role: control-plane}, {role: control-plane}" + etcd + "]}", true},
		"three":                   {"{loadBalancer: {kind: controlPlane}, nodes: [{role: control-plane}, {role: control-plane}, {role: control-plane}" + etcd + "]}", false},
		"two with etcd, of which it is said anyway": {"{loadBalancer: {kind: controlPlane}, nodes: [{role: control-plane}, {role: control-plane}]}", false},
		"load balancers of their own":               {"{nodes: [{role: control-plane}, {role: control-plane}, {role: load-balancer}, {role: load-balancer}" + etcd + "]}", false},
	} {
		t.Run(name, func(t *testing.T) {
			got := Warnings(settled(t, "spec: "+test.spec, Known{}))
			if slices.Contains(got, warning) != test.want {
				t.Errorf("%q", got)
			}
		})
	}
}

// Any kind goes with load balancers of workers' own, which nobody has where there is no worker.
func TestNodeLocal(t *testing.T) {
	for name, test := range map[string]struct {
		spec string
		want bool // a warning
	}{
		"dedicated":                {"{loadBalancer: {nodeLocal: true}}", false},
		"on control-plane nodes":   {"{loadBalancer: {kind: controlPlane, nodeLocal: true}}", false},
		"somebody else's":          {"{loadBalancer: {kind: external, address: 192.0.2.7, nodeLocal: true}}", false},
		"ports of a worker's own":  {"{loadBalancer: {port: 10250, additionalPorts: [30443], nodeLocal: true}}", false}, // they are led elsewhere
		"without a worker":         {"{loadBalancer: {nodeLocal: true}, nodes: [{role: control-plane}]}", true},
		"without a worker, and it": {"{nodes: [{role: control-plane}]}", false},
	} {
		t.Run(name, func(t *testing.T) {
			got := strings.Join(Warnings(settled(t, "spec: "+test.spec, Known{})), "\n")
			if strings.Contains(got, "spec.loadBalancer.nodeLocal: there is no worker node") != test.want {
				t.Errorf("%q", got)
			}
		})
	}
}

// A cluster keeps its kind, and is told so once.
func TestKindStays(t *testing.T) {
	of := func(kind string) *Cluster {
		return settled(t, "spec: {loadBalancer: {kind: "+kind+", address: 10.10.10.3}}", Known{})
	}
	for _, kinds := range [][2]string{{"dedicated", "controlPlane"}, {"controlPlane", "dedicated"}, {"dedicated", "external"}, {"external", "dedicated"}, {"external", "controlPlane"}} {
		t.Run(kinds[0]+" to "+kinds[1], func(t *testing.T) {
			err := CheckLive(of(kinds[0]), of(kinds[1]))
			if err == nil {
				t.Fatal("no error")
			}
			expect(t, strings.Split(err.Error(), "\n"), `spec.loadBalancer.kind: "`+kinds[0]+`" to "`+kinds[1]+`": not on a cluster that exists`)
		})
		if err := CheckLive(of(kinds[0]), of(kinds[0])); err != nil {
			t.Errorf("%s to itself: %v", kinds[0], err)
		}
	}
}
