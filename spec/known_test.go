package spec

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var (
	cp1 = Node{"cp-1", RoleControlPlane, "10.10.10.11"}
	cp2 = Node{"cp-2", RoleControlPlane, "10.10.10.12"}
	cp3 = Node{"cp-3", RoleControlPlane, "10.10.10.13"}
	w1  = Node{"worker-1", RoleWorker, "10.10.10.21"}
	w2  = Node{"worker-2", RoleWorker, "10.10.10.22"}
	lb1 = Node{"lb-1", RoleLoadBalancer, "10.10.10.3"}
)

// orNone are fields, or that there are none: what has no value is a mistake.
func orNone(fields string) string {
	if fields == "" {
		return " {}\n"
	}
	return fields
}

func TestParseForKeepsNamesAndAddresses(t *testing.T) {
	tests := map[string]struct {
		spec  string
		known []Node
		want  []Node
	}{
		"nothing known": {"", nil, []Node{cp1, cp2, cp3, w1, lb1}},
		"no nodes in the file: the first of those there are": {"", []Node{cp2, cp3, {"cp-4", RoleControlPlane, "10.10.10.14"}, w2, lb1},
			[]Node{cp2, cp3, {"cp-4", RoleControlPlane, "10.10.10.14"}, w2, lb1}},
		"the first goes": {"nodes: [{role: control-plane, name: cp-2}, {role: control-plane, name: cp-3}]",
			[]Node{cp1, cp2, cp3, lb1}, []Node{cp2, cp3, lb1}},
		"unnamed entries are whom no entry names": {"nodes: [{role: control-plane}, {role: control-plane, name: cp-1}, {role: worker}]",
			[]Node{cp1, cp2, cp3, w2, lb1}, []Node{cp2, cp1, w2, lb1}},
		"a new one gets the smallest number and address that nobody has": {
			"nodes: [{role: control-plane, name: cp-2}, {role: control-plane, name: cp-3}, {role: control-plane}]",
			[]Node{cp2, cp3, lb1}, []Node{cp2, cp3, cp1, lb1}},
		"nor one that leaves": {"nodes: [{role: worker, name: worker-2}, {role: control-plane}, {role: worker, name: big}]",
			[]Node{cp1, w2, lb1, w1}, []Node{w2, cp1, {"big", RoleWorker, "10.10.10.23"}, lb1}},
		"entries of another role do not count": {"nodes: [{role: control-plane}, {role: worker}]", []Node{cp2, lb1}, []Node{cp2, w1, lb1}},
		"an address tells which one it is": {"nodes: [{role: control-plane}, {role: worker, address: 10.10.10.22}, {role: worker}]",
			[]Node{cp1, w1, w2, lb1}, []Node{cp1, w2, w1, lb1}},
		"an address that no node has is a new node": {"nodes: [{role: control-plane}, {role: worker, address: 10.10.10.50}]",
			[]Node{cp1, w1, lb1}, []Node{cp1, {"worker-2", RoleWorker, "10.10.10.50"}, lb1}},
		"skips what others have": {`
  loadBalancer: {address: 10.10.10.21}
  nodes: [{role: control-plane}, {role: worker}, {role: control-plane, address: 10.10.10.11}, {role: worker, address: 10.10.10.22}]`,
			nil, []Node{{"cp-1", RoleControlPlane, "10.10.10.12"}, {"worker-1", RoleWorker, "10.10.10.23"},
				{"cp-2", RoleControlPlane, "10.10.10.11"}, {"worker-2", RoleWorker, "10.10.10.22"}, {"lb-1", RoleLoadBalancer, "10.10.10.21"}}},
		"names that another role has": {"nodes: [{role: control-plane}, {role: worker, name: cp-1}]",
			nil, []Node{{"cp-2", RoleControlPlane, "10.10.10.11"}, {"cp-1", RoleWorker, "10.10.10.21"}, lb1}},
		"the load balancer's name and address stay": {"nodes: [{role: control-plane}]",
			[]Node{cp1, {"front", RoleLoadBalancer, "10.10.10.200"}}, []Node{cp1, {"front", RoleLoadBalancer, "10.10.10.200"}}},
		"of its entry too": {"nodes: [{role: load-balancer}, {role: control-plane}]",
			[]Node{cp1, {"front", RoleLoadBalancer, "10.10.10.200"}}, []Node{{"front", RoleLoadBalancer, "10.10.10.200"}, cp1}},
		"its entry takes the address of the field": {"loadBalancer: {address: 10.10.10.77}\n  nodes: [{role: load-balancer}, {role: control-plane}]",
			nil, []Node{{"lb-1", RoleLoadBalancer, "10.10.10.77"}, cp1}},
		"two families": {`
  network: {machineCIDR: "10.9.0.0/24,fd00::/64"}
  nodes: [{role: control-plane, address: "10.9.0.50,fd00:0::11"}, {role: control-plane, address: "10.9.0.12,fd00::99"}, {role: control-plane}]`,
			nil, []Node{{"cp-1", RoleControlPlane, "10.9.0.50,fd00:0::11"}, {"cp-2", RoleControlPlane, "10.9.0.12,fd00::99"},
				{"cp-3", RoleControlPlane, "10.9.0.13,fd00::13"}, {"lb-1", RoleLoadBalancer, "10.9.0.3,fd00::3"}}},
		"addresses in another spelling": {`
  network: {machineCIDR: "fd00::/64"}
  nodes: [{role: control-plane, name: cp-1, address: "fd00:0:0::11"}]`,
			[]Node{{"cp-1", RoleControlPlane, "fd00::11"}}, []Node{{"cp-1", RoleControlPlane, "fd00:0:0::11"}, {"lb-1", RoleLoadBalancer, "fd00::3"}}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			c, err := ParseFor("f.yaml", []byte(head+"spec:\n  "+orNone(test.spec)+"\n"), Known{Nodes: test.known})
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, c.Spec.Nodes); diff != "" {
				t.Error(diff)
			}
			for _, n := range c.Spec.Nodes {
				if n.Role == RoleLoadBalancer && c.Spec.LoadBalancer.Address != n.Address {
					t.Errorf("spec.loadBalancer.address is %s", c.Spec.LoadBalancer.Address)
				}
			}
		})
	}
}

