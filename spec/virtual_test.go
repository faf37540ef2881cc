package spec

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// Several load balancers have addresses of their own, and one beside them that they move.
func TestSeveralLoadBalancers(t *testing.T) {
	balancer := func(name, address string) Node { return Node{name, RoleLoadBalancer, address} }
	const pair = "nodes: [{role: control-plane}, {role: load-balancer}, {role: load-balancer}]"
	cp := Node{"cp-1", RoleControlPlane, "10.10.10.11"}
	tests := map[string]struct {
		spec    string
		known   Known
		address string
		want    []Node
	}{
		"by default": {pair, Known{}, "10.10.10.3", []Node{balancer("lb-1", "10.10.10.4"), balancer("lb-2", "10.10.10.5")}},
		"two families": {"network: {machineCIDR: '10.9.0.0/24,fd00::/64'}\n  nodes: [{role: control-plane, address: '10.9.0.11,fd00::11'}, {role: load-balancer}, {role: load-balancer}]", Known{},
			"10.9.0.3,fd00::3", []Node{balancer("lb-1", "10.9.0.4,fd00::4"), balancer("lb-2", "10.9.0.5,fd00::5")}},
		"the address is written": {"loadBalancer: {address: 10.10.10.4}\n  " + pair, Known{}, "10.10.10.4",
			[]Node{balancer("lb-1", "10.10.10.3"), balancer("lb-2", "10.10.10.5")}},
		"a machine has the first one": {"nodes: [{role: control-plane}, {role: load-balancer, address: 10.10.10.3}, {role: load-balancer}]", Known{}, "10.10.10.4",
			[]Node{balancer("lb-1", "10.10.10.3"), balancer("lb-2", "10.10.10.5")}},
		"one becomes two: its address becomes the one that moves": {pair, Known{[]Node{cp, balancer("lb-1", "10.10.10.3")}, "10.10.10.3"}, "10.10.10.3",
			[]Node{balancer("lb-1", "10.10.10.4"), balancer("lb-2", "10.10.10.5")}},
		"the same with IPv6": {"network: {machineCIDR: 'fd00::/64'}\n  " + pair, Known{[]Node{{"cp-1", RoleControlPlane, "fd00::11"}, balancer("lb-1", "fd00::3")}, "fd00::3"}, "fd00::3",
			[]Node{balancer("lb-1", "fd00::4"), balancer("lb-2", "fd00::5")}},
		"the same with both families": {"network: {machineCIDR: '10.9.0.0/24,fd00::/64'}\n  " + pair,
			Known{[]Node{{"cp-1", RoleControlPlane, "10.9.0.11,fd00::11"}, balancer("lb-1", "10.9.0.3,fd00::3")}, "10.9.0.3,fd00::3"}, "10.9.0.3,fd00::3",
			[]Node{balancer("lb-1", "10.9.0.4,fd00::4"), balancer("lb-2", "10.9.0.5,fd00::5")}},
		"a third": {"nodes: [{role: control-plane}, {role: load-balancer}, {role: load-balancer}, {role: load-balancer}]",
			Known{[]Node{cp, balancer("lb-1", "10.10.10.4"), balancer("lb-2", "10.10.10.5")}, "10.10.10.3"}, "10.10.10.3",
			[]Node{balancer("lb-1", "10.10.10.4"), balancer("lb-2", "10.10.10.5"), balancer("lb-3", "10.10.10.6")}},
		"one is left, and keeps the address that moved": {"nodes: [{role: control-plane}, {role: load-balancer, name: lb-2}]",
			Known{[]Node{cp, balancer("lb-1", "10.10.10.4"), balancer("lb-2", "10.10.10.5")}, "10.10.10.3"}, "10.10.10.3", []Node{balancer("lb-2", "10.10.10.5")}},
		"and when that is written": {"loadBalancer: {address: 10.10.10.3}\n  nodes: [{role: control-plane}]",
			Known{[]Node{cp, balancer("lb-2", "10.10.10.5")}, "10.10.10.3"}, "10.10.10.3", []Node{balancer("lb-2", "10.10.10.5")}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			c, err := ParseFor("f.yaml", []byte(head+"spec:\n  "+test.spec+"\n"), test.known)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, c.Spec.nodesOf(RoleLoadBalancer)); diff != "" {
				t.Error(diff)
			}
			if c.Spec.LoadBalancer.Address != test.address {
				t.Errorf("spec.loadBalancer.address is %s, want %s", c.Spec.LoadBalancer.Address, test.address)
			}
			if !c.Spec.Virtual() {
				t.Error("the address is not virtual")
			}
			if test.known.Nodes != nil {
				before := *c
				before.Spec.Nodes, before.Spec.LoadBalancer.Address = test.known.Nodes, test.known.Address
				if err := CheckLive(&before, c); err != nil {
					t.Error(err)
				}
			}
		})
	}
}

