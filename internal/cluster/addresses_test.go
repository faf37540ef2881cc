package cluster

import (
	"net"
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/haplane/haplane/internal/provider/nspawn"
	"github.com/haplane/haplane/internal/topology"
	"github.com/haplane/haplane/spec"
)

// What is asked for is what the machines that are made or started take, and the address that moves to one of them; the field that has it is told.
func TestAddressFields(t *testing.T) {
	const pair = "nodes: [{role: control-plane}, {role: load-balancer}, {role: load-balancer}]"
	for name, test := range map[string]struct {
		spec  string
		takes []string
		want  map[string]string
	}{
		"one load balancer has the address":      {"{}", []string{"lb-1", "cp-1"}, map[string]string{"10.10.10.3": "spec.loadBalancer.address", "10.10.10.11": "spec.nodes[cp-1].address"}},
		"nothing is made beside it":              {"{}", []string{"cp-1"}, map[string]string{"10.10.10.11": "spec.nodes[cp-1].address"}},
		"several move it":                        {"{" + pair + "}", []string{"lb-2"}, map[string]string{"10.10.10.3": "spec.loadBalancer.address", "10.10.10.5": "spec.nodes[lb-2].address"}},
		"control-plane nodes do":                 {"{loadBalancer: {kind: controlPlane}}", []string{"cp-2"}, map[string]string{"10.10.10.3": "spec.loadBalancer.address", "10.10.10.12": "spec.nodes[cp-2].address"}},
		"nobody takes an address":                {"{" + pair + "}", nil, map[string]string{}},
		"it is somebody else's load balancer":    {"{loadBalancer: {kind: external, address: 10.10.10.9}}", []string{"cp-1"}, map[string]string{"10.10.10.11": "spec.nodes[cp-1].address"}},
		"each family has its own, and one moves": {"{network: {machineCIDR: '10.9.0.0/24,fd00::/64'}, " + pair + "}", []string{"lb-1"}, map[string]string{"10.9.0.3": "spec.loadBalancer.address", "fd00::3": "spec.loadBalancer.address", "10.9.0.4": "spec.nodes[lb-1].address", "fd00::4": "spec.nodes[lb-1].address"}},
	} {
		t.Run(name, func(t *testing.T) {
			c, err := spec.Parse("f.yaml", []byte("apiVersion: haplane/v1alpha1\nkind: Cluster\nspec: "+test.spec+"\n"))
			if err != nil {
				t.Fatal(err)
			}
			topo := topology.New(c)
			var takes []topology.Node
			for _, name := range test.takes {
				n, ok := topo.Node(name)
				if !ok {
					t.Fatalf("no node %s", name)
				}
				takes = append(takes, n)
			}
			got := map[string]string{}
			for a, field := range addressFields(topo, takes) {
				got[a.String()] = field
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// One error names all of them, each with its field, who it is and what to do.
func TestAddressesThatAreTaken(t *testing.T) {
	fields := map[netip.Addr]string{netip.MustParseAddr("10.10.10.3"): "spec.loadBalancer.address", netip.MustParseAddr("10.10.10.5"): "spec.nodes[lb-2].address"}
	if err := taken(nil, fields); err != nil {
		t.Errorf("nobody has one: %v", err)
	}
	mac := net.HardwareAddr{0x52, 0x54, 0, 0x12, 0x34, 0x56}
	err := taken([]nspawn.Stranger{{Address: netip.MustParseAddr("10.10.10.3"), Bridge: "hp-demo", MAC: mac, Port: "vnet0"}, {Address: netip.MustParseAddr("10.10.10.5"), Bridge: "hp-demo"}}, fields)
	if err == nil {
		t.Fatal("no error")
	}
	want := []string{
		"spec.loadBalancer.address: 10.10.10.3 is answered by the MAC address 52:54:00:12:34:56 at port vnet0 of bridge hp-demo, which is none of haplane's machines (take the address from it, or unplug it; a new cluster may have another address)",
		"spec.nodes[lb-2].address: this host itself has 10.10.10.5, on bridge hp-demo (take the address from it, or unplug it; a new cluster may have another address)",
	}
	if diff := cmp.Diff(want, strings.Split(err.Error(), "\n")); diff != "" {
		t.Error(diff)
	}
}