// More nodes than fit between the first addresses of two roles go on behind those
// of the next.
func TestManyNodesSkipCollisions(t *testing.T) {
	file := head + "spec:\n  nodes:\n  - {role: worker}\n" + strings.Repeat("  - {role: control-plane}\n", 12)
	c, err := Parse("f.yaml", []byte(file))
	if err != nil {
		t.Fatal(err)
	}
	want := []Node{{"cp-10", RoleControlPlane, "10.10.10.20"}, {"cp-11", RoleControlPlane, "10.10.10.22"}, {"cp-12", RoleControlPlane, "10.10.10.23"}}
	if diff := cmp.Diff(want, c.Spec.Nodes[10:13]); diff != "" {
		t.Error(diff)
	}
}

func TestParseForRefusesOtherAddressesAndRoles(t *testing.T) {
	known := []Node{cp1, cp2, w1, w2, lb1}
	file := `
  loadBalancer: {address: 10.10.10.4}
  nodes:
  - {role: control-plane, name: cp-1, address: 10.10.10.99}
  - {role: worker, name: cp-2}
  - {role: worker, name: worker-1, address: 10.10.10.21}
  - {role: worker, name: new, address: 10.10.10.22}
`
	_, err := ParseFor("f.yaml", []byte(head+"spec:"+file), Known{Nodes: known})
	want := strings.Join([]string{
		"f.yaml: spec.nodes[0].address: Invalid value: \"10.10.10.99\": node cp-1 of the cluster has 10.10.10.11: " +
			"remove it and add it under another name, or `haplane node replace cp-1` (line 6)",
		"f.yaml: spec.nodes[1].role: Invalid value: \"worker\": node cp-2 of the cluster is a control-plane node: " +
			"remove it and add it under another name, or `haplane node replace cp-2` (line 7)",
		"f.yaml: spec.nodes[3].address: Invalid value: \"10.10.10.22\": node worker-2 has this address until it is gone: " +
			"give new another one, or remove worker-2 first (line 9)",
		"f.yaml: spec.loadBalancer.address: Invalid value: \"10.10.10.4\": node lb-1 of the cluster has 10.10.10.3: " +
			"certificates and kubeconfigs name it, so it stays; `haplane down` and `haplane up` make the cluster anew (line 4)",
	}, "\n")
	if err == nil {
		t.Fatal("no error")
	}
	if diff := cmp.Diff(want, err.Error()); diff != "" {
		t.Error(diff)
	}
}

// Where a role's range ends with the network, what is below it comes next.
func TestNetworkThatIsFull(t *testing.T) {
	file := func(nodes int) []byte {
		return []byte(head + "spec:\n  network: {machineCIDR: 10.10.10.0/28}\n  nodes:\n" + strings.Repeat("  - {role: control-plane}\n", nodes))
	}
	c, err := Parse("f.yaml", file(12))
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, n := range c.Spec.Nodes {
		got = append(got, strings.TrimPrefix(n.Address, "10.10.10"))
	}
	if diff := cmp.Diff(strings.Fields(".11 .12 .13 .14 .2 .4 .5 .6 .7 .8 .9 .10 .3"), got); diff != "" {
		t.Error(diff)
	}
	want := `f.yaml: spec.nodes: Invalid value: 14: nodes do not fit, the load balancer among them: 10.10.10.0/28 has addresses for 13; ` +
		`write a larger network to spec.network.machineCIDR, or fewer nodes (line 5)`
	if _, err := Parse("f.yaml", file(13)); err == nil || err.Error() != want {
		t.Errorf("one too many: %v", err)
	}
}

// Thousands of nodes take no more than moments to be told that they are too many.
func TestFileOfTheLargestSize(t *testing.T) {
	text := head + "spec:\n  network: {machineCIDR: 10.10.0.0/16, podCIDR: 11.0.0.0/8}\n  nodes:\n" + strings.Repeat("  - {role: control-plane}\n", 40000)
	c, err := Parse("f.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	if last := c.Spec.Nodes[39999]; last.Name != "cp-40000" || last.Address != "10.10.156.74" {
		t.Errorf("the last one is %v", last)
	}
}