// The address that load balancers move stays what clients know.
func TestVirtualAddressStays(t *testing.T) {
	known := Known{[]Node{{"cp-1", RoleControlPlane, "10.10.10.11"}, {"lb-1", RoleLoadBalancer, "10.10.10.4"}, {"lb-2", RoleLoadBalancer, "10.10.10.5"}}, "10.10.10.3"}
	read := func(spec string) *Cluster {
		c, err := ParseFor("f.yaml", []byte(head+"spec:\n  "+spec+"\n"), known)
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	before := read("nodes: [{role: control-plane}, {role: load-balancer}, {role: load-balancer}]")
	for name, after := range map[string]string{
		"another one":   "loadBalancer: {address: 10.10.10.9}\n  nodes: [{role: control-plane}, {role: load-balancer}, {role: load-balancer}]",
		"one machine's": "loadBalancer: {address: 10.10.10.4}\n  nodes: [{role: control-plane}, {role: load-balancer, name: lb-1}]",
	} {
		t.Run(name, func(t *testing.T) {
			err := CheckLive(before, read(after))
			if err == nil {
				t.Fatal("no error")
			}
			expect(t, []string{err.Error()}, "spec.loadBalancer.address")
		})
	}
}

// One that gives its address away cannot leave in the same change: nobody would talk to it.
func TestLoadBalancerThatGivesItsAddressAwayStays(t *testing.T) {
	known := Known{[]Node{{"cp-1", RoleControlPlane, "10.10.10.11"}, {"lb-1", RoleLoadBalancer, "10.10.10.3"}}, "10.10.10.3"}
	read := func(spec string) *Cluster {
		c, err := ParseFor("f.yaml", []byte(head+"spec:\n  "+spec+"\n"), known)
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	err := CheckLive(read("nodes: [{role: control-plane}]"), read("nodes: [{role: control-plane}, {role: load-balancer, name: lb-2}, {role: load-balancer, name: lb-3}]"))
	if err == nil {
		t.Fatal("no error")
	}
	expect(t, []string{err.Error()}, "add these first, and remove it in a second change")
}

// A second load balancer is added to files of all kinds that name the first one's address.
func TestSecondLoadBalancerBesideOneThatIsNamed(t *testing.T) {
	for name, file := range map[string]string{
		"all defaults written": DefaultFile,
		"in a flow":            head + "spec: {nodes: [{role: control-plane}, {role: load-balancer, name: lb-1, address: 10.10.10.3}]}\n",
		"JSON":                 `{"apiVersion": "haplane/v1alpha1", "kind": "Cluster", "spec": {"nodes": [{"role": "control-plane"}, {"role": "load-balancer", "address": "10.10.10.3"}]}}`,
		"the address alone":    head + "spec:\n  loadBalancer:\n    address: 10.10.10.3\n  nodes:\n  - role: control-plane\n",
	} {
		t.Run(name, func(t *testing.T) {
			one, err := Parse("f.yaml", []byte(file))
			if err != nil {
				t.Fatal(err)
			}
			text, err := AddNodes([]byte(file), []Node{{Name: "lb-2", Role: RoleLoadBalancer}}, one)
			if err != nil {
				t.Fatal(err)
			}
			two, err := ParseFor("f.yaml", text, knownOf(one))
			if err != nil {
				t.Fatalf("%v:\n%s", err, text)
			}
			if n, _ := two.Spec.node("lb-1"); n.Address != "10.10.10.4" || two.Spec.LoadBalancer.Address != "10.10.10.3" || !two.Spec.Virtual() {
				t.Errorf("lb-1 has %s, and %s moves:\n%s", n.Address, two.Spec.LoadBalancer.Address, text)
			}
		})
	}
}

// The edits of the commands keep what is there.
func TestEditsOfLoadBalancers(t *testing.T) {
	file := []byte(head + "spec:\n  nodes:\n  - {role: control-plane}\n")
	one, err := Parse("f.yaml", file)
	if err != nil {
		t.Fatal(err)
	}
	text, err := AddNodes(file, []Node{{Name: "lb-2", Role: RoleLoadBalancer}}, one)
	if err != nil {
		t.Fatal(err)
	}
	two, err := ParseFor("f.yaml", text, knownOf(one))
	if err != nil {
		t.Fatal(err)
	}
	want := []Node{{"lb-1", RoleLoadBalancer, "10.10.10.4"}, {"lb-2", RoleLoadBalancer, "10.10.10.5"}}
	added := two.Spec.nodesOf(RoleLoadBalancer)
	slices.SortFunc(added, func(a, b Node) int { return strings.Compare(a.Name, b.Name) })
	if diff := cmp.Diff(want, added); diff != "" || two.Spec.LoadBalancer.Address != "10.10.10.3" {
		t.Errorf("%s, and %s moves; the file:\n%s", diff, two.Spec.LoadBalancer.Address, text)
	}
	if text, err = RemoveNodes(text, []string{"lb-1"}, two); err != nil {
		t.Fatal(err)
	}
	left, err := ParseFor("f.yaml", text, knownOf(two))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want[1:], left.Spec.nodesOf(RoleLoadBalancer)); diff != "" || left.Spec.LoadBalancer.Address != "10.10.10.3" {
		t.Errorf("%s, and %s moves; the file:\n%s", diff, left.Spec.LoadBalancer.Address, text)
	}
	if fresh, err := ParseKept("f.yaml", text, Known{}); err != nil || fresh.Spec.LoadBalancer.Address != "10.10.10.3" {
		t.Errorf("as the file of a new cluster: %v", err)
	}
}

// One load balancer becomes several with the address that it has; whoever wants another one is told the way on.
func TestSeveralLoadBalancersBeginWithTheAddressThatIsKnown(t *testing.T) {
	known := Known{[]Node{{"cp-1", RoleControlPlane, "10.10.10.11"}, {"lb-1", RoleLoadBalancer, "10.10.10.3"}}, "10.10.10.3"}
	read := func(spec string) *Cluster {
		c, err := ParseFor("f.yaml", []byte(head+"spec:\n  "+spec+"\n"), known)
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	err := CheckLive(read("nodes: [{role: control-plane}]"),
		read("loadBalancer: {address: 10.10.10.9}\n  nodes: [{role: control-plane}, {role: load-balancer, name: lb-1}, {role: load-balancer, name: lb-2}]"))
	if err == nil {
		t.Fatal("no error")
	}
	expect(t, strings.Split(err.Error(), "\n"), `spec.loadBalancer.address: "10.10.10.3" to "10.10.10.9": not on a cluster that exists: several load balancers begin with the address that clients know; `+
		"leave it as it was; or have one load balancer take the new address first, under another name, and add others in a second change")
}
